"""Packs one column of a chunk; `docs/formats/chunk.md` draws the bytes.

A version byte, an encoding byte, then the payload. Regular numbers (steps, and times of a fast loop) take 18 bytes
however many they are. Very few numbers are stored raw. The rest goes through pcodec, which is lossless for every bit
pattern of a float64, including NaN and infinities.
"""

from __future__ import annotations

import struct
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from pcodec import ChunkConfig, standalone

from monitor.errors import StoreError

VERSION: Final = 1
RAW: Final = 0
PCODEC: Final = 1
REGULAR: Final = 2
"""Start and stride, int64 each: value i is start + i * stride."""

_T = TypeVar("_T", np.int64, np.float64)

_FEW: Final = 8
"""Up to this many numbers are stored raw."""
_CONFIG: Final = ChunkConfig(compression_level=4)
"""Level 8, the default, saves 1 to 3 percent of the bytes here, but takes 1.3 to 5 times as long."""
_REGULAR_INTS: Final = struct.Struct("<BBqq")
_ONE_INT: Final = struct.Struct("<BBq")
_ONE_FLOAT: Final = struct.Struct("<BBd")


def encode_ints(values: NDArray[np.int64]) -> bytes:
    """Pack int64 (n,), n >= 1.

    >>> len(encode_ints(np.arange(0, 5_000_000, 5)))
    18
    """
    n = len(values)
    if n == 1:
        return _ONE_INT.pack(VERSION, RAW, int(values[0]))
    # Differences wrap around like int64, and so does decoding: exact even at the ends of the range.
    stride = values[1:2] - values[:1]
    if stride[0] == (values[-1:] - values[-2:-1])[0] and bool((values[1:] - values[:-1] == stride).all()):
        return _REGULAR_INTS.pack(VERSION, REGULAR, int(values[0]), int(stride[0]))
    return _encode(values, "<i8")


def encode_floats(values: NDArray[np.float64]) -> bytes:
    """Pack float64 (n,), n >= 1, preserving every bit."""
    if len(values) == 1:
        return _ONE_FLOAT.pack(VERSION, RAW, float(values[0]))
    return _encode(values, "<f8")


def decode_into(data: bytes, out: NDArray[_T]) -> None:
    """Unpack a column into an array of its length.

    Args:
        data: the result of `encode_ints` or `encode_floats`.
        out: int64 or float64 (n,), contiguous.

    Raises:
        StoreError: a newer version, or bytes that do not hold n numbers.
    """
    try:
        _decode_into(data, out)
    except StoreError:
        raise
    except (struct.error, ValueError, RuntimeError, OverflowError, MemoryError, TypeError) as error:
        raise StoreError(f"chunk column of {len(data)} bytes is damaged ({error})") from error


def line_of(data: bytes) -> tuple[int, int] | None:
    """Start and stride of a regular column; None if it is packed differently or damaged."""
    if len(data) != _REGULAR_INTS.size or data[0] != VERSION or data[1] != REGULAR:
        return None
    _, _, start, stride = _REGULAR_INTS.unpack(data)
    return start, stride


def decode_some(data: bytes, index: NDArray[np.intp], room: NDArray[_T]) -> NDArray[_T]:
    """Unpack some numbers of a column.

    Args:
        data: the result of `encode_ints` or `encode_floats`.
        room: scratch array, overwritten; as long as the column, of its type.

    Raises:
        StoreError: as in `decode_into`.
    """
    line = line_of(data)
    if line is not None:  # wraps around like `decode_into`
        return (np.int64(line[0]) + index.astype(np.int64) * np.int64(line[1])).astype(room.dtype)
    decode_into(data, room)
    return room[index]


def _decode_into(data: bytes, out: NDArray[_T]) -> None:
    if len(data) < 2 or data[0] != VERSION:
        raise StoreError(f"chunk column of version {data[0] if data else 'none'}, this code reads {VERSION}")
    encoding = data[1]
    if encoding == REGULAR:
        _, _, start, stride = _REGULAR_INTS.unpack(data)
        if stride == 0:
            out[:] = start
        else:
            np.multiply(np.arange(len(out), dtype=np.int64), stride, out=out, casting="unsafe")
            out += start
    elif encoding == RAW:
        if len(data) - 2 != 8 * len(out):
            raise StoreError(f"chunk column holds {len(data) - 2} bytes, {8 * len(out)} expected")
        out[:] = np.frombuffer(data, out.dtype.newbyteorder("<"), offset=2)
    elif encoding == PCODEC:
        done = standalone.simple_decompress_into(data[2:], out)
        if done.n_processed != len(out) or not done.finished:
            raise StoreError(f"chunk column holds another number of values than the {len(out)} its row says")
    else:
        raise StoreError(f"chunk column of encoding {encoding}, this code reads 0 to 2")


def decode_ints(data: bytes, n: int) -> NDArray[np.int64]:
    """Unpack an int64 column of n numbers."""
    out = np.empty(n, np.int64)
    decode_into(data, out)
    return out


def decode_floats(data: bytes, n: int) -> NDArray[np.float64]:
    """Unpack a float64 column of n numbers."""
    out = np.empty(n, np.float64)
    decode_into(data, out)
    return out


def _encode(values: NDArray[_T], dtype: str) -> bytes:
    if len(values) <= _FEW:
        return bytes((VERSION, RAW)) + np.ascontiguousarray(values, dtype).tobytes()
    packed: bytes = standalone.simple_compress(np.ascontiguousarray(values), _CONFIG)
    if len(packed) >= 8 * len(values):
        return bytes((VERSION, RAW)) + np.ascontiguousarray(values, dtype).tobytes()
    return bytes((VERSION, PCODEC)) + packed
