"""What was sent of a source, kept on disk before and after each batch."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Sent:
    """What was sent of a source.

    Attributes:
        origin: of the run, as its reader gives it.
        run_id: the run that the points are in.
        writer: whose records they are.
        record: how many records there are.
        attempt: the attempt of the reading that the last of them belongs to.
        counts: points by series, of those the file holds now.
        sums: a checksum over the steps and values of these.
        heads: checksums over the first points of each file that the run was read from, as it was rotated.
        last: the last step.
        over: the run was ended.
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
    """Where a follower keeps what it sent, before and after the batch that may be on its way."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> tuple[Sent, Sent] | None:
        """What was sent before the last batch and after it; None where nothing is known."""
        try:
            before, after = json.loads(self._path.read_text(encoding="utf-8"))
            return Sent(**before), Sent(**after)
        except (OSError, ValueError, TypeError):
            return None

    def write(self, before: Sent, after: Sent) -> None:
        """Keep both, at once or not at all."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(f".{os.getpid()}.tmp")
        fresh.write_text(json.dumps([asdict(before), asdict(after)]), encoding="utf-8")
        fresh.replace(self._path)
