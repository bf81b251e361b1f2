"""Robust statistics of a few dozen values: their median, and how noisy they are.

Source:
    Gasser, Sroka, Jennen-Steinmetz, "Residual variance and residual pattern in nonlinear regression" (Biometrika 1986),
    with the median for robustness.
"""

from __future__ import annotations

import math
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def middle(values: list[float]) -> float:
    """The median; much cheaper than NumPy's for a few dozen values. NaN for an empty list."""
    n = len(values)
    if not n:
        return math.nan
    ordered = sorted(values)
    return ordered[n // 2] if n % 2 else 0.5 * ordered[n // 2 - 1] + 0.5 * ordered[n // 2]


def second_differences(x: list[float], turn: float = math.nan) -> float:
    """Noise of the values from second differences of the later half; 0 for fewer than four.

    Args:
        turn: value at which the curve turns, left out because the turn is not noise.
    """
    if len(x) < 4:
        return 0.0
    half = x[min(len(x) // 2, max(len(x) - 10, 0)) :]
    gaps = [abs(c - 2 * b + a) for a, b, c in zip(half, half[1:], half[2:], strict=False) if b != turn]
    # 1.4826 turns a median of absolute values into a standard deviation; 6 = 1 + 4 + 1 is a difference's variance.
    return 1.4826 * middle(gaps) / math.sqrt(6)


def wandering(x: list[float]) -> float:
    """How much of the noise wanders, from 0 to 1, over the last 24 values; 0 for fewer than seven.

    Second differences over twice the distance have the same variance if the noise is independent, and twice that
    variance if it is a random walk.

    >>> wandering([0.0, 1.0] * 12), wandering([float(i * i) for i in range(24)])
    (0.0, 1.0)
    """
    x = x[-24:]
    near, far = ([abs(c - 2 * b + a) for a, b, c in zip(x, x[k:], x[2 * k :], strict=False)] for k in (1, 2))
    least = middle(near) if len(x) > 6 else 0.0
    return min(max((middle(far) / least) ** 2 - 1.0, 0.0), 1.0) if least > 0 else 0.0


def around_mean(x: list[float]) -> float:
    """Noise of the values around the running mean of five, over the later half; 0 for fewer than seven."""
    k = len(x)
    if k < 7:
        return 0.0
    begin = x[0]
    apart = [value - begin for value in x]
    total = list(accumulate(apart, initial=0.0))
    at = k - 2 - max(10, (k - 4) // 2) if k > 14 else 2
    rest = [
        abs(value - (after - before) / 5)
        for value, before, after in zip(apart[at : k - 2], total[at - 2 :], total[at + 3 :], strict=False)
    ]
    # A value minus the mean of five that include it has 1 - 1/5 of the noise's variance.
    return 1.4826 / math.sqrt(0.8) * middle(rest)
