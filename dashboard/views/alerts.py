"""The outbox: who was told of what, and what is still on its way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from dashboard import data, live, markup, words
from dashboard.markup import text
from dashboard.reader import zone
from monitor.domain import Delivery

REFRESH_S: Final = 3.0
LIMIT: Final = 200


def page() -> None:
    """Draw the page; it refreshes by itself."""
    st.fragment(_alerts, run_every=REFRESH_S)()


def _alerts() -> None:
    reading = data.keep("alerts", lambda: tuple(data.api().alerts(limit=LIMIT)))
    body = '<div class="lm-head"><h1>Alerts</h1>' + _counts(reading.value or ()) + "</div>"
    if reading.error is not None:
        body += markup.notice("warning", *data.explain(reading.error), testid="unreachable")
    if reading.value is not None:
        body += _table(reading.value, stale=reading.error is not None)
    live.html(body, key="alerts")


def _counts(deliveries: Sequence[Delivery]) -> str:
    waiting = [d for d in deliveries if d.delivered_ms is None]
    failing = sum(d.error is not None for d in waiting)
    parts = [f"<span><b>{len(deliveries) - len(waiting):,}</b> delivered</span>"]
    parts.append(f"<span><b>{len(waiting) - failing:,}</b> waiting</span>")
    if failing:
        parts.append(f'<span class="lm-need"><b>{failing:,}</b> failing</span>')
    return f'<div class="lm-counts">{"".join(parts)}</div>'


def _table(deliveries: Sequence[Delivery], *, stale: bool) -> str:
    if not deliveries:
        return (
            '<div class="lm-empty"><h1>No alerts</h1><p>An alert appears here when a critical finding fires or '
            "resolves, and when a run is lost or stalls. To have them sent, name channels in "
            "<code>MONITOR_ALERT_URLS</code>.</p></div>"
        )
    rows = [_row(d) for d in sorted(deliveries, key=lambda d: -d.alert.created_ms)]
    table = markup.table(("When", "Alert", "Run", "Step", "Delivery"), rows, css="lm-alerts", numeric=(3,))
    return f'<div class="{"lm-stale" if stale else ""}">{table}</div>'


def _row(delivery: Delivery) -> tuple[str, ...]:
    alert = delivery.alert
    kind = "resolved" if alert.state == "resolved" else str(alert.severity)
    return (
        f'<span title="{words.clock(alert.created_ms, zone())}">{words.ago(alert.created_ms, data.now_ms())}</span>',
        f'{markup.chip(alert.kind, severity=kind)} <span class="lm-dim">{text(alert.state)}</span>'
        f"<div>{text(alert.title)}</div><div class=lm-dim>{text(alert.body)}</div>",
        f"{markup.run_link(alert.run_id, text(alert.run_name))}<div class=lm-dim>{text(alert.project)}</div>",
        words.step(alert.step),
        _delivery(delivery),
    )


def _delivery(delivery: Delivery) -> str:
    """How far the message got; a form and a word for each state."""
    if delivery.delivered_ms is not None:
        late = words.duration(delivery.delivered_ms - delivery.alert.created_ms)
        done = '<span class="lm-chip lm-good"><i aria-hidden="true">✓</i>delivered</span>'
        return f"{done} <span class=lm-dim>after {late}</span>"
    if delivery.error is None:
        return '<span class="lm-chip lm-none"><i aria-hidden="true">…</i>waiting</span>'
    tries = f"{delivery.attempts:,} tries" if delivery.attempts != 1 else "1 try"
    return (
        f'<span class="lm-chip lm-warning"><i aria-hidden="true">◆</i>failing</span> <span class=lm-dim>{tries}, next '
        f"{words.clock(delivery.next_ms, zone())[11:]}</span><div class=lm-dim>{text(delivery.error)}</div>"
    )


page()
