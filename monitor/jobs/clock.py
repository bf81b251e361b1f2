"""Whether the clock can be trusted enough to delete by it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

AHEAD_S: Final = 3600.0
"""Largest step forward that is not doubted; daylight saving time does not move the clock, which is in UTC."""
DOUBT_S: Final = 86_400.0
"""Seconds for which a larger step is doubted, so that somebody can set the clock back."""

_log = logging.getLogger(__name__)


def running_s() -> float:
    """Seconds that pass evenly, also while the machine sleeps where the system has such a clock."""
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):
        if hasattr(time, name):
            return time.clock_gettime(getattr(time, name))
    return time.monotonic()


class Trust:
    """Notices when the clock is set forward.

    A clock that is a year ahead makes every run a year old. What follows from age and cannot be undone must wait until
    the clock has stood for a day.

    Args:
        now_ms: milliseconds since the epoch.
        passed_s: seconds that pass evenly.
    """

    def __init__(self, now_ms: int, passed_s: Callable[[], float] = running_s) -> None:
        self._passed_s = passed_s
        self._offset_s = now_ms / 1000 - passed_s()
        self._doubted_s = 0.0
        self._since_s: float | None = None

    def __call__(self, now_ms: int) -> bool:
        """False while the clock is further ahead than time has passed.

        Args:
            now_ms: milliseconds since the epoch.
        """
        passed_s = self._passed_s()
        offset_s = now_ms / 1000 - passed_s
        ahead_s = offset_s - self._offset_s
        if ahead_s > AHEAD_S:
            if self._since_s is None or abs(offset_s - self._doubted_s) > AHEAD_S:
                self._since_s, self._doubted_s = passed_s, offset_s
                _log.warning(
                    "the clock was set forward by %.0f s; nothing is deleted for its age in the next 24 hours", ahead_s
                )
            if passed_s - self._since_s < DOUBT_S:
                return False
        self._offset_s, self._since_s = offset_s, None
        return True
