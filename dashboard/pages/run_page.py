"""One run: what is advised, the curves with what the rules found, and everything that is known of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import streamlit as st
from markupsafe import Markup

from dashboard import data, live, plot, skill, viewer
from dashboard.charts import axes, loss, overlay
from dashboard.charts.axes import AXES, Look, XAxis
from dashboard.charts.captions import captions, forecast_caption
from dashboard.charts.curves import spliced, weight_of
from dashboard.charts.loss import Story
from dashboard.data import Reading
from dashboard.markup import pieces, run_page
from dashboard.markup.pieces import notice
from dashboard.pages import parts_tab
from dashboard.plot import Zoom
from dashboard.viewer import zone
from monitor.domain import Access, Curve, RunInfo, RunSnapshot, SeriesInfo
from monitor.domain.formats import clock, step
from monitor.errors import MonitorError, RunNotFound
from monitor.roles import Role

LIVE_REFRESH_S: Final = 1.0
QUIET_REFRESH_S: Final = 5.0
DEFAULT_SMOOTHING: Final = 0.6
"""Weight of the moving average; the raw curve stays visible under it."""
_SMALL_LIMIT: Final = 12
_MORE: Final = "More series"
_TABS: Final = ("Findings", _MORE, "Config", "Environment", "Tags", "Series", "Checkpoints", "Events", "Output")
"""Tabs of every run; one whose loss has parts has `_PARTS` as its second."""
_PARTS: Final = "Parts"
_OUTPUT_LIMIT: Final = 500
"""Pieces of the output that are shown, the last ones."""


_BACK: Final = pieces.link(".", (), "← All runs")


def page() -> None:
    """Draw the run that `?id=` names; all of it refreshes by itself."""
    ref = st.query_params.get("id", "")
    if not ref:
        live.html(notice("info", "No run is named.", "Pick one from the list.") + _BACK, key="nothing")
        return
    known: Reading[RunSnapshot] | None = st.session_state.get("_kept", {}).get(f"run {ref}")
    alive = known is None or known.value is None or known.value.info.status.live
    st.session_state["_alive"] = alive
    st.fragment(_run, run_every=LIVE_REFRESH_S if alive else QUIET_REFRESH_S)(ref)


def _run(ref: str) -> None:
    """Everything on the page."""
    try:
        reading = data.keep(f"run {ref}", lambda: data.snapshot(ref))
    except RunNotFound as error:
        gone = notice("warning", "This run is not here.", str(error), testid="missing")
        live.html(gone + _BACK, key="missing")
        return
    seen: RunSnapshot | None = reading.value
    if reading.error is not None:
        title, body = data.explain(reading.error)
        since = f" What is shown was read at {clock(reading.read_ms, zone())}." if seen else ""
        live.html(notice("warning", title, body + since, testid="unreachable"), key="unreachable")
    if seen is None:
        if reading.error is None:
            st.skeleton(height=400)
        return
    if seen.info.status.live != st.session_state.get("_alive"):
        st.rerun()
    viewer.title(seen.info.name)
    taken, problem = _ask_to_stop(seen.info)
    if taken:
        seen = data.keep(f"run {ref}", lambda: data.snapshot(ref)).value or seen
    _header(seen, problem, stale=reading.error is not None)
    _chart(seen)
    _tabs(seen)


def _header(seen: RunSnapshot, problem: str, *, stale: bool) -> None:
    left, right = st.columns([6, 2], vertical_alignment="top")
    with left:
        live.html(run_page.header(seen, data.now_ms(), zone(), stale=stale), key="header")
    with right:
        if data.may(Access.EDITOR):
            live.html(run_page.stop_control(seen.info, problem), key=_stop_key(seen.info))
    live.html(run_page.advice(seen), key="banner")


def _stop_key(run: RunInfo) -> str:
    return f"stop {run.id}"


def _ask_to_stop(run: RunInfo) -> tuple[bool, str]:
    """Ask the loop to stop where the reader wants it: whether the server has taken it, and else what it said."""
    wanted = live.heard(_stop_key(run))
    if wanted is None:
        return False, ""
    try:
        data.api().view(run).request_stop(wanted.arg.strip()[:100] or "dashboard")
    except MonitorError as error:
        return False, " ".join(data.explain(error))
    return True, ""


def _chart(seen: RunSnapshot) -> None:
    """The large chart under its controls, with an honest caption."""
    if not seen.main():
        live.html(run_page.no_curves(seen), key="no-curves")
        return
    with st.container(key="chart"):
        _curves_and_marks(seen)


def _curves_and_marks(seen: RunSnapshot) -> None:
    with st.container(key="chart_controls"):
        smoothing, scale, x_axis, y_axis, ahead, ignoring = _controls(seen)
    scale = "linear" if y_axis == "skill" else scale
    zoom = plot.zoom(_CHART, f"{seen.info.id} {x_axis} {scale} {y_axis}", st.query_params.get("zoom", ""))
    _write(zoom)
    look = viewer.look(x_axis, scale, revision=zoom.revision, quantity=y_axis)
    try:
        curves = _curves(seen, x_axis, smoothing)
        drawn, notes = _in_detail(seen, curves, look, smoothing, zoom)
        story = _story(seen, x_axis, ahead=ahead)
    except MonitorError as error:
        live.html(notice("warning", *data.explain(error), testid="unreachable"), key="no-curve")
        return
    aim = drawn.pop(Role.GOAL, None)
    goal = None if aim is None else (seen.main()[Role.GOAL].key, aim)
    if y_axis == "skill":
        drawn = {role: skill.of_curve(curve, seen.info) for role, curve in drawn.items()}
        story = skill.of_story(story, seen.info)
    losses = list(drawn.values())
    figure = loss.loss_figure(drawn.get(Role.TRAIN), drawn.get(Role.VAL), story, look, goal)
    if y_axis == "skill":
        notes = (*notes, *skill.limit(figure, losses))
    figure.update(meta={"window": zoom.asked, "ignoring": ignoring})
    plot.plot(figure, key=_CHART, alt=run_page.describe(seen))
    said = captions([(_NAMES[role], c) for role, c in drawn.items()], axes.resolve_scale(losses, scale))
    said = (*said, *(captions([goal], "linear") if goal else ()), *notes, *forecast_caption(story.recommendation))
    live.html(run_page.caption(losses, story.references, seen, said), key="caption")
    live.html(run_page.course(seen), key="course")


_CHART: Final = "loss_chart"
_NAMES: Final = {Role.TRAIN: "train", Role.VAL: "validation", Role.GOAL: "goal"}


def _curves(seen: RunSnapshot, x_axis: XAxis, smoothing: float) -> dict[Role, Curve]:
    """The judged losses, each reduced to the chart's pixels, in one request."""
    return _read(seen.info, seen.main(), x_axis, smoothing)


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


