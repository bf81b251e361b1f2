"""Finding the next intact record after a damaged one, and counting what lies between.

A record that fails its checksum was either torn by a crash or damaged by disk or memory. Intact records after it tell
the two apart: nothing follows a torn one.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from monitor.journal.segment import END, EVENT, FIRST_POINTS, FRAME, LAYOUT, LONG_FRAME, PENDING


@dataclass(frozen=True, slots=True)
class Damage:
    """A stretch of a segment that cannot be read.

    Attributes:
        end: offset of what follows it.
        records: numbered records in it. A lower bound if lengths are damaged as well; the header of the next segment
            corrects it.
    """

    end: int
    records: int


def find_whole(data: memoryview, offset: int, sizes: Mapping[int, int]) -> Damage | None:
    """Find the next intact record after an unreadable one; None if there is none.

    Args:
        offset: byte of the unreadable record, a multiple of 8.
        sizes: bytes of a points record, by kind, for the known layouts.
    """
    if offset + FRAME.size > len(data):
        return None
    orphans = _orphans(data, offset, sizes)
    if orphans is not None:
        return orphans
    own = _length(data, offset, sizes)  # perhaps only its content is damaged, and its length is right
    if own is not None and own + FRAME.size <= len(data) and _goes_on(data, own, sizes):
        return Damage(own, int(FRAME.unpack_from(data, offset)[1] != LAYOUT))
    heads = np.frombuffer(data[offset + 8 : len(data) // 8 * 8], "<u4")[1::2]
    known = [LAYOUT, EVENT, END, *sizes, *(kind | PENDING for kind in sizes)]
    for place in np.flatnonzero(np.isin(heads & 0xFFFF, known)).tolist():
        found = offset + 8 + 8 * place
        if _end_of(data, found, sizes) is not None:
            return Damage(found, _records(data, offset, found, sizes))
    return None


def _goes_on(data: memoryview, offset: int, sizes: Mapping[int, int]) -> bool:
    return _end_of(data, offset, sizes) is not None or _orphans(data, offset, sizes) is not None


def _orphans(data: memoryview, offset: int, sizes: Mapping[int, int]) -> Damage | None:
    """Intact records whose layout was lost. They can be counted, but not read."""
    records = 0
    while offset + FRAME.size <= len(data):
        crc, kind, words = FRAME.unpack_from(data, offset)
        end = offset + 8 * words
        if kind < FIRST_POINTS or kind & ~PENDING in sizes or words < 3 or end > len(data):
            break
        if crc != zlib.crc32(data[offset + 4 : end]):
            break
        offset, records = end, records + 1
    return Damage(offset, records) if records else None


def _end_of(data: memoryview, offset: int, sizes: Mapping[int, int]) -> int | None:
    """Where the record at `offset` ends; None if it is not intact."""
    crc, kind, words = FRAME.unpack_from(data, offset)
    end = _length(data, offset, sizes)
    if end is None or end > len(data):
        return None
    covered = offset + 24 if kind & PENDING else end
    return end if crc == zlib.crc32(data[offset + 4 : covered]) and (kind != END or words == 1) else None


def _length(data: memoryview, offset: int, sizes: Mapping[int, int]) -> int | None:
    """Where the record at `offset` ends according to its own, possibly damaged, header."""
    _, kind, words = FRAME.unpack_from(data, offset)
    if kind == END:
        return offset + FRAME.size
    if kind in (LAYOUT, EVENT):
        if offset + LONG_FRAME.size > len(data):
            return None
        length = LONG_FRAME.unpack_from(data, offset)[3]
        return offset + (LONG_FRAME.size + length + 7) // 8 * 8 if length >= 8 else None
    size = sizes.get(kind & ~PENDING)
    return offset + size if size is not None and size == 8 * words else None


def _records(data: memoryview, offset: int, end: int, sizes: Mapping[int, int]) -> int:
    """How many numbered records lie between two offsets."""
    size = sizes.get(FRAME.unpack_from(data, end)[1] & ~PENDING)  # most records have the layout of their neighbours
    return (end - offset) // size if size is not None and (end - offset) % size == 0 else 1
