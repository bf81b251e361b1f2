"""The append-only journal that `log()` writes to: what it holds survives the death of the process.

Each record is stored into a mapped file with one call, framed by its length and a checksum, so that a torn tail is
found and cut. The journal is also the queue: `records.JournalReader` reads it from the acknowledged position on.

Several threads, and a signal handler that interrupts one of them, may append at once. Space is taken before it is
written to, and no bytecode that can be interrupted lies between the two, so records never overlap.
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
from typing import TYPE_CHECKING, Final, TypeVar

from monitor.client.layout import PLAIN, Layout, Pending
from monitor.client.segment import EVENT, FIRST_BYTES, FIRST_POINTS, FRAME, LAYOUT, LONG_FRAME, MAX_LAYOUTS, PENDING
from monitor.client.supply import Supply

if TYPE_CHECKING:
    from monitor.client.block import Block

_T = TypeVar("_T")
MAX_STEP: Final = 2**63 - 1
_AT_ONCE: Final = 8192
"""Records of a block that are written in one turn."""


class Journal:
    """Writes one writer's records.

    Args:
        folder: the writer's folder; made if it is missing.
        run_id: 32 hex digits.
        quota: bytes on disk, at most; from nine tenths on, points are thinned.
        first_bytes: length of the first segment; each further one doubles up to 4 MiB.

    Attributes:
        count: records written so far, layouts and the like not counted.
        step: the step that an automatic one follows.
        dropped: points records that the quota or a full disk kept out.
        why_dropped: "thinned" or "disk_full", what kept out the last of them.
        rolled: called when the next segment has begun.

    Raises:
        OSError: the folder cannot be made or the disk is full.
    """

    def __init__(self, folder: Path, run_id: str, *, quota: int = 1 << 30, first_bytes: int = FIRST_BYTES) -> None:
        self.folder = folder
        self.run_id = run_id
        self.count = 0
        self.step = 0
        self.dropped = 0
        self.why_dropped = "thinned"
        self.closed = False
        self.rolled: Callable[[], object] = lambda: None
        self._supply = Supply(folder, quota=quota, first_bytes=first_bytes)
        self._lock = threading.RLock()
        self._busy = False
        self._busy_in = 0
        self._held: list[Callable[[], object]] = []
        self._keep_every = 1
        self._fast: dict[tuple[str, ...], Layout] = {}
        self._layouts: dict[tuple[tuple[str, ...], bool], Layout] = {}
        self._kinds = 0
        self._seen: frozenset[str] = frozenset()
        self._last: Layout | None = None
        self._segment = self._supply.first()
        self._synced = (self._segment, -1)
        self._segment.begin(run_id, 0, time_ns())

    def try_points(
        self,
        data: Mapping[str, object],
        step: int | None,
        *,
        plain: set[type] = PLAIN,
        crc32: Callable[[bytes], int] = zlib.crc32,
        now: Callable[[], int] = time_ns,
    ) -> bool:
        """Append a record by the fast way; False where it takes the slow one: new keys, unusual types, a full segment.

        Args:
            data: flat mapping of metric names to values.
            step: the step, or None for an automatic one: a new step begins when a metric comes again.

        Raises:
            Exception: whatever `struct` or the mapping say to values that do not fit; nothing was written.
        """
        layout = self._fast.get(tuple(data))
        if layout is None:
            return False
        values = data.values()
        for value in values:
            if type(value) not in plain:
                return False
        with self._lock:
            if step is None:
                step = self._auto_step(layout) if layout is not self._last else self.step + 1
            body = layout.pack(layout.kind, layout.words, step, now(), *values)
            crc = crc32(body)
            segment = self._segment
            offset = segment.end
            end = offset + layout.size
            if end > segment.limit or layout.segment is not segment:
                return False
            segment.end = end
            self.count += 1
            layout.frame(segment.buffer, offset, crc, body)
            self._seen = layout.keyset if step != self.step else self._seen | layout.keyset
            self.step = step
            self._last = layout
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
        """Append a record by the slow way, which can do everything.

        Args:
            keys: metric names, unique, at most `segment.MAX_VALUES`.
            values: as many floats.
            step: the step, or None for an automatic one.
            epoch: the epoch, may be fractional.
            at_ns: nanoseconds since the epoch; None: now.
            pending: True where the values are not known yet.
            aside: True for what is not the loop's own: it takes the step the loop is at and moves none.

        Returns:
            What `resolve` takes, for a pending record that was written.
        """
        stamp = time_ns() if at_ns is None else at_ns
        return self._in_turn(lambda: self._append_points(keys, values, step, epoch, stamp, pending, aside))

    def block(self, block: Block) -> None:
        """Append many records of one shape, some at a time, so that other threads' records find their place between.

        Args:
            block: n >= 1 records, whose keys have been written in this shape before.
        """
        stamp, at = time_ns(), 0
        if self.interrupted():  # all of it waits until the interrupted write is done
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
            data: strict JSON data.

        Returns:
            False where a full disk kept it out.
        """
        text = json.dumps({"kind": kind, "data": data}, separators=(",", ":"), allow_nan=False).encode()
        stamp = time_ns()
        body = struct.pack("<q", stamp) + text
        return self._in_turn(lambda: self._append_json(EVENT, body, numbered=True)) is not False

    def resolve(self, slot: Pending, values: Sequence[float]) -> None:
        """Fill in the values of a pending record.

        The values go first, outside of what the pending record's checksum covers; then one aligned 8-byte store turns
        the record into a whole one. Killed in between, it is still a pending record.
        """
        layout = slot.layout
        extra = () if slot.epoch is None else (slot.epoch,)
        body = layout.pack(layout.kind, layout.words, slot.step, slot.time_ns, *extra, *values)
        buffer = layout.segment.buffer
        buffer[slot.offset + FRAME.size : slot.offset + layout.size] = body[4:]
        head = FRAME.pack(zlib.crc32(body), layout.kind, layout.words)
        struct.pack_into("<Q", buffer, slot.offset, int.from_bytes(head, "little"))

    def interrupted(self) -> bool:
        """True in a signal handler that came in the middle of a write of this same thread."""
        return self._busy and self._busy_in == threading.get_ident()

    def prepare(self) -> None:
        """Have the next segment ready before it is needed; called from the keeper's thread."""
        if not self.closed:
            self._supply.prepare()

    def sync(self, *, flush: bool = True, all_of_it: bool = False) -> None:
        """Write to the disk what is not there yet, and give sealed segments back; called from the keeper's thread.

        The page that the loop is filling is left alone once, see `Segment.sync_up_to`; it is written the next time,
        full or not.

        Args:
            flush: False where nobody asked for the disk, only for the files to be closed.
            all_of_it: True to write that page as well.

        Raises:
            OSError: the disk refuses.
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
        self._synced = (segment, last)

    def close(self, *, remove: bool = False) -> None:
        """Append nothing any more; the files stay unless `remove`."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
            self._fast = {}
            self._supply.close()
            self._segment.close()
        if remove:
            for path in self.folder.glob("*.seg"):
                path.unlink(missing_ok=True)

    def _in_turn(self, write: Callable[[], _T]) -> _T | None:
        """Write by the slow way. What a signal handler writes in the middle of that follows when it is done."""
        with self._lock:
            if self._busy:
                self._fast = {}  # what is logged from now on must not overtake it
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

    # What follows runs under the lock, with `_busy` set.

    def _write_held(self) -> None:
        while self._held:
            self._held.pop(0)()

    def _auto_step(self, layout: Layout) -> int:
        return self.step if self._seen.isdisjoint(layout.keyset) else self.step + 1

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
        layout = self._layout(keys, epoch is not None)
        if layout is None or self._thin(layout, values):
            self.dropped += 1
            self.why_dropped = "disk_full" if layout is None else "thinned"
            return None
        if aside:
            step = self.step
        elif step is None:
            step = min(self._auto_step(layout), MAX_STEP)
        extra = () if epoch is None else (epoch,)
        kind = layout.kind | PENDING if pending else layout.kind
        body = layout.pack(kind, layout.words, step, stamp, *extra, *values)
        crc = zlib.crc32(body[:20] if pending else body)
        offset = self._take(layout.size, numbered=True)
        if offset is None or layout.segment is not self._segment:
            raise AssertionError("a layout is made with room for its first record")
        layout.frame(self._segment.buffer, offset, crc, body)
        if not aside:
            self._seen = layout.keyset if step != self.step else self._seen | layout.keyset
            self.step = step
            self._last = layout
        return Pending(layout, offset, step, stamp, epoch) if pending else None

    def _append_block(self, block: Block, at: int, end: int, stamp: int) -> None:
        while at < end:
            layout = self._layout(block.keys, block.epochs is not None)
            if layout is None or self._keep_every != 1:
                step, epoch, values = block.row(at)
                self._append_points(block.keys, values, step, epoch, stamp, pending=False, aside=False)
                at += 1
                continue
            segment = self._segment
            upto = min(end, at + (segment.limit - segment.end) // layout.size)
            data = block.packed(layout, at, upto, stamp)
            offset = segment.end
            segment.end += len(data)
            self.count += upto - at
            segment.buffer[offset : offset + len(data)] = data
            self.step, self._seen, self._last = int(block.steps[upto - 1]), layout.keyset, layout
            at = upto

    def _layout(self, keys: tuple[str, ...], epoch: bool) -> Layout | None:
        """The layout of these keys in a segment that has room for one record of it; None on a full disk."""
        layout = self._layouts.get((keys, epoch))
        if layout is not None and self._segment.end + layout.size <= self._segment.limit:
            return self._known(layout, epoch)
        text = json.dumps({"keys": keys, "epoch": epoch}, separators=(",", ":")).encode()
        need = 8 * (3 + len(keys) + epoch) + len(text) + 64
        if (self._segment.end + need > self._segment.limit or self._kinds >= MAX_LAYOUTS) and not self._roll(need):
            return None
        self._append_json(LAYOUT, struct.pack("<q", FIRST_POINTS + self._kinds) + text, numbered=False)
        layout = Layout(keys, epoch, FIRST_POINTS + self._kinds, self._segment)
        self._kinds += 1
        self._layouts[keys, epoch] = layout
        return self._known(layout, epoch)

    def _known(self, layout: Layout, epoch: bool) -> Layout:
        """Let the fast way take this layout, unless points are being thinned or a record is held back."""
        if not epoch and self._keep_every == 1 and not self._held:
            self._fast[layout.keys] = layout
        return layout

    def _append_json(self, kind: int, body: bytes, *, numbered: bool) -> bool:
        size = (LONG_FRAME.size + len(body) + 7) // 8 * 8
        data = LONG_FRAME.pack(0, kind, 0, len(body), 0)[4:] + body.ljust(size - LONG_FRAME.size, b"\0")
        if self._segment.end + size > self._segment.limit and not self._roll(size):
            return False
        offset = self._take(size, numbered=numbered)
        if offset is None:
            return False
        self._segment.buffer[offset : offset + size] = zlib.crc32(data).to_bytes(4, "little") + data
        return True

    def _take(self, size: int, *, numbered: bool) -> int | None:
        segment = self._segment
        offset = segment.end
        if offset + size > segment.limit:
            return None
        segment.end = offset + size
        self.count += numbered
        return offset

    def _roll(self, need: int) -> bool:
        """Go on in the next segment; False where there is no room for one."""
        found = None if self.closed else self._supply.next(need)
        if found is None:
            return False
        old, (segment, full) = self._segment, found
        segment.begin(self.run_id, self.count, time_ns())
        self._supply.seal(old)
        self._fast, self._layouts, self._kinds, self._last = {}, {}, 0, None
        self._segment = segment
        # Past nine tenths of the quota, every further segment keeps half as many points of each layout.
        self._keep_every = 2 * self._keep_every if full else 1
        self.rolled()
        return True

    def _thin(self, layout: Layout, values: Sequence[float]) -> bool:
        if self._keep_every == 1:
            return False
        layout.thinned += 1
        finite = all(value - value == 0 for value in values)
        return finite and layout.thinned % self._keep_every != 1
