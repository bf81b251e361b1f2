"""The outbox: who was told of what, and what is still on its way."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard import data, live, viewer
from dashboard.markup import alerts, pieces
from dashboard.markup.templates import joined

REFRESH_S: Final = 3.0
LIMIT: Final = 200


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
    if reading.value is not None:
        stale = reading.error is not None
        body.append(alerts.alerts(reading.value, data.now_ms(), viewer.zone(), sent=sent, stale=stale))
    live.html(joined(body), key="alerts")


if __name__ == "__main__":
    page()
