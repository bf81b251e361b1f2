"""Figures: pure functions from curves and findings to Plotly.

A figure draws what the reader of the curve needs and admits what it leaves out: gaps stay gaps, a NaN is marked where
it was logged, values that a logarithmic axis cannot show are counted, and a reduced curve says how many of how many
points it shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard import words
from dashboard.axes import HEIGHT, Look, axis_values, canvas, place_x, resolve_scale
from dashboard.figure import Figure, Spec
from dashboard.marks import (
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
from dashboard.theme import Palette, rgba
from monitor.domain import Checkpoint, Curve, Finding, Recommendation

SPARSE: Final = 80
"""A curve of at most this many points shows each as a dot."""
SMOOTHED: Final = 1000
"""The weight of the moving average is that from one point to the next, or from one such share of a longer curve to the
next: an average over a few neighbours among a million points would not reach over one pixel."""
FEW: Final = 12
"""Runs that a legend above the chart has room for."""
DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
LANE: Final = 17
"""Height of a row of findings, pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What is drawn on top of the curves.

    Attributes:
        positions: x of every step that a mark may need, where the x axis is not steps; a step that is missing here is
            not drawn. None: the x axis is steps.
        references: horizontal lines by their labels, such as the chance level.
        verdict: of the run; the onset of its finding is always drawn.
    """

    findings: Sequence[Finding] = ()
    recommendation: Recommendation = field(default_factory=Recommendation)
    checkpoints: Sequence[Checkpoint] = ()
    positions: Mapping[float, float] | None = None
    references: Mapping[str, float] = field(default_factory=dict)
    verdict: str = ""

    def steps(self) -> tuple[float, ...]:
        """Every step a mark stands at, in order, each once."""
        rec = self.recommendation
        found = {rec.best_step, rec.first_stop_step, rec.stop_step}
        for f in self.findings:
            found |= {f.onset_step, f.fired_step, f.resolved_step}
        found |= {p.onset_step for p in rec.pending}
        found |= {float(c.step) for c in self.checkpoints}
        return tuple(sorted(s for s in found if s is not None and math.isfinite(s)))


def loss_figure(train: Curve | None, val: Curve | None, story: Story, look: Look) -> Figure:
    """Train and validation loss with what the rules found.

    Args:
        train: the training curve, None where none was logged.
        val: the validation curve, None where none was logged.
        story: the marks.
        look: axes, colours and zoom.
    """
    colours = look.palette
    curves = [c for c in (train, val) if c is not None]
    scale = resolve_scale(curves, look.scale)
    figure = canvas(f"Train and validation {look.quantity}", look, scale, look.quantity, curves)
    for curve, name, colour in ((train, "train", colours.train), (val, "validation", colours.val)):
        if curve is not None:
            _add_curve(figure, curve, name, colour, look, scale, peers=curves)
    add_non_finite(figure, curves, look)
    place = _placer(story, look, curves)
    xs = [c.x for c in curves if np.isfinite(c.x).any()]
    span = Span(*(place_x(float(x), look, curves) for x in _ends(xs)))
    add_references(figure, within(story.references, curves), scale, colours)
    labels = add_findings(figure, on_curve(story.findings, story.verdict), place, span, colours)
    add_stop(figure, story.recommendation, place, span, labels, colours)
    add_best(figure, story.recommendation, place, span, scale, colours)
    add_checkpoints(figure, story.checkpoints, place, colours)
    judged = colours.train if val is None else colours.val
    add_forecast(figure, story.recommendation, place, scale, judged)
    _end_axis(figure, curves, look)
    _open_lanes(figure, lanes(story.findings, story.recommendation.pending), colours)
    add_lanes(figure, story.findings, place, span.last, colours, story.recommendation.pending)
    return figure


def _ends(xs: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """The smallest and the largest x of the curves, 0 where there is none."""
    known = [x[np.isfinite(x)] for x in xs]
    return (min(float(x.min()) for x in known), max(float(x.max()) for x in known)) if known else (0.0, 0.0)


def within(references: Mapping[str, float], curves: Sequence[Curve]) -> dict[str, float]:
    """The reference values that lie between the curves' extremes; a line beyond them would stretch the axis."""
    values = np.concatenate([c.y[np.isfinite(c.y)] for c in curves]) if curves else np.empty(0)
    if not len(values):
        return {}
    return {name: value for name, value in references.items() if values.min() <= value <= values.max()}


