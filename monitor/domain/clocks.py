"""What a stored time is worth: the clock that gave it may have been ahead, and set back since."""

from __future__ import annotations

from typing import Final

DIFFER_MS: Final = 60_000
"""By how much the clocks of two servers differ, at most."""

LEASE_MS: Final = 6_000
"""How long a worker that sends to a channel keeps it from the others, unless it says again that it is there."""


def is_past(time_ms: int, now_ms: int) -> bool:
    """Whether a time at which something happened can be right; a later one came from a clock that was ahead.

    >>> is_past(1_000, 900), is_past(3_600_000, 900)
    (True, False)
    """
    return time_ms <= now_ms + DIFFER_MS
