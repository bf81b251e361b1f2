"""Alerts as cards with answers, silences, messages and channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Final

from markupsafe import Markup

from dashboard.markup import pieces
from dashboard.markup.templates import fill
from monitor.domain import AlertInfo, AlertPage, AlertState, DeadLetter, Delivery, Silence
from monitor.domain.formats import ago, clock, count, duration, step

HOW: Final = "To have alerts sent, name channels in MONITOR_ALERT_URLS, such as slack://… or mailto://…"
FOLD: Final = 5
"""Alerts of one run that are shown at once."""
NEVER_MS: Final = 2**62
_ONCE: Final = ("failed", "lost", "stalled", "alert")
"""Alerts of what happened at a time; what a finding saw may have moved on since."""
_PAGE: Final = "alerts"
_NOTHING: Final = {
    "firing": ("Nothing fires", "An alert stands here while a finding of a rule holds, or a run is lost or failed."),
    "pending": ("Nothing is pending", "A rule whose condition holds, but not long enough yet, stands here."),
    "acknowledged": ("Nothing is acknowledged", "An alert that somebody has taken on stands here while it holds."),
    "resolved": ("Nothing was resolved yet", "An alert moves here once it no longer holds, or its run is over."),
    "silenced": ("No alert is silenced", "What an active silence covers stands here."),
}


def head(counts: Mapping[str, int]) -> Markup:
    """How many alerts there are of each state."""
    return fill(_PAGE, "head", counts={state: counts.get(state, 0) for state in map(str, AlertState)})


def alerts(
    found: AlertPage, state: str, now_ms: int, zone: tzinfo, *, filtered: bool, stale: bool, may: bool = True
) -> Markup:
    """The alerts of a page, those of one run next to each other and folded to `FOLD`.

    Args:
        filtered: whether a filter narrows the list.
        stale: True where the server did not answer and this is what was read last.
        may: whether the reader may answer alerts.
    """
    if not found.items:
        return pieces.quiet("No alert matches these filters.") if filtered else _nothing(*_NOTHING[state])
    groups: dict[str, list[AlertInfo]] = {}
    for info in found.items:
        groups.setdefault(info.run_id, []).append(info)
    cards = [_group(run_id, members, now_ms, zone, may=may) for run_id, members in groups.items()]
    return fill(_PAGE, "all", cards=cards, stale=stale)


def _nothing(title: str, body: str) -> Markup:
    return fill(_PAGE, "nothing", title=title, body=body)


def _group(run_id: str, members: Sequence[AlertInfo], now_ms: int, zone: tzinfo, *, may: bool) -> Markup:
    cards = [_card(info, now_ms, zone, may=may) for info in members]
    folded = cards[FOLD:]
    return fill(_PAGE, "group", cards=cards[:FOLD], more=len(folded), folded=folded, key=f"more {run_id}")


def _card(info: AlertInfo, now_ms: int, zone: tzinfo, *, may: bool) -> Markup:
    kind = str(info.state) if info.state in (AlertState.RESOLVED, AlertState.PENDING) else str(info.severity)
    at = info.fired_ms if info.state is not AlertState.RESOLVED else info.resolved_ms
    when = pieces.hover(ago(at or info.changed_ms, now_ms), clock(at or info.changed_ms, zone))
    times = f" · fired {info.count:,} times" if info.count > 1 else ""
    firing = info.state in (AlertState.FIRING, AlertState.SILENCED)
    return fill(
        _PAGE, "card", alert=info, kind=kind, said=_said(info), when=when, times=times, note=_note(info, zone),
        firing=firing, seen=info.count > 0 and info.rule not in _ONCE, may=may,
    )  # fmt: skip


def _note(info: AlertInfo, zone: tzinfo) -> str:
    if info.acked_by is not None:
        return f"{info.acked_by}: {info.acked_note}" if info.acked_note else f"Acknowledged by {info.acked_by}."
    if info.silenced_until_ms is not None:
        return f"Silenced until {clock(info.silenced_until_ms, zone)[:16]}."
    return f"Resolved: {info.resolution}." if info.resolution else ""


def _said(info: AlertInfo) -> str:
    """The message without what helps only those for whom the run's page is not a click away."""
    where = f"Run {info.run_id} of project {info.project}."
    return "\n".join(
        line for line in info.body.splitlines() if line != where and not line.startswith(("Numbers: ", "What to do: "))
    )


