"""Checks a run's thresholds: each point of their metrics is seen once, in the transaction that stores it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from monitor.alerts.thresholds import BEST, State, Threshold, alert_of
from monitor.domain import Alert
from monitor.ingest.engines import Engines
from monitor.ingest.judge import imported
from monitor.roles import Role
from monitor.store import Transaction
from monitor.store.points.series import SeriesState
from monitor.wire import Batch

_JUDGED: Final = (Role.TRAIN, Role.VAL, Role.GOAL, Role.GRAD_NORM)
"""The roles of what goes well or badly; a learning rate does neither."""


def thresholds_of(engines: Engines, tx: Transaction) -> tuple[Threshold, ...]:
    """The thresholds of a run's project."""
    return engines.thresholds(str(tx.get("project")))


def watch(tx: Transaction, thresholds: Sequence[Threshold], batch: Batch, states: Mapping[int, SeriesState]) -> None:
    """Check the points of a batch; a run that was imported after its end raises no alerts.

    Args:
        states: the batch's series by the index of their key.
    """
    named = {index: _names(state) for index, state in states.items()}
    wanted = {name for each in thresholds for name in each.names}
    seen = {index: names & wanted for index, names in named.items() if names & wanted}
    if not seen or imported(tx):  # in this order, as the second is read from the database
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
                    at, run, judged = float(points.step[i]), tx.run, _is_judged(threshold, tx)
                    key, now_ms = states[index].key, tx.now_ms
                    alerts.append(alert_of(threshold, run, change, key, value, at, now_ms, judged=judged))
    current = {each.when for each in thresholds}
    tx.save_thresholds({when: state for when, state in known.items() if when in current})
    tx.add_alerts(alerts)


def _is_judged(threshold: Threshold, tx: Transaction) -> bool:
    """Whether the rules judge all metrics of a threshold."""
    judged = {name for role, key in tx.judged_keys().items() if role in _JUDGED for name in (role, key)}
    return judged.issuperset(name for name in threshold.names if name != BEST)


def _names(state: SeriesState) -> set[str]:
    """The names by which an expression may refer to a series: its key, and its role if it is judged."""
    return {state.key, str(state.role)} if state.judged else {state.key}
