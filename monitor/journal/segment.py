"""The files of a journal and their bytes; `docs/formats/journal.md` draws them.

A segment is a file of fixed length, mapped into memory and filled from the front. Its blocks are allocated up front, so
that a full disk raises an `OSError` here instead of a SIGBUS later. Bytes stored into the mapping belong to the kernel:
killing the process loses none of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import itertools
import mmap
import os
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

MAGIC: Final = b"LMJ1"
HEADER: Final = struct.Struct("<4sI16sQQQ16x")
"""Magic, CRC-32 of what follows, run id, segment number, number of the first record, creation time in ns."""
HEADER_SIZE: Final = 64
FRAME: Final = struct.Struct("<IHH")
"""CRC-32 of the record from byte 4 to its end, kind, length in 8-byte words."""
LONG_FRAME: Final = struct.Struct("<IHHII")
"""The same for JSON records: the length in words is 0, then come the length in bytes and 4 unused bytes. The body is an
int64 (an event's time in ns, or a layout's kind), then JSON.
"""

# Kinds of records. Points of a segment's n-th layout, from 0, have the kind FIRST_POINTS + n.
EMPTY: Final = 0
LAYOUT: Final = 1
EVENT: Final = 2
END: Final = 3
FIRST_POINTS: Final = 16
PENDING: Final = 0x8000
"""Flag in the kind of a record whose values are still on a device."""
MAX_LAYOUTS: Final = PENDING - FIRST_POINTS - 1
MAX_VALUES: Final = 60_000
"""Most metrics in one record: its length must fit in 65,535 words."""
END_FRAME: Final = FRAME.pack(zlib.crc32(struct.pack("<HH", END, 1)), END, 1)

FIRST_BYTES: Final = 256 * 1024
"""Length of the first segment."""
MOST_BYTES: Final = 4 * 1024 * 1024
"""Longest segment. Each one is twice as long as the one before, up to this."""
LAST_BYTES: Final = 8 * 1024
"""Kept free in each segment for the end of the run and the last counts, so that a full disk cannot keep them out."""
AHEAD_BYTES: Final = 128 * 1024
"""How far past the last record pages are pre-faulted: 3 s of a loop that logs two metrics per millisecond."""


SUFFIX: Final = ".seg"
SPARE: Final = ".spare"
"""Suffix of a segment that was created ahead of time and has no number yet."""
_spares = itertools.count()


@dataclass(slots=True)
class Segment:
    """One segment file, mapped for writing.

    Attributes:
        number: from 0, also the file's name; -1 for a spare, which has none yet.
        end: offset after the last record. Space before it is taken.
        limit: the most that `end` may be. After it come the space kept free for the last records and the end mark.
    """

    path: Path
    number: int
    fd: int
    buffer: mmap.mmap
    end: int
    limit: int

    @classmethod
    def spare(cls, folder: Path, size: int) -> Segment:
        """Allocate and map a segment without a number. No other process opens or deletes its file.

        Raises:
            OSError: the disk is full, or the folder cannot be written to.
        """
        path = folder / f"{os.getpid()}-{next(_spares)}{SPARE}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _allocate(fd, size)
            buffer = mmap.mmap(fd, size)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        return cls(path, -1, fd, buffer, HEADER_SIZE, size - FRAME.size - _kept_free(size))

    def take(self, number: int) -> None:
        """Give a spare its number. From then on readers find it.

        Raises:
            OSError: the folder cannot be written to; the spare is deleted.
        """
        path = self.path.with_name(f"{number:08d}{SUFFIX}")
        try:
            self.path.rename(path)
        except OSError:
            self.discard()
            raise
        self.path, self.number = path, number

    def discard(self) -> None:
        """Delete a spare that is not needed."""
        self.path.unlink(missing_ok=True)
        self.close()

    def open_last(self, halves: int) -> None:
        """Let records into the space that is kept free for the last ones.

        Args:
            halves: 0: none of it; 1: one half, for the counts so far; 2: both, for the end of the run.
        """
        size = len(self.buffer)
        self.limit = max(self.limit, size - FRAME.size - _kept_free(size) // 2 // 8 * 8 * (2 - halves))

    def populate(self, start: int = 0) -> None:
        """Fault in pages ahead of time, so that later writes take no page fault, if the kernel can do it. Thread-safe.

        Args:
            start: offset from which to fault in `AHEAD_BYTES`; 0: the whole segment.
        """
        if sys.platform != "linux":
            return
        madvise, address = _call("madvise"), _address(self.buffer)
        stop = min(start + AHEAD_BYTES, len(self.buffer)) if start else len(self.buffer)
        for at in range(start // mmap.PAGESIZE * mmap.PAGESIZE, stop, _STEP):
            if madvise(address + at, min(_STEP, stop - at), _POPULATE_WRITE):
                return  # an older kernel: pages are faulted in on the first write

    def begin(self, run_id: str, first: int, now_ns: int) -> None:
        """Write the header. From then on the segment counts.

        Args:
            first: number of the first record that will be written to it.
        """
        body = HEADER.pack(MAGIC, 0, bytes.fromhex(run_id), self.number, first, now_ns)
        self.buffer[:HEADER_SIZE] = body[:4] + zlib.crc32(body[8:]).to_bytes(4, "little") + body[8:]

    def seal(self) -> None:
        """Write the end mark: readers continue in the next segment."""
        # An `end` beyond the limit makes the segment full for every thread before the end mark is written.
        end, self.end = self.end, self.limit + 1
        self.buffer[end : end + len(END_FRAME)] = END_FRAME

    def sync(self) -> None:
        """Write the segment's dirty pages to the disk. Thread-safe."""
        os.fsync(self.fd)

    def sync_up_to(self, end: int) -> None:
        """Write the full pages before an offset to the disk. Thread-safe.

        A page that is written out becomes write-protected until the next store to it, and that store waits for the file
        system's journal if it is busy. So the page that the loop is still filling is better left alone.
        """
        length = end // mmap.PAGESIZE * mmap.PAGESIZE
        if not length:
            return
        if sys.platform != "linux":
            self.buffer.flush(0, length)
        elif _call("msync")(_address(self.buffer), length, _MS_SYNC):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    def close(self) -> None:
        """Close the file. The mapping is released with its last user."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentHead:
    """What a segment's header says."""

    run_id: str
    number: int
    first: int
    created_ns: int


