"""One segment's records as columns.

Records of one layout all have the same length. A run of them is found by comparing one strided column of headers,
verified together, and extracted with one gather.
"""

from __future__ import annotations

import json
import mmap
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from monitor.journal.ack import Position
from monitor.journal.checksum import whole
from monitor.journal.read.damage import Damage, find_whole
from monitor.journal.segment import (
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
)
from monitor.wire import Columns, Event

if TYPE_CHECKING:
    from monitor.domain import Counter

MAX_RECORDS: Final = 65_536
MAX_POINTS: Final = 200_000
"""Limits of a batch. Large, because a journal that is far ahead then leaves fewer chunks to merge."""
MAX_KEYS: Final = 60_000
"""Most keys in one batch, which refers to them by uint16."""
_STRETCH: Final = 4096
"""Most records that are compared and verified together."""
Why = Literal["limit", "empty", "pending", "damaged", "end"]
"""Why a scan stopped: "limit": it has enough. "empty": nothing is written there yet. "pending": a value is still on a
device. "damaged": the checksum does not match. "end": the segment's end mark.
"""


@dataclass(slots=True)
class Shape:
    """A layout as read."""

    keys: tuple[str, ...]
    epoch: bool
    words: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Records `first` up to `first + count` of a journal.

    Attributes:
        after: the position after them.
        lost: records in the range whose values were lost in a crash, or whose bytes were lost on disk.
    """

    first: int
    count: int
    keys: tuple[str, ...]
    points: Columns
    events: tuple[Event, ...]
    after: Position
    lost: int = 0


class OpenSegment:
    """A segment mapped for reading."""

    def __init__(self, buffer: mmap.mmap, head: SegmentHead) -> None:
        self.head = head
        self.why: Why = "limit"
        self._bytes = memoryview(buffer)
        self._halves = np.frombuffer(buffer, "<u4")
        self._words = np.frombuffer(buffer, "<u8")
        self._shapes: dict[int, Shape] = {}
        self._known = HEADER_SIZE

    @classmethod
    def of(cls, path: Path, number: int, first: int | None = None) -> OpenSegment | None:
        """Map a segment; None if its header is missing or damaged.

        Args:
            number: its number, used if the header does not say.
            first: number of its first record if the segment is known to have begun; it is then read without its header.
        """
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = os.fstat(fd)
            size = found.st_size // 8 * 8
            if size < HEADER_SIZE + FRAME.size:
                return None
            buffer = mmap.mmap(fd, size, access=mmap.ACCESS_READ)
        finally:
            os.close(fd)
        head = read_head(buffer)
        if head is None and first is not None and np.frombuffer(buffer, "<u8").any():
            head = SegmentHead(run_id="", number=number, first=first, created_ns=found.st_mtime_ns)
        return None if head is None else cls(buffer, head)

    def take(self, at: Position, max_records: int, max_points: int, *, recover: bool) -> Range:
        """Records from a position on, perhaps none. `why` then says why it stopped."""
        while self._known < at.offset:  # read the declarations of the layouts in use, which come earlier
            before = _Scan(self, self._known, 1 << 60, 1 << 60, 0, until=at.offset, recover=True)
            before.run()
            damage = None if before.offset >= at.offset else self._damage(before.offset)
            self._known = at.offset if damage is None else min(at.offset, damage.end)
        scan = _Scan(self, at.offset, max_records, max_points, at.record, until=len(self._bytes), recover=recover)
        self.why = scan.run()
        self._known = max(self._known, scan.offset)
        return scan.result()

    def skip(self, at: Position) -> Range | None:
        """The unreadable stretch at a position as a range of lost records; None if nothing intact follows."""
        damage = self._damage(at.offset)
        if damage is None:
            return None
        self._known = max(self._known, damage.end)
        after = Position(at.record + damage.records, self.head.number, damage.end)
        place = f"bytes {at.offset} to {damage.end} of segment {self.head.number} do not match their checksum"
        return missing(at.record, damage.records, after, place, self.head.created_ns)

    def _damage(self, offset: int) -> Damage | None:
        return find_whole(self._bytes, offset, {kind: 8 * shape.words for kind, shape in self._shapes.items()})


class _Scan:
    """One walk over a segment's records."""

    def __init__(
        self,
        segment: OpenSegment,
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
        """Kind -> stretches as (record within the range, word, number of records)."""

    def run(self) -> Why:
        data, last = self.segment._bytes, -1
        while self.records < self.max_records and self.points < self.max_points and self.offset + 8 <= self.until:
            crc, kind, words = FRAME.unpack_from(data, self.offset)
            if kind == END:
                return "end" if crc == zlib.crc32(data[self.offset + 4 : self.offset + 8]) else "damaged"
            if kind == EMPTY:
                return "empty" if crc == words == 0 else "damaged"
            if kind < FIRST_POINTS:
                going = self._json(kind, crc)
            elif kind & PENDING:
                going = self._pending(kind, words, crc)
                if going and not self.recover:
                    return "pending"
                if going:
                    self._lose_pending(words)
            elif kind not in self.used and self.records and not self._room(kind):
                return "limit"
            else:
                going = self._stretch(kind, words, many=kind == last)
            if not going:
                return "damaged"
            last = kind
        return "limit"

    def _room(self, kind: int) -> bool:
        """True if the range can take another layout's keys."""
        shape = self.segment._shapes.get(kind)
        return shape is None or len(self.keys) + len(shape.keys) <= MAX_KEYS

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
        content = _read_json(bytes(data[offset + 24 : offset + LONG_FRAME.size + length]))
        if kind == LAYOUT:
            shape = _shape(content)
            if shape is not None:  # otherwise its points are counted as records with a lost layout
                self.segment._shapes.setdefault(number, shape)
        else:
            self.events.append(self._event(content, number))
            self.records += 1
        self.offset = end
        return True

    def _event(self, content: Mapping[str, object], time_ns: int) -> Event:
        """The event of a record. If its checksum is right but its content unreadable, a warning that it is lost."""
        record, kind, data = self.first + self.records, content.get("kind"), content.get("data")
        if isinstance(kind, str) and isinstance(data, dict):
            return Event(kind=kind, record=record, time_ms=max(0, time_ns // 1_000_000), data=data)
        self.lost += 1
        return lost(record, 1, "an event cannot be read, though its checksum is right", self.segment.head.created_ns)

    def _pending(self, kind: int, words: int, crc: int) -> bool:
        """True for an intact record whose values are still on a device."""
        shape, data, offset = self.segment._shapes.get(kind & ~PENDING), self.segment._bytes, self.offset
        if shape is None or words != shape.words or offset + 8 * words > self.until:
            return False
        return crc == zlib.crc32(data[offset + 4 : offset + 24])

    def _lose_pending(self, words: int) -> None:
        record = self.first + self.records
        self.events.append(lost(record, 1, "a value had not arrived from its device", self.segment.head.created_ns))
        self.records += 1
        self.lost += 1
        self.offset += 8 * words

    def _stretch(self, kind: int, words: int, *, many: bool) -> bool:
        """Take consecutive records of one layout.

        Args:
            kind: the layout.
            words: length of a record in 8-byte words.
            many: True to look for more than one record. Not worth it when layouts alternate.
        """
        data, offset, shape = self.segment._bytes, self.offset, self.segment._shapes.get(kind)
        if shape is None or words != shape.words or offset + 8 * words > self.until:
            return False
        width = len(shape.keys)
        n = 1
        if many:
            room = min(self.max_records - self.records, max(1, (self.max_points - self.points) // max(1, width)))
            n = max(1, min(room, (self.until - offset) // (8 * words), _STRETCH))
            start = offset // 4 + 1
            same = self.segment._halves[start : start + 2 * words * n : 2 * words] == (kind | words << 16)
            n = n if same.all() else int(same.argmin())
        n = whole(data, offset, 8 * words, n)
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

    def _fill(self, out: Columns, shape: Shape, starts: NDArray[np.int64], words: NDArray[np.int64]) -> None:
        """Copy the records of one layout into the columns.

        Args:
            out: the columns.
            shape: the layout.
            starts: first row of each record in the columns.
            words: first word of each record in the segment.
        """
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
    """`starts[i] + stride * (0 .. lengths[i] - 1)` for every i, concatenated."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - stride * before, lengths) + stride * np.arange(int(lengths.sum()))


def _read_json(text: bytes) -> Mapping[str, object]:
    """The object that a record holds; empty if it holds none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _shape(content: Mapping[str, object]) -> Shape | None:
    keys = content.get("keys")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        return None
    epoch = bool(content.get("epoch"))
    return Shape(tuple(keys), epoch, 3 + epoch + len(keys))


def missing(first: int, count: int, after: Position, why: str, time_ns: int) -> Range:
    """A range of unreadable records. They keep their numbers and are reported as a warning of the run."""
    events = (lost(first, count, why, time_ns),) if count else ()
    return Range(first=first, count=count, keys=(), points=Columns.empty(), events=events, after=after, lost=count)


def lost(record: int, count: int, why: str, time_ns: int) -> Event:
    """A warning that `count` records from `record` on are lost. It takes the place of the first."""
    counter: Counter = "lost"
    data = {"name": counter, "key": "journal", "count": count, "example": why}
    return Event(kind="warning", record=record, time_ms=max(0, time_ns // 1_000_000), data=data)
