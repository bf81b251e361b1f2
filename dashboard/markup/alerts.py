"""The outbox as a table: what was sent, what waits, and what fails with which error."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Final

from markupsafe import Markup

from dashboard.markup import pieces
from dashboard.markup.templates import fill
from monitor.domain import Alert, Delivery
from monitor.domain.formats import ago, clock, duration, step

HOW: Final = "To have them sent, name channels in MONITOR_ALERT_URLS, such as slack://… or mailto://…"
_PAGE: Final = "alerts"


def head(deliveries: Sequence[Delivery], *, sent: bool) -> Markup:
    """How many messages arrived, wait and fail.

    Args:
        deliveries: all that are shown.
        sent: whether there is a channel to send them to.
    """
    waiting = [d for d in deliveries if d.delivered_ms is None]
    failing = sum(d.error is not None for d in waiting)
    delivered = len(deliveries) - len(waiting)
    return fill(_PAGE, "head", delivered=delivered, waiting=len(waiting) - failing, failing=failing, sent=sent)


STATES: Final = ("firing", "resolved", "not delivered")
"""What a list of alerts can be narrowed to."""


def matching(deliveries: Sequence[Delivery], state: str | None, kind: str | None) -> tuple[Delivery, ...]:
    """The messages of a state and a kind, the newest first; None is any.

    A message says what held when it was written: it counts as firing as long as the newest message of its condition
    says so.
    """
    newest = sorted(deliveries, key=lambda d: -d.alert.created_ms)
    now: dict[str, str] = {}
    for each in newest:
        now.setdefault(each.alert.dedup_key, each.alert.state)

    def shown(each: Delivery) -> bool:
        if state == "not delivered":
            return each.delivered_ms is None
        return state in (None, each.alert.state) and (state != "firing" or now[each.alert.dedup_key] == "firing")

    return tuple(each for each in newest if shown(each) and kind in (None, each.alert.kind))


def alerts(deliveries: Sequence[Delivery], now_ms: int, zone: tzinfo, *, sent: bool, stale: bool) -> Markup:
    """A row for each message, the newest first.

    Args:
        deliveries: messages.
        now_ms: milliseconds since the epoch.
        zone: the reader's time zone.
        sent: whether there is a channel to send them to.
        stale: True where the server did not answer and this is what was read last.
    """
    if not deliveries:
        return fill(_PAGE, "nothing", how=HOW)
    rows = [_row(d, now_ms, zone, sent=sent) for d in sorted(deliveries, key=lambda d: -d.alert.created_ms)]
    table = pieces.table(("When", "Alert", "Run", "Step", "Delivery"), rows, css="lm-alerts", numeric=(3,))
    return fill(_PAGE, "all", table=table, stale=stale)


def _row(delivery: Delivery, now_ms: int, zone: tzinfo, *, sent: bool) -> tuple[pieces.Cell, ...]:
    alert = delivery.alert
    kind = "resolved" if alert.state == "resolved" else str(alert.severity)
    return (
        pieces.hover(ago(alert.created_ms, now_ms), clock(alert.created_ms, zone)),
        fill(_PAGE, "what", alert=alert, kind=kind, said=_said(alert)),
        fill(_PAGE, "run", alert=alert),
        step(alert.step),
        _delivery(delivery, zone, sent=sent),
    )


def _said(alert: Alert) -> str:
    """The message without what helps only those for whom the run's page is not a click away."""
    where = f"Run {alert.run_id} of project {alert.project}."
    lines = (line for line in alert.body.splitlines() if line != where and not line.startswith("Numbers: "))
    return "\n".join(lines)


def _delivery(delivery: Delivery, zone: tzinfo, *, sent: bool) -> Markup:
    """How far the message got; a form and a word for each state."""
    if delivery.delivered_ms is not None:
        return fill(_PAGE, "delivered", late=duration(delivery.delivered_ms - delivery.alert.created_ms))
    if delivery.error is None:
        return pieces.badge("none", "waiting", "…") if sent else pieces.badge("none", "not sent", "○")
    tries = f"{delivery.attempts:,} tries" if delivery.attempts != 1 else "1 try"
    return fill(_PAGE, "failing", tries=tries, next=clock(delivery.next_ms, zone)[11:], error=delivery.error)
