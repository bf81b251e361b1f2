"""The main chart of a run: its losses with the findings, and the goal below on its own axis.

A figure never hides anything silently: gaps stay gaps, a NaN is marked where it was logged, values that a log axis
cannot show are counted, and a downsampled curve says how many of how many points it shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard import words
from dashboard.charts import milestones
from dashboard.charts.axes import HEIGHT, Look, canvas, finite, panel_axis, place_x, resolve_scale
from dashboard.charts.curves import add_curve, add_non_finite
from dashboard.charts.figure import Figure
from dashboard.charts.marks import (
    Place,
    Span,
    add_best,
    add_checkpoints,
    add_findings,
    add_forecast,
    add_lanes,
    add_references,
    add_stop,
    lanes,
    on_curve,
)  # fmt: skip
from dashboard.theme import Palette
from monitor.domain import Checkpoint, Curve, Finding, Recommendation, Regime

LANE: Final = 17
"""Height of a row of findings, pixels."""
GOAL: Final = 150
"""Height of the goal's panel below the losses, pixels."""
_GAP: Final = 14
"""Between two panels, pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything that is drawn on top of the curves.

    Attributes:
        positions: x of every step that a mark may need, where the x axis is not steps; a step that is missing here is
            not drawn. None: the x axis is steps.
        references: horizontal lines by their labels, such as the chance level.
        verdict: of the run; the onset of its finding is always drawn.
        regimes: the regimes of the curve, in order.
        drops: of the learning rate, as `milestones.rate_drops` gives them.
        attempts: number and first step of each attempt after the first.
    """

    findings: Sequence[Finding] = ()
    recommendation: Recommendation = field(default_factory=Recommendation)
    checkpoints: Sequence[Checkpoint] = ()
    positions: Mapping[float, float] | None = None
    references: Mapping[str, float] = field(default_factory=dict)
    verdict: str = ""
    regimes: Sequence[Regime] = ()
    drops: Sequence[tuple[float, float, float]] = ()
    attempts: Sequence[tuple[int, int]] = ()

    def steps(self) -> tuple[float, ...]:
        """All steps that marks need, sorted and distinct."""
        rec = self.recommendation
        found = {rec.best_step, rec.best_goal_step, rec.first_stop_step, rec.stop_step}
        for f in self.findings:
            found |= {f.onset_step, f.fired_step, f.resolved_step}
        found |= {p.onset_step for p in rec.pending}
        found |= {float(c.step) for c in self.checkpoints} | {float(at) for _, at in self.attempts}
        found |= {end for r in milestones.told(self.regimes) for end in (r.begin, r.end)}
        return tuple(sorted(s for s in found if s is not None and math.isfinite(s)))


def loss_figure(
    train: Curve | None, val: Curve | None, story: Story, look: Look, goal: tuple[str, Curve] | None = None
) -> Figure:
    """Train and validation loss with what the rules found, and the goal.

    Args:
        train: the training curve, None where none was logged.
        val: the validation curve, None where none was logged.
        goal: the goal's name and curve; it has the chart to itself where there is no loss.
    """
    colours = look.palette
    losses = [c for c in (train, val) if c is not None]
    curves = [*losses, *([goal[1]] if goal else [])]
    main = losses or curves
    scale = resolve_scale(main, look.scale if losses or look.scale != "auto" else "linear")
    drawn = " and ".join(name for name, curve in (("training", train), ("validation", val)) if curve is not None)
    figure = _frame(look, scale, main, goal[0] if goal and not losses else "", drawn)
    for curve, name, colour in ((train, "train", colours.train), (val, "validation", colours.val)):
        if curve is not None:
            add_curve(figure, curve, name, colour, look, scale, peers=curves)
    add_non_finite(figure, main, look)
    place = _placer(story, look, curves)
    xs = [c.x for c in curves if np.isfinite(c.x).any()]
    span = Span(*(place_x(float(x), look, curves) for x in _ends(xs)))
    add_findings(figure, on_curve(story.findings, story.verdict), place, span, colours)
    add_stop(figure, story.recommendation, place, span, colours)
    if losses:
        add_best(figure, story.recommendation, place, span, scale, look)
    if goal is not None:
        _goal(figure, goal, curves, story, place, span, look, "y4" if losses else "y", scale)
    add_checkpoints(figure, story.checkpoints, place, look)
    milestones.add_drops(figure, [(place_x(x, look, curves), old, new) for x, old, new in story.drops], colours)
    milestones.add_attempts(figure, story.attempts, place, look)
    judged = colours.train if val is None else colours.val
    add_forecast(figure, story.recommendation, place, scale, judged)
    add_references(figure, within(story.references, losses), scale, colours)
    _end_axis(figure, curves, look)
    rules = lanes(story.findings, story.recommendation.pending)
    regimes = milestones.told(story.regimes) if losses else ()
    rows = (*rules, milestones.COURSE) if regimes else rules
    _open_panels(figure, rows, goal[0] if goal and losses else "", colours)
    add_lanes(figure, story.findings, place, span.last, colours, story.recommendation.pending)
    milestones.add_course(figure, regimes, place, len(rules), colours)
    return figure


