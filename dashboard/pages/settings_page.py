"""Settings: who is signed in, the tokens, the audit log, how long runs are kept, what hours cost, how the server is."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard import data, live, readings, sessions, viewer
from dashboard.markup import access, pieces
from monitor.domain import Access
from monitor.errors import MonitorError

_TOKENS: Final = "tokens"
_AUDIT: Final = 100
"""Entries of the audit log that are shown, the newest."""
_DAY_MS: Final = 86_400_000
_LASTS: Final = {"never": None, "in a day": 1, "in a week": 7, "in 30 days": 30, "in a year": 365}


def page() -> None:
    """Draw the page; what it lists is read when it is opened and when something was changed."""
    viewer.title("Settings")
    me = data.me()
    if me is None:
        return
    live.html(pieces.head("Settings") + pieces.heading("Access"), key="access")
    live.html(access.who(me, sessions.path("signout"), signed_in=sessions.token() is not None), key="who")
    if me.access is Access.ADMIN:
        _tokens()
        _audit()
    else:
        problem = f"Tokens and the audit log need the role admin, and this token has {me.access}."
        live.html(
            pieces.notice("info", problem, "Sign in with another token to see them.", testid="no-admin"), key="no"
        )
    _retention()
    _costs()
    _health()


def _tokens() -> None:
    live.html(pieces.heading("Tokens"), key="tokens-head")
    wanted = live.heard(_TOKENS)
    try:
        if wanted is not None and wanted.act == "revoke":
            readings.api().revoke_token(wanted.arg)
        _create()
        found = readings.api().tokens()
    except MonitorError as error:
        live.html(pieces.notice("warning", *data.explain(error), testid="no-tokens"), key="no-tokens")
        return
    if found:
        live.html(access.tokens(found, readings.now_ms(), viewer.zone()), key=_TOKENS)
    else:
        live.html(pieces.quiet("There are none. From the first one on, the server asks for a token."), key="none")


def _create() -> None:
    """The form that makes a token, and the token that it made."""
    with st.form("new token", clear_on_submit=True), st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Name", max_chars=250, width=220)
        role = st.selectbox("Role", [str(role) for role in Access], width=140)
        project = st.text_input("Project", placeholder="all", max_chars=250, width=180)
        lasts = st.selectbox("Expires", list(_LASTS), width=140)
        sent = st.form_submit_button("Create token")
    if not sent:
        return
    days = _LASTS[lasts]
    expires_ms = None if days is None else readings.now_ms() + days * _DAY_MS
    try:
        _, token = readings.api().create_token(
            name.strip(), role, project=project.strip() or None, expires_ms=expires_ms
        )
    except MonitorError as error:
        live.html(pieces.notice("critical", "Not created.", str(error), testid="not-created"), key="not-created")
        return
    live.html(access.new_token(token), key="new-token")


def _audit() -> None:
    live.html(pieces.heading("Audit log"), key="audit-head")
    reading = readings.keep("audit", lambda: readings.api().audit(_AUDIT))
    if reading.value is None or reading.error is not None:
        if reading.error is not None:
            live.html(pieces.notice("warning", *data.explain(reading.error)), key="no-audit")
        return
    total, entries = reading.value
    said = f"The newest {len(entries):,} of {total:,} changes." if total else "Nothing was changed yet."
    live.html(access.audit(entries, readings.now_ms(), viewer.zone()) + pieces.quiet(said), key="audit")


def _retention() -> None:
    live.html(pieces.heading("Retention"), key="retention-head")
    reading = readings.keep("retention", lambda: (readings.api().keeping(), readings.api().purge_days()))
    if reading.value is not None:
        live.html(access.retention(*reading.value), key="retention")


def _costs() -> None:
    live.html(pieces.heading("Costs"), key="costs-head")
    reading = readings.keep("costs", readings.api().costs)
    if reading.value is not None:
        live.html(access.costs(*reading.value), key="costs")


def _health() -> None:
    live.html(pieces.heading("Health"), key="health-head")
    reading = readings.keep("server", readings.api().info)
    if reading.error is not None:
        live.html(pieces.notice("warning", *data.explain(reading.error), testid="unreachable"), key="unreachable")
    if reading.value is not None:
        live.html(access.health(reading.value), key="health")


if __name__ == "__main__":
    page()
