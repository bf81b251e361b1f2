"""Whether a stored time can be trusted: the clock that gave it may have been ahead, and set back since."""

from __future__ import annotations

from typing import Final

DIFFER_MS: Final = 60_000
"""Largest expected difference between the clocks of two servers."""

LEASE_MS: Final = 6_000
"""How long a worker's lease on a channel lasts unless renewed."""


def is_past(time_ms: int, now_ms: int) -> bool:
    """True if the time of an event can be right. A later one came from a clock that was ahead.

    >>> is_past(1_000, 900), is_past(3_600_000, 900)
    (True, False)
    """
    return time_ms <= now_ms + DIFFER_MS
