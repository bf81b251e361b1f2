"""Checksums of many records at once."""

from __future__ import annotations

import functools
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

_MANY: Final = 256
_SHORT: Final = 128
"""From this many records, and up to this many bytes each, NumPy beats one `zlib.crc32` call per record."""


def crc32(halves: NDArray[np.uint16]) -> NDArray[np.uint32]:
    """CRC-32 of each row of 16-bit halves. Equals zlib's; works on two bytes of all rows at a time."""
    table = _table()
    crc = np.full(len(halves), 0xFFFFFFFF, np.uint32)
    for column in halves.T:
        crc = table[(crc ^ column) & np.uint32(0xFFFF)] ^ (crc >> np.uint32(16))
    return ~crc


def whole(data: memoryview, offset: int, size: int, n: int) -> int:
    """Count the leading records whose first 4 bytes match their checksum.

    Args:
        offset: byte at which the first record begins.
        size: bytes per record, a multiple of 8.
        n: number of consecutive records to check.

    Returns:
        How many match before the first that does not; n if all do.
    """
    if n >= _MANY and size <= _SHORT:
        rows = np.frombuffer(data[offset : offset + n * size], "<u2").reshape(n, -1)
        right = crc32(rows[:, 2:]) == np.ascontiguousarray(rows[:, :2]).view("<u4")[:, 0]
        return n if right.all() else int(right.argmin())
    for i in range(n):
        expected = int.from_bytes(data[offset : offset + 4], "little")
        if zlib.crc32(data[offset + 4 : offset + size]) != expected:
            return i
        offset += size
    return n


@functools.cache
def _table() -> NDArray[np.uint32]:
    """The effect of each of the 65,536 halves on a checksum of zero. CRC-32 is linear, so two 8-bit steps combine."""
    one = np.array([zlib.crc32(bytes([i]), 0xFFFFFFFF) ^ 0xFFFFFFFF for i in range(256)], np.uint32)
    low = one[np.arange(65_536) & 0xFF]
    table: NDArray[np.uint32] = one[(low & 0xFF) ^ (np.arange(65_536) >> 8)] ^ (low >> np.uint32(8))
    return table
