"""The axes of a chart: the view, the frame, and the position of a curve's x on the axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from dashboard.charts.figure import Figure, Spec
from dashboard.theme import FONT, Palette
from monitor.domain import Curve

XAxis = Literal["step", "epoch", "wall_time", "relative"]
AXES: Final[tuple[XAxis, ...]] = ("step", "epoch", "relative", "wall_time")
AUTO_LOG_RATIO: Final = 200.0
"""`scale="auto"` turns to a logarithmic axis where the largest finite value is this many times the smallest."""
HEIGHT: Final = 440
"""Height of the large chart in pixels, without lanes."""
X_TITLES: Final = {"epoch": "epoch", "wall_time": "time", "relative": "since the start"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The view of a chart.

    Attributes:
        x_axis: "step", "epoch", "wall_time" or "relative".
        scale: "auto", "linear" or "log".
        palette: colours of the mode.
        revision: Plotly keeps the reader's zoom as long as this does not change.
        offset_ms: the reader's time zone, added to wall times, since Plotly draws times as they are.
        quantity: what the y axis shows, "loss" or "skill".
        unit: what the run's steps count, "step" or "epoch".
    """

    palette: Palette
    x_axis: XAxis = "step"
    scale: str = "auto"
    revision: str = ""
    offset_ms: int = 0
    quantity: str = "loss"
    unit: str = "step"


def resolve_scale(curves: Sequence[Curve], scale: str) -> str:
    """The scale in use. A log axis needs a positive value; "auto" uses one if losses span a wide range."""
    values = finite(curves)
    if scale == "linear" or not (values > 0).any():
        return "linear"
    if scale == "log":
        return "log"
    low, high = float(values.min()), float(values.max())
    return "log" if low > 0 and high / low > AUTO_LOG_RATIO else "linear"


def finite(curves: Sequence[Curve]) -> NDArray[np.float64]:
    """The finite values of all curves, (n,)."""
    return np.concatenate([c.y[np.isfinite(c.y)] for c in curves]) if curves else np.empty(0)


def curve_x(x: float, look: Look, curves: Sequence[Curve]) -> float:
    """The inverse of `place_x`."""
    if look.x_axis == "wall_time":
        return x - look.offset_ms
    return x * relative_unit(curves)[1] if look.x_axis == "relative" else x


def place_x(x: float, look: Look, curves: Sequence[Curve]) -> float:
    """Convert a curve's x to the axis' unit: wall times shifted to the reader's zone, relative times in s, min or h."""
    if look.x_axis == "wall_time":
        return x + look.offset_ms
    return x / relative_unit(curves)[1] if look.x_axis == "relative" else x


def relative_unit(curves: Sequence[Curve]) -> tuple[str, float]:
    """The unit in which relative times read best, and its length in seconds."""
    longest = max((float(c.x[np.isfinite(c.x)].max()) for c in curves if np.isfinite(c.x).any()), default=0.0)
    return ("s", 1.0) if longest < 300 else ("min", 60.0) if longest < 3 * 3600 else ("h", 3600.0)


def axis_values(x: NDArray[np.float64], look: Look, curves: Sequence[Curve]) -> NDArray[np.float64]:
    """A curve's x on the axis in use; non-finite values become gaps."""
    x = np.where(np.isfinite(x), x, np.nan)
    if look.x_axis == "relative":
        return x / relative_unit(curves)[1]
    return x + look.offset_ms if look.x_axis == "wall_time" else x


def canvas(title: str, look: Look, scale: str, y_title: str, curves: Sequence[Curve]) -> Figure:
    """An empty figure with its axes.

    Args:
        scale: of the y axis, "linear" or "log".
        curves: what will be drawn; ticks and units are chosen for them.
    """
    colours = look.palette
    x_title = X_TITLES.get(look.x_axis, look.unit)
    if look.x_axis == "relative":
        x_title += f" ({relative_unit(curves)[0]})"
    return Figure(
        layout={
            "height": HEIGHT,
            "title": {"text": title, "x": 0, "xref": "container", "font": {"size": 15, "color": colours.text}},
            "margin": {"l": 58, "r": 30, "t": 44, "b": 46},
            "font": {"family": FONT, "size": 13, "color": colours.muted},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "hovermode": "x unified",
            "hoverlabel": {"bgcolor": colours.background, "bordercolor": colours.grid, "font": {"color": colours.text}},
            "uirevision": look.revision or "same",
            "modebar": {"orientation": "v", "bgcolor": "rgba(0,0,0,0)", "color": colours.muted}
            | {"activecolor": colours.text},
            "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"},
            "xaxis": panel_axis(x_title, colours)
            | ({"type": "date"} if look.x_axis == "wall_time" else {"tickformat": ",.12~r", "hoverformat": ",.12~r"}),
            "yaxis": panel_axis(y_title, colours)
            | {"type": scale, "tickformat": "~g"}
            | (log_ticks(np.concatenate([c.y for c in curves])) if scale == "log" else _bounds(curves)),
            "yaxis2": {"overlaying": "y", "range": [0, 1], "fixedrange": True, "visible": False},
        }
    )


def panel_axis(title: str, colours: Palette) -> Spec:
    """An axis of any panel of a chart."""
    return {
        "gridcolor": colours.grid,
        "linecolor": colours.grid,
        "zeroline": False,
        "tickfont": {"size": 12},
        "title": {"text": title, "font": {"size": 12, "color": colours.muted}},
    }


def _bounds(curves: Sequence[Curve]) -> Spec:
    """No part of a linear axis below zero for values that never are."""
    values = finite(curves)
    return {"rangemode": "nonnegative"} if len(values) and values.min() >= 0 else {}


def log_ticks(values: NDArray[np.float64]) -> Spec:
    """A tick at 1, 2 and 5 within a few decades, one a decade within more, and Plotly's choice beyond."""
    shown = values[np.isfinite(values) & (values > 0)]
    decades = float(np.log10(shown.max()) - np.log10(shown.min())) if len(shown) else 0.0
    return {} if decades > 12 else {"dtick": 1 if decades > 2 else "D2"}