def overlay_figure(
    curves: Sequence[tuple[str, Curve]], look: Look, *, title: str, places: Sequence[int] | None = None
) -> Figure:
    """One metric of several runs on the same axes.

    Args:
        curves: label and curve of each run.
        look: axes, colours and zoom.
        title: the metric's name.
        places: the place of each run among those that are compared, which says its line; None: as they come.
    """
    all_curves = [curve for _, curve in curves]
    scale = resolve_scale(all_curves, look.scale)
    figure = canvas(title, look, scale, title, all_curves)
    for i, (name, curve) in enumerate(curves):
        colour, dash = line_of(i if places is None else places[i], look.palette)
        _add_curve(figure, curve, middle_cut(name), colour, look, scale, dash=dash, peers=all_curves)
    add_non_finite(figure, all_curves, look)
    if len(curves) > FEW:
        _thin(figure)
        # The legend stands beside the chart, where Plotly lets it scroll; no box names all at once.
        figure.update(
            height=HEIGHT + 80,
            hovermode="closest",
            legend={"orientation": "v", "x": 1.01, "xanchor": "left", "y": 1, "yanchor": "top", "font": {"size": 11}},
        )
    return figure


def _thin(figure: Figure) -> None:
    """Many curves as thin lines: without dots, and without the raw one under each that is smoothed."""
    figure.traces = [trace for trace in figure.traces if trace.get("showlegend", True)]
    for trace in figure.traces:
        x, line = trace["x"], trace.get("line")
        if isinstance(x, np.ndarray) and len(x) > 1 and isinstance(line, dict):
            trace |= {"mode": "lines", "line": {**line, "width": 1.3}}


