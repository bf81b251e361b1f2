"""The list of runs: every run with its verdict, and how many are open or need a person."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import streamlit as st
from markupsafe import Markup

from dashboard import address, data, fields, live, news, readings, viewer, words
from dashboard.markup import pieces, run_list
from dashboard.markup.templates import fill
from dashboard.pages import run_actions, widgets
from monitor.domain import Access, RunInfo, RunPage, RunQuery, RunStatus
from monitor.domain.formats import count
from monitor.errors import MonitorError, WireError
from monitor.rules import RULE_NAMES

REFRESH_S: Final = 2.0
SLOW_REFRESH_S: Final = 10.0
"""Of groups, for which every run is read."""
TOLD_MS: Final = 10_000
"""Milliseconds after which times such as "3 min ago" are shown anew where nothing else has changed."""
DEFAULT_ORDER: Final = "-created"
DELETED: Final = "deleted"
"""The status that stands for runs that were deleted and can be restored."""
GROUPED: Final = 1000
"""Runs that are grouped, the newest ones."""
KINDS: Final = 6
"""Groups of runs whose metrics are offered as columns."""
_VERDICTS: Final = ("healthy", "too_early", "not_judged", *RULE_NAMES)


def page() -> None:
    """Draw the page; everything that refreshes is in one fragment."""
    viewer.title("Runs")
    head = st.container()
    with st.container(key="filters"):
        filters = _filter_row()
    _rows(filters)
    with head:  # last, since counting the runs that need a person takes longest
        news.refreshed(_overview, every_s=REFRESH_S)(filters.project)


def _rows(filters: RunQuery) -> None:
    """The list with what shapes it, or the deleted runs."""
    if filters.status == DELETED:
        news.refreshed(run_actions.deleted_runs, every_s=REFRESH_S)(filters)
        return
    with st.container(key="shape", horizontal=True, vertical_alignment="center", gap="small"):
        columns, group = _shape(filters)
    filters = replace(filters, metrics=fields.series_of(columns))
    if group is not None:
        news.refreshed(_groups, every_s=SLOW_REFRESH_S)(filters, columns, group)
    else:
        news.refreshed(_list, every_s=REFRESH_S)(filters, columns)


def _filter_row() -> RunQuery:
    """What the list is asked for; each filter is kept in the URL under its key."""
    project = st.session_state.get("project") or st.query_params.get("project")
    names = data.projects()
    if project and project not in names:
        names = (project, *names)
    columns = st.columns([1.6, 2, 2, 2.4])
    with columns[0]:
        chosen = widgets.some_or_all("Project", names, "project", "All projects")
    with columns[1]:
        status = widgets.some_or_all("Status", (*map(str, RunStatus), DELETED), "status", "Any status")
    with columns[2]:
        verdict = widgets.some_or_all("Verdict", _VERDICTS, "verdict", "Any verdict", shown=words.label)
    with columns[3]:
        search = widgets.search("Search", "q", placeholder="Name, id or val.best < 0.3", width=None)
    order, ordered = _order()
    return RunQuery(
        project=chosen, status=status, verdict=verdict, search=search or None, order=order,
        query=ordered, limit=data.PAGE_SIZE, sparkline=data.SPARK_POINTS,
    )  # fmt: skip


def _order() -> tuple[str, str | None]:
    """What the list is sorted by: a column of every run, or a field, which takes the order of a query."""
    asked = st.query_params.get("sort", DEFAULT_ORDER)
    by = asked.removeprefix("-")
    if by in run_list.SORTED_BY:
        return asked, None
    if not fields.usable(by):
        return DEFAULT_ORDER, None
    return DEFAULT_ORDER, f"order by {by}{' desc' if asked != by else ''}"


def _shape(filters: RunQuery) -> tuple[tuple[str, ...], str | None]:
    """The columns and what the runs are grouped by; both are kept in the URL."""
    seen = readings.keep(
        f"shape {filters.project}", lambda: readings.api().runs_page(RunQuery(project=filters.project))
    )
    runs = seen.value.items if seen.value is not None else ()
    configs, tags = fields.config_fields(runs), fields.tag_fields(runs)
    metrics = _metrics(runs)
    wanted = [name for name in st.query_params.get_all("cols") if name in run_list.COLUMNS or fields.usable(name)]
    options = [*run_list.COLUMNS, *(fields.named("metric", key, what) for key in metrics for what in fields.WHAT),
               *configs, *tags]  # fmt: skip
    options = list(dict.fromkeys([*options, *wanted, *st.session_state.get("cols", ())]))
    with st.popover("Columns"):
        address.begin("cols", run_list.USUAL, options)
        chosen = st.multiselect(
            "Columns", options, key="cols", format_func=run_list.title_of, width=520, placeholder="Choose columns"
        )
        address.keep("cols", chosen, run_list.USUAL)
        st.caption("Of every run, any metric, any configuration value, any tag. The address keeps them.")
    group = widgets.group_by(runs, run_list.title_of, width=220)
    run_actions.views()
    run_actions.export(filters, chosen)
    return tuple(chosen) or run_list.USUAL, group


def _metrics(runs: Sequence[RunInfo]) -> tuple[str, ...]:
    """The names of the series of some runs: of the newest run of each group and project that has logged anything."""
    kinds = {(run.project, run.group): run for run in reversed(runs) if run.last_step is not None}
    newest = sorted(kinds.values(), key=lambda run: -run.created_ms)[:KINDS]
    return tuple(dict.fromkeys(key for run in newest for key in data.series_keys(run)))


def _kept_for(project: str | None) -> Markup:
    """How long the chosen project's runs are kept; nothing where all are, or the server does not answer."""
    if project is None:
        return Markup("")
    kept = readings.keep("keeping", lambda: readings.api().keeping()).value or {}
    return run_list.keeping_line(*kept.get(project, (None, None)))


