"""The large chart of a run's page with its controls: the judged losses and the goal, and what was found in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import streamlit as st
from markupsafe import Markup

from dashboard import address, data, live, plot, readings, skill, viewer
from dashboard.charts import axes, loss, milestones
from dashboard.charts.axes import AXES, Look, XAxis
from dashboard.charts.curves import captions, forecast_caption, spliced, weight_of
from dashboard.charts.figure import Figure
from dashboard.charts.loss import Story
from dashboard.markup import pieces, run_page
from dashboard.markup.templates import joined
from dashboard.pages import widgets
from dashboard.plot import Zoom
from monitor.domain import Curve, RunInfo, RunSnapshot, SeriesInfo
from monitor.errors import MonitorError
from monitor.roles import Role

DEFAULT_SMOOTHING: Final = 0.6
"""Weight of the moving average; the raw curve stays visible under it."""
CHART: Final = "loss_chart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """How the reader looks at a run's charts, as the panels below the large chart need it."""

    x_axis: XAxis = "step"
    smoothing: float = DEFAULT_SMOOTHING
    span: tuple[float, float] | None = None
    ignoring: bool = False
    curves: tuple[Curve, ...] = ()


def show(seen: RunSnapshot, *, key: str = "chart") -> Looking:
    """Draw the large chart under its controls, with an honest caption; where nothing is judged, only the controls.

    Args:
        seen: the run; one without any series has no controls either.
    """
    with st.container(key=key):
        if not seen.series:
            live.html(run_page.no_curves(seen), key="no-curves")
            return Looking()
        with st.container(key="chart_controls"):
            smoothing, scale, x_axis, y_axis, ahead, ignoring = _controls(seen)
        scale = "linear" if y_axis == "skill" else scale
        zoom = plot.zoom(CHART, f"{seen.info.id} {x_axis} {scale} {y_axis}", st.query_params.get("zoom", ""))
        address.write("zoom", zoom.written)
        looking = Looking(x_axis=x_axis, smoothing=smoothing, span=zoom.span, ignoring=ignoring)
        if not seen.main():
            live.html(run_page.no_curves(seen), key="no-curves")
            return looking
        curves = _draw(seen, looking, scale, y_axis, zoom, ahead=ahead)
    said = joined([run_page.course(seen), run_page.remedies(seen), run_page.examples(seen)])
    if said:
        with st.container(key="chart_said"):  # on a phone it comes after the numbers
            live.html(said, key="said")
    return replace(looking, curves=curves)


def _draw(
    seen: RunSnapshot, looking: Looking, scale: str, y_axis: str, zoom: Zoom, *, ahead: bool
) -> tuple[Curve, ...]:
    """The chart and what it says; its curves, which say the unit of relative times."""
    look = viewer.look(looking.x_axis, scale, revision=zoom.revision, quantity=y_axis, unit=seen.progress.unit)
    made_of = (seen, looking.x_axis, looking.smoothing, looking.span, looking.ignoring, scale, y_axis, ahead,
               zoom.revision, zoom.asked, look.palette, look.offset_ms)  # fmt: skip
    try:
        figure, said, curves = readings.once(
            CHART, made_of, lambda: _drawn(seen, looking, scale, look, zoom, ahead=ahead)
        )
    except MonitorError as error:
        live.html(pieces.problem(error, testid="unreachable"), key="no-curve")
        return ()
    plot.plot(figure, key=CHART, alt=run_page.describe(seen))
    live.html(said, key="caption")
    return curves


def _drawn(
    seen: RunSnapshot, looking: Looking, scale: str, look: Look, zoom: Zoom, *, ahead: bool
) -> tuple[Figure, Markup, tuple[Curve, ...]]:
    """The figure, what stands below it, and the curves as they were read."""
    x_axis, as_skill = looking.x_axis, look.quantity == "skill"
    curves = _curves(seen, x_axis, looking.smoothing)
    rate = curves.pop(Role.LR, None)
    drawn, notes = _in_detail(seen, curves, look, looking.smoothing, zoom)
    story = _story(seen, x_axis, ahead=ahead, drops=() if rate is None else milestones.rate_drops(rate))
    aim = drawn.pop(Role.GOAL, None)
    goal = None if aim is None else (seen.main()[Role.GOAL].key, aim)
    if as_skill:
        drawn = {role: skill.of_curve(curve, seen.info) for role, curve in drawn.items()}
        story = skill.of_story(story, seen.info)
    losses = list(drawn.values())
    figure = loss.loss_figure(drawn.get(Role.TRAIN), drawn.get(Role.VAL), story, look, goal)
    if as_skill:
        notes = (*notes, *skill.limit(figure, losses))
    figure.update(meta={"window": zoom.asked, "ignoring": looking.ignoring})
    said = captions([(_NAMES[role], c) for role, c in drawn.items()], axes.resolve_scale(losses, scale))
    said = (*said, *(captions([goal], "linear") if goal else ()), *notes)
    said = (*said, *forecast_caption(story.recommendation, look.unit))
    return figure, run_page.caption(losses, story.references, seen, said), tuple(curves.values())


