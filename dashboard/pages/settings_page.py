"""Settings: who is signed in, the tokens, the audit log, how long runs are kept, what hours cost, how the server is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import streamlit as st
from markupsafe import Markup

from dashboard import data, live, readings, sessions, viewer
from dashboard.markup import access, pieces
from dashboard.markup.templates import fill
from monitor.domain import Access, AuditEntry
from monitor.errors import MonitorError

T = TypeVar("T")

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
    signed_in = sessions.token() is not None
    live.html(fill("access", "who", me=me, action=sessions.path("signout"), signed_in=signed_in), key="who")
    if me.access is Access.ADMIN:
        _tokens()
        _section("Audit log", lambda: readings.api().audit(_AUDIT), _audit)
    else:
        problem = f"Tokens and the audit log need the role admin, and this token has {me.access}."
        live.html(
            pieces.notice("info", problem, "Sign in with another token to see them.", testid="no-admin"), key="no"
        )
    api = readings.api()
    _section("Retention", lambda: (api.keeping(), api.purge_days()), lambda found: access.retention(*found))
    _section("Costs", api.costs, lambda found: access.costs(*found))
    _section("Health", api.info, access.health)


def _tokens() -> None:
    live.html(pieces.heading("Tokens"), key="tokens-head")
    wanted = live.heard(_TOKENS)
    try:
        if wanted is not None and wanted.act == "revoke":
            readings.api().revoke_token(wanted.arg)
        _create()
        found = readings.api().tokens()
    except MonitorError as error:
        live.html(pieces.problem(error, testid="no-tokens"), key="no-tokens")
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
    live.html(fill("access", "new_token", token=token), key="new-token")


def _audit(found: tuple[int, tuple[AuditEntry, ...]]) -> Markup:
    total, entries = found
    said = f"The newest {len(entries):,} of {total:,} changes." if total else "Nothing was changed yet."
    return access.audit(entries, readings.now_ms(), viewer.zone()) + pieces.quiet(said)


def _section(title: str, read: Callable[[], T], shown: Callable[[T], Markup]) -> None:
    """A heading, and what is known below it."""
    key = title.lower()
    live.html(pieces.heading(title), key=f"{key}-head")
    reading = readings.keep(key, read)
    if reading.error is not None:
        live.html(pieces.problem(reading.error, testid="unreachable"), key=f"no-{key}")
    if reading.value is not None:
        live.html(shown(reading.value), key=key)


if __name__ == "__main__":
    page()
