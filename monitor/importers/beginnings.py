"""Compares a new reading of a growing source with what was already sent: the old part must be its beginning."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.importers.imported import ImportedRun
from monitor.importers.notes import Sent

DERIVED: Final = -1
"""Used instead of a checksum for a series computed from others, whose values may change when a term is added."""

_HEAD: Final = 3  # points; fewer are often the same in two trainings
_MOST_HEADS: Final = 30  # the newest are kept, so that the state does not grow


class Beginning:
    """A reading, by series; what was sent of each series must be its beginning."""

    def __init__(self, run: ImportedRun) -> None:
        self.run = run
        self._at = {key: np.flatnonzero(run.points.key == i) for i, key in enumerate(run.keys)}
        self._sums: dict[tuple[str, int], int] = {}

    def sum(self, key: str, count: int) -> int | None:
        """A checksum of the first `count` points of a series; None if it has fewer."""
        at = self._at.get(key)
        if at is None or len(at) < count:
            return None
        if (key, count) not in self._sums:
            first = at[:count]
            p = self.run.points
            self._sums[key, count] = zlib.crc32(p.value[first].tobytes(), zlib.crc32(p.step[first].tobytes()))
        return self._sums[key, count]

    def head(self) -> int | None:
        """A checksum of the first points of all series; None if they are too few to tell files apart."""
        p = self.run.points
        if len(p) < _HEAD:
            return None
        names = "\0".join(self.run.keys[key] for key in p.key[:_HEAD].tolist())
        numbers = zlib.crc32(p.value[:_HEAD].tobytes(), zlib.crc32(p.step[:_HEAD].tobytes()))
        return zlib.crc32(names.encode(errors="surrogatepass"), numbers)

    def heads(self, known: Sequence[int]) -> list[int]:
        """The known checksums, with this reading's own added."""
        head = self.head()
        return [*known] if head is None or head in known else [*known, head][-_MOST_HEADS:]

    def shorter(self, counts: Mapping[str, int]) -> bool:
        """True if a series has fewer points than were sent."""
        return any(len(self._at.get(key, ())) < n for key, n in counts.items())

    def beyond(self, counts: Mapping[str, int]) -> NDArray[np.int64]:
        """The points not sent yet, in order of logging."""
        rest = [at[counts.get(key, 0) :] for key, at in self._at.items()]
        return np.sort(np.concatenate(rest)) if rest else np.empty(0, np.int64)

    def attempt_of(self, index: int) -> int:
        """The attempt of a point, from 0."""
        return bisect_right(self.run.attempts, index)


def holds(reading: Beginning, sent: Sent) -> bool:
    """True if a reading contains what was sent, and perhaps more."""
    if not sent.counts:
        return reading.run.origin == sent.origin
    return all(
        sent.sums.get(key) == DERIVED or reading.sum(key, n) == sent.sums.get(key) for key, n in sent.counts.items()
    )


def follows(run: ImportedRun, sent: Sent) -> bool:
    """True if a reading starts after what was sent."""
    return sent.last is not None and int(run.points.step[0]) > sent.last


def replayed(reading: Beginning, fresh: Sent, records: int) -> Sent | None:
    """Reconstruct what was sent from the number of stored records, for a file whose note is lost."""
    run, attempt, used, at = reading.run, 0, 2, 0
    while used < records and at < len(run.points):
        if reading.attempt_of(at) > attempt:
            attempt, used = attempt + 1, used + 1
            continue
        at, used = at + 1, used + 1
    over = used == records - 1 and at == len(run.points)
    if used != records and not over:
        return None
    fresh.record, fresh.attempt, fresh.over = records, attempt, over
    for i, key in enumerate(run.keys):
        count = int(np.count_nonzero(run.points.key[:at] == i))
        if count:
            fresh.counts[key], fresh.sums[key] = count, reading.sum(key, count) or 0
    fresh.last = int(run.points.step[:at].max()) if at else None
    return fresh