def line_of(place: int, palette: Palette) -> tuple[str, str]:
    """Colour and dash of a run among others: after eight runs the colours repeat with other dashes."""
    return palette.lines[place % len(palette.lines)], DASHES[place // len(palette.lines) % len(DASHES)]


def middle_cut(name: str, most: int = 36) -> str:
    """A name that is too long without its middle, since names differ at their ends.

    >>> middle_cut("resnet50-cosine-seed-1", 12)
    'resnet…eed-1'
    """
    return name if len(name) <= most else f"{name[: most // 2]}…{name[len(name) - (most - 1) // 2 :]}"


def together(curves: Sequence[Curve]) -> Curve:
    """Several curves as one, for what a caption says of all of them."""
    x, y = (np.concatenate([getattr(c, axis) for c in curves]) for axis in ("x", "y"))
    return replace(curves[0], x=x, y=y, shown=sum(c.shown for c in curves), total=sum(c.total for c in curves))


def small_figure(curve: Curve, look: Look, *, title: str) -> Figure:
    """One series in a small frame, for the grid of further series."""
    scale = resolve_scale([curve], look.scale)
    figure = canvas(title, look, scale, "", [curve])
    _add_curve(figure, curve, title, look.palette.info, look, scale)
    add_non_finite(figure, [curve], look)
    figure.update(
        height=210,
        showlegend=False,
        margin={"l": 48, "r": 8, "t": 30, "b": 42 if look.x_axis == "wall_time" else 28},
        hovermode="closest",
    )
    figure.update(xaxis={"title": None}, yaxis={"title": None, "nticks": 4})
    x, y = (axis[np.isfinite(axis)] for axis in (axis_values(curve.x, look, [curve]), curve.y))
    if len(x) and x.min() == x.max() and look.x_axis != "wall_time":
        figure.update(xaxis={"tickvals": [float(x[0])]})
    if len(y) and y.min() == y.max() and scale == "linear":
        figure.update(yaxis=_around(float(y[0])))
    return figure


def _around(value: float) -> Spec:
    """An axis with one tick, at the only value there is; Plotly's own would show 0.001 as 0."""
    room = abs(value) / 2 or 1.0
    return {"range": [value - room, value + room], "tickvals": [value], "ticktext": [words.number(value)]}


def captions(curves: Sequence[tuple[str, Curve]], scale: str) -> tuple[str, ...]:
    """What the figure leaves out, a phrase each: reduction, NaN, infinities, and values a log axis cannot show.

    Args:
        curves: name and curve.
        scale: "linear" or "log", as `resolve_scale` gives it.
    """
    said = []
    for name, curve in curves:
        if curve.shown < curve.total:
            said.append(f"{name}: {curve.shown:,} of {curve.total:,} points, every extreme kept")
        else:
            said.append(f"{name}: {words.count(curve.total, 'point')}")
        gaps, infinite = int(np.isnan(curve.y).sum()), int(np.isinf(curve.y).sum())
        if gaps:
            said.append(f"{name}: NaN at {words.count(gaps, 'place')} (marked ×)")
        if infinite:
            said.append(f"{name}: {words.count(infinite, 'infinite value')} (marked ▲▼ at the edge)")
        nowhere = int((~np.isfinite(curve.x)).sum())
        if nowhere:
            said.append(f"{name}: {words.count(nowhere, 'point')} without a place on this axis")
        below = int((curve.y[np.isfinite(curve.y)] <= 0).sum())
        if scale == "log" and below:
            said.append(f"{name}: {words.count(below, 'value')} ≤ 0 cannot be drawn on a log axis")
    return tuple(said)


def forecast_caption(rec: Recommendation) -> tuple[str, ...]:
    """The forecast in words, nothing where there is none.

    >>> told = Forecast(steps=45, from_step=90, level=1, expected=0.8, low=0.6, high=1, gain=0, gain_low=0, gain_high=0,
    ...     buckets_since_best=0)
    >>> forecast_caption(Recommendation(forecast=told))
    ('forecast: 0.8 at step 135, 90 % between 0.6 and 1',)
    """
    told = rec.forecast
    if told is None:
        return ()
    between = f"{words.number(told.low, 3)} and {words.number(told.high, 3)}"
    at = words.step(math.ceil(told.from_step + told.steps))
    return (f"forecast: {words.number(told.expected, 3)} at step {at}, 90 % between {between}",)


def weight_of(smoothing: float, count: int) -> float:
    """The weight from one point of a series to the next, for what the reader asked for.

    Args:
        smoothing: as asked for, in [0, 1).
        count: points of the series; one that is `SPARSE` is not smoothed.

    >>> weight_of(0.5, 60), weight_of(0.5, 900), round(weight_of(0.5, 1_000_000), 6)
    (0.0, 0.5, 0.999307)
    """
    if count <= SPARSE or not smoothing:
        return 0.0
    return float(smoothing ** min(1.0, SMOOTHED / count))


def spliced(overview: Curve, detail: Curve, lo: float, hi: float) -> Curve:
    """The whole curve, with a window of it in more detail; x must rise, as it does for a series.

    Args:
        overview: the whole curve, reduced.
        detail: the window's points, reduced less.
        lo: left end of the window on the curve's x.
        hi: right end of it.
    """
    left, right = overview.x < lo, overview.x > hi  # neither for a NaN

    def joined(outer: NDArray[np.float64], inner: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([outer[left], inner, outer[right]])

    both = overview.smoothed is not None and detail.smoothed is not None
    smoothed = joined(overview.smoothed, detail.smoothed) if both else None  # type: ignore[arg-type]  # `both` says so
    x = joined(overview.x, detail.x)
    return replace(overview, x=x, y=joined(overview.y, detail.y), shown=len(x), smoothed=smoothed)


def add_non_finite(figure: Figure, curves: Sequence[Curve], look: Look) -> None:
    """Mark NaN at the foot and infinities at the edges of the frame, whatever the axis shows."""
    kinds = (("NaN", np.isnan, 0.03, "x-thin"), ("+inf", np.isposinf, 0.97, "triangle-up"))
    for name, test, height, symbol in (*kinds, ("-inf", np.isneginf, 0.03, "triangle-down")):
        xs = np.concatenate([c.x[test(c.y) & np.isfinite(c.x)] for c in curves]) if curves else np.empty(0)
        if len(xs):
            figure.scatter(
                x=axis_values(xs, look, curves),
                y=[height] * len(xs),
                yaxis="y2",
                mode="markers",
                name=name,
                marker={"symbol": symbol, "size": 9, "color": look.palette.critical}
                | {"line": {"width": 2, "color": look.palette.critical}},
                hovertemplate=f"{name}<extra></extra>",
            )


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


def _open_lanes(figure: Figure, rules: Sequence[str], colours: Palette) -> None:
    """Make room below the curve for a row a rule."""
    if not rules:
        return
    height = HEIGHT + LANE * len(rules)
    inner = height - 90  # what the margins leave
    foot = LANE * len(rules) / inner
    figure.update(
        height=height,
        yaxis={"domain": [foot + 0.03, 1]},
        xaxis={"anchor": "free", "position": 0},
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
        },
    )


def _add_curve(
    figure: Figure,
    curve: Curve,
    name: str,
    colour: str,
    look: Look,
    scale: str,
    *,
    dash: str = "solid",
    peers: Sequence[Curve] = (),
) -> None:
    """The curve as a line; under a smoothed line the raw one is faint. `peers` share the axis and so its unit."""
    smooth = curve.smoothed
    raw_colour = rgba(colour, 0.3) if smooth is not None else colour
    sparse = int(np.isfinite(curve.y).sum()) <= SPARSE
    common = {"x": axis_values(curve.x, look, peers or [curve]), "legendgroup": name, "connectgaps": False}
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
    """The values with gaps where an axis cannot show them."""
    shown = np.isfinite(values) & ((values > 0) if scale == "log" else True)
    return np.where(shown, values, np.nan)


@dataclass(frozen=True, slots=True)
class _Placer:
    positions: Mapping[float, float] | None
    look: Look
    curves: Sequence[Curve]

    def __call__(self, step: float | None) -> float | None:
        if step is None or not math.isfinite(step):
            return None
        x = step if self.positions is None else self.positions.get(step)
        return None if x is None or not math.isfinite(x) else place_x(x, self.look, self.curves)


def _placer(story: Story, look: Look, curves: Sequence[Curve]) -> _Placer:
    return _Placer(story.positions, look, curves)
