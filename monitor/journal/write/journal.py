"""The append-only journal that `log()` writes to. What it holds survives the death of the process.

Each record is stored into a mapped file with one call, framed by its length and a checksum, so that a torn tail is
detected and cut. The journal is also the queue: `records.JournalReader` reads it from the acknowledged position on.

Several threads may append at once, and so may a signal handler that interrupts one of them. Space is reserved before it
is written, and nothing that can be interrupted lies between the two: records never overlap, and no gap precedes a
record. The fast path takes no lock. The slow path takes one, and allows for records that the fast path appends in the
meantime.
"""

from __future__ import annotations

import json
import struct
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from mmap import PAGESIZE
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from monitor.journal.layout import Layout, Pending
from monitor.journal.segment import EVENT, FIRST_BYTES, FIRST_POINTS, FRAME, LAYOUT, LONG_FRAME, MAX_LAYOUTS, PENDING
from monitor.journal.write.append import SAFE, Append, appender, never
from monitor.journal.write.supply import Supply

if TYPE_CHECKING:
    from monitor.journal.write.block import Block

_T = TypeVar("_T")
_CRC: Final = struct.Struct("<I")
MAX_STEP: Final = 2**63 - 1
_AT_ONCE: Final = 8192
"""Records of a block that are written while holding the lock once."""


