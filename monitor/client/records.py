"""Reads a journal back: whole ranges of it at once, as columns.

Records of one layout have one length, so a stretch of them is found by comparing one strided column of headers and
taken out with one gather. The same reader serves the shipper, which follows a journal that is still being written, and
recovery, which checks every record's checksum and cuts what is torn.
"""

from __future__ import annotations

import json
import mmap
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.client.ack import Position
from monitor.client.segment import (
    EMPTY,
    END,
    EVENT,
    FIRST_POINTS,
    FRAME,
    HEADER_SIZE,
    LAYOUT,
    LONG_FRAME,
    PENDING,
    SegmentHead,
    read_head,
    segment_files,
)
from monitor.wire import Columns, Event

MAX_RECORDS: Final = 100_000
MAX_POINTS: Final = 200_000
MAX_KEYS: Final = 60_000
_STRETCH: Final = 4096


@dataclass(slots=True)
class _Shape:
    """A layout as read."""

    keys: tuple[str, ...]
    epoch: bool
    words: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Records `first` up to `first + count` of a journal.

    Attributes:
        after: the position behind them.
        lost: records in the range that a crash left without their values, or a disk without their bytes.
    """

    first: int
    count: int
    keys: tuple[str, ...]
    points: Columns
    events: tuple[Event, ...]
    after: Position
    lost: int = 0


class JournalReader:
    """Reads one writer's journal in order.

    Args:
        folder: the writer's folder.
        at: where to begin; a position that `Range.after` gave, or the start.
        recover: True for the journal of a dead process: every checksum is checked, pending records count as empty ones.
            False for a journal that is being written: reading stops before a pending record, and before one that is
            not stored in full.
    """

    def __init__(self, folder: Path, at: Position | None = None, *, recover: bool = False) -> None:
        self.folder = folder
        self.position = at or Position()
        self._recover = recover
        self._open: _OpenSegment | None = None

    def read(self, max_records: int = MAX_RECORDS, max_points: int = MAX_POINTS) -> Range | None:
        """The next records, at most so many, or None where there are none yet.

        Raises:
            OSError: a segment cannot be read.
        """
        while True:
            segment = self._open or self._enter()
            if segment is None:
                return None
            if self.position.offset == 0:
                start = Position(segment.head.first, segment.head.number, HEADER_SIZE)
                missing = start.record - self.position.record
                first, self.position = self.position.record, start
                if missing > 0:  # the disk lost them; their numbers are taken all the same
                    return _nothing(first, missing, start)
            part = segment.take(self.position, max_records, max_points, recover=self._recover)
            self.position = part.after
            if part.count:
                return part
            if not (segment.ended or self._recover) or not self._leave(segment):
                return None

    def seek(self, record: int) -> bool:
        """Go to a record; False where the journal no longer holds it, or does not yet."""
        if record < self.position.record:
            before = [head for head in _heads(self.folder) if head.first <= record]
            if not before:
                return False
            self._open = None
            self.position = Position(before[-1].first, before[-1].number, 0)
        while self.position.record < record:
            if self.read(min(MAX_RECORDS, record - self.position.record), 1 << 40) is None:
                return False
        return self.position.record == record

    def remaining(self) -> tuple[int, int]:
        """Records and points from here to the end, found by reading them; the position stays."""
        reader = JournalReader(self.folder, self.position, recover=self._recover)
        records = points = 0
        while (part := reader.read()) is not None:
            records += part.count
            points += len(part.points)
        return records, points

    def behind(self) -> bool:
        """True where a later segment than that of the position has begun."""
        return any(head.number > self.position.segment for head in _heads(self.folder))

    def drop_read(self) -> None:
        """Delete the segments that lie wholly before the position."""
        for number, path in segment_files(self.folder):
            if number >= self.position.segment:
                break
            path.unlink(missing_ok=True)

    def _enter(self) -> _OpenSegment | None:
        """Open the segment of the position, or the next one that is there."""
        for number, path in segment_files(self.folder):
            if number < self.position.segment:
                continue
            self._open = _OpenSegment.of(path)
            if self._open is None:
                if self._recover:
                    continue
                return None
            if number != self.position.segment:
                self.position = Position(self.position.record, number, 0)
            return self._open
        return None

    def _leave(self, segment: _OpenSegment) -> bool:
        """Go on behind this segment, where another one has begun."""
        later = [head for head in _heads(self.folder) if head.number > segment.head.number]
        if not later:
            return False
        self._open = None
        self.position = Position(self.position.record, later[0].number, 0)
        return True


class _OpenSegment:
    """A segment mapped for reading."""

    def __init__(self, buffer: mmap.mmap, head: SegmentHead) -> None:
        self.head = head
        self.ended = False
        self._bytes = memoryview(buffer)
        self._halves = np.frombuffer(buffer, "<u4")
        self._words = np.frombuffer(buffer, "<u8")
        self._shapes: dict[int, _Shape] = {}
        self._known = HEADER_SIZE

    @classmethod
    def of(cls, path: Path) -> _OpenSegment | None:
        """Map a segment; None where its header is not written."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(fd).st_size // 8 * 8
            if size < HEADER_SIZE + FRAME.size:
                return None
            buffer = mmap.mmap(fd, size, access=mmap.ACCESS_READ)
        finally:
            os.close(fd)
        head = read_head(buffer)
        return None if head is None else cls(buffer, head)

    def take(self, at: Position, max_records: int, max_points: int, *, recover: bool) -> Range:
        """Records from a position on, perhaps none."""
        if at.offset > self._known:  # the layouts in use were declared before
            _Scan(self, self._known, 1 << 60, 1 << 60, 0, until=at.offset, recover=recover).run()
        scan = _Scan(self, at.offset, max_records, max_points, at.record, until=len(self._bytes), recover=recover)
        scan.run()
        self._known = max(self._known, scan.offset)
        return scan.result()


