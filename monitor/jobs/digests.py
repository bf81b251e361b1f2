"""The digest: what happened since the last one, what was saved, and what needs attention, in one message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Final

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger

from monitor.alerts import Message, Route
from monitor.domain import AlertInfo, AlertQuery, AlertState, RunInfo, RunQuery, Severity, headline
from monitor.domain.clocks import is_past
from monitor.domain.economics import amount
from monitor.domain.formats import ago, count
from monitor.insight.ledger import ledger
from monitor.settings import Settings
from monitor.store import Store

MOST: Final = 10
"""Most alerts that a digest names."""
_PORTION: Final = 500


def due(route: Route, sent_ms: int, now_ms: int) -> int | None:
    """When the last unsent digest was due, in milliseconds since the epoch; None if none is due.

    Args:
        sent_ms: when the last digest sent was due, or when the channel was added.
    """
    if route.digest is None:
        return None
    trigger = _trigger(route.digest, route.zone)
    now, last = datetime.fromtimestamp(now_ms / 1000, route.zone), None
    since_ms = sent_ms if is_past(sent_ms, now_ms) else now_ms
    at = trigger.get_next_fire_time(None, datetime.fromtimestamp(since_ms / 1000 + 0.001, route.zone))
    for _ in range(1000):  # several that fell due while no server ran become one digest
        if at is None or at > now:
            break
        last, at = at, trigger.get_next_fire_time(at, at)
    return None if last is None else int(last.timestamp() * 1000)


def _trigger(digest: str, zone: tzinfo) -> BaseTrigger:
    """When a digest is due. As in cron, if both a day of the month and a day of the week are given, either matches."""
    minute, hour, day, month, weekday = digest.split()
    either = [(day, "*"), ("*", weekday)] if "*" not in (day, weekday) else [(day, weekday)]
    return OrTrigger([CronTrigger.from_crontab(f"{minute} {hour} {d} {month} {w}", timezone=zone) for d, w in either])


def compose(store: Store, settings: Settings, route: Route, since_ms: int, now_ms: int, link: str | None) -> Message:
    """The digest of a period.

    Args:
        route: whose projects it covers.
        since_ms: the start of the period.
        now_ms: its end.
        link: the dashboard's address; None if there is none.
    """
    runs = [run for run in _runs(store, since_ms) if route.wants(run.project)]
    alerts = [info for info in _alerts(store, None, now_ms, since_ms) if route.wants(info.project)]
    needs = [info for info in _alerts(store, AlertState.FIRING, now_ms, None) if route.wants(info.project)]
    lines = [
        _happened(runs, since_ms),
        _fired(alerts, since_ms),
        _saved(store, settings, route, since_ms),
        *_needs(needs, now_ms),
    ]
    return Message(
        id=f"digest-{now_ms}",
        run_id="",
        project=", ".join(sorted({run.project for run in runs})[:5]),
        run_name="",
        kind="digest",
        state="firing",
        severity=Severity.INFO,
        title=f"Digest: {count(len(runs), 'run')}, {len(needs):,} need somebody",
        body="\n".join(line for line in lines if line),
        step=None,
        created_ms=now_ms,
        dedup_key=f":digest:{now_ms}",
        link=None if link is None else f"{link.rstrip('/')}/alerts",
    )


def _runs(store: Store, since_ms: int) -> list[RunInfo]:
    """Runs that began, ended or were active since a time."""
    found: list[RunInfo] = []
    wanted = RunQuery(order="-heartbeat", limit=_PORTION)
    while True:
        page = store.runs(replace(wanted, offset=len(found)))
        found += page.items
        done = not page.items or len(found) >= page.total or (page.items[-1].heartbeat_ms or 0) < since_ms
        if done:
            return [run for run in found if (run.heartbeat_ms or run.created_ms) >= since_ms]


def _alerts(store: Store, state: AlertState | None, now_ms: int, since_ms: int | None) -> list[AlertInfo]:
    found: list[AlertInfo] = []
    wanted = AlertQuery(state=state, limit=_PORTION)
    while True:
        page = store.alert_page(wanted, now_ms)
        found += page.items
        if page.cursor is None or (since_ms is not None and page.items[-1].changed_ms < since_ms):
            return found
        wanted = replace(wanted, cursor=page.cursor)


def _happened(runs: Sequence[RunInfo], since_ms: int) -> str:
    ended = Counter(str(run.status) for run in runs if not run.status.live and (run.finished_ms or 0) >= since_ms)
    live = Counter(str(run.status) for run in runs if run.status.live)
    begun = sum(run.created_ms >= since_ms for run in runs)
    parts = [f"{begun:,} began", *(f"{n:,} {name}" for name, n in sorted((ended + live).items()))]
    return f"Runs: {', '.join(parts)}."


def _fired(alerts: Sequence[AlertInfo], since_ms: int) -> str:
    rules = Counter(info.rule.replace("_", " ") for info in alerts if (info.fired_ms or 0) >= since_ms)
    return f"Alerts: {', '.join(f'{name} {n:,}' for name, n in rules.most_common(8)) or 'none'}."


def _saved(store: Store, settings: Settings, route: Route, since_ms: int) -> str:
    """What stops in the period saved; see `insight/ledger.py`."""
    book = ledger(store, settings, since_ms=since_ms)
    entries = [entry for entry in book.entries if route.wants(entry.project)]
    hours, gpu_hours, cost = (
        sum(n) if (n := [v for entry in entries if (v := getattr(entry, name)) is not None]) else None
        for name in ("saved_hours", "saved_gpu_hours", "saved_cost")
    )
    saved = amount(hours, gpu_hours, cost, book.currency) if hours else ""
    return f"Saved: {saved}, by stopping {count(len(entries), 'run')} early." if saved else ""


def _needs(needs: Sequence[AlertInfo], now_ms: int) -> list[str]:
    if not needs:
        return ["Nothing needs you."]
    rank = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}
    first = sorted(needs, key=lambda info: (rank[info.severity], -info.changed_ms))
    lines = [f"{info.severity}: {headline(info)}, {ago(info.fired_ms, now_ms)}" for info in first[:MOST]]
    more = [f"and {len(needs) - MOST:,} more"] if len(needs) > MOST else []
    return ["Needs you:", *lines, *more]
