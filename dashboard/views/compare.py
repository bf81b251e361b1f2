"""Several runs side by side: one metric overlaid, what differs in their configuration, and how they ended."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard import axes, charts, data, live, markup, reader, side_by_side, skill, words
from dashboard.axes import XAxis
from dashboard.data import Snapshot
from dashboard.plot import plot
from monitor.domain import Curve, RunInfo, inert
from monitor.errors import MonitorError, RunNotFound
from monitor.roles import Role

REFRESH_S: Final = 3.0
SLOW_REFRESH_S: Final = 15.0
"""With more than `side_by_side.MANY` runs, each of which is asked for."""
_ACROSS: Final[tuple[XAxis, ...]] = ("step", "epoch", "relative")
FOUND: Final = 200
"""Runs that the chooser offers at once; a search reaches all others."""


def page() -> None:
    """Draw the page; `?run=` names each run once."""
    live.html('<div class="lm-head"><h1>Compare</h1></div>', key="head")
    refs = _pick()
    if not refs:
        live.html(
            markup.notice("info", "Pick runs to compare.", "Tick them in the list of runs, or choose them here."),
            key="nothing",
        )
        return
    many = len(refs) > side_by_side.MANY
    st.fragment(_comparison, run_every=SLOW_REFRESH_S if many else REFRESH_S)(refs)


def _pick() -> tuple[str, ...]:
    """The runs that are compared; the choice is kept in the URL."""
    wanted = list(dict.fromkeys(st.query_params.get_all("run")))
    many = len(wanted) > side_by_side.MANY
    with st.expander("Choose runs") if many else st.container():
        search = st.text_input(
            "Find runs", key="find", placeholder="Find runs by name, id or a query such as val.best < 0.3",
            label_visibility="collapsed",
        )  # fmt: skip
        found = _found(search.strip())
        names = {run.id: inert(f"{run.name} · {run.project}") for run in found}
        known: dict[str, str] = st.session_state.setdefault("_names", {})
        known |= names
        for ref in wanted:
            names.setdefault(ref, known.get(ref, inert(ref)))
        if "picked_runs" not in st.session_state or st.session_state.get("_from_url") != wanted:
            st.session_state["picked_runs"] = wanted
        chosen = st.multiselect(
            "Runs", list(names), format_func=lambda i: names.get(i, i), key="picked_runs", placeholder="Choose runs",
            label_visibility="collapsed",
        )  # fmt: skip
        more = [run.id for run in found if run.id not in chosen] if search.strip() else []
        if more and st.button(f"Add {words.count(len(more), 'run')}", key="add_found"):
            chosen = [*chosen, *more]
            st.session_state["_from_url"] = None
            st.query_params["run"] = chosen
            st.rerun()
    if chosen != wanted:
        st.query_params["run"] = chosen
    st.session_state["_from_url"] = list(chosen)
    return tuple(chosen)


def _found(search: str) -> tuple[RunInfo, ...]:
    """The newest runs, or those that a search finds."""
    reading = data.keep(f"candidates {search}", lambda: data.matching(search or None, FOUND))
    if reading.error is not None:
        live.html(markup.notice("warning", *data.explain(reading.error), testid="unreachable"), key="unreachable")
    page = reading.value
    if page is not None and search and page.total > len(page.items):
        said = f"The first {len(page.items)} of {words.count(page.total, 'run')} that are found."
        live.html(f'<p class="lm-dim" data-testid="found">{said}</p>', key="found")
    return page.items if page is not None else ()


def _comparison(refs: tuple[str, ...]) -> None:
    seen: list[Snapshot] = []
    for ref in refs:
        try:
            reading = data.keep(f"run {ref}", lambda ref=ref: data.snapshot(ref))  # type: ignore[misc]  # mypy cannot infer a lambda's default
        except RunNotFound as error:
            live.html(markup.notice("warning", "This run is not here.", str(error)), key=f"missing {ref}")
            continue
        if reading.value is not None:
            seen.append(reading.value)
    if not seen:
        return
    _overlay(seen)
    lines = {s.info.id: charts.line_of(i, reader.look("step", "auto", revision="").palette) for i, s in enumerate(seen)}
    body = side_by_side.results(seen, data.now_ms(), lines) + side_by_side.differences([s.info for s in seen])
    live.html(body, key="tables")


def _overlay(seen: list[Snapshot]) -> None:
    """One metric of all runs on the same axes."""
    metrics = side_by_side.metrics(seen)
    if not metrics:
        live.html(markup.notice("info", "Nothing to draw yet.", "None of these runs has logged a point."), key="empty")
        return
    with st.container(horizontal=True, vertical_alignment="top", gap="medium"):
        metric = st.selectbox("Metric", metrics, format_func=inert, key="metric", bind="query-params", width=260)
        smoothing = st.slider("Smoothing", 0.0, 0.99, 0.6, 0.01, key="smooth", bind="query-params", width=200)
        scale = st.segmented_control(
            "Axis", ("auto", "linear", "log"), default="auto", required=True, key="scale", bind="query-params"
        )
        x_axis = st.segmented_control(
            "Across", _ACROSS, default="step", required=True, key="x", bind="query-params",
            format_func=lambda a: "elapsed" if a == "relative" else a,
        )  # fmt: skip
        y_axis, no_skill = _y_axis(seen, metric or metrics[0])
    scale = "linear" if y_axis == "skill" else scale
    curves: list[tuple[str, Curve]] = []
    places: list[int] = []
    for i, (label, snapshot) in enumerate(zip(side_by_side.labels([s.info for s in seen]), seen, strict=True)):
        found = side_by_side.series_for(snapshot, metric or metrics[0])
        if found is None:
            continue
        noisy = found.role is not Role.VAL  # a validation is read point by point
        weight = charts.weight_of(float(smoothing), found.count) if noisy else 0.0
        try:
            info = snapshot.info
            curve = data.curve(info.id, info.version, found.key, x=x_axis, width=600, smoothing=weight)
        except MonitorError as error:
            live.html(markup.notice("warning", *data.explain(error)), key=f"no-curve {label}")
            continue
        places.append(i)
        curves.append((label, skill.of_curve(curve, info) if y_axis == "skill" else curve))
    look = reader.look(x_axis, scale, revision=f"{metric} {x_axis} {scale} {y_axis}", quantity=y_axis)
    title = f"{metric}, as skill" if y_axis == "skill" else metric or metrics[0]
    figure = charts.overlay_figure(curves, look, title=title, places=places)
    notes = skill.limit(figure, [c for _, c in curves]) if y_axis == "skill" else no_skill
    plot(figure, key="overlay", alt=f"{metric} of {len(curves)} runs")
    resolved = axes.resolve_scale([c for _, c in curves], look.scale)
    told = charts.captions(curves, resolved)
    if len(curves) > side_by_side.MANY:  # a phrase a run would be a page of its own
        told = (f"{len(curves)} runs", *charts.captions([("all", charts.together([c for _, c in curves]))], resolved))
    said = "".join(f"<span>{markup.text(part)}</span>" for part in (*told, *notes))
    live.html(f'<div class="lm-caption">{said}</div>', key="caption")


def _y_axis(seen: list[Snapshot], metric: str) -> tuple[str, tuple[str, ...]]:
    """Loss or skill, offered for losses where every run has a skill score; else what to say of those that have none."""
    drawn = [s for s in seen if side_by_side.series_for(s, metric) is not None]
    roles = {found.role for s in drawn if (found := side_by_side.series_for(s, metric)) is not None}
    if not roles <= {Role.TRAIN, Role.VAL} or not any(skill.comparable(s.info) for s in drawn):
        return "loss", ()
    named = dict(zip(side_by_side.labels([s.info for s in drawn]), [s.info for s in drawn], strict=True))
    missing = skill.without(named)
    chosen = st.segmented_control(
        "Show as", ("loss", "skill"), default="loss", required=True, key="y", bind="query-params",
        help=skill.MEANING, disabled=bool(missing),
    )  # fmt: skip
    if missing:
        return "loss", (f"no skill axis, since no chance level and floor are known for: {', '.join(missing)}",)
    return chosen, ()


page()
