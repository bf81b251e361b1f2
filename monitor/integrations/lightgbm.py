"""LightGBM: a callback for `lightgbm.train`, `lightgbm.cv` and the scikit-learn estimators.

The training set is the one that LightGBM marks as such, or that is named like one. The loss is the first metric that
should fall; if all should rise, as the AUC does, the negative of the first.
"""

from __future__ import annotations

import lightgbm
from lightgbm.callback import CallbackEnv, EarlyStopException

from monitor.integrations._boosting import BoostingCallback, Value
from monitor.integrations._owned import next_step, watch


class MonitorCallback(BoostingCallback):
    """Logs each round, and ends boosting when the run should stop.

    Args:
        run: a run that the caller ends; None: start one for each training.
        project: the project of a run started here.
        train_name: the training set's name in `valid_names`; None: decided by LightGBM and the names.
        val_name: the validation set to diagnose; None: the first that is not trained on. All sets are stored.
        metric: the metric to use as the loss; None: see above.
        higher_is_better: True if that metric should rise; None: according to LightGBM.
        wait_s: seconds to wait for the diagnosis of a round, at most.
        **options: as in `monitor.init`, for a run started here.
    """

    # After LightGBM has recorded the evaluation (order 20), before its early stopping (30).
    order = 25
    before_iteration = False
    _project = "lightgbm"

    def __call__(self, env: CallbackEnv) -> None:
        """Log a round.

        Raises:
            EarlyStopException: the run should stop; LightGBM then ends the training.
        """
        first = env.iteration == env.begin_iteration
        config = {"num_boost_round": env.end_iteration - env.begin_iteration, **env.params}
        run = self._held.start(config) if first else self._held.begin()
        results = list(env.evaluation_result_list or [])
        trained = getattr(env.model, "_train_data_name", None)
        values = [Value(name, metric, value, bool(rises)) for name, metric, value, rises, *_ in results]
        if first:  # with an `init_model`, LightGBM continues the count itself
            self._first = next_step(run) if env.begin_iteration == 0 else 0
        classes = (lambda: env.params.get("num_class")) if first else None
        if self._log(run, env.iteration, values, () if trained is None else (trained,), classes):
            best = run.recommendation.best_step
            raise EarlyStopException(int(best) if best is not None else env.iteration, results)
        if env.iteration == env.end_iteration - 1:
            self._held.end()


for _place in (lightgbm, lightgbm.engine, lightgbm.sklearn):
    watch(_place, "train")
for _place in (lightgbm, lightgbm.engine):
    watch(_place, "cv")
