"""Robust statistics of a few dozen values: their middle, and how noisy they are.

Source:
    Gasser, Sroka, Jennen-Steinmetz, "Residual variance and residual pattern in nonlinear regression" (Biometrika 1986),
    with the median for robustness.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def middle(values: list[float]) -> float:
    """The median; much cheaper than numpy's for a few dozen values. NaN for none."""
    n = len(values)
    if not n:
        return math.nan
    ordered = sorted(values)
    return ordered[n // 2] if n % 2 else 0.5 * ordered[n // 2 - 1] + 0.5 * ordered[n // 2]


def second_differences(x: Floats) -> float:
    """Noise of the values, (n,), from second differences of the later half; 0 for fewer than four."""
    if len(x) < 4:
        return 0.0
    half = x[min(len(x) // 2, max(len(x) - 10, 0)) :]
    gaps = np.abs(half[2:] - 2 * half[1:-1] + half[:-2]).tolist()
    return max(1.4826 * middle(gaps), 0.75 * math.fsum(gaps) / len(gaps)) / math.sqrt(6)