def _frame(look: Look, scale: str, main: Sequence[Curve], alone: str, drawn: str) -> Figure:
    """An empty chart, titled by what will be drawn on it."""
    if alone:
        return canvas(alone, look, scale, "", main)
    return canvas(f"{drawn.capitalize()} {look.quantity}", look, scale, look.quantity, main)


def _goal(
    figure: Figure,
    goal: tuple[str, Curve],
    curves: Sequence[Curve],
    story: Story,
    place: Place,
    span: Span,
    look: Look,
    yaxis: str,
    scale: str,
) -> None:
    """The goal's curve, its best value marked, on the axis that it has."""
    name, curve = goal
    scale = scale if yaxis == "y" else "linear"
    add_curve(figure, curve, name, look.palette.lines[2], look, scale, peers=curves, yaxis=yaxis)
    rec = story.recommendation
    best = replace(rec, best_step=rec.best_goal_step, best_val_loss=rec.best_goal)
    add_best(figure, best, place, span, scale, look, yaxis=yaxis)


def _ends(xs: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """The smallest and the largest x of the curves, 0 where there is none."""
    known = [x[np.isfinite(x)] for x in xs]
    return (min(float(x.min()) for x in known), max(float(x.max()) for x in known)) if known else (0.0, 0.0)


def within(references: Mapping[str, float], curves: Sequence[Curve]) -> dict[str, float]:
    """The reference values within the range of the curves; others would stretch the axis."""
    values = finite(curves)
    if not len(values):
        return {}
    return {name: value for name, value in references.items() if values.min() <= value <= values.max()}


def _end_axis(figure: Figure, curves: Sequence[Curve], look: Look) -> None:
    """End the x axis where the curves end, or the forecast: labels would stretch it on a narrow screen."""
    known = np.concatenate([c.x[np.isfinite(c.x)] for c in curves] or [np.empty(0)])
    xs = [place_x(float(x), look, curves) for x in (known.min(), known.max())] if len(known) else []
    until = [
        x for trace in figure.traces if trace["name"] == "forecast" and isinstance(trace["x"], list) for x in trace["x"]
    ]
    if xs and max(xs) > min(xs):
        first, last = min(xs), max([*xs, *until])
        room = 0.03 * (last - first)
        figure.update(xaxis={"autorangeoptions": {"clipmin": first - room, "clipmax": last + room}})


def _open_panels(figure: Figure, rules: Sequence[str], goal: str, colours: Palette) -> None:
    """Make room below the losses for the goal, if there is one, and below that for one lane per rule."""
    if not rules and not goal:
        return
    lanes_, panel = LANE * len(rules), (GOAL if goal else 0)
    height = HEIGHT + lanes_ + panel
    inner = height - 90  # without the margins
    foot = (lanes_ + (_GAP if rules else 0)) / inner
    top = foot + (panel / inner if goal else 0)
    figure.update(
        height=height,
        yaxis={"domain": [top + (2 * _GAP / inner if goal else 0), 1]},
        xaxis={"anchor": "free", "position": 0},
    )
    if goal:
        axis = panel_axis(goal if len(goal) <= _TITLE else goal[: _TITLE - 1] + "…", colours)
        figure.update(yaxis4=axis | {"domain": [foot, top], "nticks": 5, "tickformat": "~g"})
    if rules:
        _open_lanes(figure, rules, lanes_ / inner, colours)


_TITLE: Final = 18
"""Characters of the goal's name that fit next to its axis."""


def _open_lanes(figure: Figure, rules: Sequence[str], foot: float, colours: Palette) -> None:
    figure.update(
        yaxis3={
            "domain": [0, foot],
            "range": [-len(rules) + 0.4, 0.6],
            "fixedrange": True,
            "tickvals": [-row for row in range(len(rules))],
            "ticktext": [words.label(rule) for rule in rules],
            "tickfont": {"size": 11, "color": colours.muted},
            "automargin": True,
            "showgrid": False,
            "zeroline": False,
        }
    )


def _placer(story: Story, look: Look, curves: Sequence[Curve]) -> Place:
    def place(step: float | None) -> float | None:
        if step is None or not math.isfinite(step):
            return None
        x = step if story.positions is None else story.positions.get(step)
        return None if x is None or not math.isfinite(x) else place_x(x, look, curves)

    return place
