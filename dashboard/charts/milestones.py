"""Events of a training other than findings: learning rate drops, new attempts, and regimes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from dashboard.charts.axes import Look
from dashboard.charts.figure import Figure
from dashboard.charts.marks import Place
from dashboard.theme import Palette, rgba
from monitor.domain import Curve, Regime
from monitor.domain.formats import number, position

DROP: Final = 0.6
"""A learning rate that falls to this share of a level that it held counts as a drop."""
MOST: Final = 12
"""Maximum number of drops, and of attempts, that are drawn."""
COURSE: Final = "course"
"""The lane of the regimes."""


def rate_drops(rate: Curve) -> tuple[tuple[float, float, float], ...]:
    """The steps at which the learning rate dropped: x, rate before, rate after.

    A schedule that decreases gradually, such as a cosine, has no drops.

    >>> import numpy as np
    >>> held = Curve("lr", "step", np.arange(6.0), np.array([0.1, 0.1, 0.1, 0.01, 0.01, 0.01]), 6, 6)
    >>> rate_drops(held)
    ((3.0, 0.1, 0.01),)
    """
    x, y = rate.x, rate.y
    if len(y) < 3:
        return ()
    before, now = y[1:-1], y[2:]
    held = np.isclose(y[:-2], before, rtol=1e-6, atol=0)
    found = np.flatnonzero(held & (now <= DROP * before) & (before > 0) & np.isfinite(x[2:]))
    return tuple((float(x[i + 2]), float(before[i]), float(now[i])) for i in found[:MOST])


def add_drops(figure: Figure, drops: Sequence[tuple[float, float, float]], colours: Palette) -> None:
    """A mark at the top of the frame for each learning rate drop, with the rates as hover text.

    Args:
        drops: as `rate_drops` gives them, placed on the axis.
    """
    said = [f"learning rate {number(old)} → {number(new)}" for _, old, new in drops]
    _head(figure, [x for x, _, _ in drops], "rate drop", "triangle-down-open", colours.info, said)


def add_attempts(figure: Figure, starts: Sequence[tuple[int, int]], place: Place, look: Look) -> None:
    """A thin line at the start of each attempt after the first, where the run was resumed.

    Args:
        starts: number of the attempt and its first step.
        look: colours, and what steps count.
    """
    muted = look.palette.muted
    placed = [(x, n, at) for n, at in starts[:MOST] if (x := place(float(at))) is not None]
    for x, _, _ in placed:
        figure.across(x=x, color=muted, dash="dashdot", name="attempt")
    said = [f"attempt {n} began at {position(look.unit, at)}" for _, n, at in placed]
    _head(figure, [x for x, _, _ in placed], "resumed", "triangle-right-open", muted, said)


def _head(figure: Figure, xs: Sequence[float], name: str, symbol: str, colour: str, said: Sequence[str]) -> None:
    marker = {"symbol": symbol, "size": 10, "color": colour, "line": {"width": 1.6, "color": colour}}
    hover = "%{customdata}<extra></extra>"
    figure.edge(list(xs), 0.985, name, marker, customdata=list(said), hovertemplate=hover, cliponaxis=False)


def told(regimes: Sequence[Regime]) -> tuple[Regime, ...]:
    """The regimes to draw: those of the validation loss, or of the training loss if there is none."""
    validation = tuple(regime for regime in regimes if regime.series == "validation")
    return validation or tuple(regimes)


def add_course(figure: Figure, regimes: Sequence[Regime], place: Place, row: int, colours: Palette) -> None:
    """A lane below the curve with its regimes (falling, flat, rising) as labelled bars of different shades."""
    tints = {"fall": (colours.good, 0.55), "slow fall": (colours.good, 0.25), "flat": (colours.muted, 0.18)}
    for regime in regimes:
        left, right = place(regime.begin), place(regime.end)
        if left is None or right is None or right <= left:
            continue
        colour, strength = tints.get(regime.kind, (colours.warning, 0.55))
        figure.shape(type="rect", x0=left, x1=right, y0=-row - 0.34, y1=-row + 0.34, xref="x", yref="y3",
                     line={"width": 0}, fillcolor=rgba(colour, strength), name="course")  # fmt: skip
        figure.note(x=(left + right) / 2, y=-row, xref="x", yref="y3", text=regime.kind,
                    font={"size": 10, "color": colours.text}, name=f"width {right - left:g}")  # fmt: skip