class _Scan:
    """One walk over a segment's records."""

    def __init__(
        self,
        segment: _OpenSegment,
        offset: int,
        max_records: int,
        max_points: int,
        first: int,
        *,
        until: int,
        recover: bool,
    ) -> None:
        self.segment, self.offset, self.until, self.recover = segment, offset, until, recover
        self.max_records, self.max_points, self.first = max_records, max_points, first
        self.records = self.points = self.lost = 0
        self.keys: dict[str, int] = {}
        self.events: list[Event] = []
        self.used: dict[int, list[tuple[int, int, int]]] = {}
        """By kind: stretches as (record in the range, word, records)."""

    def run(self) -> None:
        data, last = self.segment._bytes, -1
        while self.records < self.max_records and self.points < self.max_points and self.offset + 8 <= self.until:
            crc, kind, words = FRAME.unpack_from(data, self.offset)
            if kind == END:
                self.segment.ended = not self.recover or crc == zlib.crc32(data[self.offset + 4 : self.offset + 8])
                return
            if kind == EMPTY:
                return
            if kind < FIRST_POINTS:
                going = self._json(kind, crc)
            elif kind & PENDING:
                going = self._pending(kind, words, crc)
            else:
                going = self._stretch(kind, words, many=kind == last)
            if not going:
                return
            last = kind

    def _json(self, kind: int, crc: int) -> bool:
        data, offset = self.segment._bytes, self.offset
        if offset + LONG_FRAME.size > self.until:
            return False
        length = LONG_FRAME.unpack_from(data, offset)[3]
        end = offset + (LONG_FRAME.size + length + 7) // 8 * 8
        if kind not in (EVENT, LAYOUT) or length < 8 or end > self.until:
            return False
        if crc != zlib.crc32(data[offset + 4 : end]):
            return False
        number = int.from_bytes(data[offset + 16 : offset + 24], "little", signed=True)
        content = json.loads(bytes(data[offset + 24 : offset + LONG_FRAME.size + length]))
        if kind == LAYOUT:
            keys, epoch = tuple(content["keys"]), bool(content["epoch"])
            self.segment._shapes[number] = _Shape(keys, epoch, 3 + epoch + len(keys))
        else:
            record = self.first + self.records
            self.events.append(
                Event(kind=content["kind"], record=record, time_ms=number // 1_000_000, data=content["data"])
            )
            self.records += 1
        self.offset = end
        return True

    def _pending(self, kind: int, words: int, crc: int) -> bool:
        shape, data, offset = self.segment._shapes.get(kind & ~PENDING), self.segment._bytes, self.offset
        if not self.recover or shape is None or words != shape.words or offset + 8 * words > self.until:
            return False
        if crc != zlib.crc32(data[offset + 4 : offset + 24]):
            return False
        self.records += 1
        self.lost += 1
        self.offset += 8 * words
        return True

    def _stretch(self, kind: int, words: int, *, many: bool) -> bool:
        """Take records of one layout that follow each other; `many` where it is worth looking for more than one."""
        shape, offset = self.segment._shapes.get(kind), self.offset
        if shape is None or words != shape.words or offset + 8 * words > self.until:
            return False
        width = len(shape.keys)
        if kind not in self.used and len(self.keys) + width > MAX_KEYS and self.records:
            return False
        n = 1
        if many:
            room = min(self.max_records - self.records, max(1, (self.max_points - self.points) // max(1, width)))
            n = max(1, min(room, (self.until - offset) // (8 * words), _STRETCH))
            start = offset // 4 + 1
            same = self.segment._halves[start : start + 2 * words * n : 2 * words] == (kind | words << 16)
            n = n if same.all() else int(same.argmin())
        n = (
            self._whole(offset, 8 * words, n)
            if self.recover
            else n - self._torn(offset + 8 * words * (n - 1), 8 * words)
        )
        if n == 0:
            return False
        if kind not in self.used:
            self.used[kind] = []
            for key in shape.keys:
                self.keys.setdefault(key, len(self.keys))
        self.used[kind].append((self.records, offset // 8, n))
        self.records += n
        self.points += n * width
        self.offset += 8 * words * n
        return True

    def _torn(self, offset: int, size: int) -> bool:
        """True for a record that its writer, in another process, is storing just now; only the last one can be."""
        data = self.segment._bytes
        expected: int = FRAME.unpack_from(data, offset)[0]
        return zlib.crc32(data[offset + 4 : offset + size]) != expected

    def _whole(self, offset: int, size: int, n: int) -> int:
        """How many of n records have the right checksum, up to the first that has not."""
        data, crc32 = self.segment._bytes, zlib.crc32
        sums = self.segment._halves[offset // 4 : offset // 4 + n * size // 4 : size // 4].tolist()
        for i, expected in enumerate(sums):
            if crc32(data[offset + 4 : offset + size]) != expected:
                return i
            offset += size
        return n

    def result(self) -> Range:
        return Range(
            first=self.first,
            count=self.records,
            keys=tuple(self.keys),
            points=self._columns(),
            events=tuple(self.events),
            after=Position(self.first + self.records, self.segment.head.number, self.offset),
            lost=self.lost,
        )

    def _columns(self) -> Columns:
        if not self.points:
            return Columns.empty()
        shapes = [(self.segment._shapes[kind], np.array(rows, "i8").T) for kind, rows in self.used.items()]
        widths = np.zeros(self.records, "i8")
        placed = []
        for shape, (records, words, lengths) in shapes:
            index = _ranges(records, lengths, 1)
            widths[index] = len(shape.keys)
            placed.append((shape, index, _ranges(words, lengths, shape.words)))
        starts = np.cumsum(widths) - widths
        out = Columns(
            np.empty(self.points, "u2"),
            np.empty(self.points, "i8"),
            np.empty(self.points, "f8"),
            np.empty(self.points, "i8"),
            np.full(self.points, np.nan) if any(shape.epoch for shape, _, _ in placed) else None,
        )
        for shape, index, words in placed:
            self._fill(out, shape, starts[index], words)
        return out

    def _fill(self, out: Columns, shape: _Shape, starts: NDArray[np.int64], words: NDArray[np.int64]) -> None:
        """Store the records of one layout, which begin at these words, into the columns from these places on."""
        width = len(shape.keys)
        rows = self.segment._words[words[:, None] + np.arange(shape.words)]
        places = (starts[:, None] + np.arange(width)).ravel()
        out.step[places] = np.repeat(rows[:, 1].view("<i8"), width)
        out.time_ms[places] = np.repeat(rows[:, 2].view("<i8") // 1_000_000, width)
        out.value[places] = rows[:, 3 + shape.epoch :].view("<f8").ravel()
        out.key[places] = np.tile(np.array([self.keys[key] for key in shape.keys], "u2"), len(rows))
        if shape.epoch and out.epoch is not None:
            out.epoch[places] = np.repeat(rows[:, 3].view("<f8"), width)


def _ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64], stride: int) -> NDArray[np.int64]:
    """`starts[i] + stride * (0 .. lengths[i] - 1)` for every i, one after the other."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - stride * before, lengths) + stride * np.arange(int(lengths.sum()))


def _heads(folder: Path) -> Iterator[SegmentHead]:
    for _, path in segment_files(folder):
        try:
            with path.open("rb") as file:
                head = read_head(file.read(HEADER_SIZE))
        except FileNotFoundError:  # acknowledged and deleted meanwhile
            continue
        if head is not None:
            yield head


def _nothing(first: int, count: int, after: Position) -> Range:
    return Range(first=first, count=count, keys=(), points=Columns.empty(), events=(), after=after, lost=count)