def pages(cursor: str | None, *, first: bool) -> Markup:
    """The ways to older alerts and, away from the first page, back to it."""
    return fill(_PAGE, "pages", cursor=cursor, first=first) if cursor or first else Markup("")


def marks(found: Mapping[str, Mapping[str, int]]) -> Markup:
    """How often people found the alerts of each rule helpful, or false alarms."""
    rows = [(rule, n.get("helpful", 0), n.get("false alarm", 0)) for rule, n in sorted(found.items())]
    return fill(_PAGE, "marks", rows=rows) if rows else Markup("")


def silences(found: Sequence[Silence], now_ms: int, zone: tzinfo, *, may: bool = True) -> Markup:
    """The silences, those in force first."""
    if not found:
        return _nothing("No silence", "Silence an alert to send nobody what it matches, until a time.")
    rows = []
    for each in sorted(found, key=lambda each: (_over(each, now_ms), -each.until_ms)):
        matched = ", ".join(f"{name} = {glob}" for name, glob in each.matcher.items())
        ended = each.ended_ms or each.until_ms
        over = _over(each, now_ms)
        until = f"ended {ago(ended, now_ms)}" if over else f"until {clock(each.until_ms, zone)[:16]}"
        rows.append(fill(_PAGE, "silence", silence=each, matched=matched, until=until, over=over, may=may))
    return Markup("").join(rows)


def _over(silence: Silence, now_ms: int) -> bool:
    return silence.ended_ms is not None or silence.until_ms <= now_ms


def deliveries(
    found: Sequence[Delivery], dead: Sequence[DeadLetter], now_ms: int, zone: tzinfo, *, sent: bool, may: bool = True
) -> Markup:
    """What a channel never took, with a button to try again; below, the latest messages and how far they are.

    Args:
        sent: whether there is a channel to send them to.
        may: whether the reader may send them again.
    """
    letters = [fill(_PAGE, "dead", letter=each, when=ago(each.created_ms, now_ms), may=may) for each in dead]
    shown = [each for each in found if each.alert.kind != "finished" or each.delivered_ms is not None]
    rows = [_row(each, now_ms, zone, sent=sent) for each in shown]
    if not rows and not letters:
        return _nothing("No message yet", "Messages about alerts stand here, with who took them.")
    table = pieces.table(("When", "Message", "Run", "Step", "Delivery"), rows, css="lm-sent", numeric=(3,))
    return Markup("").join([*letters, fill(_PAGE, "sent", table=table)])


def _row(delivery: Delivery, now_ms: int, zone: tzinfo, *, sent: bool) -> tuple[pieces.Cell, ...]:
    alert = delivery.alert
    return (
        pieces.hover(ago(alert.created_ms, now_ms), clock(alert.created_ms, zone)),
        alert.title,
        fill(_PAGE, "run", alert=alert),
        step(alert.step),
        _delivery(delivery, zone, sent=sent),
    )


def _delivery(delivery: Delivery, zone: tzinfo, *, sent: bool) -> Markup:
    """How far the message got; a form and a word for each state."""
    if delivery.delivered_ms is not None:
        return fill(_PAGE, "delivered", late=duration(delivery.delivered_ms - delivery.alert.created_ms))
    if delivery.error is None:
        return pieces.badge("none", "waiting", "…") if sent else pieces.badge("none", "not sent", "○")
    if delivery.next_ms >= NEVER_MS:
        return fill(_PAGE, "not_sent", why=delivery.error.removeprefix("not sent: "))
    tries = count(delivery.attempts, "try").replace("trys", "tries")
    return fill(_PAGE, "failing", tries=tries, next=clock(delivery.next_ms, zone)[11:], error=delivery.error)


def channels(found: Sequence[Mapping[str, object]], *, may: bool = True) -> Markup:
    """Where alerts are sent, each with a button that sends a test."""
    if not found:
        return _nothing("No channel", HOW)
    rows = []
    for each in found:
        settings = each["settings"] if isinstance(each["settings"], Mapping) else {}
        said = ", ".join(f"{name}: {_value(value)}" for name, value in settings.items())
        rows.append(fill(_PAGE, "channel", channel=each, said=said or "every project, every level", may=may))
    return Markup("").join(rows)


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
