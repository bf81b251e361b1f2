"""The ledger of stops: what each saved or lost, and what stopping with patience 10 would have done on the same run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from monitor.domain import Ledger, LedgerEntry, LedgerMonth, RunInfo, Stop
from monitor.insight.economics import Price, planned_steps, price_of, seconds_per_step, spent
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.runs.facts import Facts


def ledger(
    store: Store, settings: Settings, *, project: str | None = None, since_ms: int = 0, until_ms: int = 2**62
) -> Ledger:
    """The stops of a period, and their sums by project and month.

    Args:
        since_ms: start of the period in which runs were stopped, in ms since the Unix epoch.
        until_ms: end of the period, exclusive.
    """
    found = store.stopped(since_ms, until_ms)
    ids = sorted({run_id for run_id, _ in found})
    infos, facts = store.infos(ids), store.facts(ids)
    last = {run_id: stop.id for run_id, stop in found}
    entries = [
        entry(infos[run_id], facts[run_id], stop, settings, newest=stop.id == last[run_id])
        for run_id, stop in found
        if project in (None, infos[run_id].project)
    ]
    return Ledger(currency=settings.cost_currency, months=tuple(months(entries)), entries=tuple(entries))


def entry(run: RunInfo, facts: Facts, stop: Stop, settings: Settings, *, newest: bool = True) -> LedgerEntry:
    """The ledger entry of one stop.

    Args:
        newest: True if it is the run's last stop; savings of earlier ones were spent by later attempts.
    """
    planned, pace = planned_steps(run), seconds_per_step(run, facts)
    price = price_of(settings.prices_of(run.project), facts.gpus)
    at = stop.stopped_step if stop.stopped_step is not None else -1
    continued = run.attempt > stop.attempt
    reached = max(at, run.last_step) if continued and run.last_step is not None else at
    left = None if planned is None else max(0, planned - reached - 1)
    left = 0 if left is not None and (run.status.live or not newest) else left
    saved = spent(left, pace, price)
    best = _best(facts)
    regret = continued and _better(best, stop.best, facts)
    lost = spent(reached - at if regret else None, pace, price)
    return LedgerEntry(
        run_id=run.id, name=run.name, project=run.project, month=month_of(stop.finished_ms or 0), who=stop.who,
        rule=stop.rule, stopped_step=at, last_step=reached, planned_steps=planned, seconds_per_step=pace,
        gpus=price.gpus, price_hour=price.hour, saved_steps=left, saved_hours=saved["hours"],
        saved_gpu_hours=saved["gpu_hours"], saved_cost=saved["cost"], continued=continued,
        best_at_stop=stop.best, best_now=best, regret=regret, lost_hours=lost["hours"], lost_cost=lost["cost"],
        **_patience(stop, planned, pace, price, facts),
    )  # fmt: skip


def _patience(stop: Stop, planned: int | None, pace: float | None, price: Price, facts: Facts) -> dict[str, Any]:
    at = stop.patience_step
    if at is None:
        return {"patience_step": None, "patience_hours": None, "patience_cost": None, "patience_missed": False}
    saved = spent(None if planned is None else max(0, planned - at - 1), pace, price)
    best = facts.bests.get("val", facts.bests.get("train"))
    missed = best is not None and stop.patience_best is not None and best < stop.patience_best
    return {
        "patience_step": at, "patience_hours": saved["hours"], "patience_cost": saved["cost"],
        "patience_missed": missed,
    }  # fmt: skip


def _best(facts: Facts) -> float | None:
    return next((facts.bests[role] for role in ("goal", "val", "train") if role in facts.bests), None)


def _better(now: float | None, then: float | None, facts: Facts) -> bool:
    if now is None or then is None:
        return now is not None
    return now > then if "goal" in facts.bests and facts.goal_rises else now < then


def months(entries: list[LedgerEntry]) -> list[LedgerMonth]:
    """The sums by project and month, newest month first."""
    places = sorted({(entry.month, entry.project) for entry in entries}, key=lambda each: (each[0], each[1]))
    return [_sum(project, month, [e for e in entries if (e.month, e.project) == (month, project)])
            for month, project in reversed(places)]  # fmt: skip


def _sum(project: str, month: str, rows: list[LedgerEntry]) -> LedgerMonth:
    def total(name: str) -> float:
        return float(sum(value for row in rows if (value := getattr(row, name)) is not None))

    return LedgerMonth(
        project=project, month=month, stops=len(rows), unplanned=sum(row.saved_hours is None for row in rows),
        saved_hours=total("saved_hours"), saved_gpu_hours=total("saved_gpu_hours"), saved_cost=total("saved_cost"),
        regrets=sum(row.regret for row in rows), lost_hours=total("lost_hours"), lost_cost=total("lost_cost"),
        patience_stops=sum(row.patience_step is not None for row in rows), patience_hours=total("patience_hours"),
        patience_cost=total("patience_cost"), patience_missed=sum(row.patience_missed for row in rows),
    )  # fmt: skip


def month_of(time_ms: int) -> str:
    """The month of a time, in UTC.

    >>> month_of(0), month_of(1_764_000_000_000)
    ('1970-01', '2025-11')
    """
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m")


def month_start_ms(now_ms: int) -> int:
    """The start of a time's month, in UTC."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    return int(now.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000)
