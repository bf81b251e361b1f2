"""The outbox: who was told of what, and what is still on its way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from dashboard import data, live, markup, words
from dashboard.markup import text
from dashboard.reader import zone
from monitor.domain import Alert, Delivery

REFRESH_S: Final = 3.0
LIMIT: Final = 200
_HOW: Final = "To have them sent, name channels in MONITOR_ALERT_URLS, such as slack://… or mailto://…"


def page() -> None:
    """Draw the page; it refreshes by itself."""
    st.fragment(_alerts, run_every=REFRESH_S)()


def _alerts() -> None:
    reading = data.keep("alerts", lambda: tuple(data.api().alerts(limit=LIMIT)))
    channels = data.keep("channels", data.api().alert_channels).value
    body = '<div class="lm-head"><h1>Alerts</h1>' + _counts(reading.value or (), sent=channels != 0) + "</div>"
    if reading.error is not None:
        body += markup.notice("warning", *data.explain(reading.error), testid="unreachable")
    if reading.value and channels == 0:
        body += markup.notice("info", "These are sent to nobody.", _HOW, testid="no-channel")
    if reading.value is not None:
        body += _table(reading.value, stale=reading.error is not None, sent=channels != 0)
    live.html(body, key="alerts")


def _counts(deliveries: Sequence[Delivery], *, sent: bool) -> str:
    waiting = [d for d in deliveries if d.delivered_ms is None]
    failing = sum(d.error is not None for d in waiting)
    parts = [f"<span><b>{len(deliveries) - len(waiting):,}</b> delivered</span>"]
    parts.append(f"<span><b>{len(waiting) - failing:,}</b> {'waiting' if sent else 'not sent'}</span>")
    if failing:
        parts.append(f'<span class="lm-need"><b>{failing:,}</b> failing</span>')
    return f'<div class="lm-counts">{"".join(parts)}</div>'


def _table(deliveries: Sequence[Delivery], *, stale: bool, sent: bool) -> str:
    if not deliveries:
        return (
            '<div class="lm-empty"><h1>No alerts</h1><p>An alert appears here when a critical finding fires or '
            f"resolves, and when a run is lost or stalls. {_HOW}</p></div>"
        )
    rows = [_row(d, sent=sent) for d in sorted(deliveries, key=lambda d: -d.alert.created_ms)]
    table = markup.table(("When", "Alert", "Run", "Step", "Delivery"), rows, css="lm-alerts", numeric=(3,))
    return f'<div class="{"lm-stale" if stale else ""}">{table}</div>'


def _row(delivery: Delivery, *, sent: bool) -> tuple[str, ...]:
    alert = delivery.alert
    kind = "resolved" if alert.state == "resolved" else str(alert.severity)
    return (
        f'<span title="{words.clock(alert.created_ms, zone())}">{words.ago(alert.created_ms, data.now_ms())}</span>',
        f'{markup.chip(alert.kind, severity=kind)} <span class="lm-dim">{text(alert.state)}</span>'
        f"<div>{text(alert.title)}</div><div class=lm-dim>{text(_said(alert))}</div>",
        f"{markup.run_link(alert.run_id, text(alert.run_name))}<div class=lm-dim>{text(alert.project)}</div>",
        words.step(alert.step),
        _delivery(delivery, sent=sent),
    )


def _said(alert: Alert) -> str:
    """The message without what helps only those for whom the run's page is not a click away."""
    where = f"Run {alert.run_id} of project {alert.project}."
    lines = (line for line in alert.body.splitlines() if line != where and not line.startswith("Numbers: "))
    return "\n".join(lines)


def _delivery(delivery: Delivery, *, sent: bool) -> str:
    """How far the message got; a form and a word for each state."""
    if delivery.delivered_ms is not None:
        late = words.duration(delivery.delivered_ms - delivery.alert.created_ms)
        done = '<span class="lm-chip lm-good"><i aria-hidden="true">✓</i>delivered</span>'
        return f"{done} <span class=lm-dim>after {late}</span>"
    if delivery.error is None:
        state = ("…", "waiting") if sent else ("○", "not sent")
        return '<span class="lm-chip lm-none"><i aria-hidden="true">{}</i>{}</span>'.format(*state)
    tries = f"{delivery.attempts:,} tries" if delivery.attempts != 1 else "1 try"
    return (
        f'<span class="lm-chip lm-warning"><i aria-hidden="true">◆</i>failing</span> <span class=lm-dim>{tries}, next '
        f"{words.clock(delivery.next_ms, zone())[11:]}</span><div class=lm-dim>{text(delivery.error)}</div>"
    )


page()
