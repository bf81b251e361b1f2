"""Steps and numbers in few bytes: a state is at most 4 KiB, and steps are most of what it holds."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

_F32: Final = 3.4e38
_NARROW: Final = struct.Struct("<f")
_NAN: Final = 2**32 - 1
_NEVER: Final = 2**32 - 2
_ODD: Final = {_NAN: math.nan, _NEVER: -math.inf}


def f32(value: float) -> float:
    """The value as a float32 has it, so that a state that was stored goes on with the same bits; NaN stays NaN."""
    narrow: tuple[float] = _NARROW.unpack(_NARROW.pack(min(max(value, -_F32), _F32)))
    return narrow[0]


@cache
def _many(kind: str, count: int) -> struct.Struct:
    return struct.Struct(f"<{count}{kind}")


def pack(kind: str, values: Sequence[float]) -> bytes:
    """Numbers of one kind of `struct`'s, little-endian."""
    return _many(kind, len(values)).pack(*values)


def unpack(kind: str, data: bytes, at: int, count: int) -> list[Any]:
    """The numbers packed at offset `at`."""
    return list(_many(kind, count).unpack_from(data, at))


def pack_steps(steps: Sequence[float]) -> bytes:
    """Steps as four bytes each where all are whole numbers below 2**32 - 2, as eight where not; the first byte says so.

    NaN and minus infinity are steps that have not come yet.

    >>> len(pack_steps([0.0, math.nan, 70_000.0])), len(pack_steps([0.5, 1.0]))
    (13, 17)
    """
    codes = []
    for step in steps:
        if 0.0 <= step < _NEVER:
            code = int(step)
            if code != step or not (code or math.copysign(1.0, step) > 0):
                return b"\10" + pack("d", steps)
            codes.append(code)
        elif math.isnan(step) or step == -math.inf:
            codes.append(_NEVER if step == -math.inf else _NAN)
        else:
            return b"\10" + pack("d", steps)
    return b"\4" + pack("I", codes)


def unpack_steps(data: bytes, at: int, count: int) -> tuple[list[float], int]:
    """The steps packed at offset `at`, and the offset after them.

    >>> unpack_steps(pack_steps([3.0, -math.inf]), 0, 2)
    ([3.0, -inf], 9)
    """
    if data[at] == 8:
        return unpack("d", data, at + 1, count), at + 1 + 8 * count
    codes = unpack("I", data, at + 1, count)
    found = list(map(float, codes))
    if count and max(codes) >= _NEVER:
        found = [_ODD.get(code, step) for code, step in zip(codes, found, strict=True)]
    return found, at + 1 + 4 * count
