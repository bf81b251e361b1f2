"""Chart of a measured loss: its value over the error, with the slope below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard.charts.axes import Look, canvas, panel_axis
from dashboard.charts.figure import Figure
from monitor.losses.profiles.report import LossProfile

Array = NDArray[np.float64]

HEIGHT: Final = 460
STEEP: Final = 12.0
"""The chart is cut at this value, so that one steep side does not flatten the rest; the caption says so."""


def profile_figure(profile: LossProfile, look: Look) -> Figure:
    """The loss along every slice that was measured, its kinks as dots, and the slopes below.

    Args:
        profile: as `monitor.losses.profile` gives it; its curves are over errors from -5 to 5.
    """
    figure = canvas(f"{profile.name} over the error", look, "linear", "loss", ())
    for i, (name, curve) in enumerate(profile.curve.items()):
        errors, values = np.asarray(curve["error"], float), np.asarray(curve["loss"], float)
        colour = look.palette.line(i)
        line = {"color": colour, "width": 2, "dash": ("solid", "dash", "dot", "dashdot")[i % 4]}
        common = {"mode": "lines", "line": line, "legendgroup": name, "hovertemplate": "%{y:.4g}"}
        figure.scatter(x=errors, y=values, name=name, **common)
        between, slopes = slope(errors, values)
        figure.scatter(x=between, y=slopes, name=f"slope, {name}", yaxis="y3", showlegend=False, **common)
        _kinks(figure, profile, name, errors, values, look)
    _frame(figure, profile, look)
    return figure


def slope(errors: Array, values: Array) -> tuple[Array, Array]:
    """The slope between neighbouring points, at their midpoints.

    Args:
        errors: (n,), rising.
        values: (n,).
    """
    if len(errors) < 2:
        return np.empty(0), np.empty(0)
    return (errors[1:] + errors[:-1]) / 2, np.diff(values) / np.diff(errors)


def captions(profile: LossProfile) -> tuple[str, ...]:
    """What the chart leaves out."""
    _, high = limits([curve["loss"] for curve in profile.curve.values()])
    highest = max(max(curve["loss"], default=0.0) for curve in profile.curve.values())
    said = ["loss above, slope below; a dot is a kink" if profile.kinks else "loss above, slope below"]
    if highest > high:
        said.append(f"it continues to {highest:.4g} within an error of 5; the picture ends at {high:.4g}")
    return tuple(said)


def limits(values: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The lowest and highest loss that is drawn: all of it, as far as it lies within `STEEP` of zero."""
    flat = [v for part in values for v in part]
    low, high = max(min(flat, default=0.0), -STEEP), min(max(flat, default=1.0), STEEP)
    pad = 0.05 * max(high - low, 1e-9)
    return low - pad, high + pad


def _frame(figure: Figure, profile: LossProfile, look: Look) -> None:
    """Two panels on one axis of errors."""
    low, high = limits([curve["loss"] for curve in profile.curve.values()])
    figure.update(
        height=HEIGHT,
        xaxis={"anchor": "free", "position": 0, "range": [-5, 5]} | panel_axis("error", look.palette),
        yaxis={"domain": [0.38, 1], "range": [low, high], "zeroline": True, "zerolinecolor": look.palette.grid},
        yaxis3=panel_axis("slope", look.palette)
        | {"domain": [0, 0.3], "zeroline": True, "zerolinecolor": look.palette.muted, "nticks": 4, "tickformat": "~g"},
    )


def _kinks(figure: Figure, profile: LossProfile, name: str, errors: Array, values: Array, look: Look) -> None:
    places = [
        float(str(entry["error"]))
        for entry in _entries(profile)
        if entry.get("slice") == name and errors.min() <= float(str(entry["error"])) <= errors.max()
    ]
    if places:
        figure.scatter(
            x=places, y=np.interp(places, errors, values), name="kink", mode="markers", showlegend=False,
            marker={"size": 9, "color": look.palette.text}, hovertemplate="kink at %{x:.4g}<extra></extra>",
        )  # fmt: skip


def _entries(profile: LossProfile) -> list[Mapping[str, object]]:
    found = profile.evidence["kinks"].get("kinks")
    return [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, list | tuple) else []
