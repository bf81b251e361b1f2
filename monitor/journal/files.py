"""Which file holds which segment of a journal.

The header decides; the file name counts only if the header is damaged. So files that were renamed, swapped or copied
are still read in the order in which they were written, each segment once.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from monitor.journal.segment import HEADER_SIZE, SegmentHead, read_head, segment_files


class SegmentFile(NamedTuple):
    """A segment and its file."""

    number: int
    path: Path
    head: SegmentHead | None
    """None if it is not intact, as in a segment that has not begun."""


class SegmentFiles:
    """The segments in a writer's folder. Each call looks at the folder again.

    Args:
        run_id: the run whose segments are wanted; None for any run.

    Attributes:
        odd: what was wrong at the last look, one line each.
        foreign: True if a segment of another run was found. The folder must not be deleted then.
    """

    def __init__(self, folder: Path, run_id: str | None = None) -> None:
        self._folder, self._run_id = folder, run_id
        self._heads: dict[Path, SegmentHead] = {}
        self.odd: tuple[str, ...] = ()
        self.foreign = False

    def found(self) -> list[SegmentFile]:
        """The segments, in order."""
        named = segment_files(self._folder)
        heads = {path: head for _, path in named if (head := self._head(path)) is not None}
        self._heads = heads  # headers never change once written; entries of deleted files are dropped
        odd: list[str] = []
        by_number: dict[int, SegmentFile] = {}
        # Files whose name matches their header come first, so that of two copies the renamed one is set aside.
        for name, path in sorted(named, key=lambda at: at[1] not in heads or heads[at[1]].number != at[0]):
            head = heads.get(path)
            if head is None:
                continue
            if self._run_id not in (None, head.run_id):
                odd.append(f"{path.name} is of run {head.run_id} and is not read")
                self.foreign = True
            elif head.number in by_number:
                odd.append(f"{path.name} is a copy of {by_number[head.number].path.name} and is not read")
            else:
                by_number[head.number] = SegmentFile(head.number, path, head)
                if head.number != name:
                    odd.append(f"{path.name} holds segment {head.number} and is read as that")
        free = [name for name, _ in named if name not in by_number and name >= 0]
        for name, path in named:
            if path in heads:
                continue
            if name < 0 or not free:
                odd.append(
                    f"{path.name} says neither by its header nor by its name which segment it is, and is not read"
                )
                continue
            number = name if name in free else free[0]
            free.remove(number)
            by_number[number] = SegmentFile(number, path, None)
        self.odd = tuple(sorted(odd))
        return [by_number[number] for number in sorted(by_number)]

    def _head(self, path: Path) -> SegmentHead | None:
        known = self._heads.get(path)
        if known is not None:
            return known
        try:
            with path.open("rb") as file:
                return read_head(file.read(HEADER_SIZE))
        except FileNotFoundError:  # acknowledged and deleted in the meantime
            return None
