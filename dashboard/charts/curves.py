"""Drawing a curve: its lines, gaps, and marks for non-finite values; and captions that say what a chart leaves out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard.charts.axes import Look, axis_values
from dashboard.charts.figure import Figure, Spec
from dashboard.theme import rgba
from monitor.domain import Curve, Recommendation
from monitor.domain.formats import count, number, position

SPARSE: Final = 80
"""Curves of up to this many points show each point as a dot."""
SMOOTHED: Final = 1000
"""The weight of the moving average is that from one point to the next, or from one such share of a longer curve to the
next: an average over a few neighbours among a million points would not reach over one pixel."""


def weight_of(smoothing: float, points: int) -> float:
    """The smoothing weight from one point of a series to the next.

    Args:
        smoothing: as asked for, in [0, 1).
        points: of the series; one that is `SPARSE` is not smoothed.

    >>> weight_of(0.5, 60), weight_of(0.5, 900), round(weight_of(0.5, 1_000_000), 6)
    (0.0, 0.5, 0.999307)
    """
    if points <= SPARSE or not smoothing:
        return 0.0
    return float(smoothing ** min(1.0, SMOOTHED / points))


def spliced(overview: Curve, detail: Curve, lo: float, hi: float) -> Curve:
    """A curve with one window replaced by a more detailed version; x must be increasing.

    Args:
        overview: the whole curve, reduced.
        detail: the window's points, reduced less.
        lo: left end of the window on the curve's x.
    """
    left, right = overview.x < lo, overview.x > hi  # neither for a NaN

    def joined(outer: NDArray[np.float64], inner: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([outer[left], inner, outer[right]])

    both = overview.smoothed is not None and detail.smoothed is not None
    smoothed = joined(overview.smoothed, detail.smoothed) if both else None  # type: ignore[arg-type]  # `both` says so
    x = joined(overview.x, detail.x)
    return replace(overview, x=x, y=joined(overview.y, detail.y), shown=len(x), smoothed=smoothed)


def add_non_finite(figure: Figure, curves: Sequence[Curve], look: Look) -> None:
    """Mark NaN at the bottom and infinities at the top or bottom edge of the frame."""
    kinds = (("NaN", np.isnan, 0.03, "x-thin"), ("+inf", np.isposinf, 0.97, "triangle-up"))
    colour = look.palette.critical
    for name, test, height, symbol in (*kinds, ("-inf", np.isneginf, 0.03, "triangle-down")):
        xs = np.concatenate([c.x[test(c.y) & np.isfinite(c.x)] for c in curves]) if curves else np.empty(0)
        marker = {"symbol": symbol, "size": 9, "color": colour, "line": {"width": 2, "color": colour}}
        figure.edge(axis_values(xs, look, curves), height, name, marker, hovertemplate=f"{name}<extra></extra>")


def add_curve(
    figure: Figure,
    curve: Curve,
    name: str,
    colour: str,
    look: Look,
    scale: str,
    *,
    dash: str = "solid",
    peers: Sequence[Curve] = (),
    yaxis: str = "y",
) -> None:
    """Add a curve as a line; a smoothed line has the faint raw one below it. `peers` share the x axis and its unit."""
    smooth = curve.smoothed
    raw_colour = rgba(colour, 0.3) if smooth is not None else colour
    sparse = int(np.isfinite(curve.y).sum()) <= SPARSE
    common: Spec = {"x": axis_values(curve.x, look, peers or [curve]), "legendgroup": name, "connectgaps": False}
    common["yaxis"] = yaxis
    figure.scatter(
        **common,
        y=_drawable(curve.y, scale),
        name=f"{name} (raw)" if smooth is not None else name,
        mode="lines+markers" if sparse else "lines",
        line={"color": raw_colour, "width": 1.2 if smooth is not None else 1.7, "dash": dash},
        marker={"size": 5 if len(curve.x) > 1 else 9, "color": raw_colour},
        showlegend=smooth is None,
        hovertemplate="%{y:.5g}",
    )
    if smooth is not None:
        line = {"color": colour, "width": 2.2, "dash": dash}
        figure.scatter(
            **common,
            y=_drawable(np.where(np.isnan(curve.y), np.nan, smooth), scale),
            name=name,
            mode="lines",
            line=line,
            hovertemplate="%{y:.5g}",
        )


def _drawable(values: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    """The values, with NaN where the axis cannot show them."""
    shown = np.isfinite(values) & ((values > 0) if scale == "log" else True)
    return np.where(shown, values, np.nan)


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

    >>> from monitor.domain import Forecast
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
