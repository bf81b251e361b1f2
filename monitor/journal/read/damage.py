"""What follows a damaged record: where the next whole one begins, and how many lie before it.

A record that does not match its checksum is the last one, torn by a crash, or one that a disk or a memory has damaged.
The records after it distinguish the two.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from monitor.journal.segment import END, EVENT, FIRST_POINTS, FRAME, LAYOUT, LONG_FRAME, PENDING


@dataclass(frozen=True, slots=True)
class Damage:
    """A stretch that cannot be read.

    Attributes:
        end: offset of what follows it.
        records: numbered records in it. Where lengths are damaged as well, as few as it can be; the header of the next
            segment corrects that.
    """

    end: int
    records: int


def find_whole(data: memoryview, offset: int, sizes: Mapping[int, int]) -> Damage | None:
    """Look for the next whole record behind a place that cannot be read; None where there is none.

    Args:
        data: a segment.
        offset: byte of the place, a multiple of 8.
        sizes: bytes of a points record, by the kinds whose layout is known.
    """
    if offset + FRAME.size > len(data):
        return None
    orphans = _orphans(data, offset, sizes)
    if orphans is not None:
        return orphans
    own = _length(data, offset, sizes)  # it may be its content alone that is damaged
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
    """Whole records whose layout is lost: they can be counted, and no more."""
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
    """Where a record ends; None where no whole one begins here."""
    crc, kind, words = FRAME.unpack_from(data, offset)
    end = _length(data, offset, sizes)
    if end is None or end > len(data):
        return None
    covered = offset + 24 if kind & PENDING else end
    return end if crc == zlib.crc32(data[offset + 4 : covered]) and (kind != END or words == 1) else None


def _length(data: memoryview, offset: int, sizes: Mapping[int, int]) -> int | None:
    """Where a record ends by its own words, be they right or not."""
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
    """How many numbered records lie between two places."""
    size = sizes.get(FRAME.unpack_from(data, end)[1] & ~PENDING)  # most records are like their neighbours
    return (end - offset) // size if size is not None and (end - offset) % size == 0 else 1
