"""XGBoost: a callback for `xgboost.train`, `xgboost.cv` and the scikit-learn estimators.

The training set is the training matrix itself, or a set named `train` or the like; the others are validation sets. The
loss is the last metric that should fall, because XGBoost's early stopping uses the last one too; if all should rise, as
the AUC does, it is the negative of the last.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import xgboost

from monitor.integrations._boosting import BoostingCallback, Value
from monitor.integrations._owned import next_step, watch
from monitor.roles import role_of_set

_NUMBERED = re.compile(r"validation_\d+")
"""The estimators' names of evaluation sets. The first one often is the training set."""


class MonitorCallback(BoostingCallback, xgboost.callback.TrainingCallback):  # type: ignore[misc]  # xgboost is seen as untyped
    """Logs each round, and ends boosting when the run should stop.

    Args:
        run: a run that the caller ends; None: start one for each training.
        project: the project of a run started here.
        train_name: the training set; None: decided by the names.
        val_name: the validation set to diagnose; None: the first that is not trained on. All sets are stored.
        metric: the metric to use as the loss; None: see above.
        higher_is_better: True if that metric should rise; None: decided by its name.
        wait_s: seconds to wait for the diagnosis of a round, at most; rounds are often few and fast.
        **options: as in `monitor.init`, for a run started here.
    """

    _project = "xgboost"
    _config: Mapping[str, object] | None = None
    _trained: Collection[str] = ()

    def before_training(self, model: Any) -> Any:
        """Start the run."""
        run = self._held.start(self._config)
        self._config = None
        boosted = int(model.num_boosted_rounds()) if hasattr(model, "num_boosted_rounds") else 0
        self._first = boosted or next_step(run)  # further rounds of a model, or of a resumed run, continue the count
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: Mapping[str, Mapping[str, Sequence[Any]]]) -> bool:
        """Log a round; returning True ends the training."""
        run = self._held.run
        if run is None:
            return False
        classes = (lambda: _classes(model)) if epoch == 0 else None
        return self._log(run, epoch, _newest(evals_log), self._trained, classes)

    def after_training(self, model: Any) -> Any:
        """End the run if it was started here."""
        self._held.end()
        return model

    def _about(self, params: object, rounds: int, trained: Collection[str]) -> None:
        """Remember the parameters of the training that starts next."""
        self._trained = trained
        given = params.items() if isinstance(params, Mapping) else params
        self._config = {"num_boost_round": rounds, **{str(k): v for k, v in given or ()}}  # type: ignore[attr-defined]  # pairs


def _newest(evals_log: Mapping[str, Mapping[str, Sequence[Any]]]) -> list[Value]:
    """The latest value of each metric; for each set, the last metric comes first."""
    return [
        Value(name, metric, history[-1][0] if isinstance(history[-1], tuple) else history[-1])
        for name, metrics in evals_log.items()
        for metric, history in reversed(list(metrics.items()))
    ]


def _classes(model: Any) -> int | None:
    try:
        return int(json.loads(model.save_config())["learner"]["learner_model_param"]["num_class"])
    except (AttributeError, KeyError, ValueError):  # boosters of a cross-validation have no configuration
        return None


def _told(params: object = None, dtrain: object = None, num_boost_round: int = 10, *_: object, **options: Any) -> None:
    """Called before a training: give its callbacks the parameters and the names of training sets."""
    sets = [str(name) for matrix, name in options.get("evals") or () if matrix is dtrain]
    trained = {name for name in sets if _NUMBERED.fullmatch(name) or role_of_set(name) is None}
    for callback in options.get("callbacks") or ():
        if isinstance(callback, MonitorCallback):
            callback._about(params, num_boost_round, trained)


for _place in (xgboost, xgboost.training, xgboost.sklearn):
    watch(_place, "train", before=_told)
for _place in (xgboost, xgboost.training):
    watch(_place, "cv", before=_told)
