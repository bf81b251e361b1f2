"""LightGBM: a callback for `lightgbm.train` and the scikit-learn estimators.

The first metric of each set is taken for its loss, as LightGBM's `first_metric_only` does, turned round where higher
is better.
"""

from __future__ import annotations

from lightgbm.callback import CallbackEnv, EarlyStopException

from monitor.client.integrations import _losses
from monitor.client.run import Run


class MonitorCallback:
    """Logs each round, and ends the boosting when the run says so.

    Args:
        run: where to log; the caller ends it.
        train_name: the training set's name in `valid_names`.
        wait_s: seconds to wait for the judgement of a round, at most.
    """

    order = 25
    before_iteration = False

    def __init__(self, run: Run, *, train_name: str = "training", wait_s: float = 0.0) -> None:
        self.run = run
        self._train_name = train_name
        self._wait_s = wait_s

    def __call__(self, env: CallbackEnv) -> None:
        """Log a round.

        Raises:
            EarlyStopException: the run is told to stop; LightGBM ends the training there.
        """
        results = list(env.evaluation_result_list or [])
        row: dict[str, object] = {}
        for name, metric, value, higher_is_better, *_ in results:
            row[f"{name}/{metric}"] = value
            key = "train/loss" if name == self._train_name else "val/loss"
            row.setdefault(key, -value if higher_is_better else value)
        if results:
            _losses.tell(self.run, lambda: _losses.named(results[0][1], env.params.get("num_class")))
        self.run.log(row, step=env.iteration)
        if self.run.should_stop(self._wait_s):
            best = self.run.recommendation.best_step
            raise EarlyStopException(int(best) if best is not None else env.iteration, results)