_NAMES: Final = {Role.TRAIN: "train", Role.VAL: "validation", Role.GOAL: "goal"}


def _curves(seen: RunSnapshot, x_axis: XAxis, smoothing: float) -> dict[Role, Curve]:
    """The judged losses and the learning rate, each reduced to the chart's pixels, in one request."""
    rate = seen.judged(Role.LR)
    wanted = seen.main() | ({Role.LR: rate} if rate is not None else {})
    return _read(seen.info, wanted, x_axis, smoothing)


def _read(
    info: RunInfo,
    series: Mapping[Role, SeriesInfo],
    x_axis: XAxis,
    smoothing: float,
    lo: float | None = None,
    hi: float | None = None,
) -> dict[Role, Curve]:
    wanted = [
        (info, s.key, weight_of(smoothing, s.count) if role is Role.TRAIN else 0.0)  # others are read point by point
        for role, s in series.items()
    ]
    return dict(zip(series, data.curves(wanted, x=x_axis, width=data.CURVE_WIDTH, lo=lo, hi=hi), strict=True))


def _in_detail(
    seen: RunSnapshot, curves: dict[Role, Curve], look: Look, smoothing: float, zoom: Zoom
) -> tuple[dict[Role, Curve], tuple[str, ...]]:
    """The curves with the window that the reader zoomed to read anew, and what to say of it."""
    if zoom.span is None:
        return curves, ()
    whole = list(curves.values())
    lo, hi = (axes.curve_x(x, look, whole) for x in zoom.span)
    reduced = {role: s for role, s in seen.main().items() if curves[role].shown < curves[role].total}
    detailed = _read(seen.info, reduced, look.x_axis, smoothing, lo, hi)
    drawn = curves | {role: spliced(curves[role], detail, lo, hi) for role, detail in detailed.items()}
    notes = [f"{_NAMES[role]} in view: {d.shown:,} of {d.total:,} points" for role, d in detailed.items()]
    return drawn, tuple(notes)


def _controls(seen: RunSnapshot) -> tuple[float, str, XAxis, str, bool, bool]:
    """Smoothing, scale, both axes and whether outliers are ignored, each kept in the URL, and the forecast.

    Skill is offered where the run's loss has one, the forecast where there is one, and drawn unasked while a run lives.
    """
    scored, live_run, unit = skill.comparable(seen.info), seen.info.status.live, seen.progress.unit
    ahead = False
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        smoothing = st.slider(
            "Smoothing", 0.0, 0.99, DEFAULT_SMOOTHING, 0.01, key="smooth", bind="query-params", width=220
        )
        scale = widgets.one_of("Loss axis", ("auto", "linear", "log"), "scale")
        y_axis = "loss"
        if scored:
            y_axis = widgets.one_of("Show as", ("loss", "skill"), "y", help=skill.MEANING)
        known = [axis for axis in AXES if axis != unit or axis == "step"]
        x_axis = widgets.one_of("Across", known, "x", shown=(_ACROSS | {"step": unit}).__getitem__)
        if seen.info.recommendation.forecast and x_axis == "step" and y_axis == "loss":
            ahead = st.toggle("Forecast", value=live_run, key="forecast", bind="query-params", help=_FORECAST)
        ignoring = st.toggle("Ignore outliers", key="outliers", bind="query-params", help=_OUTLIERS)
    return float(smoothing), scale, x_axis, y_axis, ahead, ignoring


_FORECAST: Final = (
    "Where the validation loss is expected to go if the run went on for half as long again, with a 90% interval."
)


_OUTLIERS: Final = (
    "The loss axis leaves out the highest and the lowest 2% of what is in view, and says how many values."
)


_ACROSS: Final[dict[XAxis, str]] = {"step": "step", "epoch": "epoch", "relative": "elapsed", "wall_time": "clock"}


def _story(seen: RunSnapshot, x_axis: XAxis, *, ahead: bool, drops: tuple[tuple[float, float, float], ...]) -> Story:
    info = seen.info
    told = info.recommendation
    told = replace(told, forecast=told.forecast if ahead else None, pending=run_page.to_come(info))
    story = Story(
        findings=seen.findings,
        recommendation=told,
        checkpoints=seen.checkpoints,
        references=run_page.references(info),
        verdict=info.verdict,
        regimes=seen.regimes,
        drops=drops,
        attempts=data.attempts(info, seen.main()) if info.attempt > 1 else (),
    )
    if x_axis == "step":
        return story
    keys = [s.key for s in seen.main().values()]
    return replace(story, positions=data.positions(info, keys, story.steps(), x=x_axis))
