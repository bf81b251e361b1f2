"""Captions that say what a chart leaves out: downsampling, NaN, infinities, values that a log axis cannot show."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from monitor.domain import Curve, Recommendation
from monitor.domain.formats import count, number, position


def captions(curves: Sequence[tuple[str, Curve]], scale: str) -> tuple[str, ...]:
    """A phrase for each thing that the figure leaves out: downsampling, NaN, infinities, values a log axis cannot show.

    Args:
        scale: "linear" or "log", as `resolve_scale` gives it.
    """
    said = []
    for name, curve in curves:
        if curve.shown < curve.total:
            said.append(f"{name}: {curve.shown:,} of {curve.total:,} points, every extreme kept")
        else:
            said.append(f"{name}: {count(curve.total, 'point')}")
        gaps, infinite = int(np.isnan(curve.y).sum()), int(np.isinf(curve.y).sum())
        if gaps:
            said.append(f"{name}: NaN at {count(gaps, 'place')} (marked ×)")
        if infinite:
            said.append(f"{name}: {count(infinite, 'infinite value')} (marked ▲▼ at the edge)")
        nowhere = int((~np.isfinite(curve.x)).sum())
        if nowhere:
            said.append(f"{name}: {count(nowhere, 'point')} without a place on this axis")
        below = int((curve.y[np.isfinite(curve.y)] <= 0).sum())
        if scale == "log" and below:
            said.append(f"{name}: {count(below, 'value')} ≤ 0 cannot be drawn on a log axis")
    return tuple(said)


def forecast_caption(rec: Recommendation, unit: str = "step") -> tuple[str, ...]:
    """The forecast in words, nothing where there is none.

    >>> told = Forecast(steps=45, from_step=90, level=1, expected=0.8, low=0.6, high=1, gain=0, gain_low=0, gain_high=0,
    ...     buckets_since_best=0)
    >>> forecast_caption(Recommendation(forecast=told))
    ('forecast: 0.8 at step 135, 90% between 0.6 and 1',)
    """
    told = rec.forecast
    if told is None:
        return ()
    between = f"{number(told.low, 3)} and {number(told.high, 3)}"
    at = position(unit, math.ceil(told.from_step + told.steps))
    return (f"forecast: {number(told.expected, 3)} at {at}, 90% between {between}",)
