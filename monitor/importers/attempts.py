"""Finds where a training was restarted: steps that its curves have already passed are logged again.

Points that are slightly late, as those of several workers are, are not a new attempt: each step occurs once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_RESUMED: Final = 8
"""Consecutive late points of one curve that make a new attempt even if none of their steps was logged before: the
training was resumed from a checkpoint and logs at other steps now.
"""


def begins(key: NDArray[np.uint16] | Sequence[int], step: NDArray[np.int64] | Sequence[int]) -> tuple[int, ...]:
    """Indices of the points at which the training was restarted.

    Args:
        key: the series of each point, in order of logging; (n,).
        step: the step of each point; (n,).

    >>> begins([0] * 8, [0, 1, 2, 3, 0, 1, 2, 3]), begins([0] * 8, [3, 2, 1, 0, 7, 6, 5, 4])
    ((4,), ())
    >>> begins([0, 0, 1, 1], [8, 9, 0, 1])
    ()
    """
    steps = np.asarray(step, np.int64)
    if len(steps) < 2 or bool((steps[1:] >= steps[:-1]).all()):
        return ()
    keys, at = np.asarray(key).tolist(), steps.tolist()
    following = _following(keys)
    found: list[int] = []
    last: dict[int, int] = {}
    top: dict[int, int] = {}
    seen: set[tuple[int, int]] = set()
    for i, (series, now) in enumerate(zip(keys, at, strict=True)):
        if now < last.get(series, now) and _again(i, series, at, following, top[series], seen):
            found.append(i)
            last, top, seen = {}, {}, set()
        last[series] = now
        top[series] = max(now, top.get(series, now))
        seen.add((series, now))
    return tuple(found)


def _again(i: int, series: int, steps: list[int], following: list[int], top: int, seen: set[tuple[int, int]]) -> bool:
    """True if the points of a series from `i` on, until it passes its previous maximum, start a new attempt."""
    many, before = 0, steps[i]
    while i < len(steps) and before <= steps[i] <= top:
        if (series, steps[i]) in seen:
            return True
        many += steps[i] > before or not many
        if many >= _RESUMED:
            return True
        before, i = steps[i], following[i]
    return False


def _following(keys: list[int]) -> list[int]:
    """For each point, the index of the next point of its series; the length if there is none."""
    found, nearest = [len(keys)] * len(keys), dict[int, int]()
    for i in range(len(keys) - 1, -1, -1):
        found[i] = nearest.get(keys[i], len(keys))
        nearest[keys[i]] = i
    return found
