"""Compares a new reading of a growing source with what was already sent: the old part must be its beginning."""

from __future__ import annotations

import json
import os
import zlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.importers.imported import ImportedRun

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


@dataclass(slots=True)
class Sent:
    """What was sent of a source.

    Attributes:
        origin: the run's origin, from its reader.
        run_id: the run that has the points.
        writer: the writer of the records.
        record: number of records.
        attempt: the attempt of the last record, in the reading.
        counts: points sent, by series, of those in the current file.
        sums: checksums of their steps and values.
        heads: checksums of the first points of each file that the run was read from (several after a rotation).
        last: the last step.
        over: True if the run was ended.
    """

    origin: str
    run_id: str
    writer: str
    record: int = 0
    attempt: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    sums: dict[str, int] = field(default_factory=dict)
    heads: list[int] = field(default_factory=list)
    last: int | None = None
    over: bool = False


class Note:
    """A file with what was sent before and after the batch that may be in flight."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> tuple[Sent, Sent] | None:
        """What was sent before the last batch and after it; None if unknown."""
        try:
            before, after = json.loads(self._path.read_text(encoding="utf-8"))
            return Sent(**before), Sent(**after)
        except (OSError, ValueError, TypeError):
            return None

    def write(self, before: Sent, after: Sent) -> None:
        """Store both atomically."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(f".{os.getpid()}.tmp")
        fresh.write_text(json.dumps([asdict(before), asdict(after)]), encoding="utf-8")
        fresh.replace(self._path)
