"""Several runs side by side: one metric overlaid, what differs in their configuration, and how they ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from dashboard import data, live, skill, viewer
from dashboard.charts import axes, overlay
from dashboard.charts.axes import XAxis
from dashboard.charts.captions import captions
from dashboard.charts.curves import weight_of
from dashboard.markup import comparison, pieces
from dashboard.plot import plot
from monitor.domain import Curve, RunInfo, RunQuery, RunSnapshot, inert
from monitor.domain.formats import count
from monitor.errors import MonitorError, RunNotFound
from monitor.roles import Role

REFRESH_S: Final = 3.0
SLOW_REFRESH_S: Final = 15.0
"""With more than `comparison.MANY` runs, each of which is asked for."""
_ACROSS: Final[tuple[XAxis, ...]] = ("step", "epoch", "relative")
FOUND: Final = 200
"""Runs that the chooser offers at once; a search reaches all others."""


def page() -> None:
    """Draw the page; `?run=` names each run once."""
    viewer.title("Compare")
    live.html(pieces.head("Compare"), key="head")
    refs = _pick()
    if not refs:
        live.html(
            pieces.notice("info", "Pick runs to compare.", "Tick them in the list of runs, or choose them here."),
            key="nothing",
        )
        return
    many = len(refs) > comparison.MANY
    st.fragment(_comparison, run_every=SLOW_REFRESH_S if many else REFRESH_S)(refs)


def _pick() -> tuple[str, ...]:
    """The runs that are compared; the choice is kept in the URL."""
    wanted = list(dict.fromkeys(st.query_params.get_all("run")))
    many = len(wanted) > comparison.MANY
    with st.expander("Choose runs") if many else st.container():
        search = st.text_input(
            "Find runs", key="find", bind="query-params", 
            placeholder="Find runs by name, id or a query such as val.best < 0.3",
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
        if more and st.button(f"Add {count(len(more), 'run')}", key="add_found"):
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
    reading = data.keep(f"candidates {search}", lambda: data.runs_page(RunQuery(search=search or None, limit=FOUND)))
    if reading.error is not None:
        live.html(pieces.notice("warning", *data.explain(reading.error), testid="unreachable"), key="unreachable")
    page = reading.value
    if page is not None and search and page.total > len(page.items):
        said = f"The first {len(page.items)} of {count(page.total, 'run')} that are found."
        live.html(comparison.found(said), key="found")
    return page.items if page is not None else ()


def _comparison(refs: tuple[str, ...]) -> None:
    seen: list[RunSnapshot] = []
    for ref in refs:
        try:
            reading = data.keep(f"run {ref}", lambda ref=ref: data.snapshot(ref))  # type: ignore[misc]  # mypy cannot infer a lambda's default
        except RunNotFound as error:
            live.html(pieces.notice("warning", "This run is not here.", str(error)), key=f"missing {ref}")
            continue
        if reading.value is not None:
            seen.append(reading.value)
    if not seen:
        return
    _overlay(seen)
    colours = viewer.look("step", "auto", revision="").palette
    lines = {s.info.id: overlay.line_of(i, colours) for i, s in enumerate(seen)}
    body = comparison.results(seen, data.now_ms(), lines) + comparison.differences([s.info for s in seen])
    live.html(body, key="tables")


def _overlay(seen: list[RunSnapshot]) -> None:
    """One metric of all runs on the same axes."""
    metrics = comparison.metrics(seen)
    if not metrics:
        live.html(pieces.notice("info", "Nothing to draw yet.", "None of these runs has logged a point."), key="empty")
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
    try:
        places, curves = _curves(seen, metric or metrics[0], x_axis, float(smoothing), as_skill=y_axis == "skill")
    except MonitorError as error:
        live.html(pieces.notice("warning", *data.explain(error)), key="no-curve")
        return
    look = viewer.look(x_axis, scale, revision=f"{metric} {x_axis} {scale} {y_axis}", quantity=y_axis)
    title = f"{metric}, as skill" if y_axis == "skill" else metric or metrics[0]
    figure = overlay.overlay_figure(curves, look, title=title, places=places)
    notes = skill.limit(figure, [c for _, c in curves]) if y_axis == "skill" else no_skill
    plot(figure, key="overlay", alt=f"{metric} of {len(curves)} runs")
    resolved = axes.resolve_scale([c for _, c in curves], look.scale)
    told = captions(curves, resolved)
    if len(curves) > comparison.MANY:  # a phrase a run would be a page of its own
        told = (f"{len(curves)} runs", *captions([("all", overlay.together([c for _, c in curves]))], resolved))
    live.html(pieces.caption((*told, *notes)), key="caption")


def _curves(
    seen: Sequence[RunSnapshot], metric: str, x_axis: XAxis, smoothing: float, *, as_skill: bool
) -> tuple[list[int], list[tuple[str, Curve]]]:
    """The metric of each run that has it, in one request: its place among the runs, its label and its curve."""
    places, wanted = [], []
    for i, snapshot in enumerate(seen):
        found = comparison.series_for(snapshot, metric)
        if found is not None:
            noisy = found.role is not Role.VAL  # a validation is read point by point
            places.append(i)
            wanted.append((snapshot.info, found.key, weight_of(smoothing, found.count) if noisy else 0.0))
    labels = comparison.labels([s.info for s in seen])
    read = data.curves(wanted, x=x_axis, width=data.COMPARED_WIDTH)
    drawn = [skill.of_curve(c, run) if as_skill else c for c, (run, _, _) in zip(read, wanted, strict=True)]
    return places, [(labels[i], curve) for i, curve in zip(places, drawn, strict=True)]


def _y_axis(seen: list[RunSnapshot], metric: str) -> tuple[str, tuple[str, ...]]:
    """Loss or skill, offered for losses where every run has a skill score; else what to say of those that have none."""
    drawn = [s for s in seen if comparison.series_for(s, metric) is not None]
    roles = {found.role for s in drawn if (found := comparison.series_for(s, metric)) is not None}
    if not roles <= {Role.TRAIN, Role.VAL} or not any(skill.comparable(s.info) for s in drawn):
        return "loss", ()
    named = dict(zip(comparison.labels([s.info for s in drawn]), [s.info for s in drawn], strict=True))
    missing = skill.without(named)
    chosen = st.segmented_control(
        "Show as", ("loss", "skill"), default="loss", required=True, key="y", bind="query-params",
        help=skill.MEANING, disabled=bool(missing),
    )  # fmt: skip
    if missing:
        return "loss", (f"no skill axis, since no chance level and floor are known for: {', '.join(missing)}",)
    return chosen, ()


if __name__ == "__main__":
    page()
