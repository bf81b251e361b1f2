"""Decodes the fields of a protocol buffer message without its definition.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_SIZES: Final = {FIXED64: 8, FIXED32: 4}


def fields(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The fields of a message: number, kind, bytes (a varint as 8 bytes, little-endian). Stops at broken data."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == VARINT:
            value, at = _varint(data, at)
            yield key >> 3, kind, (value & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "little")
            continue
        size = _SIZES.get(kind, -1)
        if kind == BYTES:
            size, at = _varint(data, at)
        if size < 0 or at + size > len(data):
            return
        yield key >> 3, kind, data[at : at + size]
        at += size


def signed(value: bytes) -> int:
    """A varint's 8 bytes as an int64."""
    return int.from_bytes(value, "little", signed=True)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return value, at
