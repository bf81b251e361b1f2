"""Packs steps and numbers into few bytes: a state must stay small, and steps are much of what it holds."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

_F32: Final = 3.4e38
_NARROW: Final = struct.Struct("<f")
_THREE: Final = struct.Struct("<3f")
# Codes of NaN and of minus infinity among steps of four bytes.
_NAN: Final = 2**32 - 1
_NEVER: Final = 2**32 - 2
_ODD: Final = {_NAN: math.nan, _NEVER: -math.inf}


def f32(value: float) -> float:
    """The value rounded to float32, so that a state that was stored continues with the same bits; NaN stays NaN."""
    narrow: tuple[float] = _NARROW.unpack(_NARROW.pack(min(max(value, -_F32), _F32)))
    return narrow[0]


def three_f32(a: float, b: float, c: float) -> tuple[float, float, float]:
    """Three values as `f32` rounds them, in one go: a bucket has three."""
    if -_F32 <= a <= _F32 and -_F32 <= b <= _F32 and -_F32 <= c <= _F32:
        found: tuple[float, float, float] = _THREE.unpack(_THREE.pack(a, b, c))
        return found
    return f32(a), f32(b), f32(c)


@cache
def _many(kind: str, count: int) -> struct.Struct:
    return struct.Struct(f"<{count}{kind}")


def pack(kind: str, values: Sequence[float]) -> bytes:
    """Pack numbers of one `struct` format character, little-endian."""
    return _many(kind, len(values)).pack(*values)


def unpack(kind: str, data: bytes, at: int, count: int) -> list[Any]:
    """The numbers packed at offset `at`."""
    return list(_many(kind, count).unpack_from(data, at))


def bucket_step(step: float) -> float:
    """The step of a bucket as it is kept: whole numbers below 2**32 - 2 unchanged, others rounded to float32.

    >>> bucket_step(70_000_001.0), bucket_step(0.1) == 0.1, abs(bucket_step(0.1) - 0.1) < 1e-8
    (70000001.0, False, True)
    """
    return (step if 0.0 <= step < _NEVER and step == int(step) else f32(step)) + 0.0  # no negative zero


def pack_bucket_steps(steps: Sequence[float]) -> bytes:
    """Pack steps that `bucket_step` has rounded, four bytes each. If both kinds occur, one bit for each says which.

    >>> [len(pack_bucket_steps([bucket_step(s) for s in steps])) for steps in ([1.0, 2e9 + 1], [0.1], [0.1, 2e9 + 1])]
    [9, 5, 10]
    """
    whole = [0.0 <= step < _NEVER and step == int(step) for step in steps]
    if all(whole):
        return b"\4" + pack("I", [int(step) for step in steps])
    if all(step == f32(step) for step in steps):
        return b"\5" + pack("f", steps)
    mask = sum(1 << i for i, is_whole in enumerate(whole) if is_whole)
    mixed = (
        pack("I", [int(step)]) if is_whole else pack("f", [step]) for step, is_whole in zip(steps, whole, strict=True)
    )
    return b"\6" + mask.to_bytes((len(steps) + 7) // 8, "little") + b"".join(mixed)


def unpack_bucket_steps(data: bytes, at: int, count: int) -> tuple[list[float], int]:
    """The steps packed at offset `at`, and the offset after them.

    >>> unpack_bucket_steps(pack_bucket_steps([0.5, 4e9 - 1]), 0, 2)
    ([0.5, 3999999999.0], 10)
    """
    kind, at = data[at], at + 1
    if kind == 6:
        mask, at = int.from_bytes(data[at : at + (count + 7) // 8], "little"), at + (count + 7) // 8
        kinds = ["I" if mask >> i & 1 else "f" for i in range(count)]
        return [float(unpack(k, data, at + 4 * i, 1)[0]) for i, k in enumerate(kinds)], at + 4 * count
    return list(map(float, unpack("I" if kind == 4 else "f", data, at, count))), at + 4 * count


def pack_steps(steps: Sequence[float]) -> bytes:
    """Pack steps: four bytes each if all are whole numbers below 2**32 - 2, else eight. The first byte says which.

    NaN and minus infinity stand for steps that have not come yet, and also fit into four bytes.

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
