"""What a chart leaves out, in words: reduction, NaN, infinities, values that a logarithmic axis cannot show."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from monitor.domain import Curve, Recommendation
from monitor.domain.formats import count, number, step


def captions(curves: Sequence[tuple[str, Curve]], scale: str) -> tuple[str, ...]:
    """What the figure leaves out, a phrase each: reduction, NaN, infinities, and values a log axis cannot show.

    Args:
        curves: name and curve.
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


def forecast_caption(rec: Recommendation) -> tuple[str, ...]:
    """The forecast in words, nothing where there is none.

    >>> told = {"from_step": 90, "steps": 45, "expected": 0.8, "low": 0.6, "high": 1}
    >>> forecast_caption(Recommendation(forecast=told))
    ('forecast: 0.8 at step 135, 90 % between 0.6 and 1',)
    """
    told = [rec.forecast.get(name) for name in ("from_step", "steps", "expected", "low", "high")]
    numbers = [float(value) for value in told if isinstance(value, int | float)]
    if len(numbers) < len(told):
        return ()
    start, ahead, expected, low, high = numbers
    between = f"{number(low, 3)} and {number(high, 3)}"
    return (f"forecast: {number(expected, 3)} at step {step(math.ceil(start + ahead))}, 90 % between {between}",)
