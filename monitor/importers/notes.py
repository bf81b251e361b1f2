"""Stores on disk what was sent of a source, before and after each batch."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path


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
