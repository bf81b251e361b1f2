"""The tabs of a run's page that hold words rather than curves."""

from __future__ import annotations

import json
from typing import Final

import streamlit as st

from dashboard import data, live, readings
from dashboard.markup import pieces
from dashboard.markup import run_tabs as markup
from dashboard.pages import widgets
from dashboard.viewer import zone
from monitor.domain import Access, RunInfo, RunQuery, RunSnapshot, inert
from monitor.errors import MonitorError

OUTPUT_LIMIT: Final = 500
"""Pieces of the output that are shown, the last ones."""
_OTHERS: Final = 100
"""Runs that a run can be compared with at once; any other by its id or name."""


def config(seen: RunSnapshot) -> None:
    """The configuration, with a search where it is long."""
    search = widgets.search("Find a key or a value", "config") if len(seen.info.config) > 1 else ""
    live.html(markup.config(seen.info, search), key="config entries")
    _against(seen.info)


def environment(seen: RunSnapshot) -> None:
    """What the run ran in, and what differs from another run's."""
    try:
        live.html(markup.environment(data.events(seen.info)), key="environment")
        _against(seen.info)
    except MonitorError as error:
        _problem(error)


def _against(run: RunInfo) -> None:
    """A choice of another run, and what differs from it."""
    others = readings.keep(
        f"others {run.project}", lambda: readings.api().runs_page(RunQuery(project=run.project, limit=_OTHERS))
    )
    names = {other.id: inert(f"{other.name} · {other.id[:8]}") for other in others.value.items} if others.value else {}
    names.pop(run.id, None)
    asked = st.query_params.get("against")
    if asked:
        names.setdefault(asked, inert(asked))
    chosen = st.selectbox(
        "What differs from another run", list(names), index=None, format_func=lambda i: names.get(i, i), key="against",
        bind="query-params", placeholder="Choose a run, or type its id or name", accept_new_options=True, width=420,
    )  # fmt: skip
    if not chosen:
        return
    try:
        other = readings.api().run(str(chosen)).info
        body = markup.differing(run, other, data.events(run), data.events(other))
    except MonitorError as error:
        _problem(error)
        return
    live.html(body, key="differing")


def output(seen: RunSnapshot) -> None:
    """What the process printed, with a search."""
    search = widgets.search("Find in the output", "output")
    try:
        found = readings.api().view(seen.info).output(search or None, limit=OUTPUT_LIMIT)
    except MonitorError as error:
        _problem(error)
        return
    live.html(markup.output(found, search, zone(), OUTPUT_LIMIT), key="pieces")


def notes(seen: RunSnapshot) -> None:
    """The note and the tags, which can be changed here."""
    key = f"notes {seen.info.id}"
    problem = ""
    asked = live.heard(key)
    info, note = seen.info, seen.note
    if asked is not None:
        try:
            info, note = _edited(seen, asked)
        except MonitorError as error:
            problem = str(error)
    live.html(markup.notes(info, note, problem, data.lacks(Access.EDITOR, "change the note or the tags")), key=key)


def _edited(seen: RunSnapshot, asked: live.Act) -> tuple[RunInfo, str]:
    """Make the change that was asked for; the run and its note as they are then."""
    view = readings.api().view(seen.info)
    if asked.act == "note":
        return view.edit(note=asked.arg), asked.arg
    if asked.act == "untag":
        return view.edit(tags={asked.arg: None}), seen.note
    name, value = json.loads(asked.arg)
    return view.edit(tags={str(name): str(value)}), seen.note


def alerts(seen: RunSnapshot) -> None:
    """The alerts of this run."""
    try:
        live.html(markup.alerts(readings.api().deliveries(seen.info.id), readings.now_ms(), zone()), key="run-alerts")
    except MonitorError as error:
        _problem(error)


def events(seen: RunSnapshot) -> None:
    """What was set aside, and what happened."""
    try:
        live.html(markup.events(seen, data.events(seen.info), zone()), key="events")
    except MonitorError as error:
        _problem(error)


def _problem(error: MonitorError) -> None:
    live.html(pieces.problem(error), key="problem")
