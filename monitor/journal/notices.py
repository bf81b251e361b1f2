"""What the client had to drop or change: counted, and reported once per key.

The first notice of a key goes to the `monitor` logger. All go into the journal as `warning` events, with the count
since the last event.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from monitor.limits import text

if TYPE_CHECKING:
    from monitor.domain import Counter

    _Counts = dict[tuple[Counter, str], tuple[int, str]]
    """(Name, key) -> how often, and an example."""

LOGGER: Final = logging.getLogger("monitor")
_MOST_KEYS: Final = 1000
"""Keys counted separately per run. A loop that invents a key per step must not fill the memory."""

_TEXTS: Final[dict[Counter, str]] = {
    "dropped": "%s was left out, as it cannot be used: %s",
    "converted": "%s: %s was stored as a different number",
    "quota": "%s: the journal is near its quota (%s); only some points are kept until the server takes them",
    "disk_full": "%s: the journal cannot grow (%s); points are dropped until there is room",
    "after_finish": "%s: log() was called on a run that is finished (%s); the points were left out",
    "renamed": "%s is the name that %s is stored under: it is not a valid name",
    "shortened": "%s: %s is too long and was cut",
    "mended": "%s: %s is not valid and was corrected",
    "disk": "%s: the disk of the journal refused a write (%s)",
}


class Notices:
    """Counts the notices of one run. Thread-safe."""

    def __init__(self, run_name: str) -> None:
        self._run = run_name
        self._lock = threading.RLock()  # reentrant: a signal handler may log while this thread counts
        self._said: set[tuple[str, str]] = set()
        self._counts: _Counts = {}

    def count(self, name: Counter, key: str, example: str = "", n: int = 1) -> None:
        """Count a notice, and log it if it is the first for its key.

        Args:
            key: the metric, or what else it happened to.
            example: the value, shortened.
            n: how often it happened.
        """
        key, example = text(key), text(example)
        with self._lock:
            if (name, key) not in self._said and len(self._said) >= _MOST_KEYS:
                key = "(others)"
            first = (name, key) not in self._said
            self._said.add((name, key))
            _add(self._counts, (name, key), n, example)
        if first:
            with contextlib.suppress(Exception):  # the user's logging filters and handlers may raise anything
                LOGGER.warning(f"run %s: {_TEXTS.get(name, '%s: %s')}", self._run, repr(key), example[:80] or key)

    def drain(self, write: Callable[[str, dict[str, object]], bool], *, summed: bool = False) -> None:
        """Write the counts since the last call as `warning` events.

        Args:
            write: takes an event's kind and data. False if it could not be written; the count is then kept.
            summed: one event per name, for when there is no room for more.
        """
        with self._lock:
            counts, self._counts = self._counts, {}
        if summed:
            each, counts = counts, {}
            for (name, _), (n, example) in each.items():
                _add(counts, (name, "(all)"), n, example[:40])
        for (name, key), (n, example) in counts.items():
            if not write("warning", {"name": name, "key": key, "count": n, "example": example[:200]}):
                with self._lock:
                    _add(self._counts, (name, key), n, example)


def _add(counts: _Counts, place: tuple[Counter, str], n: int, example: str) -> None:
    """Add to a count. The first example stays."""
    before, shown = counts.get(place, (0, example))
    counts[place] = before + n, shown
