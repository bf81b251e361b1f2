"""Many runs next to each other: their curves, how they ended, what they were configured with, and what that did."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import streamlit as st

from dashboard import data, live, news, readings, viewer
from dashboard.charts import overlay
from dashboard.markup import comparison, pieces
from dashboard.markup.templates import fill
from dashboard.pages import compared_curves, compared_values, widgets
from monitor.domain import RunInfo, RunQuery, RunSnapshot, inert
from monitor.domain.formats import count
from monitor.errors import RunNotFound

REFRESH_S: Final = 3.0
SLOW_REFRESH_S: Final = 15.0
"""With more than `comparison.MANY` runs, each of which is asked for."""
FOUND: Final = 200
"""Runs that the chooser offers at once, and that a query compares; a narrower query reaches all others."""
TOLD_MS: Final = 10_000
"""Milliseconds after which how long the runs have taken is shown anew where nothing else has changed."""
_ID: Final = re.compile(r"[0-9a-f]{32}")
_VIEWS: Final = ("Curves", "Scatter", "Parallel", "Importance", "Configuration", "Environment")


def page() -> None:
    """Draw the page; `?run=` names each run once, `?query=` names all that a query finds."""
    viewer.title("Compare")
    live.html(pieces.head("Compare"), key="head")
    refs = _pick()
    if not refs:
        said = "Tick them in the list of runs, choose them here, or compare all that a query finds."
        live.html(pieces.notice("info", "Pick runs to compare.", said), key="nothing")
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        view = widgets.one_of("View", _VIEWS, "view", titled=False)
    many = len(refs) > comparison.MANY
    news.refreshed(_comparison, every_s=SLOW_REFRESH_S if many else REFRESH_S)(refs, view)


def _pick() -> tuple[str, ...]:
    """The runs that are compared: those that were chosen, then those that a query finds; both are kept in the URL."""
    wanted = list(dict.fromkeys(st.query_params.get_all("run")))
    query = st.query_params.get("query", "").strip()
    by_query = _found(query, "query") if query else ()
    if by_query:
        live.html(fill("comparison", "queried", runs=len(by_query), query=query), key="queried")
    many = len(wanted) + len(by_query) > comparison.MANY or bool(query)
    with st.expander("Choose runs") if many else st.container():
        every = 'Compare all that a query finds, such as project = "vision" and val.best < 0.3'
        widgets.search("Compare all that a query finds", "query", placeholder=every, width=None)
        some = "Find runs by name, id or a query such as val.best < 0.3"
        chosen = _chosen(wanted, widgets.search("Find runs", "find", placeholder=some, width=None))
    if chosen != wanted:
        st.query_params["run"] = chosen
    st.session_state["_from_url"] = list(chosen)
    return tuple(dict.fromkeys([*chosen, *(run.id for run in by_query)]))


def _chosen(wanted: list[str], search: str) -> list[str]:
    """The runs that were chosen one by one."""
    found = _found(search, "search")
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
    more = [run.id for run in found if run.id not in chosen] if search else []
    if more and st.button(f"Add {count(len(more), 'run')}", key="add_found"):
        chosen = [*chosen, *more]
        st.session_state["_from_url"] = None
        st.query_params["run"] = chosen
        st.rerun()
    return chosen


def _found(search: str, field: str) -> tuple[RunInfo, ...]:
    """The newest runs, or those that a search in a field finds."""
    reading = readings.keep(
        f"candidates {search}", lambda: data.runs_page(RunQuery(search=search or None, limit=FOUND))
    )
    if reading.error is not None:
        live.html(pieces.problem(reading.error, testid="unreachable"), key=f"unreachable {field}")
    page = reading.value
    if page is not None and search and page.total > len(page.items):
        said = f"The first {len(page.items)} of {count(page.total, 'run')} that are found."
        live.html(pieces.quiet(said, testid="found"), key=f"found {field}")
    return page.items if page is not None else ()


def _comparison(refs: tuple[str, ...], view: str) -> None:
    ids = {ref: run_id for ref in refs if (run_id := ref if _ID.fullmatch(ref) else _id(ref)) is not None}
    wanted = tuple(dict.fromkeys(ids.values()))
    found = readings.keep(f"outlines {wanted}", lambda: data.outlines(wanted)).value if wanted else {}
    if found is None:
        return
    for ref, run_id in ids.items():
        if run_id not in found:
            _id(ref)  # which says why
    seen = [found[run_id] for run_id in wanted if run_id in found]
    if not seen:
        return
    group = None
    if view in ("Curves", "Scatter"):
        said = "Group by, such as all but the seed"
        group = widgets.group_by([s.info for s in seen], comparison.title_of, placeholder=said, width=260)
    bodies: dict[str, Callable[[], None]] = {
        "Curves": lambda: _curves(seen, group),
        "Scatter": lambda: compared_values.scatter(seen, group),
        "Parallel": lambda: compared_values.parallel(seen),
        "Importance": lambda: compared_values.importance(seen),
        "Configuration": lambda: live.html(comparison.differences([s.info for s in seen]), key="configuration"),
        "Environment": lambda: compared_values.environment(seen),
    }
    bodies[view]()


def _id(ref: str) -> str | None:
    """The id of the run that somebody named; None, and why, where it is not here."""
    try:
        return readings.keep(f"id of {ref}", lambda: readings.api().run(ref).info.id).value
    except RunNotFound as error:
        live.html(pieces.notice("warning", "This run is not here.", str(error)), key=f"missing {ref}")
        return None


def _curves(seen: list[RunSnapshot], group: str | None) -> None:
    """The curves, how the runs stand, and what differs."""
    compared_curves.show(seen, group)
    colours = viewer.look("step", "auto", revision="").palette
    lines = {s.info.id: overlay.line_of(i, colours) for i, s in enumerate(seen)}
    shown = lines if group is None else None
    now_ms, order = readings.now_ms(), live.ranked("tables")
    body = readings.once(
        "compared tables",
        (tuple(seen), group, order, colours, now_ms // TOLD_MS),
        lambda: comparison.results(seen, now_ms, shown, order) + comparison.differences([s.info for s in seen]),
    )
    live.html(body, key="tables")


if __name__ == "__main__":
    page()
