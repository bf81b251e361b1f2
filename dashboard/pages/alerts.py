"""The outbox: who was told of what, and what is still on its way."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard import data, live, viewer, words
from dashboard.markup import alerts, pieces
from dashboard.markup.templates import joined
from monitor.domain.formats import count

REFRESH_S: Final = 3.0
LIMIT: Final = 200
"""Alerts that are looked at, the newest."""


def page() -> None:
    """Draw the page; it refreshes by itself."""
    viewer.title("Alerts")
    st.fragment(_alerts, run_every=REFRESH_S)()


def _alerts() -> None:
    reading = data.keep("alerts", lambda: tuple(data.api().alerts(limit=LIMIT)))
    sent = data.keep("channels", data.api().alert_channels).value != 0
    body = [alerts.head(reading.value or (), sent=sent)]
    if reading.error is not None:
        body.append(pieces.notice("warning", *data.explain(reading.error), testid="unreachable"))
    if reading.value and not sent:
        body.append(pieces.notice("info", "These are sent to nobody.", alerts.HOW, testid="no-channel"))
    live.html(joined(body), key="head")
    if reading.value is None:
        return
    chosen = _chosen(sorted({d.alert.kind for d in reading.value})) if reading.value else (None, None)
    left = alerts.matching(reading.value, *chosen)
    stale = reading.error is not None
    if reading.value and not left:
        live.html(pieces.quiet("No alert matches these filters."), key="alerts")
        return
    first = (_page(len(left)) - 1) * data.PAGE_SIZE
    some = left[first : first + data.PAGE_SIZE]
    live.html(alerts.alerts(some, data.now_ms(), viewer.zone(), sent=sent, stale=stale), key="alerts")
    if len(left) > data.PAGE_SIZE:
        st.caption(f"{first + 1:,} to {first + len(some):,} of {count(len(left), 'alert')}")


def _chosen(kinds: list[str]) -> tuple[str | None, str | None]:
    """The state and the kind that are shown; None for all. Both are kept in the address."""
    with st.container(key="filters", horizontal=True):
        state = st.selectbox(
            "State", alerts.STATES, index=None, placeholder="Any state", key="state", bind="query-params",
            label_visibility="collapsed", width=220,
        )  # fmt: skip
        kind = st.selectbox(
            "Kind", kinds, index=None, placeholder="Any kind", format_func=words.label, key="kind",
            bind="query-params", label_visibility="collapsed", width=260,
        )  # fmt: skip
    return state, kind


def _page(found: int) -> int:
    """The page of the list that is shown; its control where there are several."""
    pages = -(-found // data.PAGE_SIZE)
    if pages < 2:
        return 1
    return int(st.pagination(pages, key=f"alerts in {pages} pages", width=360))


if __name__ == "__main__":
    page()
