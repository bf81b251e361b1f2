"""The attention queue: open runs ranked by how bad they are, what they still cost, and how new the problem is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from monitor.domain import (
    Action,
    AlertInfo,
    AlertState,
    Attention,
    Finding,
    Item,
    RunInfo,
    RunStatus,
    Saving,
    Severity,
    most_telling,
)
from monitor.domain.formats import ago
from monitor.insight.economics import saving, with_checkpoint
from monitor.insight.ledger import ledger, month_start_ms
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.overview import Fleet
from monitor.store.runs.facts import Facts

SEVERITY: Final[Mapping[str, float]] = {"critical": 1.0, "lost": 0.8, "stalled": 0.5, "warning": 0.4}
HALF_LIFE_H: Final = 24.0
"""Hours after which a problem that nobody acted on is half as urgent."""
LEAST_NOVELTY: Final = 0.05  # an old problem sinks to the end of the list but never disappears
FORGET_MS: Final = 3 * 86_400_000
"""A run lost this long ago no longer needs a person; it still counts in the fleet's numbers."""
_DAY_MS: Final = 86_400_000


def attention(
    store: Store, settings: Settings, *, now_ms: int, limit: int = 10, project: str | None = None, sparkline: int = 0
) -> Attention:
    """The open runs that need a person, and summary numbers of all runs.

    Args:
        sparkline: points per sparkline; 0: none.
    """
    fleet = store.fleet(project, since_ms=now_ms - now_ms % _DAY_MS, now_ms=now_ms, sparkline=sparkline)
    items = [item for run in fleet.runs if (item := _item(run, fleet, settings, now_ms)) is not None]
    items.sort(key=lambda item: (-item.score, -item.run.created_ms, item.run.id))
    shown = items[:limit]
    saved = store.saved([item.run.id for item in shown])
    months = ledger(store, settings, project=project, since_ms=month_start_ms(now_ms)).months
    return Attention(
        items=tuple(replace(item, saving=with_checkpoint(item.saving, item.run, saved[item.run.id])) for item in shown),
        total=len(items),
        running=fleet.statuses.get("running", 0),
        stalled=fleet.statuses.get("stalled", 0),
        lost=fleet.statuses.get("lost", 0),
        finished_today=fleet.ended,
        saved_hours=sum(month.saved_hours for month in months),
        saved_gpu_hours=sum(month.saved_gpu_hours for month in months),
        saved_cost=sum(month.saved_cost for month in months),
        currency=settings.cost_currency,
    )


def _item(run: RunInfo, fleet: Fleet, settings: Settings, now_ms: int) -> Item | None:
    facts, alerts = fleet.facts[run.id], fleet.alerts.get(run.id, ())
    told = _told(run, fleet.findings.get(run.id, ()), alerts, now_ms)
    if told is None:
        return None
    saved = saving(run, facts, settings, ())
    burn = 0.0 if run.status is RunStatus.LOST else burn_of(facts, saved, now_ms)
    alert = told.alert or next((each for each in alerts if each.rule == told.kind), None)
    novelty = LEAST_NOVELTY if _answered(alert) else novelty_of(age_h(run, told, saved, now_ms))
    # 1 + burn, so that a critical problem still counts in a run that costs nothing.
    return Item(
        run=run, kind=told.kind, sentence=told.sentence, score=told.severity * (1 + burn) * novelty,
        severity=told.severity, burn=burn, novelty=novelty, saving=saved, sparkline=fleet.sparklines.get(run.id, {}),
        alert=alert,
    )  # fmt: skip


