"""One run: what is advised, the curves with what the rules found, and everything that is known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import streamlit as st

from dashboard import axes, charts, data, live, markup, parts_tab, plot, reader, sheet, skill, words
from dashboard.axes import AXES, Look, XAxis
from dashboard.charts import Story
from dashboard.data import Reading, Snapshot
from dashboard.reader import zone
from monitor.domain import Curve, RunInfo, SeriesInfo
from monitor.errors import MonitorError, RunNotFound
from monitor.roles import Role

LIVE_REFRESH_S: Final = 1.0
QUIET_REFRESH_S: Final = 5.0
DEFAULT_SMOOTHING: Final = 0.6
"""Weight of the moving average; the raw curve stays visible under it."""
_SMALL_LIMIT: Final = 12
_TABS: Final = ("Findings", "More series", "Config", "Tags", "Series", "Checkpoints", "Events")
"""Tabs of every run; one whose loss has parts has `_PARTS` as its second."""
_PARTS: Final = "Parts"


_BACK: Final = markup.link(".", (), "← All runs")


def page() -> None:
    """Draw the run that `?id=` names; all of it refreshes by itself."""
    ref = st.query_params.get("id", "")
    if not ref:
        live.html(markup.notice("info", "No run is named.", "Pick one from the list.") + _BACK, key="nothing")
        return
    known: Reading[Snapshot] | None = st.session_state.get("_kept", {}).get(f"run {ref}")
    alive = known is None or known.value is None or known.value.info.status.live
    st.session_state["_alive"] = alive
    st.fragment(_run, run_every=LIVE_REFRESH_S if alive else QUIET_REFRESH_S)(ref)


def _run(ref: str) -> None:
    """Everything on the page."""
    try:
        reading = data.keep(f"run {ref}", lambda: data.snapshot(ref))
    except RunNotFound as error:
        gone = markup.notice("warning", "This run is not here.", str(error), testid="missing")
        live.html(gone + _BACK, key="missing")
        return
    seen: Snapshot | None = reading.value
    if reading.error is not None:
        title, body = data.explain(reading.error)
        since = f" What is shown was read at {words.clock(reading.read_ms, zone())}." if seen else ""
        live.html(markup.notice("warning", title, body + since, testid="unreachable"), key="unreachable")
    if seen is None:
        if reading.error is None:
            st.skeleton(height=400)
        return
    if seen.info.status.live != st.session_state.get("_alive"):
        st.rerun()
    taken, problem = _ask_to_stop(seen.info)
    if taken:
        seen = data.keep(f"run {ref}", lambda: data.snapshot(ref)).value or seen
    _header(seen, problem, stale=reading.error is not None)
    _chart(seen)
    _tabs(seen)


def _header(seen: Snapshot, problem: str, *, stale: bool) -> None:
    left, right = st.columns([6, 2], vertical_alignment="top")
    with left:
        live.html(sheet.header(seen, data.now_ms(), zone(), stale=stale), key="header")
    with right:
        live.html(sheet.stop_control(seen.info, problem), key=_stop_key(seen.info))
    live.html(markup.banner(seen.info.recommendation, live=not seen.info.status.over), key="banner")


def _stop_key(run: RunInfo) -> str:
    return f"stop {run.id}"


def _ask_to_stop(run: RunInfo) -> tuple[bool, str]:
    """Ask the loop to stop where the reader wants it: whether the server has taken it, and else what it said."""
    wanted = live.heard(_stop_key(run))
    if wanted is None:
        return False, ""
    try:
        data.api().run(run.id).request_stop(wanted.arg.strip()[:100] or "dashboard")
    except MonitorError as error:
        return False, " ".join(data.explain(error))
    return True, ""


def _chart(seen: Snapshot) -> None:
    """The large chart under its controls, with an honest caption."""
    smoothing, scale, x_axis, y_axis, ahead = _controls(seen)
    scale = "linear" if y_axis == "skill" else scale
    look = reader.look(x_axis, scale, revision=f"{seen.info.id} {x_axis} {scale} {y_axis}", quantity=y_axis)
    try:
        curves = _curves(seen, x_axis, smoothing)
        if not curves:
            live.html(sheet.no_curves(seen), key="no-curves")
            return
        drawn, notes = _in_detail(seen, curves, look, smoothing)
        story = _story(seen, x_axis, ahead=ahead)
    except MonitorError as error:
        live.html(markup.notice("warning", *data.explain(error), testid="unreachable"), key="no-curve")
        return
    if y_axis == "skill":
        drawn = {role: skill.of_curve(curve, seen.info) for role, curve in drawn.items()}
        story = skill.of_story(story, seen.info)
    figure = charts.loss_figure(drawn.get(Role.TRAIN), drawn.get(Role.VAL), story, look)
    if y_axis == "skill":
        notes = (*notes, *skill.limit(figure, list(drawn.values())))
    plot.plot(figure, key=_CHART, alt=sheet.describe(seen))
    named = [(_NAMES[role], c) for role, c in drawn.items()]
    said = charts.captions(named, axes.resolve_scale(list(drawn.values()), scale))
    said = (*said, *notes, *charts.forecast_caption(story.recommendation))
    live.html(sheet.caption(list(drawn.values()), story.references, seen, said), key="caption")


_CHART: Final = "loss_chart"
_NAMES: Final = {Role.TRAIN: "train", Role.VAL: "validation"}


def _curves(seen: Snapshot, x_axis: XAxis, smoothing: float) -> dict[Role, Curve]:
    """The judged losses, each reduced to the chart's pixels."""
    found = {}
    for role in _NAMES:
        series = seen.judged(role)
        if series is not None:
            found[role] = _read(seen.info, series, x_axis, smoothing)
    return found


