"""Optuna: a pruner that ends a trial when the rules advise it to stop.

Report with `trial.report(loss, step)` as usual; `MonitorPruner` diagnoses the values as one curve. It looks at each
trial alone; pass a pruner that compares trials as `inner`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import optuna

from monitor.domain import Action
from monitor.roles import Role
from monitor.rules import ROLE_CODES, Engine, EnginePoints, RulesConfig, State

_MOST_TRIALS: Final = 1000
"""Trials per storage whose state is kept. A trial evicted before is diagnosed again from its first value."""
_LOSS: Final = {"name": "objective", "comparable": True}
"""The study's direction says which way is better, so an objective below zero can be diagnosed."""


class _Seen(NamedTuple):
    """What the rules have seen of a trial.

    Attributes:
        values: number of reported values.
        last: step and value of the last one.
        state: the engine's state.
    """

    values: int
    last: tuple[int, float] | None
    state: State


class MonitorPruner(optuna.pruners.BasePruner):  # type: ignore[misc]  # optuna is seen as untyped
    """Prunes trials whose curve calls for a stop. One pruner may serve many studies, also concurrently.

    Args:
        inner: another pruner; a trial is pruned if either advises it.
        config: the rules; None: the default.
        min_reports: values before a trial is diagnosed, >= 1.
    """

    def __init__(
        self, inner: optuna.pruners.BasePruner | None = None, *, config: RulesConfig | None = None, min_reports: int = 5
    ) -> None:
        self._inner, self._least = inner, min_reports
        self._engine = Engine(config or RulesConfig())
        self._forget()

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        """True if the trial should be pruned."""
        if self._inner is not None and self._inner.prune(study, trial):
            return True
        reported = sorted(trial.intermediate_values.items())
        sign = -1.0 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1.0
        # Databases reuse the ids of deleted studies and trials; the start time tells them apart.
        key = (study.study_name, trial._trial_id, trial.datetime_start)
        seen = self._seen(study, key, reported)
        new = reported[seen.values :]
        points = EnginePoints(
            np.full(len(new), ROLE_CODES[Role.TRAIN], np.uint8),
            np.array([step for step, _ in new], np.float64),
            np.array([sign * value for _, value in new], np.float64),
        )
        update = self._engine.update(seen.state, points)
        self._keep(study, key, _Seen(len(reported), reported[-1] if reported else None, update.state))
        return len(reported) >= self._least and update.recommendation.action is Action.STOP

    def _seen(self, study: optuna.Study, key: object, reported: list[tuple[int, float]]) -> _Seen:
        """What was seen of a trial; nothing if its values have changed since."""
        with self._lock:
            trials = self._trials.get(study._storage)
            seen = None if trials is None else trials.get(key)
        if seen is not None and (not seen.values or _same(reported[seen.values - 1 : seen.values], seen.last)):
            return seen
        return _Seen(0, None, self._engine.start(loss=_LOSS))

    def _keep(self, study: optuna.Study, key: object, seen: _Seen) -> None:
        with self._lock:
            trials = self._trials.setdefault(study._storage, OrderedDict())
            trials[key] = seen
            trials.move_to_end(key)
            while len(trials) > _MOST_TRIALS:
                trials.popitem(last=False)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._trials: WeakKeyDictionary[Any, OrderedDict[object, _Seen]] = WeakKeyDictionary()

    def __getstate__(self) -> dict[str, object]:
        """The state without what was seen: another process diagnoses trials from their first value."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_trials")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._forget()


def _same(found: list[tuple[int, float]], last: tuple[int, float] | None) -> bool:
    """True if this is the last point seen; NaN equals NaN."""
    return bool(found) and last is not None and repr(found[0]) == repr(last)