def _answered(alert: AlertInfo | None) -> bool:
    """True if somebody has acknowledged or silenced it: it is no longer news."""
    return alert is not None and alert.state in (AlertState.ACKNOWLEDGED, AlertState.SILENCED)


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of a run, and how bad it is.

    Attributes:
        finding: what it rests on, if that is a finding.
        alert: what it rests on, if that is an alert of the loop or of a threshold.
    """

    kind: str
    severity: float
    sentence: str
    finding: Finding | None = None
    alert: AlertInfo | None = None


def _told(run: RunInfo, findings: tuple[Finding, ...], alerts: tuple[AlertInfo, ...], now_ms: int) -> Told | None:
    """The worst of a run's status, its advice, its findings, and the alerts that no rule raises."""
    found: list[Told] = []
    serious = [each for each in most_telling(findings) if each.severity is not Severity.INFO]
    advice = run.recommendation
    if advice.action is Action.STOP:
        rule = next((each for each in serious if each.rule == advice.rule), None)
        kind, sentence = advice.rule or run.verdict, run.headline or advice.reason
        found.append(Told(kind, SEVERITY["critical"], sentence, rule))
    if serious:
        first = serious[0]
        found.append(Told(first.rule, SEVERITY[str(first.severity)], first.explanation, first))
    if run.status is RunStatus.LOST and now_ms - (run.heartbeat_ms or run.created_ms) > FORGET_MS:
        return None
    if run.status is RunStatus.LOST:
        found.append(Told("lost", SEVERITY["lost"], f"Its heartbeat stopped {ago(run.heartbeat_ms, now_ms)}."))
    if run.status is RunStatus.STALLED:
        found.append(Told("stalled", SEVERITY["stalled"], f"No new step since {ago(run.last_point_ms, now_ms)}."))
    if run.status is RunStatus.LOST and found:
        return found[-1]  # whatever else was wrong, the process is gone
    found += sorted(map(_raised, filter(_asks, alerts)), key=lambda each: _answered(each.alert))
    return max(found, key=lambda each: each.severity, default=None)


def _asks(alert: AlertInfo) -> bool:
    """Whether it is an open alert of the loop or of a threshold, which no finding stands for."""
    over = alert.state in (AlertState.RESOLVED, AlertState.PENDING)
    return alert.rule in ("alert", "threshold") and not over and alert.severity is not Severity.INFO


def _raised(alert: AlertInfo) -> Told:
    first = next(iter(alert.body.splitlines()), "")
    sentence = f"{alert.title}: {first}".removesuffix(": ") if alert.rule == "alert" else first
    return Told(alert.rule, SEVERITY[str(alert.severity)], sentence, alert=alert)


def burn_of(facts: Facts, saved: Saving, now_ms: int) -> float:
    """What the rest of a run costs: money if a price is set, else GPU-hours or hours.

    A run of unknown length is assumed to be half done.
    """
    if saved.hours is not None:
        return saved.cost if saved.cost is not None else saved.gpu_hours or saved.hours
    hours = max(0, now_ms - facts.begun_ms) / 3_600_000
    return hours * saved.price_hour if saved.price_hour is not None else hours * max(1, saved.gpus)


def age_h(run: RunInfo, told: Told, saved: Saving, now_ms: int) -> float:
    """Age of the problem in hours: since the alert or finding fired, or since the run was last heard of."""
    if told.alert is not None and told.alert.fired_ms is not None:
        return max(0, now_ms - told.alert.fired_ms) / 3_600_000
    finding = told.finding
    if finding is not None and run.last_step is not None and saved.seconds_per_step is not None:
        return max(0.0, run.last_step - finding.fired_step) * saved.seconds_per_step / 3600
    heard = run.heartbeat_ms if run.status is RunStatus.LOST else run.last_point_ms
    return max(0, now_ms - heard) / 3_600_000 if heard is not None and run.status is not RunStatus.RUNNING else 0.0


def novelty_of(hours: float) -> float:
    """1 at first, halved every day.

    >>> novelty_of(0), novelty_of(24), novelty_of(1e6)
    (1.0, 0.5, 0.05)
    """
    halved: float = 0.5 ** min(hours / HALF_LIFE_H, 100.0)
    return max(LEAST_NOVELTY, halved)
