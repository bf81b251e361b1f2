"""Forecasts what continuing would gain: a mixture of learning-curve models fitted to the sketch of the judged loss.

Each model is `floor + height * shape(t)`, where `t` is the share of the points so far and the shape falls: power laws
`t**-b` and exponentials `exp(-t / tau)`. Floor and height (>= 0) are fitted by least squares, with weights that favour
the later curve. The models are averaged by their likelihood. The predicted change is shrunk towards zero, the more so
the less certain it is. The interval adds the amount of shrinkage, and the spread between models, to the noise. The
closed form takes some 30 microseconds and needs no optimiser.

Source:
    Domhan, Springenberg, Hutter, Speeding up automatic hyperparameter optimization by extrapolation of learning curves
    (IJCAI 2015), for the mixture; Viering, Loog, The Shape of Learning Curves (2022), for power laws; LC-PFN
    (Adriaensen et al., 2023), for the Bayesian reading of a truncated curve; James, Stein, Estimation with
    quadratic loss (1961), for shrinking.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final, NamedTuple

import numpy as np

from monitor.domain import Forecast
from monitor.rules.describe.view import View
from monitor.rules.sketch.noise import Floats

POWERS: Final = np.array([0.25, 0.5, 1.0, 2.0])
RATES: Final = np.array([1.5, 3.0, 6.0, 12.0, 24.0])
AHEAD: Final = 0.5
"""Horizon of the forecast, as a share of the run so far."""
WIDEN: Final = 1.8
"""The models' errors are correlated, so an interval that covers nine in ten must be wider by this factor
(`docs/diagnosis.md`)."""
DOUBT: Final = 3.0
"""Half of a change of this many standard errors is kept. From 2 to 6, the forecast errors differ by only a tenth."""
ENOUGH: Final = 8
"""Least number of buckets for a forecast."""


def forecast(view: View) -> Forecast | None:
    """Forecast the loss after half as many steps again.

    Args:
        view: the judged series.

    Returns:
        None if there are too few buckets.

    Example:
        >>> from monitor.rules.sketch.curve import Curve
        >>> curve = Curve(40, 16)
        >>> for i in range(39):
        ...     _ = curve.push(1 + 2 / (i + 1), float(i))
        >>> outlook = forecast(View(curve))
        >>> outlook.steps, round(outlook.expected, 1)
        (19.0, 1.0)
    """
    k = view.closed
    if k < ENOUGH:
        return None
    x = view.x
    centre, scale = float(x[-1]), float(np.abs(x - x[-1]).max())
    if scale == 0:
        scale = max(abs(centre), 1.0) * 1e-9
    smooth = np.exp(view.smooth) + view.base
    y = np.clip((smooth - centre) / scale, -1.0, 1.0)
    # Only of closed buckets: the level of the open one would make the forecast depend on when it is asked for.
    noise = view.noise * math.exp(view.smooth[-1])
    at, spread, weight = _predict(y, max(noise / scale, 1e-6))
    mean = float(weight @ at)
    deviation = math.sqrt(float(weight @ ((at - mean) ** 2 + spread**2)))
    best, level = view.loss(view.low), view.loss(view.smooth[-1])
    foreseen, error = centre + scale * mean - level, scale * deviation
    kept = foreseen**2 / (foreseen**2 + (DOUBT * error) ** 2)
    loss, half = level + kept * foreseen, math.hypot(WIDEN * 1.645 * error, (1 - kept) * foreseen)
    told = (best, level, loss, loss - half, loss + half)
    best, level, expected, low, high = (max(each, view.zero) for each in told)  # no loss is lower
    return Forecast(
        steps=AHEAD * (view.step[-1] - view.curve.first_step),
        from_step=view.step[-1],
        level=level,
        expected=expected,
        low=low,
        high=high,
        gain=max(best - expected, 0.0),
        gain_low=max(best - high, 0.0),
        gain_high=max(best - low, 0.0),
        buckets_since_best=k - 1 - view.low_at,
    )


class _Models(NamedTuple):
    """The quantities that depend only on the number of buckets k, not on their values.

    Attributes:
        w, total: weights of the buckets, (k,), and their sum.
        shapes: (models, k), minus their weighted mean.
        later: each shape at the horizon, minus the same mean, (models,).
        spread: weighted sum of the squares of `shapes`, (models,).
        widen: factor by which the error variance of a fit grows at the horizon, (models,).
    """

    w: Floats
    total: float
    shapes: Floats
    later: Floats
    spread: Floats
    widen: Floats


@cache
def _models(k: int) -> _Models:
    t = (np.arange(k) + 0.5) / k
    ahead = 1.0 + AHEAD
    shapes = np.concatenate((t[None, :] ** -POWERS[:, None], np.exp(-t[None, :] * RATES[:, None])))
    w = 0.2 + t**2
    total = float(w.sum())
    mean = shapes @ w / total
    later = np.concatenate((ahead**-POWERS, np.exp(-ahead * RATES))) - mean
    shapes -= mean[:, None]
    spread = shapes**2 @ w
    return _Models(w, total, shapes, later, spread, 1 + 1 / k + later**2 / spread)


def _predict(y: Floats, noise: float) -> tuple[Floats, Floats, Floats]:
    """Each model's prediction, its standard error, and its weight; arrays of shape (models,)."""
    k = len(y)
    w, total, shapes, later, spread, widen = _models(k)
    mean = float(y @ w) / total
    dy = y - mean
    height = np.maximum((shapes * dy) @ w / spread, 0.0)
    rest = dy - height[:, None] * shapes
    # No fit is trusted to be closer than the noise.
    error = np.maximum(rest**2 @ w / total, noise**2)
    log_weight = -0.5 * k * np.log(error)
    weight = np.exp(0.5 * (log_weight - log_weight.max()))
    return mean + height * later, np.sqrt(error * widen), weight / weight.sum()
