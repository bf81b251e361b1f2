"""The alerts page: alerts by state, silences, deliveries and channels. Its state is in the URL."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import streamlit as st
from markupsafe import Markup

from dashboard import address, answers, data, live, news, readings, viewer, words
from dashboard.markup import alerts, pieces
from dashboard.markup.templates import fill, joined
from dashboard.pages import widgets
from monitor.domain import Access, AlertPage, Mark, Severity
from monitor.domain.formats import count
from monitor.errors import MonitorError, WireError
from monitor.rules import RULE_NAMES

REFRESH_S: Final = 3.0
TABS: Final = ("firing", "pending", "acknowledged", "resolved", "silences", "deliveries", "channels")
SHOWN_MS: Final = 10_000
"""How long the result of a click is shown."""
MESSAGES: Final = 100
"""Messages that are listed, the newest."""


def page() -> None:
    """Draw the page; everything that refreshes is in one fragment."""
    viewer.title("Alerts")
    head = st.container()
    tab = widgets.one_of("Show", TABS, "tab", titled=False)
    filters = _filters() if tab in TABS[:4] else {}
    with head:
        news.refreshed(_head, every_s=REFRESH_S)()
    news.refreshed(_body, every_s=REFRESH_S)(tab, filters)


def _head() -> None:
    reading = readings.keep("alert counts", lambda: readings.api().alerts(limit=1))
    body = [alerts.head(reading.value.counts if reading.value is not None else {})]
    body.append(pieces.problem(reading.error, testid="unreachable"))
    if reading.value is not None and any(reading.value.counts.values()) and not _sent():
        body.append(pieces.notice("info", "These are sent to nobody.", alerts.HOW, testid="no-channel"))
    live.html(joined(body), key="head")


def _filters() -> dict[str, str]:
    """The filters of the list, each kept in the URL under its key."""
    rules = sorted({*RULE_NAMES, "lost", "stalled", "failed", "alert", "threshold"})
    choices = (
        ("project", data.projects(), "Any project", str),
        ("rule", rules, "Any rule", words.label),
        ("severity", tuple(map(str, Severity)), "Any severity", str),
    )
    found = {}
    with st.container(key="alert_filters", horizontal=True):
        for key, options, nothing, shown in choices:
            found[key] = widgets.some_or_all(key.capitalize(), options, key, nothing, shown=shown, width=168)
        found["search"] = widgets.search("Search", "text", placeholder="Text or run", width=168, most=250)
    return {key: value for key, value in found.items() if value}


def _body(tab: str, filters: dict[str, str]) -> None:
    problem = _answered()
    if problem:
        _say("critical", "Not done.", problem)
    kind, title, text, until = st.session_state.get("_said", ("", "", "", 0))
    if readings.now_ms() < until:
        live.html(pieces.notice(kind, title, text, testid="done" if kind == "info" else "not-done"), key="problem")
    lacks = data.lacks(Access.EDITOR, "answer alerts or test channels")
    _asked(lacks)
    if lacks:
        live.html(pieces.quiet(lacks, testid="no-right"), key="no-right")
    if tab == "silences":
        reading = readings.keep("silences", lambda: readings.api().silences(over=True))
        _show(alerts.silences(reading.value or (), readings.now_ms(), viewer.zone(), may=not lacks))
        _list("silenced", {}, may=not lacks)
    elif tab == "deliveries":
        _deliveries(may=not lacks)
    elif tab == "channels":
        found = readings.keep("channel list", lambda: readings.api().channels()).value or ()
        _show(alerts.channels(found, may=not lacks))
    else:
        _list(tab, filters, may=not lacks)


def _list(state: str, filters: dict[str, str], *, may: bool) -> None:
    after = st.query_params.get("after") if state != "silenced" else None
    wanted = {**filters, "cursor": after, "limit": data.PAGE_SIZE}
    reading = readings.keep(f"alerts {state} {wanted}", lambda: readings.api().alerts(state, **wanted))  # type: ignore[arg-type]  # filters by name
    found: AlertPage | None = reading.value
    if found is None:
        if isinstance(reading.error, WireError):
            live.html(pieces.problem(reading.error, testid="query-error"), key="alerts")
        return
    if state == "silenced" and not found.items:
        return
    stale = reading.error is not None
    marks = readings.keep("marks", lambda: readings.api().alert_marks()).value or {}
    body = [
        alerts.alerts(found, state, readings.now_ms(), viewer.zone(), filtered=bool(filters), stale=stale, may=may),
        alerts.pages(found.cursor, first=after is not None),
        alerts.marks(marks) if state in ("firing", "resolved") else Markup(""),
    ]
    live.html(joined(body), key=f"alerts {state}")
    if found.items:
        st.caption(f"{len(found.items):,} of {count(found.counts.get(state, 0), 'alert')}")


def _deliveries(*, may: bool) -> None:
    dead = readings.keep("dead letters", lambda: readings.api().dead_letters()).value or ()
    found = readings.keep("deliveries", lambda: readings.api().deliveries(limit=MESSAGES)).value or ()
    _show(alerts.deliveries(found, dead, readings.now_ms(), viewer.zone(), sent=_sent(), may=may))


def _sent() -> bool:
    """Whether alerts are sent to anybody, as far as is known."""
    return readings.keep("channels", readings.api().alert_channels).value != 0


def _show(body: Markup) -> None:
    live.html(body, key="shown")


def _asked(lacks: str) -> None:
    """The form that a link in a message leads to; if the reader may not send it, why."""
    what = next((name for name in ("ack", "silence") if name in st.query_params), None)
    if what is None:
        return
    try:
        info = readings.api().alert(st.query_params[what])
    except MonitorError as error:
        live.html(pieces.notice("warning", "The link leads to no alert.", str(error), testid="no-alert"), key="asked")
        return
    live.html(fill("alerts", "asked", alert=info, what=what, lacks=lacks), key="asked")


def _answered() -> str:
    """Perform the requested action; returns the server's message if it failed."""
    for key in ("asked", "shown", *(f"alerts {state}" for state in (*TABS[:4], "silenced"))):
        wanted = live.heard(key)
        if wanted is None:
            continue
        if wanted.act == "page":
            address.write("after", wanted.arg)
            st.rerun()
        try:
            _say("info", "Done.", _ACTS[wanted.act](wanted.arg))
        except MonitorError as error:
            return str(error)
        if key == "asked":
            address.write("ack", "")
            address.write("silence", "")
        st.rerun()
    return ""


def _say(kind: str, title: str, text: str) -> None:
    """Show the result of an action through the next refreshes of the page."""
    st.session_state["_said"] = (kind, title, text, readings.now_ms() + SHOWN_MS)


def _unsilence(arg: str) -> str:
    readings.api().unsilence(arg)
    return "The silence has ended."


def _retry(arg: str) -> str:
    return f"{count(readings.api().retry(arg), 'message')} to be sent again."


def _test(arg: str) -> str:
    readings.api().test_channel(arg)
    return f"{arg} took the message."


def _mark(arg: str, mark: Mark) -> str:
    """Mark an alert; the same mark again takes it back."""
    before = readings.api().alert(arg).mark
    readings.api().mark(arg, None if before == mark else mark, answers.NOBODY)
    return "The mark is taken back." if before == mark else f"Marked as {mark}."


_ACTS: Final[dict[str, Callable[[str], str]]] = {
    "ack": answers.acknowledge,
    "silence": answers.silence,
    "unsilence": _unsilence,
    "retry": _retry,
    "test": _test,
    "helpful": partial(_mark, mark="helpful"),
    "false": partial(_mark, mark="false alarm"),
}


if __name__ == "__main__":
    page()
