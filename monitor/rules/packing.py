"""Steps and numbers in few bytes: a state is at most 4 KiB, and steps are most of what it holds."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Final

import numpy as np

_F32: Final = 3.4e38
_NARROW: Final = struct.Struct("<f")
_NAN: Final = 2**32 - 1
_NEVER: Final = 2**32 - 2


def f32(value: float) -> float:
    """The value as a float32 has it, so that a state that was stored goes on with the same bits; NaN stays NaN."""
    narrow: tuple[float] = _NARROW.unpack(_NARROW.pack(min(max(value, -_F32), _F32)))
    return narrow[0]


def pack_steps(steps: Sequence[float]) -> bytes:
    """Steps as four bytes each where all are whole numbers below 2**32 - 2, as eight where not; the first byte says so.

    NaN and minus infinity are steps that have not come yet.

    >>> len(pack_steps([0.0, math.nan, 70_000.0])), len(pack_steps([0.5, 1.0]))
    (13, 17)
    """
    wide = np.array(steps, "<f8")
    finite = np.isfinite(wide)
    known = wide[finite]
    whole = (known < _NEVER) & (known == np.floor(known)) & ~np.signbit(known)
    if whole.all() and not np.isposinf(wide).any():
        codes = np.where(finite, 0.0, np.where(np.isnan(wide), float(_NAN), float(_NEVER)))
        codes[finite] = known
        return b"\4" + codes.astype("<u4").tobytes()
    return b"\10" + wide.tobytes()


def unpack_steps(data: bytes, at: int, count: int) -> tuple[list[float], int]:
    """The steps packed at offset `at`, and the offset after them.

    >>> unpack_steps(pack_steps([3.0, -math.inf]), 0, 2)
    ([3.0, -inf], 9)
    """
    if data[at] == 8:
        return np.frombuffer(data, "<f8", count, at + 1).tolist(), at + 1 + 8 * count
    codes = np.frombuffer(data, "<u4", count, at + 1)
    found = codes.astype(float)
    found[codes == _NAN], found[codes == _NEVER] = math.nan, -math.inf
    return found.tolist(), at + 1 + 4 * count
