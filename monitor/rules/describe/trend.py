"""Trend and turns of a short sequence, and the certainty of a mean of few values.

Source:
    Mann, Nonparametric tests against trend (Econometrica 1945); Kendall, Rank Correlation Methods (1975); Wallace,
    Bounds on normal approximations to Student's and the chi-square distributions (Ann. Math. Stat. 1959).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from operator import mul

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def mann_kendall(x: Floats) -> tuple[float, float]:
    """Kendall's tau of x against time, and the Mann-Kendall z.

    Args:
        x: (n,), finite.

    Returns:
        (tau, z); both are 0 for fewer than three values.

    >>> tau, z = mann_kendall(np.arange(5.0))
    >>> tau, round(z, 2)
    (1.0, 2.2)
    """
    n = len(x)
    if n < 3:
        return 0.0, 0.0
    later, earlier = _pairs(n)
    score = float(np.sign(x[later] - x[earlier]).sum())
    spread = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    return 2 * score / (n * (n - 1)), (score - math.copysign(1, score)) / spread if score else 0.0


@cache
def _pairs(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    earlier, later = np.triu_indices(n, 1)
    return later, earlier


def straight(t: Sequence[float], y: Sequence[float], least: float = 1e-18) -> tuple[float, float]:
    """Slope of the straight line through values, and its standard error, which is never zero.

    Args:
        t: n >= 3 values with a mean of zero.
        y: n values; for so few, lists are faster than arrays.
        least: smallest variance around the line, > 0.

    >>> slope, error = straight([-1.0, 0.0, 1.0], [1.0, 3.0, 5.0])
    >>> slope, 0 < error < 1e-8
    (2.0, True)
    """
    spread = max(sum(map(mul, t, t)), 1e-300)
    slope, mean = sum(map(mul, t, y)) / spread, sum(y) / len(y)
    rest = [b - mean - slope * a for a, b in zip(t, y, strict=True)]
    return slope, math.sqrt(max(sum(map(mul, rest, rest)) / (len(t) - 2), least) / spread)


@cache
def around_zero(n: int) -> list[float]:
    """The indices of n values, minus their mean."""
    return [i - (n - 1) / 2 for i in range(n)]


def student(t: float, freedom: float) -> float:
    """Student's t as the standard normal deviate with the same tail probability, by Wallace's approximation.

    >>> round(student(4.0, 6), 1), round(student(4.0, 1e6), 1), student(-1.0, 3)
    (2.7, 4.0, -1.0)
    """
    if t <= 0:
        return t
    return (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(t * t / freedom))


def turns(x: list[float], swing: float) -> int:
    """The number of alternating moves of x by `swing` or more.

    >>> turns([0, 5, 0, 5, 4.5, 5, 0], 2)
    4
    """
    count = direction = 0
    high = low = x[0]
    for value in x:
        if value > high:
            high = value
        elif value < low:
            low = value
        if direction <= 0 and value - low >= swing:
            direction, high, count = 1, value, count + 1
        elif direction >= 0 and high - value >= swing:
            direction, low, count = -1, value, count + 1
    return count