def _overview(project: str | None) -> None:
    """The head: counts, with the way to the runs that need a person."""
    reading = readings.keep(f"overview {project}", lambda: data.overview(project))
    problem = pieces.problem(reading.error, testid="unreachable")
    live.html(run_list.overview(reading.value, _kept_for(project), problem), key="overview")


def _list(filters: RunQuery, columns: tuple[str, ...]) -> None:
    """The table of runs with its pages."""
    asked = live.heard("runs")
    if asked is not None and asked.act == "sort":
        st.query_params["sort"] = asked.arg
        st.rerun()
    if asked is not None and asked.act == "move":
        st.query_params["cols"] = run_list.moved(columns, *json.loads(asked.arg))
        st.rerun()
    done = run_actions.act(asked, filters)
    wanted = _on_page(filters)
    reading = readings.keep(f"runs {wanted}", lambda: data.runs_page(wanted))
    found: RunPage | None = reading.value
    if found is not None and not found.items and found.total:  # the address names a page beyond the last one
        st.session_state["_page"] = -(-found.total // data.PAGE_SIZE)
        wanted = replace(filters, offset=(st.session_state["_page"] - 1) * data.PAGE_SIZE)
        reading = readings.keep(f"runs {wanted}", lambda: data.runs_page(wanted))
        found = reading.value
    if found is None:
        _unread(reading.error)
        return
    if found.total == 0 and not replace(wanted, query=None).filters:
        welcome()
        return
    picked, now_ms, stale = done.picked, readings.now_ms(), reading.error is not None
    table = readings.once(
        "runs table",
        (found, tuple(picked), columns, stale, now_ms // TOLD_MS),
        lambda: run_list.runs_table(found, picked, now_ms, chosen=columns, stale=stale),
    )
    narrowed = replace(filters, project=None, query=None).filters and found.items
    match = f"{count(found.total, 'run')} match{'es' if found.total == 1 else ''} these filters."
    said = pieces.quiet(match, testid="matches") if narrowed else Markup("")
    lacks = data.lacks(Access.EDITOR, "tag, stop or delete runs")
    bar = run_list.bar(
        picked, found.total, most=run_actions.MOST, problem=done.problem, said=done.said, undo=bool(done.gone),
        lacks=lacks, columns=columns,
    )  # fmt: skip
    live.html(bar + said + table, key="runs", ticks=picked, push=done.push)
    _pages(filters, found, wanted.offset // data.PAGE_SIZE + 1)


def _unread(error: MonitorError | None) -> None:
    """What stands where the runs could not be read; that the server is away, the head says."""
    if error is None:
        st.skeleton(height=320)
    elif isinstance(error, WireError):
        live.html(pieces.problem(error, testid="query-error"), key="runs")


def _groups(filters: RunQuery, columns: tuple[str, ...], group: str) -> None:
    """A row for each value of a field, with mean ± standard deviation over its runs."""
    wanted = replace(filters, limit=GROUPED, sparkline=0)
    reading = readings.keep(f"groups {wanted}", lambda: data.runs_page(wanted))
    found = reading.value
    if found is None:
        _unread(reading.error)
        return
    if not found.items:
        live.html(pieces.quiet("No run matches these filters."), key="groups")
        return
    groups = fields.grouped(found.items, found.metrics, group)
    said = f"{count(found.total, 'run')} in {count(len(groups), 'group')}, mean ± standard deviation over the runs"
    if found.total > len(found.items):
        said = f"The newest {len(found.items):,} of {said}"
    table = run_list.groups_table(groups, found, group, columns, run_actions.as_query(filters), live.ranked("groups"))
    live.html(pieces.quiet(said) + table, key="groups")


def _on_page(filters: RunQuery) -> RunQuery:
    """The filters on the page that the reader is at: the address' own at first, the first one under other filters."""
    state = st.session_state
    asked = _whole(st.query_params.get("page")) if "_paged_for" not in state else 1
    if state.get("_paged_for") != filters:
        state["_paged_for"] = filters
        state["_page"] = asked
    page = int(state.get(_key(filters)) or state["_page"])
    return replace(filters, offset=(page - 1) * data.PAGE_SIZE)


def _key(filters: RunQuery) -> str:
    """The page's widget; other filters get another one, which starts anew."""
    return re.sub(r"\s+", " ", f"page of {filters}")


def _pages(filters: RunQuery, found: RunPage, page: int) -> None:
    """What part of the list this is, and the way to the others; the page is kept in the URL."""
    n_pages = -(-found.total // data.PAGE_SIZE)
    address.write("page", str(page) if page > 1 else "")
    if n_pages < 2:
        return
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        first = (page - 1) * data.PAGE_SIZE
        st.caption(f"{first + 1:,} to {first + len(found.items):,} of {count(found.total, 'run')}")
        st.pagination(n_pages, default=min(page, n_pages), key=_key(filters), width=360)


def _whole(value: str | None) -> int:
    return int(value) if value and value.isdecimal() and int(value) > 0 else 1


def welcome() -> None:
    """What a newcomer sees: five lines that make the first run appear."""
    _, middle, _ = st.columns([1, 3, 1])
    with middle:
        live.html(fill("run_list", "welcome"), key="welcome")
        st.code(run_list.EXAMPLE, language="python")
        st.caption("Or run `monitor demo`: five real training runs, one of each kind of trouble.")


if __name__ == "__main__":
    page()
