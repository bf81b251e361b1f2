"""LightGBM: a callback for `lightgbm.train`, `lightgbm.cv` and the scikit-learn estimators.

The training set is the one that LightGBM itself marks as such, or that is named like one. The loss is the first metric
that falls when things go well; where all rise, such as the AUC, it is the negative of the first.
"""

from __future__ import annotations

from typing import Unpack

import lightgbm
from lightgbm.callback import CallbackEnv, EarlyStopException

from monitor.integrations._boosting import Judged, Value
from monitor.integrations._owned import OwnedRun, RunOptions, next_step, watch
from monitor.run.start import Run


class MonitorCallback:
    """Logs each round, and ends the boosting when the run says so.

    Args:
        run: a run that the caller ends; None: one is started for each training.
        project: the project of a run that is started here.
        train_name: the training set's name in `valid_names`; None: as LightGBM and the names say.
        val_name: the set that is judged as validation; None: the first that is not trained on. All sets are stored.
        metric: the metric that is taken for the loss; None: see above.
        higher_is_better: whether that metric rises when things go well; None: as LightGBM says.
        wait_s: seconds to wait for the judgement of a round, at most.
        **options: as in `monitor.init`, for a run that is started here.
    """

    order = 25
    before_iteration = False

    def __init__(
        self,
        run: Run | None = None,
        *,
        project: str = "lightgbm",
        train_name: str | None = None,
        val_name: str | None = None,
        metric: str | None = None,
        higher_is_better: bool | None = None,
        wait_s: float = 0.0,
        **options: Unpack[RunOptions],
    ) -> None:
        self._held = OwnedRun(run, project=project, **options)
        self._judged = Judged(train_name, val_name, metric, higher_is_better)
        self._wait_s = wait_s
        self._before = 0

    @property
    def run(self) -> Run | None:
        """The run, None outside a training where none was given."""
        return self._held.run

    def __call__(self, env: CallbackEnv) -> None:
        """Log a round.

        Raises:
            EarlyStopException: the run is told to stop; LightGBM ends the training there.
        """
        first = env.iteration == env.begin_iteration
        config = {"num_boost_round": env.end_iteration - env.begin_iteration, **env.params}
        run = self._held.start(config) if first else self._held.begin()
        results = list(env.evaluation_result_list or [])
        trained = getattr(env.model, "_train_data_name", None)
        row, loss = self._judged.row(
            [Value(name, metric, value, bool(rises)) for name, metric, value, rises, *_ in results],
            () if trained is None else (trained,),
        )
        if first:
            self._judged.tell(run, loss, env.params.get("num_class"))
            self._before = (
                next_step(run) if env.begin_iteration == 0 else 0
            )  # an `init_model` continues the count itself
        run.log(row, step=self._before + env.iteration)
        if run.should_stop(self._wait_s):
            best = run.recommendation.best_step
            raise EarlyStopException(int(best) if best is not None else env.iteration, results)
        if env.iteration == env.end_iteration - 1:
            self._held.end()


for _place in (lightgbm, lightgbm.engine, lightgbm.sklearn):
    watch(_place, "train")
for _place in (lightgbm, lightgbm.engine):
    watch(_place, "cv")
