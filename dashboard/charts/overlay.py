"""One metric of several runs on the same axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from dashboard.charts.axes import HEIGHT, Look, canvas, resolve_scale
from dashboard.charts.curves import add_curve, add_non_finite
from dashboard.charts.figure import Figure
from dashboard.theme import Palette
from monitor.domain import Curve

FEW: Final = 12
"""Maximum number of runs in a legend above the chart."""
DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def overlay_figure(
    curves: Sequence[tuple[str, Curve]], look: Look, *, title: str, places: Sequence[int] | None = None
) -> Figure:
    """One metric of several runs on the same axes.

    Args:
        places: the place of each run among those that are compared, which says its line; None: as they come.
    """
    all_curves = [curve for _, curve in curves]
    scale = resolve_scale(all_curves, look.scale)
    figure = canvas(title, look, scale, title, all_curves)
    for i, (name, curve) in enumerate(curves):
        colour, dash = line_of(i if places is None else places[i], look.palette)
        add_curve(figure, curve, middle_cut(name), colour, look, scale, dash=dash, peers=all_curves)
    add_non_finite(figure, all_curves, look)
    if len(curves) > FEW:
        _thin(figure)
        # The legend stands next to the chart, where Plotly lets it scroll; no box names all at once.
        figure.update(
            height=HEIGHT + 80,
            hovermode="closest",
            legend={"orientation": "v", "x": 1.01, "xanchor": "left", "y": 1, "yanchor": "top", "font": {"size": 11}},
        )
    return figure


def _thin(figure: Figure) -> None:
    """Draw many curves as thin lines, without dots and without raw lines below smoothed ones."""
    figure.traces = [trace for trace in figure.traces if trace.get("showlegend", True)]
    for trace in figure.traces:
        x, line = trace["x"], trace.get("line")
        if isinstance(x, np.ndarray) and len(x) > 1 and isinstance(line, dict):
            trace |= {"mode": "lines", "line": {**line, "width": 1.3}}


def line_of(place: int, palette: Palette) -> tuple[str, str]:
    """Colour and dash of a run among others: after eight runs the colours repeat with other dashes."""
    return palette.line(place), DASHES[place // len(palette.lines) % len(DASHES)]


def middle_cut(name: str, most: int = 36) -> str:
    """Shorten a name in the middle, since names differ at their ends.

    >>> middle_cut("resnet50-cosine-seed-1", 12)
    'resnet…eed-1'
    """
    return name if len(name) <= most else f"{name[: most // 2]}…{name[len(name) - (most - 1) // 2 :]}"


def together(curves: Sequence[Curve]) -> Curve:
    """Several curves as one, for a caption about all of them."""
    x, y = (np.concatenate([getattr(c, axis) for c in curves]) for axis in ("x", "y"))
    return replace(curves[0], x=x, y=y, shown=sum(c.shown for c in curves), total=sum(c.total for c in curves))
