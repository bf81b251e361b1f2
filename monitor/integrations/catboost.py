"""CatBoost: a callback for `fit` of every estimator and for `catboost.train`.

CPU only: on a GPU CatBoost supports no callbacks. It names the sets: `learn` is the training set; of the `validation`
sets the first is diagnosed. The loss is the first metric that should fall; if all should rise, the negative of the
first.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import catboost

from monitor.integrations._boosting import BoostingCallback, Value
from monitor.integrations._owned import next_step, watch


class MonitorCallback(BoostingCallback):
    """Logs each iteration, and ends boosting when the run should stop.

    Args:
        run: a run that the caller ends; None: start one for each training.
        project: the project of a run started here.
        val_name: the validation set to diagnose, such as `validation_1`; None: the first. All sets are stored.
        metric: the metric to use as the loss, such as `Logloss`; None: see above.
        higher_is_better: True if that metric should rise; None: decided by its name.
        wait_s: seconds to wait for the diagnosis of an iteration, at most.
        **options: as in `monitor.init`, for a run started here.
    """

    _project = "catboost"
    _config: Mapping[str, object] | None = None
    _custom: frozenset[str] = frozenset()
    _counts: Mapping[tuple[str, str], int] = {}

    def after_iteration(self, info: Any) -> bool:
        """Log an iteration; returning False ends the training."""
        run = self._held.run or self._held.start(self._config)
        found = {(name, metric): history for name, metrics in (info.metrics or {}).items()
                 for metric, history in metrics.items()}  # fmt: skip
        # `metric_period` skips some iterations.
        values = [Value(*key, history[-1]) for key, history in found.items() if self._counts.get(key) != len(history)]
        self._counts = {key: len(history) for key, history in found.items()}
        # Custom metrics last: they are not what is minimised.
        values.sort(key=lambda value: value.metric.partition(":")[0] in self._custom)
        classes = (lambda: None) if info.iteration == 1 else None
        return not self._log(run, info.iteration - 1, values, ("learn",), classes)

    def _begin(self, model: Any, init_model: Any) -> None:
        """Start the run of a training with known parameters."""
        self._counts = {}
        self._config = config = dict(model.get_params())
        custom = config.get("custom_metric") or ()
        named = [custom] if isinstance(custom, str) else list(custom) if isinstance(custom, list | tuple) else []
        self._custom = frozenset(str(name).partition(":")[0] for name in named)
        run = self._held.start(self._config)
        trees = 0 if init_model is None else int(getattr(init_model, "tree_count_", None) or 0)
        self._first = trees or next_step(run)


_FIT = inspect.signature(catboost.CatBoost._fit)


def _told(*args: Any, **kwargs: Any) -> None:
    """Called before a training: start the runs of its callbacks."""
    given = _FIT.bind(*args, **kwargs).arguments
    for callback in given.get("callbacks") or ():
        if isinstance(callback, MonitorCallback):
            callback._begin(given["self"], given.get("init_model"))


watch(catboost.CatBoost, "_fit", before=_told)
