"""One run: charts first, with what is advised, and everything that is known of it in tabs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import streamlit as st

from dashboard import data, live, news, readings, viewer, words
from dashboard.markup import pieces, run_page
from dashboard.markup.pieces import notice
from dashboard.markup.templates import fill
from dashboard.pages import charts_tab, loss_chart, media_tab, parts_tab, run_tabs, widgets
from dashboard.pages.loss_chart import Looking
from dashboard.viewer import zone
from monitor.domain import Access, RunInfo, RunQuery, RunSnapshot
from monitor.domain.formats import clock
from monitor.errors import MonitorError, RunNotFound
from monitor.roles import Role

REFRESH_S: Final = 0.5
_CHARTS: Final = "Charts"
_DRAWN: Final = (_CHARTS, "Parts", "System")
"""Tabs that are looked at together with the large chart, which stands above them; it stands below the others."""
_FORMER: Final = {"More series": _CHARTS, "Tags": "Notes"}
"""Tabs of older versions by what they are now, so that a link to one still works."""
_NAMED: Final = 50
"""Runs of one name that are listed."""
_BACK: Final = pieces.link("runs", (), "← All runs")


def page() -> None:
    """Draw the run that `?id=` names; all of it refreshes by itself."""
    ref = st.query_params.get("id", "")
    if not ref:
        viewer.title("Run")
        live.html(notice("info", "No run is named.", "Pick one from the list.") + _BACK, key="nothing")
        return
    news.refreshed(_run, every_s=REFRESH_S, run=ref)(ref)


def _run(ref: str) -> str:
    """Everything on the page; the mark of what it shows."""
    charts_tab.zoomed()
    try:
        reading = readings.keep(f"run {ref}", lambda: readings.api().snapshot(ref))
    except RunNotFound as error:
        _missing(ref, error)
        return type(error).__name__
    seen: RunSnapshot | None = reading.value
    if reading.error is not None:
        title, body = words.explain(reading.error)
        since = f" What is shown was read at {clock(reading.read_ms, zone())}." if seen else ""
        live.html(notice("warning", title, body + since, testid="unreachable"), key="unreachable")
    if seen is None:
        if reading.error is None:
            st.skeleton(height=400)
        return "" if reading.error is None else type(reading.error).__name__
    taken, problem = _act(seen.info)
    if taken:
        try:
            seen = readings.keep(f"run {ref}", lambda: readings.api().snapshot(ref)).value or seen
        except RunNotFound as error:
            _missing(ref, error)
            return type(error).__name__
    viewer.title(seen.info.name)
    _head(seen, problem, stale=reading.error is not None)
    with st.container(key="run_facts"):
        live.html(run_page.facts(seen, readings.now_ms(), zone()), key="facts")
    with st.container(key="run_bar"):
        bodies = _tabs(seen)
        chosen = _chosen(tuple(bodies))
    if chosen in _DRAWN:
        looking = loss_chart.show(seen)
        with st.container(key="run_tabs"):
            bodies[chosen](looking)
    else:  # the chart stands below what is read, and keeps how it is looked at
        with st.container(key="run_tabs"):
            bodies[chosen](Looking())
        loss_chart.show(seen, key="chart_below")
    return str(seen.info.version) if reading.error is None else type(reading.error).__name__


def _head(seen: RunSnapshot, problem: str, *, stale: bool) -> None:
    with st.container(key="run_head"):
        left, right = st.columns([5, 3], vertical_alignment="top")
        with left:
            live.html(run_page.header(seen, readings.now_ms(), stale=stale, mlflow=data.mlflow()), key="header")
        with right:
            if lacks := data.lacks(Access.EDITOR, "stop, rename or delete it"):
                live.html(pieces.quiet(lacks, testid="no-right"), key="no-right")
            else:
                live.html(run_page.controls(seen.info, problem), key=_acts(seen.info.id))
    with st.container(key="run_advice"):
        live.html(run_page.advice(seen), key="banner")


def _missing(ref: str, error: RunNotFound) -> None:
    """A run that is not here: one that was deleted can be restored."""
    viewer.title("Not here")
    if error.several:
        named = readings.keep(
            f"named {ref}", lambda: readings.api().runs_page(RunQuery(search=ref, limit=_NAMED))
        ).value
        live.html(run_page.several(ref, () if named is None else named.items, readings.now_ms()) + _BACK, key="several")
        return
    asked = live.heard("gone")
    if asked is not None and asked.act == "restore":
        try:
            readings.api().restore(asked.arg)
        except MonitorError as problem:
            live.html(notice("critical", "Not restored.", " ".join(words.explain(problem))), key="not-restored")
        else:
            st.rerun()
    reading = readings.keep(f"deleted {ref}", lambda: (data.deleted(ref), readings.api().purge_days()))
    run, days = reading.value or (None, 0.0)
    why = "It was purged, or the link is of another server, or its id or name is not written in full."
    gone = notice("warning", "This run is not here.", f"No run has the id or name {ref!r}. {why}", testid="missing")
    if run is not None:
        gone = run_page.gone(run, days, data.lacks(Access.EDITOR, "restore it"))
    live.html(gone + run_page.nearest(error.nearest) + _BACK, key="gone")


def _acts(run_id: str) -> str:
    return f"act {run_id}"


def _act(run: RunInfo) -> tuple[bool, str]:
    """Do what the reader asked for: whether the server has taken it, and else what it said."""
    wanted = live.heard(_acts(run.id))
    if wanted is None:
        return False, ""
    view = readings.api().view(run)
    try:
        if wanted.act == "stop":
            view.request_stop(wanted.arg.strip()[:100] or "dashboard")
        elif wanted.act == "rename":
            view.edit(name=wanted.arg)
        elif wanted.act == "delete":
            readings.api().delete(run.id)
    except MonitorError as error:
        return False, " ".join(words.explain(error))
    return True, ""


def _tabs(seen: RunSnapshot) -> dict[str, Callable[[Looking], None]]:
    """What each tab shows, read when it is open."""
    system = [s for s in seen.series if s.role is Role.SYSTEM]
    return {
        _CHARTS: lambda looking: charts_tab.show(seen, seen.series, looking),
        "Findings": lambda _: live.html(run_page.findings(seen), key="findings"),
        **({"Parts": lambda _: parts_tab.show(seen)} if seen.of_role(Role.PART) else {}),
        "Config": lambda _: run_tabs.config(seen),
        "Environment": lambda _: run_tabs.environment(seen),
        "Media": lambda _: media_tab.show(seen),
        "Output": lambda _: run_tabs.output(seen),
        **({"System": lambda looking: charts_tab.show(seen, system, looking, key="system")} if system else {}),
        "Notes": lambda _: run_tabs.notes(seen),
        "Series": lambda _: live.html(run_page.series(seen), key="series"),
        "Checkpoints": lambda _: live.html(run_page.checkpoints(seen, readings.now_ms()), key="checkpoints"),
        "Alerts": lambda _: run_tabs.alerts(seen),
        "Events": lambda _: run_tabs.events(seen),
        "Download": lambda _: live.html(fill("run_tabs", "downloads", run=seen.info), key="downloads"),
    }


def _chosen(tabs: tuple[str, ...]) -> str:
    """The tab that is open; the address keeps it."""
    asked = st.query_params.get("tab")
    if asked is not None and "tab" not in st.session_state:
        st.query_params["tab"] = asked = _FORMER.get(asked, asked)
        if asked not in tabs:  # such as Parts, of a run that has none
            del st.query_params["tab"]
    chosen = widgets.one_of("Details", tabs, "tab", titled=False)
    return chosen if chosen in tabs else _CHARTS


if __name__ == "__main__":
    page()
