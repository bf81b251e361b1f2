"""Fit Barron's general loss to residuals: the heaviness of their tails decides its shape."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitor.errors import LossError
from monitor.losses.specs.robust import Barron
from monitor.losses.specs.search import golden

SHAPES = np.linspace(0.0, 2.0, 41)
"""Shapes to try; below 0 the loss is not the likelihood of any distribution."""


def fit_barron(residuals: ArrayLike) -> Barron:
    """The shape and scale under which the residuals are most likely.

    Use residuals of validation data: those of training data are too small. A shape near 2 means normal tails, near 0
    tails as heavy as Cauchy's.

    Source: Barron 2019, arXiv:1701.03077, equation 16.

    Raises:
        LossError: fewer than 20 residuals, or all of them 0.

    Example:
        >>> found = fit_barron(np.random.default_rng(0).normal(0, 3, 5000))
        >>> found.alpha > 1.7, 2.5 < found.scale < 3.5
        (True, True)
    """
    r = np.asarray(residuals, dtype=np.float64).ravel()
    r = r[np.isfinite(r)]
    if len(r) < 20 or not r.any():
        raise LossError("fit_barron", f"{len(r)} finite residuals", "give at least 20, not all of them 0")
    # Most residuals may be 0, so the usual size is the median of the others.
    usual = math.log(float(np.median(np.abs(r[r != 0]))))

    def cost(shape: float, log_scale: float) -> float:
        scaled = Barron(shape, math.exp(log_scale)).element(r)
        return float(scaled.mean()) + log_scale + _log_partition(shape)

    best: tuple[float, float, float] | None = None
    for shape in map(float, SHAPES):
        log_scale = golden(functools.partial(cost, shape), usual - 4, usual + 4, rounds=40)
        found = cost(shape, log_scale), shape, log_scale
        best = found if best is None else min(best, found)
    assert best is not None
    return Barron(round(best[1], 4), float(f"{math.exp(best[2]):.4g}"))


@functools.cache
def _log_partition(shape: float) -> float:
    """The logarithm of the integral of `exp(-loss)` at scale 1; `x = sinh(t)` reaches far into the tails."""
    t: NDArray[np.float64] = np.linspace(-40, 40, 8001)
    with np.errstate(over="ignore"):
        density = np.exp(-Barron(shape, 1.0).element(np.sinh(t))) * np.cosh(t)
    return math.log(float(density.sum()) * float(t[1] - t[0]))
