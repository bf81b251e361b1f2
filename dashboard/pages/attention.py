"""The front page: a card per run that needs attention, and the fleet below."""

from __future__ import annotations

import json
from typing import Final

import streamlit as st

from dashboard import answers, data, live, news, readings, viewer, words
from dashboard.markup import attention, pieces
from dashboard.markup.templates import fill, joined
from dashboard.pages import run_list
from monitor.domain import Access, Attention, RunQuery
from monitor.errors import MonitorError

REFRESH_S: Final = 2.0
CARDS: Final = 9
NEWEST: Final = 8
"""Runs that are listed while none needs attention."""
_CARDS: Final = "attention"
_STOP: Final = "stop "
_ANSWERS: Final = {"ack": answers.acknowledge, "silence": answers.silence}


def page() -> None:
    """Draw the page; it refreshes by itself."""
    viewer.title("Attention")
    news.refreshed(_attention, every_s=REFRESH_S)()


def _attention() -> None:
    failed, why = _answered()
    reading = readings.keep("attention", lambda: readings.api().attention(CARDS, sparkline=data.SPARK_POINTS))
    seen: Attention | None = reading.value
    problem = pieces.problem(reading.error, testid="unreachable")
    live.html(fill("attention", "head", seen=seen, problem=problem), key="attention head")
    if seen is not None and seen.total and (lacks := data.lacks(Access.EDITOR, "stop runs or answer alerts")):
        live.html(pieces.quiet(lacks, testid="no-right"), key="no-right")
    if seen is None:
        if reading.error is None:
            st.skeleton(height=320)
        return
    if not (seen.total or seen.running or seen.finished_today) and _empty():
        run_list.welcome()
        return
    may_act, firing = data.may(Access.EDITOR), 0
    if not seen.items:
        found = readings.keep("alert counts", lambda: readings.api().alerts(limit=1)).value
        firing = found.counts.get("firing", 0) if found is not None else 0
    body = readings.once(
        _CARDS,
        (seen, failed, why, may_act, firing),
        lambda: joined([attention.cards(seen, failed, why, may_act=may_act, firing=firing), attention.fleet(seen)]),
    )
    live.html(body, key=_CARDS)
    if not seen.items:
        wanted = RunQuery(limit=NEWEST, sparkline=data.SPARK_POINTS)
        runs = readings.keep("newest runs", lambda: readings.api().runs_page(wanted)).value
        if runs is not None:
            live.html(attention.newest(runs, readings.now_ms()), key="newest")


def _empty() -> bool:
    """Whether there is no run at all; the server need not have answered."""
    found = readings.keep("any run", lambda: readings.api().runs_page(RunQuery(limit=1))).value
    return found is not None and not found.total


def _answered() -> tuple[str, str]:
    """Do what the reader asked for; the run or alert of what was not done, and what the server said."""
    wanted = live.heard(_CARDS)
    if wanted is None:
        return "", ""
    of = wanted.act.removeprefix(_STOP) if wanted.act.startswith(_STOP) else str(json.loads(wanted.arg)["arg"])
    try:
        if wanted.act in _ANSWERS:
            _ANSWERS[wanted.act](wanted.arg)
        elif wanted.act.startswith(_STOP):
            readings.api().run(of).request_stop(wanted.arg.strip()[:100] or answers.NOBODY)
    except MonitorError as error:
        return of, " ".join(words.explain(error))
    return "", ""


if __name__ == "__main__":
    page()
