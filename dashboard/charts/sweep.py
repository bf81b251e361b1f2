"""Charts of many runs: seed bands, scatter plots, and parallel coordinates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard.charts.axes import HEIGHT, Look, canvas, log_ticks, panel_axis
from dashboard.charts.figure import Figure, Spec
from dashboard.charts.grid import Line
from dashboard.fields import Value, is_number
from monitor.domain import inert
from monitor.domain.formats import number, plain

BAND_POINTS: Final = 240
"""Places along the x axis at which a band's mean is taken."""
WIDE: Final = 50.0
"""An axis is logarithmic where the largest of its positive values is this many times the smallest."""


def band(lines: Sequence[Line], colour: str, dash: str = "") -> Line:
    """Mean ± standard deviation (n - 1) of several curves on a common grid.

    A curve counts only between its ends, so that a run that ended early does not distort the mean after its end.
    """
    drawn = [(line.x, line.smoothed if line.smoothed is not None else line.y) for line in lines]
    kept = [(x[ok], y[ok]) for x, y in drawn if (ok := np.isfinite(x) & np.isfinite(y)).any()]
    if not kept:
        return Line(np.empty(0), np.empty(0), colour, dash)
    low, high = min(float(x[0]) for x, _ in kept), max(float(x[-1]) for x, _ in kept)
    grid = np.linspace(low, high, BAND_POINTS) if high > low else np.array([low])
    table = np.array([np.interp(grid, x, y, left=np.nan, right=np.nan) for x, y in kept])
    count = np.isfinite(table).sum(axis=0)
    filled = np.where(np.isfinite(table), table, 0.0)
    mean = np.divide(filled.sum(axis=0), count, out=np.full(len(grid), np.nan), where=count > 0)
    squares = np.where(np.isfinite(table), (table - mean) ** 2, 0.0).sum(axis=0)
    sd = np.sqrt(np.divide(squares, count - 1, out=np.zeros(len(grid)), where=count > 1))
    return Line(grid, mean, colour, dash, None, mean - sd, mean + sd)


def scatter_figure(
    points: Sequence[tuple[str, Value, Value, str]], look: Look, *, x_title: str, y_title: str
) -> Figure:
    """One point per run.

    Args:
        points: name, x, y and group of each run; one without an x or a finite y is left out.
    """
    kept = [(name, x, float(y), group) for name, x, y, group in points if x is not None and is_number(y)]
    figure = canvas("", look, "linear", y_title, [])
    figure.update(height=HEIGHT, hovermode="closest", margin={"t": 20}, showlegend=len({g for *_, g in kept}) > 1)
    numeric = all(is_number(x) for _, x, _, _ in kept)
    xs = _values_axis([float(x) for _, x, _, _ in kept if is_number(x)]) if numeric else {"type": "category"}
    figure.update(xaxis={**panel_axis(x_title, look.palette), "tickformat": None, "hoverformat": None, **xs})
    figure.update(yaxis=_values_axis([y for _, _, y, _ in kept]))
    for i, group in enumerate(dict.fromkeys(g for *_, g in kept)):
        some = [each for each in kept if each[3] == group]
        figure.scatter(
            x=[x if numeric else plain(x) for _, x, _, _ in some], y=[y for _, _, y, _ in some], mode="markers",
            name=group, customdata=[f"{name}: {plain(x)}, {number(y)}" for name, x, y, _ in some],
            marker={"size": 10, "color": look.palette.line(i), "opacity": 0.85,
                    "symbol": _SYMBOLS[i % len(_SYMBOLS)], "line": {"width": 1, "color": look.palette.background}},
            hovertemplate="%{customdata}<extra></extra>",
        )  # fmt: skip
    return figure


def _values_axis(values: Sequence[float]) -> Spec:
    """A logarithmic axis where the values range widely, else a linear one; its numbers carry no SI prefix."""
    if _wide(values):
        return {"type": "log", "tickformat": "~g", **log_ticks(np.array(values))}
    return {"type": "linear", "tickformat": "~g"}


_SYMBOLS: Final = ("circle", "diamond", "square", "triangle-up", "cross", "star", "hexagon", "triangle-down")


def parallel_figure(
    columns: Mapping[str, Sequence[Value]], result: Sequence[Value], look: Look, *, title: str
) -> Figure:
    """One line per run over its configuration values, coloured by its result, which is the last axis.

    Args:
        result: of each run; runs without one are left out.
    """
    which = [i for i, value in enumerate(result) if is_number(value)]
    results = np.array([float(v) for v in result if is_number(v)])
    axes = [_axis(name, [values[i] for i in which]) for name, values in columns.items()]
    axes.append({"label": inert(title)[:40], "values": results})
    figure = canvas("", look, "linear", "", [])
    ends = (look.palette.train, look.palette.muted, look.palette.val)  # each is clear on the background of its mode
    scale = [[place, colour] for place, colour in zip((0.0, 0.5, 1.0), ends, strict=True)]
    figure.traces.append({
        "type": "parcoords", "dimensions": axes, "labelfont": {"size": 12, "color": look.palette.text},
        "tickfont": {"size": 11, "color": look.palette.muted}, "rangefont": {"size": 1, "color": "rgba(0,0,0,0)"},
        "line": {"color": results, "colorscale": scale, "showscale": True,
                 "colorbar": {"title": {"text": inert(title)[:24], "side": "right"}, "thickness": 12}},
    })  # fmt: skip
    figure.update(
        height=HEIGHT, margin={"l": 90, "r": 60, "t": 60, "b": 30}, xaxis={"visible": False}, yaxis={"visible": False},
        paper_bgcolor=look.palette.background,  # ticks have a shadow of it
    )  # fmt: skip
    return figure


def _axis(name: str, values: Sequence[Value]) -> Spec:
    label = inert(name)[:40]
    if all(is_number(v) for v in values):
        numbers = np.array([float(v) for v in values if is_number(v)])
        if _wide(numbers.tolist()):
            low, high = math.log10(numbers.min()), math.log10(numbers.max())
            powers = list(range(math.ceil(low), math.floor(high) + 1))  # ticks beyond would extend the axis
            return {"label": f"{label} (log)", "values": np.log10(numbers), "tickvals": powers,
                    "ticktext": [number(10.0**p) for p in powers]}  # fmt: skip
        return {"label": label, "values": numbers}
    names = sorted({_said(v) for v in values})
    places = {each: float(i) for i, each in enumerate(names)}
    return {"label": label, "values": np.array([places[_said(v)] for v in values]), "tickvals": list(places.values()),
            "ticktext": [inert(each)[:24] for each in names]}  # fmt: skip


def _said(value: Value) -> str:
    return "not set" if value is None else plain(value)


def _wide(values: Sequence[float]) -> bool:
    return bool(values) and min(values) > 0 and max(values) / min(values) >= WIDE


def across(
    line_x: NDArray[np.float64], steps: NDArray[np.float64], counter: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Convert a curve's steps to the values of a counter, such as tokens, at those steps."""
    ok = np.isfinite(steps) & np.isfinite(counter)
    if not ok.any():
        return np.full(len(line_x), np.nan)
    return np.interp(line_x, steps[ok], counter[ok], left=np.nan, right=np.nan)