def _write(zoom: Zoom) -> None:
    """Keep the reader's zoom in the address."""
    if zoom.written:
        if st.query_params.get("zoom") != zoom.written:
            st.query_params["zoom"] = zoom.written
    elif "zoom" in st.query_params:
        del st.query_params["zoom"]


def _controls(seen: RunSnapshot) -> tuple[float, str, XAxis, str, bool, bool]:
    """Smoothing, scale, both axes and whether outliers are ignored, each kept in the URL, and the forecast.

    Skill is offered where the run's loss has one, the forecast where there is one, and drawn unasked while a run lives.
    """
    scored, live_run = skill.comparable(seen.info), seen.info.status.live
    ahead = False
    with st.container(horizontal=True, vertical_alignment="top", gap="medium"):
        smoothing = st.slider(
            "Smooth the training loss", 0.0, 0.99, DEFAULT_SMOOTHING, 0.01, key="smooth", bind="query-params", width=220
        )
        scale = st.segmented_control(
            "Loss axis", ("auto", "linear", "log"), default="auto", required=True, key="scale", bind="query-params"
        )
        y_axis = "loss"
        if scored:
            y_axis = st.segmented_control(
                "Show as", ("loss", "skill"), default="loss", required=True, key="y", bind="query-params",
                help=skill.MEANING,
            )  # fmt: skip
        x_axis = st.segmented_control(
            "Across", AXES, default="step", required=True, format_func=_ACROSS.__getitem__, key="x",
            bind="query-params",
        )  # fmt: skip
        if seen.info.recommendation.forecast and x_axis == "step" and y_axis == "loss":
            ahead = st.toggle("Forecast", value=live_run, key=f"forecast {live_run}", help=_FORECAST)
        ignoring = st.toggle("Ignore outliers", key="outliers", bind="query-params", help=_OUTLIERS)
    return float(smoothing), scale, x_axis, y_axis, ahead, ignoring


_FORECAST: Final = (
    "Where the validation loss is expected to go if the run went on for half as long again, with a 90 % interval."
)


_OUTLIERS: Final = (
    "The loss axis leaves out the highest and the lowest 2 % of what is in view, and says how many values."
)


_ACROSS: Final[dict[XAxis, str]] = {"step": "step", "epoch": "epoch", "relative": "elapsed", "wall_time": "clock"}


