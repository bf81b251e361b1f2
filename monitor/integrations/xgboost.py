"""XGBoost: a callback for `xgboost.train`, `xgboost.cv` and the scikit-learn estimators.

Sets are told by their names, and by being the training matrix itself: `train` and the like, else validation. The loss
is the last metric that falls when things go well, as XGBoost's own early stopping takes the last one; where all rise,
such as the AUC, it is the negative of the last.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Unpack

import xgboost

from monitor.integrations._boosting import Judged, Value
from monitor.integrations._owned import OwnedRun, RunOptions, next_step, watch
from monitor.roles import role_of_set
from monitor.run.start import Run

_NUMBERED = re.compile(r"validation_\d+")
"""What the estimators call their evaluation sets, of which the first often is the training set."""


class MonitorCallback(xgboost.callback.TrainingCallback):  # type: ignore[misc]  # xgboost is seen as untyped
    """Logs each round, and ends the boosting when the run says so.

    Args:
        run: a run that the caller ends; None: one is started for each training.
        project: the project of a run that is started here.
        train_name: the set that is trained on; None: as the names say.
        val_name: the set that is judged as validation; None: the first that is not trained on. All sets are stored.
        metric: the metric that is taken for the loss; None: see above.
        higher_is_better: whether that metric rises when things go well; None: as its name says.
        wait_s: seconds to wait for the judgement of a round, at most; rounds are often few and fast.
        **options: as in `monitor.init`, for a run that is started here.
    """

    def __init__(
        self,
        run: Run | None = None,
        *,
        project: str = "xgboost",
        train_name: str | None = None,
        val_name: str | None = None,
        metric: str | None = None,
        higher_is_better: bool | None = None,
        wait_s: float = 0.0,
        **options: Unpack[RunOptions],
    ) -> None:
        super().__init__()
        self._held = OwnedRun(run, project=project, **options)
        self._judged = Judged(train_name, val_name, metric, higher_is_better)
        self._wait_s = wait_s
        self._config: Mapping[str, object] = {}
        self._trained: Collection[str] = ()
        self._rounds = 0

    @property
    def run(self) -> Run | None:
        """The run, None outside a training where none was given."""
        return self._held.run

    def before_training(self, model: Any) -> Any:
        """Start the run."""
        run = self._held.start(self._config)
        self._config = {}
        boosted = int(model.num_boosted_rounds()) if hasattr(model, "num_boosted_rounds") else 0
        self._rounds = boosted or next_step(run)  # more rounds of a model continue its count, and so does a run
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: Mapping[str, Mapping[str, Sequence[Any]]]) -> bool:
        """Log a round; True ends the training."""
        run = self._held.run
        if run is None:
            return False
        row, loss = self._judged.row(_newest(evals_log), self._trained)
        if epoch == 0:
            self._judged.tell(run, loss, _classes(model))
        run.log(row, step=self._rounds + epoch)
        return run.should_stop(self._wait_s)

    def after_training(self, model: Any) -> Any:
        """End a run that was started here."""
        self._held.end()
        return model

    def _about(self, params: object, rounds: int, trained: Collection[str]) -> None:
        """Take down what the training that begins says of itself."""
        self._trained = trained
        given = params.items() if isinstance(params, Mapping) else params
        self._config = {"num_boost_round": rounds, **{str(k): v for k, v in given or ()}}  # type: ignore[attr-defined]  # pairs


def _newest(evals_log: Mapping[str, Mapping[str, Sequence[Any]]]) -> list[Value]:
    """The newest value of each metric, of each set the last metric first."""
    return [
        Value(name, metric, history[-1][0] if isinstance(history[-1], tuple) else history[-1])
        for name, metrics in evals_log.items()
        for metric, history in reversed(list(metrics.items()))
    ]


def _classes(model: Any) -> int | None:
    try:
        return int(json.loads(model.save_config())["learner"]["learner_model_param"]["num_class"])
    except (AttributeError, KeyError, ValueError):  # the boosters of a cross-validation have no configuration
        return None


def _told(params: object = None, dtrain: object = None, num_boost_round: int = 10, *_: object, **options: Any) -> None:
    """Before a training: tell its callbacks the parameters, and the sets that are the training matrix."""
    sets = [str(name) for matrix, name in options.get("evals") or () if matrix is dtrain]
    trained = {name for name in sets if _NUMBERED.fullmatch(name) or role_of_set(name) is None}
    for callback in options.get("callbacks") or ():
        if isinstance(callback, MonitorCallback):
            callback._about(params, num_boost_round, trained)


for _place in (xgboost, xgboost.training, xgboost.sklearn):
    watch(_place, "train", before=_told)
for _place in (xgboost, xgboost.training):
    watch(_place, "cv", before=_told)