class Journal:
    """Writes one writer's records.

    Args:
        folder: the writer's folder; created if missing.
        quota: target for the bytes on disk, see `Supply`. Past nine tenths of it, points are downsampled.
        first_bytes: length of the first segment. Each further one doubles, up to 4 MiB.

    Attributes:
        count: records written so far; layouts do not count.
        append: the fast path for records of the last layout. Changes from call to call.
        step: the current step; the next automatic one follows it.
        seen: metrics that were logged at that step.
        last: the layout of the loop's last record.
        dropped: points records dropped because of the quota or a full disk.
        why_dropped: "quota" or "disk_full": why the last of them was dropped.
        rolled: called after the next segment has begun.

    Raises:
        OSError: the folder cannot be created, or the disk is full.
    """

    def __init__(self, folder: Path, run_id: str, *, quota: int = 1 << 30, first_bytes: int = FIRST_BYTES) -> None:
        self.folder = folder
        self.run_id = run_id
        self.count = 0
        self.step = 0
        self.dropped = 0
        self.why_dropped: Literal["quota", "disk_full"] = "quota"
        self.closed = False
        self.rolled: Callable[[], object] = lambda: None
        self._supply = Supply(folder, quota=quota, first_bytes=first_bytes)
        self._lock = threading.RLock()
        self._busy = False
        self._busy_in = 0
        self._held: list[Callable[[], object]] = []
        self._keep_every = 1
        self.append: Append = never
        self.seen: frozenset[str] = frozenset()
        self.last: Layout | None = None
        self._retired = not SAFE
        self._last_halves = 0
        self._fast: dict[tuple[str, ...], Append] = {}
        self._layouts: dict[tuple[tuple[str, ...], bool], Layout] = {}
        self._kinds = 0
        self._segment = self._supply.first()
        self._synced = (self._segment, -1)
        self._segment.begin(run_id, 0, time_ns())

    def try_points(self, data: Mapping[str, object], step: int | None) -> bool:
        """Append a record by the fast path. False if it needs the slow path (new keys, unusual types).

        Args:
            step: the step; None for an automatic one, which advances when a metric is logged again.

        Raises:
            Exception: any error of `struct` or of the mapping for values that do not fit; nothing was written.
        """
        append = self._fast.get(tuple(data))
        if append is None or not append(data, step):
            return False
        # The call may have rolled to a new segment, which empties `_fast`: this function is then out of date.
        if self._fast:
            self.append = append
        return True

    def points(
        self,
        keys: tuple[str, ...],
        values: Sequence[float],
        *,
        step: int | None = None,
        epoch: float | None = None,
        at_ns: int | None = None,
        pending: bool = False,
        aside: bool = False,
    ) -> Pending | None:
        """Append a record by the slow path, which handles everything.

        Args:
            keys: metric names, unique, at most `segment.MAX_VALUES`.
            values: one float per key.
            step: the step, or None for an automatic one.
            epoch: the epoch, may be fractional.
            at_ns: nanoseconds since the epoch; None: now.
            pending: True if the values are not known yet.
            aside: True if the record must not advance the step: its automatic step is already taken, or it is logged
                alongside the loop's record, at the same step.

        Returns:
            For a pending record that was written, the slot to pass to `resolve`.
        """
        stamp = time_ns() if at_ns is None else at_ns
        return self._in_turn(lambda: self._append_points(keys, values, step, epoch, stamp, pending, aside))

    def block(self, block: Block) -> None:
        """Append many records of one layout, in blocks, so that other threads can write in between.

        Args:
            block: n >= 1 records. Their keys have been written in this layout before.
        """
        stamp, at = time_ns(), 0
        if self.interrupted():  # in a signal handler: the whole block follows the interrupted write
            self._in_turn(lambda: self._append_block(block, 0, len(block), stamp))
            return
        while at < len(block):
            end = min(len(block), at + _AT_ONCE)
            self._in_turn(lambda at=at, end=end: self._append_block(block, at, end, stamp))  # type: ignore[misc]  # bound now
            at = end

    def event(self, kind: str, data: Mapping[str, object]) -> bool:
        """Append an event as a JSON record.

        Args:
            kind: one of `wire.EVENT_KINDS`.

        Returns:
            False if the disk is full.
        """
        text = json.dumps({"kind": kind, "data": data}, separators=(",", ":"), allow_nan=False).encode()
        stamp = time_ns()
        body = struct.pack("<q", stamp) + text
        return self._in_turn(lambda: self._append_event(body)) is not False

    def open_last(self, halves: int) -> None:
        """Let the last records in although the disk is full; see `Segment.open_last`."""
        with self._lock:
            self._last_halves = halves
            self._segment.open_last(halves)

    def resolve(self, slot: Pending, values: Sequence[float]) -> None:
        """Fill in the values of a pending record.

        The values go first; the pending record's checksum does not cover them. Then one aligned 8-byte store makes the
        record complete. If the process is killed in between, the record is still pending.
        """
        layout = slot.layout
        extra = () if slot.epoch is None else (slot.epoch,)
        body = layout.pack(layout.kind, layout.words, slot.step, slot.time_ns, *extra, *values)
        buffer = layout.segment.buffer
        buffer[slot.offset + FRAME.size : slot.offset + layout.size] = body[4:]
        head = FRAME.pack(zlib.crc32(body), layout.kind, layout.words)
        struct.pack_into("<Q", buffer, slot.offset, int.from_bytes(head, "little"))

    def turn(self, layout: Layout) -> int:
        """Take the automatic step of a record: the next one if one of its metrics was already logged at this step."""
        with self._lock:
            again = self.last is layout or not self.seen.isdisjoint(layout.keyset)
            step = self.step + again  # no call until `self.step` is set, so threads cannot switch; `min` would be one
            step = step if step <= MAX_STEP else MAX_STEP
            self.seen = layout.keyset if again else self.seen | layout.keyset
            self.step, self.last = step, layout
            return step

    def interrupted(self) -> bool:
        """True in a signal handler that interrupted a write of this same thread."""
        return self._busy and self._busy_in == threading.get_ident()

    def prepare(self) -> None:
        """Prepare the next pages and the next segment. Called by the keeper's thread."""
        if not self.closed:
            self._segment.populate(self._segment.end)
            self._supply.prepare()

    def sync(self, *, flush: bool = True, all_of_it: bool = False) -> None:
        """Write to disk what is not there yet, and close sealed segments. Called by the keeper's thread.

        The page that the loop is filling is skipped once (see `Segment.sync_up_to`) and written the next time, full or
        not.

        Args:
            flush: False to only close files without syncing them.
            all_of_it: True to write that page as well.
        """
        self._supply.sync(flush=flush)
        segment = self._segment
        if not flush or self.closed:
            return
        end = segment.end
        last = end // PAGESIZE
        if all_of_it or self._synced == (segment, last):
            segment.sync()
        else:
            segment.sync_up_to(end)
        segment.populate(segment.end)  # a synced page is write-protected until it is faulted in
        self._synced = (segment, last)

    def retire(self) -> None:
        """Use only the slow path from now on: the run has ended, or this process inherited the journal by a fork."""
        self._retired = True
        self._go_slow()

    def close(self, *, remove: bool = False) -> None:
        """Stop appending. The files stay unless `remove`."""
        self.retire()
        with self._lock:
            if self.closed:
                return
            self.closed = True
            self._segment.end = self._segment.limit + 1  # full, for a thread that is about to append
            self._supply.close()
            self._segment.close()
        if remove:
            for path in self.folder.glob("*.seg"):
                path.unlink(missing_ok=True)

    def _in_turn(self, write: Callable[[], _T]) -> _T | None:
        """Write under the lock. What a signal handler writes during another write is queued until that is done."""
        with self._lock:
            if self._busy:
                self._go_slow()  # later records must not overtake the queued one
                self._held.append(write)
                return None
            self._busy_in = threading.get_ident()
            self._busy = True
            try:
                self._write_held()
                done = write()
                self._write_held()
                return done
            finally:
                self._busy = False

    # Everything below runs under the lock, with `_busy` set.

    def _write_held(self) -> None:
        while self._held:
            self._held.pop(0)()

    def _go_slow(self) -> None:
        self._fast = {}
        self.append = never

    def _append_points(
        self,
        keys: tuple[str, ...],
        values: Sequence[float],
        step: int | None,
        epoch: float | None,
        stamp: int,
        pending: bool,
        aside: bool,
    ) -> Pending | None:
        given = step is not None
        while True:  # the fast path may take the room in the meantime
            layout = self._layout(keys, epoch is not None)
            if layout is None or self._thin(layout, values):
                self.dropped += 1
                self.why_dropped = "disk_full" if layout is None else "quota"
                return None
            if step is None:
                step = self.step if aside else self.turn(layout)
            extra = () if epoch is None else (epoch,)
            kind = layout.kind | PENDING if pending else layout.kind
            body = layout.pack(kind, layout.words, step, stamp, *extra, *values)
            offset = self._put(_CRC.pack(zlib.crc32(body[:20] if pending else body)) + body, records=1)
            if offset is not None:
                break
        if given and not aside:
            self.seen = layout.keyset if step != self.step else self.seen | layout.keyset
            self.step, self.last = step, layout
        return Pending(layout, offset, step, stamp, epoch) if pending else None

    def _append_block(self, block: Block, at: int, end: int, stamp: int) -> None:
        while at < end:
            layout = self._layout(block.keys, block.epochs is not None)
            if layout is None or self._keep_every != 1:
                step, epoch, values = block.row(at)
                self._append_points(block.keys, values, step, epoch, stamp, pending=False, aside=False)
                at += 1
                continue
            upto = min(end, at + (self._segment.limit - self._segment.end) // layout.size)
            if upto > at and self._put(block.packed(layout, at, upto, stamp), records=upto - at) is not None:
                self.step, self.seen, self.last = int(block.steps[upto - 1]), layout.keyset, layout
                at = upto

    def _layout(self, keys: tuple[str, ...], epoch: bool) -> Layout | None:
        """The layout of these keys, in a segment with room for one record of it; None if the disk is full."""
        text = b""
        while True:
            layout = self._layouts.get((keys, epoch))
            if layout is not None and self._segment.end + layout.size <= self._segment.limit:
                return self._known(layout, epoch)
            text = text or json.dumps({"keys": keys, "epoch": epoch}, separators=(",", ":")).encode()
            need = 8 * (3 + len(keys) + epoch) + len(text) + 64
            full = self._segment.end + need > self._segment.limit or self._kinds >= MAX_LAYOUTS
            if full and not self._roll(need):
                return None
            layout = Layout(keys, epoch, FIRST_POINTS + self._kinds, self._segment)
            if self._put(_json_record(LAYOUT, struct.pack("<q", layout.kind) + text), records=0) is not None:
                self._kinds += 1
                self._layouts[keys, epoch] = layout

    def _known(self, layout: Layout, epoch: bool) -> Layout:
        """Use the fast path for this layout, unless points are being downsampled or a record is held back."""
        if not epoch and layout.keys and self._keep_every == 1 and not self._held and not self._retired:
            if layout.keys not in self._fast:
                self._fast[layout.keys] = appender(self, layout)
            self.append = self._fast[layout.keys]
        return layout

    def _append_event(self, body: bytes) -> bool:
        record = _json_record(EVENT, body)
        while self._put(record, records=1) is None:
            if not self._roll(len(record)):
                return False
        return True

    def _put(self, record: bytes, *, records: int) -> int | None:
        """Store a record if the segment has room. Returns its offset, or None."""
        segment, size = self._segment, len(record)
        buffer, limit, end = segment.buffer, segment.limit, segment.end
        while end + size <= limit:
            where, offset, after = slice(end, end + size), end, end + size
            end = segment.end
            # Read again: the calls above may have let another thread append. From here to the store nothing can.
            if end == offset:
                segment.end = after
                self.count += records
                buffer[where] = record
                return offset
        return None

    def _roll(self, need: int) -> bool:
        """Continue in the next segment; False if there is no room for one."""
        found = None if self.closed else self._supply.next(need)
        if found is None:
            return False
        segment, full = found
        self._supply.seal(self._segment)  # first, so that the fast path finds it full and `count` no longer changes
        segment.begin(self.run_id, self.count, time_ns())
        segment.open_last(self._last_halves)
        self._go_slow()
        self._layouts, self._kinds, self.last = {}, 0, None
        self._segment = segment
        # Past nine tenths of the quota, every further segment keeps half as many points of each layout.
        self._keep_every = 2 * self._keep_every if full else 1
        self.rolled()
        return True

    def _thin(self, layout: Layout, values: Sequence[float]) -> bool:
        if self._keep_every == 1:
            return False
        # Downsample: keep every n-th record of a layout, but all that hold a NaN or an infinity.
        layout.thinned += 1
        finite = all(value - value == 0 for value in values)
        return finite and layout.thinned % self._keep_every != 1


def _json_record(kind: int, body: bytes) -> bytes:
    size = (LONG_FRAME.size + len(body) + 7) // 8 * 8
    data = LONG_FRAME.pack(0, kind, 0, len(body), 0)[4:] + body.ljust(size - LONG_FRAME.size, b"\0")
    return _CRC.pack(zlib.crc32(data)) + data
