"""Charts of the rules page: a rule on its example, and where it fires on stored runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard.charts.axes import Look, canvas
from dashboard.charts.figure import Figure
from monitor.domain import Finding, formats

HEIGHT: Final = 300
ROW: Final = 26
"""Pixels of a run in the picture of a trial."""
NAME: Final = 28
"""Letters of a run's name that stand next to its row."""
Curves = Sequence[tuple[str, NDArray[np.float64]]]


def example_figure(
    title: str, curves: Curves, levels: Mapping[str, float], found: Sequence[tuple[str, Finding]], look: Look
) -> Figure:
    """A rule's example with the step at which its condition began and the one at which the rule fires.

    Args:
        curves: what the rule reads, (n, 2) each.
        found: the rule's first finding under some thresholds, each with what they are called.
    """
    scale = _scale(curves)
    figure = canvas(title, look, "linear", "value", ())
    steps = np.concatenate([rows[:, 0] for _, rows in curves])
    ends = [float(steps.min()), float(steps.max())]  # fixed, or a text that does not fit would stretch the axis
    figure.update(height=HEIGHT, hovermode="closest", yaxis={"type": scale}, xaxis={"range": ends})
    colours = {"train": look.palette.train, "validation": look.palette.val}
    for k, (name, rows) in enumerate(curves):
        colour = colours.get(name, look.palette.line(k))
        line = {"color": colour, "width": 1.6, "dash": ("solid", "dash", "dot")[k % 3]}
        figure.scatter(
            x=rows[:, 0], y=np.where(np.isfinite(rows[:, 1]), rows[:, 1], np.nan), name=name, mode="lines", line=line
        )
    for name, value in levels.items():
        figure.across(y=value, color=look.palette.muted, dash="dot")
        at = np.log10(value) if scale == "log" else value
        figure.note(xref="paper", x=1, y=at, text=name, xanchor="right", yanchor="bottom", font={"size": 11})
    for k, (called, finding) in enumerate(found):
        colour = look.palette.critical if k == 0 else look.palette.good
        for at, dash in ((finding.onset_step, "dot"), (finding.fired_step, "dash" if k else "solid")):
            figure.across(x=at, color=colour, dash=dash, width=1.6)
        side = _side(finding, curves)
        figure.note(
            xref="x",
            yref="y domain",  # within it, `labels.js` keeps labels apart
            y=1 - 0.1 * k,
            x=finding.onset_step if side == "right" else finding.fired_step,  # next to both lines
            text=f"{called}: {formats.step(finding.onset_step)} → {formats.step(finding.fired_step)}",
            yanchor="top",
            xanchor=side,
            bgcolor=look.palette.background,
            font={"size": 12, "color": colour},
        )
    return figure


def trial_figure(rows: Sequence[tuple[str, float | None, float | None]], look: Look) -> Figure:
    """Where a rule first fires on each run, under the rules in effect and as tried.

    Args:
        rows: a run's name, and the two places as shares of the run; None where it never fires.
    """
    figure = canvas("Where the rule first fires", look, "linear", "", ())
    for i, (_, now, tried) in enumerate(rows):
        if now is not None and tried is not None:
            line = {"color": look.palette.muted, "width": 1}
            figure.shape(type="line", x0=100 * now, x1=100 * tried, y0=i, y1=i, line=line)
    sides = ((1, "in effect", "circle-open", look.palette.critical), (2, "as tried", "diamond", look.palette.good))
    for side, name, symbol, colour in sides:
        places = [(i, row[0], 100 * at) for i, row in enumerate(rows) if isinstance(at := row[side], float)]
        figure.scatter(
            x=[x for _, _, x in places], y=[i for i, _, _ in places], mode="markers", name=name,
            text=[run for _, run, _ in places], hovertemplate="%{text}: %{x:.0f}% of the run",
            marker={"size": 11, "symbol": symbol, "color": colour, "line": {"width": 2, "color": colour}},
        )  # fmt: skip
    names = [run if len(run) <= NAME else f"{run[: NAME - 1]}…" for run, _, _ in rows]
    ticks = {"tickvals": list(range(len(rows))), "ticktext": names, "range": [len(rows) - 0.4, -0.6]}
    figure.update(
        height=110 + ROW * len(rows), hovermode="closest", yaxis={**ticks, "automargin": True},
        xaxis={"range": [-2, 102], "title": {"text": "share of the run, %"}},
    )  # fmt: skip
    return figure


def _scale(curves: Curves) -> str:
    values = np.concatenate([rows[:, 1][np.isfinite(rows[:, 1])] for _, rows in curves])
    low, high = float(values.min()), float(values.max())
    return "log" if low > 0 and high / low > 200 else "linear"


def _side(finding: Finding, curves: Curves) -> str:
    """Place a label on the side with more room: to the left of a line in the right half."""
    last = max(float(rows[-1, 0]) for _, rows in curves)
    return "right" if finding.fired_step > last / 2 else "left"
