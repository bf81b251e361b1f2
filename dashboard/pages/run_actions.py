"""What is done with the list of runs: ticked runs tagged, stopped, deleted, restored; views saved; the list exported.

Each action is one request a run, since a run is what the server changes at once. What could not be done is said with
the reason, and the runs that it concerns stay ticked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

import streamlit as st

from dashboard import data, fields, live, readings
from dashboard.markup import pieces, run_list
from dashboard.markup.templates import fill
from monitor.domain import Access, RunQuery
from monitor.domain.formats import count
from monitor.errors import MonitorError

MOST: Final = 10_000
"""Runs that can be ticked at once."""
_PORTION: Final = 1000
_RUNS: Final = "runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What is ticked, and what became of the last action.

    Attributes:
        picked: ids of the runs that are ticked.
        push: names the ticks that the browser takes over; "" where its own stand.
        problem: what could not be done, and why.
        said: what was done.
        gone: runs that were deleted, which can be taken back.
    """

    picked: Sequence[str] = ()
    push: str = ""
    problem: str = ""
    said: str = ""
    gone: Sequence[str] = ()

    def ticking(self, picked: Sequence[str], problem: str = "", said: str = "", gone: Sequence[str] = ()) -> Done:
        """Other ticks, which the browser takes over."""
        return Done(picked=picked, push=f"at {readings.now_ms()}", problem=problem, said=said, gone=gone)

    def keeping(self, problem: str = "", said: str = "", gone: Sequence[str] = ()) -> Done:
        """The same ticks."""
        return replace(self, problem=problem, said=said, gone=gone)


def act(asked: live.Act | None, filters: RunQuery) -> Done:
    """What is ticked in the list, after what the reader asked for was done with it."""
    done: Done = st.session_state.get("_done", Done())
    done = replace(done, picked=live.ticked(_RUNS, done.picked, done.push))
    if asked is not None:
        action = _ACTIONS.get(asked.act)
        done = replace(done, problem="") if action is None else action(asked.arg, filters, done)
    st.session_state["_done"] = done
    return done


def _each(run_ids: Sequence[str], change: Callable[[str], object]) -> tuple[list[str], str]:
    """Change each run; those that could not be, and the first reason."""
    left, first = [], ""
    for run_id in run_ids:
        try:
            change(run_id)
        except MonitorError as error:
            left.append(run_id)
            first = first or str(error)
    return left, f"{count(len(left), 'run')} left as they were: {first}" if left else ""


def _all(_: str, filters: RunQuery, done: Done) -> Done:
    """Tick every run that the filters leave."""
    found: list[str] = []
    try:
        while len(found) < MOST:
            page = data.runs_page(replace(filters, limit=_PORTION, offset=len(found), sparkline=0, metrics=()))
            found += [run.id for run in page.items]
            if len(page.items) < _PORTION:
                break
    except MonitorError as error:
        return done.keeping(str(error))
    return done.ticking(list(dict.fromkeys([*done.picked, *found[:MOST]])))


def _tag(arg: str, _: RunQuery, done: Done) -> Done:
    name, value = (str(each).strip() for each in json.loads(arg))
    if not name:
        return done.keeping("a tag needs a name")
    left, problem = _each(done.picked, lambda run_id: readings.api().run(run_id).edit(tags={name: value}))
    said = _said(len(done.picked) - len(left), f"tagged {name}{'=' if value else ''}{value}")
    return done.ticking(left, problem, said) if left else done.keeping(problem, said)


def _stop(_: str, __: RunQuery, done: Done) -> Done:
    ended = []

    def ask(run_id: str) -> None:
        view = readings.api().run(run_id)
        if view.info.status.over:
            ended.append(run_id)
        else:
            view.request_stop("dashboard")

    left, problem = _each(done.picked, ask)
    said = _said(len(done.picked) - len(left) - len(ended), "asked to stop")
    return done.ticking(left, problem, " ".join(filter(None, (said, _said(len(ended), "had ended already")))))


def _delete(_: str, __: RunQuery, done: Done) -> Done:
    left, problem = _each(done.picked, lambda run_id: readings.api().delete(run_id))
    gone = [run_id for run_id in done.picked if run_id not in left]
    return done.ticking(left, problem, _said(len(gone), "deleted"), gone)


def _undo(_: str, __: RunQuery, done: Done) -> Done:
    left, problem = _each(done.gone, lambda run_id: readings.api().restore(run_id))
    return done.keeping(problem, _said(len(done.gone) - len(left), "restored"), left)


def _said(runs: int, done: str) -> str:
    return f"{count(runs, 'run')} {done}." if runs else ""


_ACTIONS: Final = {"all": _all, "tag": _tag, "stop": _stop, "delete": _delete, "undo": _undo}


def as_query(filters: RunQuery) -> str:
    """All filters as one query, for a link that leads to the same runs."""
    typed = filters.search or ""
    query = typed if data.is_query(typed) else f"name ~ {json.dumps(typed, ensure_ascii=False)}" if typed else ""
    for field, wanted in (("project", filters.project), ("status", filters.status), ("verdict", filters.verdict)):
        if wanted is not None:
            query = fields.both(query, fields.condition(field, str(wanted)))
    return query


def views() -> None:
    """The saved views, and a field to save the present one."""
    with st.popover("Views"):
        asked, problem = live.heard("views"), ""
        if asked is not None:
            problem = _change_views(asked)
        saved = readings.keep("views", lambda: readings.api().views(_RUNS)).value or ()
        live.html(run_list.views(saved, problem, data.lacks(Access.EDITOR, "save a view")), key="views")


def _change_views(asked: live.Act) -> str:
    """Save or delete a view; why it could not be."""
    address = {name: st.query_params.get_all(name) for name in st.query_params if name != "page"}
    try:
        if asked.act == "forget":
            readings.api().forget_view(_RUNS, asked.arg)
        else:
            readings.api().save_view(_RUNS, asked.arg, urlencode(address, doseq=True))
    except MonitorError as error:
        return str(error)
    return ""


def export(filters: RunQuery, columns: Sequence[str]) -> None:
    """A link to the list as CSV: all runs that the filters leave, with the columns that are shown."""
    given = {"project": filters.project, "status": filters.status, "verdict": filters.verdict, "q": filters.search}
    query = [(name, str(value)) for name, value in given.items() if value]
    query += [("cols", column) for column in columns]
    live.html(fill("run_list", "export_link", query=urlencode(query)), key="export")


def deleted_runs(filters: RunQuery) -> None:
    """The deleted runs of the chosen project whose names have the text of the search in them; all can be restored."""
    asked, problem = live.heard("deleted"), ""
    if asked is not None and asked.act == "restore":
        _, problem = _each(asked.arg.split(), lambda run_id: readings.api().restore(run_id))
    reading = readings.keep("deleted", lambda: (readings.api().deleted(), readings.api().purge_days()))
    body = pieces.notice("critical", "Not restored.", problem) if problem else pieces.quiet("")
    if reading.value is not None:
        found, days = reading.value
        typed = (filters.search or "").casefold()
        shown = [
            (run, at) for run, at in found
            if filters.project in (None, run.project) and (typed in run.name.casefold() or run.id.startswith(typed))
        ]  # fmt: skip
        if found and not shown:
            body += pieces.quiet("No deleted run matches these filters.")
        else:
            body += run_list.deleted_table(shown, days, readings.now_ms(), data.lacks(Access.EDITOR, "restore runs"))
    live.html(body, key="deleted")
