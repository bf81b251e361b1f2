"""The way of a series along its smoothed buckets: one more bucket costs one more step, whatever the number of buckets.

Everything is worked out from left to right, so that it has the same bits whether a bucket at a time or all at once.
"""

from __future__ import annotations

import math
from typing import NamedTuple


class Way(NamedTuple):
    """What was met along the centres of the closed buckets.

    Attributes:
        smooth: running median of three, ends as they are.
        start: values above it count as this much in `travel`.
        low, low_at: lowest smoothed centre and its index; NaN and 0 where there is none.
        climbed: largest rise above the running minimum before the low.
        travel: total variation up to the low.
        rise, path: the same two up to the end.

    Example:
        >>> way = Way.along([5.0, 4.0, 3.0, 3.5, 2.0, 1.0], 5.0)
        >>> way.smooth, way.low, way.climbed, way.travel
        ([5.0, 4.0, 3.5, 3.0, 2.0, 2.0], 2.0, 0.0, 3.0)
        >>> Way.along([5.0, 4.0, 3.0, 3.5, 2.0], 5.0).grown([5.0, 4.0, 3.0, 3.5, 2.0, 1.0]) == way
        True
    """

    smooth: list[float]
    start: float
    low: float
    low_at: int
    climbed: float
    travel: float
    rise: float
    path: float

    @classmethod
    def along(cls, x: list[float], start: float) -> Way:
        """The way along all centres."""
        smooth = x
        if len(x) > 2:
            smooth = [x[0], *map(median_of_three, x, x[1:], x[2:]), x[-1]]
            if len(x) > 3:
                smooth[-1] = smooth[-2]
        if not x:
            return cls(smooth, start, math.nan, 0, 0.0, 0.0, 0.0, 0.0)
        return cls(smooth, start, smooth[0], 0, 0.0, 0.0, 0.0, 0.0)._on(smooth, 1)

    def grown(self, x: list[float]) -> Way:
        """The way along these centres: one more than those that this one went along, which were four or more."""
        last = median_of_three(*x[-3:])
        return self._on([*self.smooth[:-1], last, last], len(x) - 2)

    def _on(self, smooth: list[float], at: int) -> Way:
        """Go on from entry `at`."""
        low, low_at, climbed, travel, rise, path = (
            self.low, self.low_at, self.climbed, self.travel, self.rise, self.path
        )  # fmt: skip
        start = self.start
        before = min(smooth[at - 1], start) if at else start
        for i in range(at, len(smooth)):
            value = smooth[i]
            kept = value if value < start else start
            path += abs(kept - before)
            before = kept
            if value < low:
                low, low_at, climbed, travel = value, i, rise, path
            elif value - low > rise:
                rise = value - low
        return Way(smooth, start, low, low_at, climbed, travel, rise, path)


def median_of_three(a: float, b: float, c: float) -> float:
    """The middle one.

    >>> median_of_three(3.0, 1.0, 2.0)
    2.0
    """
    if a > b:
        a, b = b, a
    return b if b <= c else max(a, c)
