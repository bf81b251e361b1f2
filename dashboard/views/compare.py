"""Several runs side by side: one metric overlaid, what differs in their configuration, and how they ended."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard import axes, charts, data, live, markup, reader, side_by_side, skill
from dashboard.axes import XAxis
from dashboard.data import Snapshot
from dashboard.plot import plot
from monitor.domain import Curve
from monitor.errors import MonitorError, RunNotFound
from monitor.roles import Role

REFRESH_S: Final = 3.0
MAX_RUNS: Final = 12
_ACROSS: Final[tuple[XAxis, ...]] = ("step", "epoch", "relative")
CANDIDATES: Final = 200
"""Newest runs that the picker offers; others come by link from the list."""


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
    st.fragment(_comparison, run_every=REFRESH_S)(refs)


def _pick() -> tuple[str, ...]:
    """The runs that are compared; the choice is kept in the URL."""
    wanted = list(dict.fromkeys(st.query_params.get_all("run")))
    reading = data.keep("candidates", lambda: data.api().runs_page(limit=CANDIDATES))
    if reading.error is not None:
        live.html(markup.notice("warning", *data.explain(reading.error), testid="unreachable"), key="unreachable")
    names = {run.id: f"{run.name} · {run.project}" for run in (reading.value.items if reading.value else ())}
    for ref in wanted:
        names.setdefault(ref, ref)
    if "picked_runs" not in st.session_state or st.session_state.get("_from_url") != wanted:
        st.session_state["picked_runs"] = wanted
    chosen = st.multiselect(
        "Runs", list(names), format_func=lambda i: names[i], key="picked_runs", max_selections=MAX_RUNS,
        placeholder="Choose runs", label_visibility="collapsed",
    )  # fmt: skip
    if chosen != wanted:
        st.query_params["run"] = chosen
    st.session_state["_from_url"] = list(chosen)
    return tuple(chosen)


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
    body = side_by_side.results(seen, data.now_ms()) + side_by_side.differences([s.info for s in seen])
    live.html(body, key="tables")


def _overlay(seen: list[Snapshot]) -> None:
    """One metric of all runs on the same axes."""
    metrics = side_by_side.metrics(seen)
    if not metrics:
        live.html(markup.notice("info", "Nothing to draw yet.", "None of these runs has logged a point."), key="empty")
        return
    with st.container(horizontal=True, vertical_alignment="top", gap="medium"):
        metric = st.selectbox("Metric", metrics, key="metric", bind="query-params", width=260)
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
    for label, snapshot in zip(side_by_side.labels([s.info for s in seen]), seen, strict=True):
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
        curves.append((label, skill.of_curve(curve, info) if y_axis == "skill" else curve))
    look = reader.look(x_axis, scale, revision=f"{metric} {x_axis} {scale} {y_axis}", quantity=y_axis)
    title = f"{metric}, as skill" if y_axis == "skill" else metric or metrics[0]
    figure = charts.overlay_figure(curves, look, title=title)
    notes = skill.limit(figure, [c for _, c in curves]) if y_axis == "skill" else no_skill
    plot(figure, key="overlay", alt=f"{metric} of {len(curves)} runs")
    resolved = axes.resolve_scale([c for _, c in curves], look.scale)
    said = "".join(f"<span>{markup.text(part)}</span>" for part in (*charts.captions(curves, resolved), *notes))
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
