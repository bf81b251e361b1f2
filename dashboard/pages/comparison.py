"""Many runs next to each other: their curves, how they ended, what they were configured with, and what that did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import streamlit as st

from dashboard import address, data, fields, live, news, readings, viewer
from dashboard.charts import overlay
from dashboard.markup import comparison, pieces
from dashboard.pages import compared_curves, compared_values, run_actions
from monitor.domain import RunInfo, RunQuery, RunSnapshot, inert
from monitor.domain.formats import count
from monitor.errors import MonitorError

REFRESH_S: Final = 3.0
SLOW_REFRESH_S: Final = 15.0
"""With more than `comparison.MANY` runs, each of which is asked for."""
FOUND: Final = 200
"""Runs that the chooser offers at once, and that a query compares; a narrower query reaches all others."""
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
        view = st.segmented_control(
            "View", _VIEWS, default=_VIEWS[0], required=True, key="view", bind="query-params",
            label_visibility="collapsed",
        )  # fmt: skip
    many = len(refs) > comparison.MANY
    news.refreshed(_comparison, every_s=SLOW_REFRESH_S if many else REFRESH_S)(refs, view or _VIEWS[0])


def _pick() -> tuple[str, ...]:
    """The runs that are compared: those that were chosen, then those that a query finds; both are kept in the URL."""
    wanted = list(dict.fromkeys(st.query_params.get_all("run")))
    query = st.query_params.get("query", "").strip()
    by_query = _found(query, "query") if query else ()
    if by_query:
        live.html(comparison.queried(len(by_query), query), key="queried")
    many = len(wanted) + len(by_query) > comparison.MANY or bool(query)
    with st.expander("Choose runs") if many else st.container():
        st.text_input(
            "Compare all that a query finds", key="query", bind="query-params",
            placeholder='Compare all that a query finds, such as project = "vision" and val.best < 0.3',
            label_visibility="collapsed",
        )  # fmt: skip
        search = st.text_input(
            "Find runs", key="find", bind="query-params",
            placeholder="Find runs by name, id or a query such as val.best < 0.3", label_visibility="collapsed",
        )  # fmt: skip
        chosen = _chosen(wanted, search.strip())
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
        live.html(
            pieces.notice("warning", *data.explain(reading.error), testid="unreachable"), key=f"unreachable {field}"
        )
    page = reading.value
    if page is not None and search and page.total > len(page.items):
        said = f"The first {len(page.items)} of {count(page.total, 'run')} that are found."
        live.html(comparison.found(said), key=f"found {field}")
    return page.items if page is not None else ()


def _comparison(refs: tuple[str, ...], view: str) -> None:
    reading = readings.keep(f"outlines {refs}", lambda: data.outlines(refs))
    found = reading.value or {}
    seen = list({found[ref].info.id: found[ref] for ref in refs if ref in found}.values())
    if reading.value is not None:
        for ref in refs:
            if ref not in found:
                _missing(ref)
    if not seen:
        return
    group = _group([s.info for s in seen]) if view in ("Curves", "Scatter") else None
    bodies: dict[str, Callable[[], None]] = {
        "Curves": lambda: _curves(seen, group),
        "Scatter": lambda: compared_values.scatter(seen, group),
        "Parallel": lambda: compared_values.parallel(seen),
        "Importance": lambda: compared_values.importance(seen),
        "Configuration": lambda: live.html(comparison.differences([s.info for s in seen]), key="configuration"),
        "Environment": lambda: compared_values.environment(seen),
    }
    bodies[view]()


def _missing(ref: str) -> None:
    """Say why a run is not compared."""
    try:
        data.run(ref)
    except MonitorError as error:
        live.html(pieces.notice("warning", "This run is not here.", str(error)), key=f"missing {ref}")


def _group(runs: list[RunInfo]) -> str | None:
    """The field by whose value runs are put together; kept in the URL."""
    asked = st.query_params.get("by")
    known = [*run_actions.GROUPS, *fields.config_fields(runs), *fields.tag_fields(runs)]
    options = list(dict.fromkeys([*known, *([asked] if asked and fields.usable(asked) else [])]))
    address.begin("by", (), options, single=True)
    group = st.selectbox(
        "Group by", options, index=None, key="by", format_func=comparison.title_of, width=260,
        placeholder="Group by, such as all but the seed", label_visibility="collapsed",
    )  # fmt: skip
    address.keep("by", [group] if group else [], ())
    return group


def _curves(seen: list[RunSnapshot], group: str | None) -> None:
    """The curves, how the runs stand, and what differs."""
    compared_curves.show(seen, group)
    colours = viewer.look("step", "auto", revision="").palette
    lines = {s.info.id: overlay.line_of(i, colours) for i, s in enumerate(seen)}
    shown = lines if group is None else None
    body = comparison.results(seen, readings.now_ms(), shown, live.ranked("tables"))
    live.html(body + comparison.differences([s.info for s in seen]), key="tables")


if __name__ == "__main__":
    page()
