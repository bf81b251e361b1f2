"""XGBoost: a callback for `xgboost.train` and the scikit-learn estimators.

The last metric is taken for the loss, as XGBoost's own early stopping does: that of the first set is the training
loss, that of the last of several sets the validation loss.
"""

# the framework gives the arguments of its hooks

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import xgboost

from monitor.client.integrations import _losses
from monitor.client.integrations._owned import OwnedRun
from monitor.client.options import Mode
from monitor.client.run import Run
from monitor.losses import LossSpec
from monitor.settings import Settings


class MonitorCallback(xgboost.callback.TrainingCallback):  # type: ignore[misc]  # xgboost is seen as untyped
    """Logs each round, and ends the boosting when the run says so.

    Args:
        run: a run that the caller ends; None: one is started for each training.
        project: the project of a run that is started here, like the rest as in `monitor.init`.
        wait_s: seconds to wait for the judgement of a round, at most; rounds are often few and fast.
    """

    def __init__(
        self,
        run: Run | None = None,
        *,
        project: str = "xgboost",
        name: str | None = None,
        mode: Mode = "auto",
        settings: Settings | None = None,
        wait_s: float = 0.0,
    ) -> None:
        super().__init__()
        self._held = OwnedRun(run, project=project, name=name, mode=mode, settings=settings)
        self._wait_s = wait_s

    def before_training(self, model: Any) -> Any:
        """Start the run."""
        self._held.begin()
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: Mapping[str, Mapping[str, Sequence[Any]]]) -> bool:
        """Log a round; True ends the training."""
        run = self._held.run
        if run is None:
            return False
        _losses.tell(run, lambda: _loss(model, evals_log))
        run.log(rows_of(evals_log), step=epoch)
        return run.should_stop(self._wait_s)

    def after_training(self, model: Any) -> Any:
        """End a run that was started here."""
        self._held.end()
        return model


def _loss(model: Any, evals_log: Mapping[str, Mapping[str, Sequence[Any]]]) -> LossSpec | None:
    """What the metric that is taken for the loss is; the objective itself may carry a penalty that is not logged."""
    metric = list(next(iter(evals_log.values())))[-1]
    learner = json.loads(model.save_config())["learner"]
    return _losses.named(metric, int(learner["learner_model_param"]["num_class"]))


def rows_of(evals_log: Mapping[str, Mapping[str, Sequence[Any]]]) -> dict[str, object]:
    """The newest value of each metric, and the losses under the names that are judged."""
    row: dict[str, object] = {}
    sets = list(evals_log.items())
    for i, (name, metrics) in enumerate(sets):
        for metric, history in metrics.items():
            last = history[-1]
            row[f"{name}/{metric}"] = last[0] if isinstance(last, tuple) else last
        if metrics:
            loss = row[f"{name}/{list(metrics)[-1]}"]
            if i == 0:
                row["train/loss"] = loss
            elif i == len(sets) - 1:
                row["val/loss"] = loss
    return row
