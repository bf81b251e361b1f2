"""Decides whether the loop gets a stop: by the mode of the rule, the server's settings, and people's requests.

Advice to stop reaches the loop if its rule's mode is `advise`. In mode `alert` it reaches only people. In mode `stop`
the step at which the run would have been stopped is noted first; if the advice stands for another `SHADOW` of the steps
so far, the monitor itself requests the stop. A person's request reaches the loop in every mode but `off`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from monitor.alerts.stops import no_stop_alert, stop_alert
from monitor.domain import MONITOR, Action, FindingState, Recommendation, RunStatus, Stop, StopState
from monitor.ingest.engines import Engines
from monitor.ingest.judge import imported
from monitor.rules.registry import spec_of
from monitor.stop_modes import is_off, merged, mode_for
from monitor.store import Transaction
from monitor.wire import Event

SHADOW: Final = 0.1
"""In mode `stop`, advice must stand for this fraction of the steps so far before the monitor acts on it."""
ADVISED: Final = "advice"
"""The requester recorded for a stop that was only advised, and obeyed."""
_REFUSED: Final = "the setting stop is off"

Answer = tuple[bool, str | None, int | None]


def modes_of(tx: Transaction, engines: Engines) -> Mapping[str, str]:
    """The run's stop modes by rule: its own override its project's, which override the global ones."""
    below = engines.stops_of(str(tx.get("project")))
    own = tx.get("stop_modes")
    if not isinstance(own, Mapping) or is_off(engines.stops):
        return below
    return merged(below, {str(rule): str(mode) for rule, mode in own.items()})


def consider(tx: Transaction, engines: Engines) -> None:
    """After judging: note where the run would have been stopped, and request a stop if its mode says so."""
    before, moved = tx.get("stop_step"), tx.changes("action")
    advised = tx.get("action") == Action.STOP
    if (not advised and before is None) or not RunStatus(str(tx.get("status"))).live:
        return
    if not advised:
        if moved:
            _withdrawn(tx)
        return
    advice = tx.recommendation
    mode = mode_for(modes_of(tx, engines), advice.rule)
    if mode not in ("alert", "stop", "off"):
        return
    news = before is None or moved
    asks = mode == "stop" and tx.get("stop_request") is None
    if (not news and not asks) or imported(tx):  # `imported` last: it reads from the database
        return
    if before is None:
        last = tx.get("last_step")
        at = advice.stop_step if advice.stop_step is not None else last
        tx.set(stop_step=None if at is None else int(float(str(at))))
    if news and mode != "off" and not tx.raises(str(advice.rule)):  # otherwise the finding's message says so
        tx.add_alerts([stop_alert(tx.run, advice, now_ms=tx.now_ms)])
    if asks and _stands(tx, advice):
        known = [stop for stop in tx.stops() if stop.who == MONITOR and stop.attempt == tx.get("attempt")]
        if not known:  # a stop that a person has withdrawn is not requested again
            tx.request_stop(MONITOR, advice.reason, advice.rule)


def answer(tx: Transaction, engines: Engines) -> Answer:
    """What the loop receives: whether to stop, why, and for which request. A request then counts as delivered."""
    if tx.get("stop_request") is not None:
        return _asked(tx, engines)
    if tx.get("action") != Action.STOP:
        return False, None, None
    advice = tx.recommendation
    told = mode_for(modes_of(tx, engines), advice.rule) == "advise"
    return told, advice.reason if told else None, None


def acknowledge(tx: Transaction, event: Event) -> None:
    """The loop reports that its `should_stop()` returned True."""
    stop = tx.open_stop()
    if stop is not None and stop.acknowledged_ms is None and event.data.get("request") == stop.id:
        at = min(max(event.time_ms, stop.requested_ms), tx.now_ms)
        delivered = stop.delivered_ms if stop.delivered_ms is not None else at
        step = event.data.get("step")
        tx.move_stop(stop, delivered_ms=delivered, acknowledged_ms=max(at, delivered), acknowledged_step=step)


def end(tx: Transaction, status: RunStatus, reason: str | None) -> None:
    """The run has ended. Close its open stop, and record for the ledger what the run had reached."""
    reached: dict[str, object] = {}
    if status is RunStatus.STOPPED:
        best, best_step = _reached(tx)
        reached = {"stopped_step": tx.get("last_step"), "best": best, "best_step": best_step}
        patience = tx.recommendation.patience
        if patience is not None and patience.stop_step is not None:
            reached |= {"patience_step": int(patience.stop_step), "patience_best": patience.best_loss}
    stop = tx.open_stop()
    if stop is not None:
        tx.close_stop(stop, finished_ms=tx.now_ms, **reached)
    elif reached:
        run, advice = tx.run, tx.recommendation
        obeyed = advice.action is Action.STOP
        plain = Stop(
            id=0, who=ADVISED if obeyed else "the loop", reason=reason or (advice.reason if obeyed else ""),
            rule=advice.rule, attempt=run.attempt, step=run.last_step, requested_ms=tx.now_ms, finished_ms=tx.now_ms,
        )  # fmt: skip
        tx.add_stop(replace(plain, **reached))  # type: ignore[arg-type]  # fields of a stop


def begin_anew(tx: Transaction) -> None:
    """Another attempt begins: no stop is requested of it."""
    stop = tx.open_stop()
    if stop is not None:
        tx.close_stop(stop, withdrawn_ms=tx.now_ms, note="another attempt began")
    tx.set(stop_requested=None, stop_request=None, stop_state=None, stop_step=None)


def _asked(tx: Transaction, engines: Engines) -> Answer:
    stop = tx.open_stop()
    if stop is None:
        return False, None, None
    if is_off(modes_of(tx, engines)):
        tx.close_stop(stop, refused_ms=tx.now_ms, note=_REFUSED)
        return False, None, None
    if stop.state is StopState.REQUESTED:
        stop = tx.move_stop(stop, delivered_ms=tx.now_ms)
    why = f" {stop.reason}" if stop.reason else ""
    return True, f"{stop.who} asked the run to stop{':' if why else '.'}{why}", stop.id


def _withdrawn(tx: Transaction) -> None:
    """A stop is no longer advised: resolve alerts that were raised only because of the advice."""
    certain = {finding.rule for finding in tx.findings() if finding.state is FindingState.FIRING}
    over = [rule for rule in tx.firing() if spec_of(rule) is not None and rule not in certain]
    tx.add_alerts([no_stop_alert(tx.run, rule, now_ms=tx.now_ms) for rule in over])


def _stands(tx: Transaction, advice: Recommendation) -> bool:
    last, since = tx.get("last_step"), advice.stop_step
    return isinstance(last, int) and since is not None and last >= since + max(1.0, SHADOW * abs(since))


def _reached(tx: Transaction) -> tuple[object, object]:
    for role in ("goal", "val", "train"):
        if tx.get(f"{role}_best") is not None:
            return tx.get(f"{role}_best"), tx.get(f"{role}_best_step")
    return None, None