def _read(
    info: RunInfo, series: SeriesInfo, x_axis: XAxis, smoothing: float, lo: float | None = None, hi: float | None = None
) -> Curve:
    noisy = series.role is Role.TRAIN  # a validation is read point by point
    weight = charts.weight_of(smoothing, series.count) if noisy else 0.0
    return data.curve(
        info.id, info.version, series.key, x=x_axis, width=data.CURVE_WIDTH, smoothing=weight, lo=lo, hi=hi
    )


def _in_detail(
    seen: Snapshot, curves: dict[Role, Curve], look: Look, smoothing: float
) -> tuple[dict[Role, Curve], tuple[str, ...]]:
    """The curves with the window that the reader zoomed to read anew, and what to say of it."""
    zoomed = plot.window(_CHART, look.revision)
    if zoomed is None:
        return curves, ()
    whole = list(curves.values())
    lo, hi = (axes.curve_x(x, look, whole) for x in zoomed)
    drawn, notes = dict(curves), []
    for role, curve in curves.items():
        series = seen.judged(role)
        if series is None or curve.shown == curve.total:
            continue
        detail = _read(seen.info, series, look.x_axis, smoothing, lo, hi)
        drawn[role] = charts.spliced(curve, detail, lo, hi)
        notes.append(f"{_NAMES[role]} in view: {detail.shown:,} of {detail.total:,} points")
    return drawn, tuple(notes)


def _controls(seen: Snapshot) -> tuple[float, str, XAxis, str, bool]:
    """Smoothing, scale, both axes, each kept in the URL, and the forecast.

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
    return float(smoothing), scale, x_axis, y_axis, ahead


_FORECAST: Final = (
    "Where the validation loss is expected to go if the run went on for half as long again, with a 90 % interval."
)


_ACROSS: Final[dict[XAxis, str]] = {"step": "step", "epoch": "epoch", "relative": "elapsed", "wall_time": "clock"}


def _story(seen: Snapshot, x_axis: XAxis, *, ahead: bool) -> Story:
    info = seen.info
    told = info.recommendation
    told = replace(told, forecast=told.forecast if ahead else None, pending=sheet.to_come(info))
    story = Story(
        findings=seen.findings,
        recommendation=told,
        checkpoints=seen.checkpoints,
        references=sheet.references(info),
        verdict=info.verdict,
    )
    if x_axis == "step":
        return story
    keys = [s.key for role in (Role.TRAIN, Role.VAL) if (s := seen.judged(role)) is not None]
    positions = {step: x for step in story.steps() if (x := _position(info, keys, step, x_axis)) is not None}
    return replace(story, positions=positions)


def _position(info: RunInfo, keys: list[str], step: float, x_axis: XAxis) -> float | None:
    for key in keys:
        x = data.position(info.id, info.attempt, key, step, x=x_axis, created_ms=info.created_ms)
        if x is not None:
            return x
    return None


def _tabs(seen: Snapshot) -> None:
    """The rest, read when its tab is open."""
    bodies: dict[str, Callable[[Snapshot], None]] = {
        "Findings": lambda s: _show(sheet.findings(s), "findings"),
        _PARTS: parts_tab.show,
        "More series": _more_series,
        "Config": lambda s: _show(sheet.config(s.info), "config"),
        "Tags": lambda s: _show(sheet.tags(s.info), "tags"),
        "Series": lambda s: _show(sheet.series(s), "series"),
        "Checkpoints": lambda s: _show(sheet.checkpoints(s, data.now_ms()), "checkpoints"),
        "Events": _events,
    }
    tabs = (_TABS[0], _PARTS, *_TABS[1:]) if seen.of_role(Role.PART) else _TABS
    chosen = st.segmented_control(
        "Details", tabs, default=_TABS[0], required=True, key="tab", bind="query-params", label_visibility="collapsed"
    )
    bodies[chosen or _TABS[0]](seen)


def _show(body: str, key: str) -> None:
    live.html(body, key=key)


def _more_series(seen: Snapshot) -> None:
    """Small charts of every other series: gradient norm, learning rate, parts, unmapped, the machine."""
    others = sheet.by_interest(seen.others())
    if not others:
        _show('<p class="lm-dim">Nothing but the losses was logged.</p>', "no-series")
        return
    shown = others if st.session_state.get("all_series") else others[:_SMALL_LIMIT]
    columns = st.columns(3)
    for i, series in enumerate(shown):
        with columns[i % 3]:
            _small(seen.info, series)
    if len(others) > _SMALL_LIMIT:
        st.toggle(f"Show all {len(others)} series", key="all_series")


def _small(info: RunInfo, series: SeriesInfo) -> None:
    chosen = st.session_state.get("x")
    x_axis: XAxis = chosen if chosen in AXES else "step"
    try:
        curve: Curve = data.curve(info.id, info.version, series.key, x=x_axis, width=data.SMALL_WIDTH, smoothing=0.0)
    except MonitorError as error:
        live.html(markup.notice("warning", *data.explain(error)), key=f"no-small {series.key}")
        return
    scale = "linear" if series.role in (Role.LR, Role.UNMAPPED, Role.SYSTEM) else "auto"
    look = reader.look(x_axis, scale, revision=f"{info.id} {series.key} {x_axis}")
    note = " (unmapped)" if series.role is Role.UNMAPPED else ""
    figure = charts.small_figure(curve, look, title=f"{series.key}{note}")
    plot.plot(
        figure, key=f"small {series.key}", alt=f"{series.key} up to step {words.step(series.last_step)}", bar=False
    )


def _events(seen: Snapshot) -> None:
    try:
        events = data.events(seen.info.id, seen.info.version)
    except MonitorError as error:
        live.html(markup.notice("warning", *data.explain(error)), key="no-events")
        return
    _show(sheet.events(seen, events, zone()), "events")


page()
