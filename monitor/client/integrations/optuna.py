"""Optuna: a pruner that ends a trial when the rules would tell its loop to stop.

`trial.report(loss, step)` as always; `MonitorPruner` judges the reported values as one curve. With `inner`, another
pruner is asked as well: that one compares trials with each other, this one judges each by itself.
"""

from __future__ import annotations

import numpy as np
import optuna

from monitor.domain import Action
from monitor.roles import Role
from monitor.rules import ROLE_CODES, Engine, EnginePoints, RulesConfig, State

_MOST_TRIALS = 1000
"""Trials whose state is kept; one that is asked for again after that is judged from its first value on."""


class MonitorPruner(optuna.pruners.BasePruner):  # type: ignore[misc]  # optuna is seen as untyped
    """Prunes trials whose curve calls for a stop.

    Args:
        inner: another pruner, whose advice to prune counts as well.
        config: the rules; None: the default.
        min_reports: values before a trial is judged, >= 1.
    """

    def __init__(
        self, inner: optuna.pruners.BasePruner | None = None, *, config: RulesConfig | None = None, min_reports: int = 5
    ) -> None:
        self._inner, self._least = inner, min_reports
        self._engine = Engine(config or RulesConfig())
        self._states: dict[int, tuple[int, State]] = {}

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        """True where the trial is to end."""
        if self._inner is not None and self._inner.prune(study, trial):
            return True
        reported = sorted(trial.intermediate_values.items())
        sign = -1.0 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1.0
        seen, state = self._states.get(trial.number, (0, self._engine.start()))
        new = reported[seen:]
        points = EnginePoints(
            np.full(len(new), ROLE_CODES[Role.TRAIN], np.uint8),
            np.array([step for step, _ in new], np.float64),
            np.array([sign * value for _, value in new], np.float64),
        )
        update = self._engine.update(state, points)
        if len(self._states) >= _MOST_TRIALS:
            self._states.clear()
        self._states[trial.number] = (len(reported), update.state)
        return len(reported) >= self._least and update.recommendation.action is Action.STOP
