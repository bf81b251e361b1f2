"""Reads a journal: ranges of records at once, as columns.

The shipper uses it to follow a journal that is still being written, recovery to read one up to its torn tail. Every
record is verified by its checksum. A damaged record is skipped if intact ones follow: it keeps its number and becomes a
warning of the run.
"""

from __future__ import annotations

from pathlib import Path

from monitor.journal.ack import Position
from monitor.journal.files import SegmentFiles
from monitor.journal.read.scan import MAX_POINTS, MAX_RECORDS, OpenSegment, Range, missing
from monitor.journal.segment import HEADER_SIZE


class JournalReader:
    """Reads one writer's journal in order.

    Args:
        at: where to begin: a position from `Range.after`; None for the start.
        recover: True for the journal of a dead process: pending records count as lost. False for a journal that is
            still being written: reading stops at a pending or incomplete record. If an incomplete record has not
            changed by the next read, and others follow it, it counts as damaged.
        run_id: the run to read; segments of other runs are skipped. None reads all.
    """

    def __init__(
        self, folder: Path, at: Position | None = None, *, recover: bool = False, run_id: str | None = None
    ) -> None:
        self.folder = folder
        self.position = at or Position()
        self._recover = recover
        self._run_id = run_id
        self._files = SegmentFiles(folder, run_id)
        self._stuck: Position | None = None
        self._open: OpenSegment | None = None

    def read(self, max_records: int = MAX_RECORDS, max_points: int = MAX_POINTS) -> Range | None:
        """The next records, up to both limits; None if there are none yet.

        Raises:
            OSError: a segment cannot be read.
        """
        while True:
            segment = self._open or self._enter()
            if segment is None:
                return None
            if self.position.offset == 0:
                start = Position(segment.head.first, segment.head.number, HEADER_SIZE)
                gone = start.record - self.position.record
                first, self.position = self.position.record, start
                if gone > 0:  # the disk lost them, but their numbers stay taken
                    why = f"they are not in the segments before segment {start.segment}"
                    return missing(first, gone, start, why, segment.head.created_ns)
                self._pass_over(segment, first)
            part = self._take(segment, max_records, max_points)
            if part is not None and part.count:
                return part
            if part is None and not self._leave(segment):
                return None

    def _take(self, segment: OpenSegment, max_records: int, max_points: int) -> Range | None:
        """The next records of a segment, or what was lost; None if there are no more (`segment.why` says why)."""
        part = self._at(segment.take(self.position, max_records, max_points, recover=self._recover))
        if part.count or segment.why in ("pending", "end"):
            return part if part.count else None
        over = self._recover or self.behind()  # then the segment no longer changes
        if over and not self._recover:  # it may have been completed since the last look
            part = self._at(segment.take(self.position, max_records, max_points, recover=False))
            if part.count or segment.why in ("pending", "end"):
                return part if part.count else None
        if over or (segment.why == "damaged" and self._stuck == self.position):
            skipped = segment.skip(self.position)
            if skipped is not None:
                return self._at(skipped)
            if over:
                segment.why = "end"
        # A writer may be storing it right now. If it is unchanged on the next read, it is damaged.
        self._stuck = self.position if segment.why == "damaged" else None
        return None

    def _pass_over(self, segment: OpenSegment, record: int) -> None:
        """Skip records whose numbers are already taken: more were counted as lost than there were."""
        while self.position.record < record:
            part = self._take(segment, record - self.position.record, 1 << 40)
            if part is None or not part.count:
                self.position = Position(record, self.position.segment, self.position.offset)

    def _at(self, part: Range) -> Range:
        self.position = part.after
        return part

    def seek(self, record: int) -> bool:
        """Go to a record; False if the journal does not hold it yet.

        Records that the journal no longer holds are read as lost: a receiver acknowledged them and has since forgotten
        them.
        """
        if record < self.position.record:
            files = [file for file in self._files.found() if file.head or file.number == 0]
            starts = [(file.head.first if file.head else 0, file.number) for file in files]
            if not starts:
                return False
            first, number = next((at for at in reversed(starts) if at[0] <= record), (record, starts[0][1]))
            self.go_to(Position(first, number, 0))
        while self.position.record < record:
            if self.read(min(MAX_RECORDS, record - self.position.record), 1 << 40) is None:
                return False
        return self.position.record == record

    def go_to(self, position: Position) -> None:
        """Go to a position where this reader, or an earlier one, has been."""
        if self._open is not None and self._open.head.number != position.segment:
            self._open = None
        self.position, self._stuck = position, None

    def remaining(self) -> tuple[int, int, int]:
        """Count records, points and lost records from here to the end by reading them. The position stays."""
        reader = JournalReader(self.folder, self.position, recover=self._recover, run_id=self._run_id)
        records = points = lost = 0
        while (part := reader.read()) is not None:
            records += part.count
            points += len(part.points)
            lost += part.lost
        return records, points, lost

    def behind(self) -> bool:
        """True if a segment after the current one has begun."""
        return any(file.head and file.number > self.position.segment for file in self._files.found())

    def oddities(self) -> tuple[str, ...]:
        """What is wrong with the segments' files, one line each."""
        self._files.found()
        return self._files.odd

    def foreign(self) -> bool:
        """True if the folder holds a segment of another run."""
        return self._files.foreign

    def drop_read(self) -> None:
        """Delete the segments that end before the position."""
        for file in self._files.found():
            if file.number < self.position.segment:
                file.path.unlink(missing_ok=True)

    def _enter(self) -> OpenSegment | None:
        """Open the segment of the position, or the next one that exists."""
        files = self._files.found()
        for file in files:
            if file.number < self.position.segment:
                continue
            over = self._recover or any(other.head and other.number > file.number for other in files)
            self._open = OpenSegment.of(file.path, file.number, self.position.record if over else None)
            if self._open is None:
                if self._recover:
                    continue
                return None
            if file.number != self.position.segment:
                self.position = Position(self.position.record, file.number, 0)
            return self._open
        return None

    def _leave(self, segment: OpenSegment) -> bool:
        """Continue in the next segment, if this one has ended and another has begun."""
        if segment.why != "end":
            return False
        later = [file.number for file in self._files.found() if file.number > segment.head.number]
        if not later or not (self._recover or self.behind()):
            return False
        self._open = None
        self.position = Position(self.position.record, later[0], 0)
        return True