def read_head(data: bytes | mmap.mmap) -> SegmentHead | None:
    """The header of a segment; None if it is missing or incomplete."""
    if len(data) < HEADER_SIZE:
        return None
    magic, crc, run_id, number, first, created_ns = HEADER.unpack_from(data)
    if magic != MAGIC or crc != zlib.crc32(data[8:HEADER_SIZE]):
        return None
    return SegmentHead(run_id=run_id.hex(), number=number, first=first, created_ns=created_ns)


def segment_files(folder: Path) -> list[tuple[int, Path]]:
    """The segment files in a writer's folder with the numbers in their names, sorted; -1 if a name has no number."""
    return sorted((_number(name.removesuffix(SUFFIX)), folder / name) for name in _names(folder, SUFFIX))


def size_on_disk(folder: Path) -> int:
    """Bytes of a writer's segments, spares included."""
    total = 0
    for name in (*_names(folder, SUFFIX), *_names(folder, SPARE)):
        # The shipper may delete it in the meantime.
        with contextlib.suppress(FileNotFoundError):
            total += (folder / name).stat().st_size
    return total


def _number(stem: str) -> int:
    return int(stem) if stem.isascii() and stem.isdecimal() and len(stem) < 16 else -1


def _names(folder: Path, suffix: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.name.endswith(suffix) and entry.is_file()]
    except FileNotFoundError:  # sent and deleted in the meantime
        return []


def _kept_free(size: int) -> int:
    """Bytes kept free for the last records: `LAST_BYTES`, or an eighth of a small segment."""
    return min(LAST_BYTES, size // 128 * 16)


def _allocate(fd: int, size: int) -> None:
    """Give the file its length, with blocks. A hole would kill the process with SIGBUS once the disk is full."""
    allocate = getattr(os, "posix_fallocate", None)
    if allocate is not None:
        try:
            allocate(fd, 0, size)
            return
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise
    # The file system cannot allocate blocks, so write them.
    zeros = b"\0" * 65536
    for start in range(0, size, len(zeros)):
        os.pwrite(fd, zeros[: size - start], start)


_POPULATE_WRITE: Final = 23  # MADV_POPULATE_WRITE, Linux 5.14
_MS_SYNC: Final = 4  # as in Linux's <sys/mman.h>
_STEP: Final = 512 * 1024
"""Bytes per call. The kernel locks the process's memory map during a call, so calls are short; each takes the GIL once.
"""


def _call(name: str) -> Callable[[int, int, int], int]:
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return cast("Callable[[int, int, int], int]", function)


def _address(buffer: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))
