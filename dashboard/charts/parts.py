"""Charts of the parts of a loss: stacked shares, stacked values, or lines if a part is negative."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard.charts.axes import Look, canvas, panel_axis
from dashboard.charts.figure import Figure
from dashboard.charts.overlay import line_of
from dashboard.parts import Parts
from dashboard.theme import rgba

Array = NDArray[np.float64]

MOST: Final = 8
"""Parts with their own colour; the smallest of more are added up."""
HEIGHT: Final = 400
WIDE: Final = 20.0
"""Weights that range over more than this factor are drawn on a logarithmic axis."""
_OTHERS: Final = "all others"


def shares_figure(parts: Parts, look: Look) -> Figure:
    """Each part's share of the sum, stacked to 100%, and the total below on the same steps.

    Args:
        parts: none of them negative.
        look: colours and zoom; the x axis is steps.
    """
    figure = canvas("Share of each part", look, "linear", "share", ())
    _stack(figure, parts.x, parts.shares(), look, "%{y:.1%}")
    figure.update(height=HEIGHT, yaxis={"range": [0, 1], "tickformat": ".0%"}, legend={"traceorder": "reversed"})
    if parts.total is not None:
        _total(figure, parts, look, yaxis="y3")
        figure.update(
            yaxis={"domain": [0.36, 1]},
            xaxis={"anchor": "free", "position": 0},
            yaxis3=panel_axis("total", look.palette) | {"domain": [0, 0.28], "tickformat": "~g", "nticks": 4},
        )
    return figure


def values_figure(parts: Parts, look: Look) -> Figure:
    """The weighted parts in the loss' own unit with the total: stacked, or as lines where one is negative.

    Args:
        look: colours and zoom; the x axis is steps.
    """
    figure = canvas("Weighted parts", look, "linear", "loss", ())
    figure.update(height=HEIGHT)
    if parts.negative:
        for i, (name, values) in enumerate(few(parts.values).items()):
            colour = look.palette.line(i)
            figure.scatter(x=parts.x, y=values, name=name, mode="lines", line={"color": colour, "width": 1.7},
                           connectgaps=False, hovertemplate="%{y:.5g}")  # fmt: skip
        figure.update(yaxis={"zeroline": True, "zerolinecolor": look.palette.muted})
    else:
        _stack(figure, parts.x, parts.values, look, "%{y:.5g}")
        figure.update(yaxis={"rangemode": "tozero"}, legend={"traceorder": "reversed"})
    if parts.total is not None:
        _total(figure, parts, look, yaxis="y")
    return figure


def weights_figure(parts: Parts, look: Look) -> Figure:
    """The weight of each part over time, on a logarithmic axis where they range widely and all are above zero."""
    figure = canvas("Weights", look, "linear", "weight", ())
    told = np.concatenate(list(parts.weights.values()))
    wide = len(told) and told.min() > 0 and told.max() / told.min() > WIDE
    figure.update(height=230, yaxis={"type": "log", "dtick": 1} if wide else {"rangemode": "tozero"})
    for i, (name, weights) in enumerate(parts.weights.items()):
        colour, dash = line_of(i, look.palette)
        line = {"color": colour, "dash": dash, "width": 1.8, "shape": "hv"}
        figure.scatter(x=parts.x, y=weights, name=name, mode="lines", line=line, hovertemplate="%{y:.5g}")
    return figure


def few(values: Mapping[str, Array]) -> dict[str, Array]:
    """At most `MOST` parts; of more, those with the smallest mean are added up."""
    if len(values) <= MOST:
        return dict(values)
    size = {name: float(np.nanmean(np.abs(v))) if np.isfinite(v).any() else 0.0 for name, v in values.items()}
    large = sorted(size, key=lambda name: -size[name])[: MOST - 1]
    found = {name: v for name, v in values.items() if name in large}
    return {**found, _OTHERS: np.sum([v for name, v in values.items() if name not in large], axis=0)}


def _stack(figure: Figure, x: Array, values: Mapping[str, Array], look: Look, hover: str) -> None:
    """Stacked areas; Plotly draws a NaN in a stack as zero, which reads as a gap."""
    for i, (name, heights) in enumerate(few(values).items()):
        colour = look.palette.line(i)
        figure.scatter(
            x=x,
            y=np.nan_to_num(heights, nan=0.0),
            name=name,
            mode="lines" if len(x) > 1 else "lines+markers",
            stackgroup="parts",
            line={"color": colour, "width": 0.8},
            fillcolor=rgba(colour, 0.6),
            hovertemplate=hover,
        )


def _total(figure: Figure, parts: Parts, look: Look, *, yaxis: str) -> None:
    assert parts.total is not None
    figure.scatter(
        x=parts.x, y=parts.total, name="total", mode="lines", yaxis=yaxis, connectgaps=False,
        line={"color": look.palette.text, "width": 1.8, "dash": "solid" if yaxis == "y3" else "dot"},
        hovertemplate="%{y:.5g}",
    )  # fmt: skip
