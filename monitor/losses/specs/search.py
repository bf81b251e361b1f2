"""Numerical methods for what has no formula: minimisation by search, means over a normal distribution."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@functools.cache
def normal_nodes() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A fine grid over the standard normal distribution and the mass of each node."""
    import numpy as np

    nodes = np.linspace(-10, 10, 4001)
    masses = np.exp(-(nodes**2) / 2)
    return nodes, masses / masses.sum()


def golden(function: Callable[[float], float], low: float, high: float, *, rounds: int = 80) -> float:
    """The minimiser of a unimodal function on an interval.

    Source: golden-section search; Kiefer 1953, doi:10.1090/S0002-9939-1953-0055639-3.

    Example:
        >>> round(golden(lambda x: (x - 0.3) ** 2, -1, 2), 6)
        0.3
    """
    ratio = (math.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    f_left, f_right = function(left), function(right)
    for _ in range(rounds):
        if f_left <= f_right:
            high, right, f_right = right, left, f_left
            left = high - ratio * (high - low)
            f_left = function(left)
        else:
            low, left, f_left = left, right, f_right
            right = low + ratio * (high - low)
            f_right = function(right)
    return (low + high) / 2