def _story(seen: RunSnapshot, x_axis: XAxis, *, ahead: bool) -> Story:
    info = seen.info
    told = info.recommendation
    told = replace(told, forecast=told.forecast if ahead else None, pending=run_page.to_come(info))
    story = Story(
        findings=seen.findings,
        recommendation=told,
        checkpoints=seen.checkpoints,
        references=run_page.references(info),
        verdict=info.verdict,
    )
    if x_axis == "step":
        return story
    keys = [s.key for s in seen.main().values()]
    return replace(story, positions=data.positions(info, keys, story.steps(), x=x_axis))


def _tabs(seen: RunSnapshot) -> None:
    """The rest, read when its tab is open."""
    bodies: dict[str, Callable[[RunSnapshot], None]] = {
        "Findings": lambda s: _show(run_page.findings(s), "findings"),
        _PARTS: parts_tab.show,
        _MORE: _more_series,
        "Config": lambda s: _show(run_page.config(s.info), "config"),
        "Environment": _environment,
        "Tags": lambda s: _show(run_page.tags(s.info), "tags"),
        "Series": lambda s: _show(run_page.series(s), "series"),
        "Checkpoints": lambda s: _show(run_page.checkpoints(s, data.now_ms()), "checkpoints"),
        "Events": _events,
        "Output": _output,
    }
    tabs = (_TABS[0], _PARTS, *_TABS[1:]) if seen.of_role(Role.PART) else _TABS
    first = _MORE if seen.series and not seen.main() else _TABS[0]
    chosen = st.segmented_control(
        "Details", tabs, default=first, required=True, key="tab", bind="query-params", label_visibility="collapsed"
    )
    bodies[chosen or first](seen)


def _show(body: Markup, key: str) -> None:
    live.html(body, key=key)


def _more_series(seen: RunSnapshot) -> None:
    """Small charts of every other series: gradient norm, learning rate, parts, unmapped, the machine."""
    others = run_page.by_interest(seen.others())
    if not others:
        _show(pieces.quiet("Nothing but the losses was logged."), "no-series")
        return
    search = ""
    if len(others) > _SMALL_LIMIT:
        search = st.text_input(
            "Find series", key="series", bind="query-params", placeholder=f"Find one of {len(others)} series",
            label_visibility="collapsed", width=420,
        )  # fmt: skip
    found = run_page.matching(others, search or "")
    if not found:
        _show(pieces.quiet("No series has this in its name."), "no-series")
        return
    shown = found if st.session_state.get("all_series") else found[:_SMALL_LIMIT]
    chosen = st.session_state.get("x")
    x_axis: XAxis = chosen if chosen in AXES else "step"
    try:
        curves = data.curves([(seen.info, s.key, 0.0) for s in shown], x=x_axis, width=data.SMALL_WIDTH)
    except MonitorError as error:
        live.html(notice("warning", *data.explain(error)), key="no-small")
        return
    columns = st.columns(3)
    for i, (series, curve) in enumerate(zip(shown, curves, strict=True)):
        with columns[i % 3]:
            _small(seen.info, series, curve, x_axis)
    if len(found) > _SMALL_LIMIT:
        st.toggle(f"Show all {len(found)} series", key="all_series", bind="query-params")


def _small(info: RunInfo, series: SeriesInfo, curve: Curve, x_axis: XAxis) -> None:
    scale = "linear" if series.role in (Role.LR, Role.UNMAPPED, Role.SYSTEM) else "auto"
    look = viewer.look(x_axis, scale, revision=f"{info.id} {series.key} {x_axis}")
    note = " (unmapped)" if series.role is Role.UNMAPPED else ""
    figure = overlay.small_figure(curve, look, title=f"{series.key}{note}")
    plot.plot(figure, key=f"small {series.key}", alt=f"{series.key} up to step {step(series.last_step)}", bar=False)


def _environment(seen: RunSnapshot) -> None:
    try:
        events = data.events(seen.info)
    except MonitorError as error:
        live.html(notice("warning", *data.explain(error)), key="no-environment")
        return
    _show(run_page.environment(events), "environment")


def _output(seen: RunSnapshot) -> None:
    search = st.text_input(
        "Find in the output", key="output", bind="query-params", placeholder="Find in the output",
        label_visibility="collapsed", width=420,
    )  # fmt: skip
    try:
        found = data.output(seen.info, search or "", _OUTPUT_LIMIT)
    except MonitorError as error:
        live.html(notice("warning", *data.explain(error)), key="no-output")
        return
    _show(run_page.output(found, search or "", zone(), _OUTPUT_LIMIT), "pieces")


def _events(seen: RunSnapshot) -> None:
    try:
        events = data.events(seen.info)
    except MonitorError as error:
        live.html(notice("warning", *data.explain(error)), key="no-events")
        return
    _show(run_page.events(seen, events, zone()), "events")


if __name__ == "__main__":
    page()
