"""Checks a run's thresholds: each point of their metrics is seen once, in the transaction that stores it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from monitor.alerts.thresholds import State, Threshold, alert_of
from monitor.domain import Alert
from monitor.ingest.engines import Engines, Judges
from monitor.ingest.judge import imported
from monitor.roles import Role
from monitor.store import Transaction
from monitor.store.points.series import SeriesState
from monitor.wire import Batch


def thresholds_of(engine: Judges, tx: Transaction) -> tuple[Threshold, ...]:
    """The thresholds that apply to a run; none for a single engine without settings, or for an imported run."""
    if not isinstance(engine, Engines) or not (found := engine.thresholds(str(tx.get("project")))):
        return ()
    return () if imported(tx) else found


def watch(tx: Transaction, thresholds: Sequence[Threshold], batch: Batch, states: Mapping[int, SeriesState]) -> None:
    """Check the points of a batch.

    Args:
        states: the batch's series by the index of their key.
    """
    named = {index: _names(state) for index, state in states.items()}
    wanted = {name for each in thresholds for name in each.names}
    seen = {index: names & wanted for index, names in named.items() if names & wanted}
    if not seen:
        return
    known, alerts = tx.thresholds(), list[Alert]()
    points, goal_rises = batch.points, tx.get("goal_rises")
    for i in np.flatnonzero(np.isin(points.key, list(seen))):
        index = int(points.key[i])
        for threshold in thresholds:
            for name in seen[index].intersection(threshold.names):
                state: State = known.setdefault(threshold.when, {})
                value, rising = float(points.value[i]), None
                if states[index].judged and states[index].role == Role.GOAL:
                    rising = goal_rises is not False
                change = threshold.see(state, name, value, rising=rising)
                if change is not None:
                    at, run = float(points.step[i]), tx.run
                    alerts.append(alert_of(threshold, run, change, states[index].key, value, at, tx.now_ms))
    current = {each.when for each in thresholds}
    tx.save_thresholds({when: state for when, state in known.items() if when in current})
    tx.add_alerts(alerts)


def _names(state: SeriesState) -> set[str]:
    """The names by which an expression may refer to a series: its key, and its role if it is judged."""
    return {state.key, str(state.role)} if state.judged else {state.key}
