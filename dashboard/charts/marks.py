"""Marks on a loss curve: findings, best step, stop, checkpoints and reference values.

Every function takes `place`, which maps a step to its x on the axis in use, or to None if it has none there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from dashboard import words
from dashboard.charts.axes import Look
from dashboard.charts.figure import Figure
from dashboard.theme import Palette, rgba
from monitor.domain import Checkpoint, Finding, FindingState, Pending, Recommendation, Severity, most_telling
from monitor.domain.formats import number, position, step

Place = Callable[[float | None], float | None]


class Span(NamedTuple):
    """The ends of the curves on the axis in use."""

    first: float
    last: float

    def share(self, x: float) -> float:
        """The relative position of an x: 0 at the start of the curves, 1 at their end."""
        return (x - self.first) / (self.last - self.first) if self.last > self.first else 0.0


SYMBOLS: Final = {Severity.CRITICAL: "▲", Severity.WARNING: "◆", Severity.INFO: "●"}
"""A symbol per severity, so that colour is not the only cue."""
MAX_DRAWN: Final = 5
"""Findings whose onset is drawn on the curve; all have a bar in the lanes below it, and a card."""
MAX_LANES: Final = 7
"""Rules that get a lane, one row for all findings of a rule."""


def colour_of(severity: Severity, colours: Palette) -> str:
    """The colour of a severity."""
    return {Severity.CRITICAL: colours.critical, Severity.WARNING: colours.warning}.get(severity, colours.info)


def on_curve(findings: Sequence[Finding], verdict: str) -> tuple[Finding, ...]:
    """Findings whose onset is drawn on the curve: the verdict's own, and firing ones above info."""
    firing = [f for f in most_telling(findings) if f.state is FindingState.FIRING]
    named = [f for f in firing if f.rule == verdict]
    others = [f for f in firing if f.severity is not Severity.INFO and f not in named]
    return tuple([*named, *others][:MAX_DRAWN])


def lanes(findings: Sequence[Finding], pending: Sequence[Pending] = ()) -> tuple[str, ...]:
    """The rules that get a lane, from top to bottom; none where there is no finding and none may come."""
    found = [f.rule for f in most_telling(findings)]
    return tuple(dict.fromkeys([*found, *(p.rule for p in pending)]))[:MAX_LANES]


def add_findings(figure: Figure, drawn: Sequence[Finding], place: Place, span: Span, colours: Palette) -> None:
    """A dashed line at each finding's onset with its name, a thin one where it fired; a band where it is critical.

    Args:
        drawn: findings of `on_curve`.
        span: of the curves; a finding that still fires ends with them.
    """
    for finding in drawn:
        onset, fired = place(finding.onset_step), place(finding.fired_step)
        if onset is None or fired is None:
            continue
        colour = colour_of(finding.severity, colours)
        if finding.severity is Severity.CRITICAL:
            _band(figure, onset, max(onset, span.last), finding, colour)
        figure.across(x=onset, color=colour, dash="dash", width=1.6)
        figure.across(x=fired, color=colour, dash="solid")
        _label(figure, onset, span, _text(finding), colour, colours)


def add_lanes(
    figure: Figure,
    findings: Sequence[Finding],
    place: Place,
    end: float,
    colours: Palette,
    pending: Sequence[Pending] = (),
) -> None:
    """Below the curve a bar for every finding, from its onset to its end, one row a rule; a tick where it fired.

    A pending finding is a dotted frame: it may still fire or go away.
    """
    rows = {rule: row for row, rule in enumerate(lanes(findings, pending))}
    for waiting in pending:
        onset = place(waiting.onset_step)
        if onset is not None and waiting.rule in rows:
            y, line = -rows[waiting.rule], {"width": 1, "dash": "dot", "color": colour_of(waiting.severity, colours)}
            figure.shape(type="rect", x0=onset, x1=max(onset, end), y0=y - 0.3, y1=y + 0.3, xref="x", yref="y3",
                         line=line, name="pending")  # fmt: skip
    for finding in findings:
        onset, fired = place(finding.onset_step), place(finding.fired_step)
        if finding.rule not in rows or onset is None or fired is None:
            continue
        resolved = place(finding.resolved_step)
        colour = colour_of(finding.severity, colours)
        over = finding.state is FindingState.RESOLVED
        y = -rows[finding.rule]
        bar = {"type": "rect", "x0": onset, "x1": max(fired, end if resolved is None else resolved)}
        tick = {"type": "line", "x0": fired, "x1": fired}
        for shape, look in (
            (bar, {"line": {"width": 0}, "fillcolor": rgba(colour, 0.35 if over else 0.85), "name": "lane"}),
            (tick, {"line": {"width": 1.5, "color": colours.text if not over else colour}}),
        ):
            figure.shape(**shape, **look, y0=y - 0.34, y1=y + 0.34, xref="x", yref="y3")


