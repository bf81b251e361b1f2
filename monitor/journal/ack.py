"""The acknowledged offset of a writer, in a small file next to its journal.

Two slots are written alternately, each with a generation and a checksum. The newest intact slot counts, so a torn write
costs nothing.
"""

from __future__ import annotations

import os
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SLOT: Final = struct.Struct("<QQQQQ20xI")
_SIZE: Final = 64
NAME: Final = "acked"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a journal, just before a record.

    Attributes:
        record: number of the record.
        segment: number of the segment it is in.
        offset: bytes from the segment's start; 0 if not known yet.
    """

    record: int = 0
    segment: int = 0
    offset: int = 0


class AckFile:
    """The file that holds a writer's acknowledged position."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._fd, self._generation, self.position = -1, 0, Position()
        with suppress(OSError):  # a full disk: the file only saves work, nothing depends on it
            self._open()
            self._generation, self.position = _newest(os.pread(self._fd, 2 * _SIZE, 0))

    def write(self, position: Position) -> None:
        """Note that all records before `position` are stored. If the disk refuses the write, the older note stays."""
        self._generation += 1
        body = _SLOT.pack(self._generation, position.record, position.segment, position.offset, 0, 0)
        slot = body[:-4] + zlib.crc32(body[:-4]).to_bytes(4, "little")
        with suppress(OSError):  # the segments before it are deleted anyway, which makes room
            self._open()
            os.pwrite(self._fd, slot, _SIZE * (self._generation % 2))
        self.position = position

    def _open(self) -> None:
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def read_ack(folder: Path) -> Position:
    """The acknowledged position of a writer's folder, or the start if none was noted."""
    try:
        return _newest((folder / NAME).read_bytes())[1]
    except FileNotFoundError:
        return Position()


def _newest(data: bytes) -> tuple[int, Position]:
    best, position = 0, Position()
    for start in (0, _SIZE):
        slot = data[start : start + _SIZE]
        if len(slot) < _SIZE:
            continue
        generation, record, segment, offset, _, crc = _SLOT.unpack(slot)
        if crc == zlib.crc32(slot[:-4]) and generation > best:
            best, position = generation, Position(record, segment, offset)
    return best, position
