"""CatBoost: a callback for `fit` of every estimator and for `catboost.train`, on the CPU: on a GPU CatBoost takes none.

CatBoost names the sets: `learn` is trained on, `validation` is not, and of several the first is judged. The loss is the
first metric that falls when things go well; where all rise, it is the negative of the first.
"""

from __future__ import annotations

import inspect
from typing import Any, Unpack

import catboost

from monitor.integrations._boosting import Judged, Value
from monitor.integrations._owned import OwnedRun, RunOptions, next_step, watch
from monitor.run.start import Run


class MonitorCallback:
    """Logs each iteration, and ends the boosting when the run says so.

    Args:
        run: a run that the caller ends; None: one is started for each training.
        project: the project of a run that is started here.
        val_name: the set that is judged as validation, such as `validation_1`; None: the first. All sets are stored.
        metric: the metric that is taken for the loss, such as `Logloss`; None: see above.
        higher_is_better: whether that metric rises when things go well; None: as its name says.
        wait_s: seconds to wait for the judgement of an iteration, at most.
        **options: as in `monitor.init`, for a run that is started here.
    """

    def __init__(
        self,
        run: Run | None = None,
        *,
        project: str = "catboost",
        val_name: str | None = None,
        metric: str | None = None,
        higher_is_better: bool | None = None,
        wait_s: float = 0.0,
        **options: Unpack[RunOptions],
    ) -> None:
        self._held = OwnedRun(run, project=project, **options)
        self._judged = Judged("learn", val_name, metric, higher_is_better)
        self._wait_s = wait_s
        self._config: dict[str, object] = {}
        self._custom: frozenset[str] = frozenset()
        self._first = 0
        self._counts: dict[tuple[str, str], int] = {}

    @property
    def run(self) -> Run | None:
        """The run, None outside a training where none was given."""
        return self._held.run

    def after_iteration(self, info: Any) -> bool:
        """Log an iteration; False ends the training."""
        run = self._held.run or self._held.start(self._config)
        values: list[Value] = []
        for name, metrics in (info.metrics or {}).items():
            for metric, history in metrics.items():
                if self._counts.get((name, metric)) != len(history):  # `metric_period` leaves some out
                    self._counts[name, metric] = len(history)
                    values.append(Value(name, metric, history[-1]))
        values.sort(
            key=lambda value: value.metric.partition(":")[0] in self._custom
        )  # what is minimised is not a custom one
        row, loss = self._judged.row(values)
        if info.iteration == 1:
            self._judged.tell(run, loss, None)
        run.log(row, step=self._first + info.iteration - 1)
        return not run.should_stop(self._wait_s)

    def _begin(self, model: Any, init_model: Any) -> None:
        """Start the run of a training whose parameters are known."""
        self._counts = {}
        self._config = dict(model.get_params())
        custom = self._config.get("custom_metric") or ()
        named = [custom] if isinstance(custom, str) else list(custom) if isinstance(custom, list | tuple) else []
        self._custom = frozenset(str(name).partition(":")[0] for name in named)
        run = self._held.start(self._config)
        trees = 0 if init_model is None else int(getattr(init_model, "tree_count_", None) or 0)
        self._first = trees or next_step(run)


_FIT = inspect.signature(catboost.CatBoost._fit)


def _told(*args: Any, **kwargs: Any) -> None:
    """Before a training: start the runs of its callbacks."""
    given = _FIT.bind(*args, **kwargs).arguments
    for callback in given.get("callbacks") or ():
        if isinstance(callback, MonitorCallback):
            callback._begin(given["self"], given.get("init_model"))


watch(catboost.CatBoost, "_fit", before=_told)