def add_forecast(figure: Figure, rec: Recommendation, place: Place, scale: str, colour: str) -> None:
    """The forecast of the judged loss: a dashed line, and the 90% interval as a wedge.

    The wedge does not stretch the loss axis, so that an uncertain forecast does not flatten the curve. On an axis that
    has no place for future steps, nothing is drawn.
    """
    told = rec.forecast
    if told is None:
        return
    level, expected, low, high = told.level, told.expected, told.low, told.high
    left, right = place(told.from_step), place(told.from_step + told.steps)
    if not all(map(math.isfinite, (level, expected, low, high))):
        return
    if left is None or right is None or (scale == "log" and min(level, expected) <= 0):
        return
    foot = max(low, min(level, expected) / 10) if scale == "log" else low
    figure.shape(
        type="path", path=f"M {left},{level} L {right},{high} L {right},{foot} Z", xref="x", yref="y",
        line={"width": 0}, fillcolor=rgba(colour, 0.14), layer="below", name="forecast interval",
    )  # fmt: skip
    figure.scatter(
        x=[left, right], y=[level, expected], mode="lines", name="forecast",
        line={"color": colour, "width": 1.6, "dash": "dash"}, hovertemplate="%{y:.5g}",
    )  # fmt: skip


def add_best(
    figure: Figure, rec: Recommendation, place: Place, span: Span, scale: str, look: Look, *, yaxis: str = "y"
) -> None:
    """A star at the best value, with its step; at the bottom of the frame if a log axis cannot show it."""
    x, loss, at, colours = place(rec.best_step), rec.best_val_loss, rec.best_step, look.palette
    if x is None or loss is None or at is None or not math.isfinite(loss):
        return
    off_axis = scale == "log" and loss <= 0
    figure.scatter(
        x=[x],
        y=[0.03 if off_axis else loss],
        yaxis="y2" if off_axis else yaxis,
        mode="markers",
        name="best step" if yaxis == "y" else "best goal",
        showlegend=yaxis == "y",
        marker={"symbol": "star", "size": 14, "color": colours.good}
        | {"line": {"width": 1.5, "color": colours.background}},
        hovertemplate="best<extra></extra>",
        cliponaxis=False,
    )
    figure.note(
        x=x,
        y=0.03 if off_axis else math.log10(loss) if scale == "log" else loss,
        yref="y2" if off_axis else yaxis,
        yanchor="bottom",
        xanchor="right" if span.share(x) > 0.85 else "left" if span.share(x) < 0.15 else "center",
        yshift=10,
        text=f"best {number(loss)} · {position(look.unit, at)}",
        font={"size": 12, "color": colours.good},
        bgcolor=rgba(colours.background, 0.85),
    )


def add_stop(figure: Figure, rec: Recommendation, place: Place, span: Span, colours: Palette) -> None:
    """A line where a stop was first advised, labelled if the advice was withdrawn later."""
    x = place(rec.first_stop_step)
    if x is None:
        return
    withdrawn = ", withdrawn" if rec.stop_step is None else ""
    figure.across(x=x, color=colours.text, dash="dot", width=1.4)
    text = f"■ stop advised · {step(rec.first_stop_step)}{withdrawn}"
    _label(figure, x, span, text, colours.text, colours)


def add_checkpoints(figure: Figure, checkpoints: Sequence[Checkpoint], place: Place, look: Look) -> None:
    """A tick at the bottom of the frame for every checkpoint, with its path as hover text."""
    placed = [(x, c) for c in checkpoints if (x := place(float(c.step))) is not None]
    marker = {"symbol": "line-ns", "size": 12, "line": {"width": 1.6, "color": look.palette.muted}}
    said = [f"{position(look.unit, c.step)} · {c.path}" for _, c in placed]
    hover = "checkpoint, %{customdata}<extra></extra>"
    xs = [x for x, _ in placed]
    figure.edge(xs, 0.0, "checkpoint", marker, customdata=said, hovertemplate=hover, cliponaxis=False)


def add_references(figure: Figure, references: Mapping[str, float], scale: str, colours: Palette) -> None:
    """A dotted horizontal line for each reference value, such as the loss of a model that knows nothing.

    Args:
        references: values within the range of the curves, since a line beyond would stretch the axis.
        scale: "linear" or "log".
    """
    for name, value in references.items():
        figure.across(y=value, color=colours.muted, dash="dot", name=f"reference {name}")
        figure.note(
            x=1,
            y=math.log10(value) if scale == "log" else value,
            xref="x domain",
            yref="y",
            xanchor="right",
            yanchor="bottom",
            text=f"{name} {number(value)}",
            font={"size": 12, "color": colours.muted},
            bgcolor=rgba(colours.background, 0.7),
        )


def _text(finding: Finding) -> str:
    text = f"{SYMBOLS[finding.severity]} {words.label(finding.rule)} · {step(finding.onset_step)}"
    if finding.fired_step != finding.onset_step:
        text += f" → {step(finding.fired_step)}"
    return text


def _band(figure: Figure, left: float, right: float, finding: Finding, colour: str) -> None:
    figure.shape(
        type="rect",
        x0=left,
        x1=right,
        y0=0,
        y1=1,
        xref="x",
        yref="y domain",
        line={"width": 0},
        fillcolor=rgba(colour, 0.08),
        layer="below",
        name=f"band {finding.number}",
    )


def _label(figure: Figure, x: float, span: Span, text: str, colour: str, colours: Palette) -> None:
    """A name at the head of a line, on the side where there is room; `labels.js` keeps labels apart."""
    right = span.share(x) > 0.5
    figure.note(
        x=x,
        y=1,
        xref="x",
        yref="y domain",
        yanchor="top",
        xanchor="right" if right else "left",
        xshift=-4 if right else 4,
        text=text,
        font={"size": 12, "color": colour},
        bgcolor=rgba(colours.background, 0.85),
    )
