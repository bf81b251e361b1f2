from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from monitor.client.run import Run
from monitor.client.sinks import MemorySink

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    return x, (x[:, 0] + 0.1 * rng.normal(size=300) > 0).astype(int)


class TestXGBoost:
    def test_logs_every_round(self, run: Run, sink: MemorySink) -> None:
        xgboost = pytest.importorskip("xgboost")
        from monitor.client.integrations.xgboost import MonitorCallback

        x, y = data()
        train, val = xgboost.DMatrix(x[:200], y[:200]), xgboost.DMatrix(x[200:], y[200:])
        told: dict[str, dict[str, list[float]]] = {}
        parameters = {"objective": "binary:logistic", "eval_metric": ["error", "logloss"], "nthread": 1}
        xgboost.train(
            parameters, train, 20, evals=[(train, "train"), (val, "test")], evals_result=told, verbose_eval=False,
            callbacks=[MonitorCallback(run)],
        )  # fmt: skip
        run.finish()
        assert [v for _, v in sink.points(run.id, "train/loss")] == told["train"]["logloss"]
        assert [v for _, v in sink.points(run.id, "val/loss")] == told["test"]["logloss"]
        assert [v for _, v in sink.points(run.id, "test/error")] == told["test"]["error"]

    def test_ends_where_the_run_says_so(self, run: Run, stop: Callable[[], None]) -> None:
        xgboost = pytest.importorskip("xgboost")
        from monitor.client.integrations.xgboost import MonitorCallback

        stop()
        x, y = data()
        model = xgboost.XGBClassifier(n_estimators=500, n_jobs=1, callbacks=[MonitorCallback(run, wait_s=5)])
        model.fit(x, y, eval_set=[(x, y)], verbose=False)
        run.finish()
        assert model.get_booster().num_boosted_rounds() < 5


class TestLightGBM:
    def test_logs_every_round(self, run: Run, sink: MemorySink) -> None:
        lightgbm = pytest.importorskip("lightgbm")
        from monitor.client.integrations.lightgbm import MonitorCallback

        x, y = data()
        train = lightgbm.Dataset(x[:200], y[:200])
        told: dict[str, dict[str, list[float]]] = {}
        lightgbm.train(
            {"objective": "binary", "metric": ["binary_logloss", "auc"], "verbose": -1, "num_threads": 1}, train, 20,
            valid_sets=[train, train.create_valid(x[200:], y[200:])], valid_names=["training", "held out"],
            callbacks=[lightgbm.record_evaluation(told), MonitorCallback(run)],
        )  # fmt: skip
        run.finish()
        assert [v for _, v in sink.points(run.id, "train/loss")] == told["training"]["binary_logloss"]
        assert [v for _, v in sink.points(run.id, "val/loss")] == told["held out"]["binary_logloss"]
        assert [v for _, v in sink.points(run.id, "held out/auc")] == told["held out"]["auc"]

    def test_ends_where_the_run_says_so(self, run: Run, stop: Callable[[], None]) -> None:
        lightgbm = pytest.importorskip("lightgbm")
        from monitor.client.integrations.lightgbm import MonitorCallback

        stop()
        x, y = data()
        train = lightgbm.Dataset(x, y)
        model = lightgbm.train(
            {"objective": "binary", "verbose": -1, "num_threads": 1}, train, 500, valid_sets=[train],
            valid_names=["training"], callbacks=[MonitorCallback(run, wait_s=5)],
        )  # fmt: skip
        run.finish()
        assert model.num_trees() < 10


class TestOptuna:
    def test_prunes_what_diverges_and_keeps_what_converges(self) -> None:
        optuna = pytest.importorskip("optuna")
        from monitor.client.integrations.optuna import MonitorPruner

        optuna.logging.set_verbosity(optuna.logging.ERROR)

        def objective(trial: optuna.Trial) -> float:
            good = trial.number % 2 == 0
            value = 1.0
            for step in range(300):
                value = 1 / (1 + step / 20) if good else 0.5 + 1.05**step / 10
                trial.report(value, step)
                if trial.should_prune():
                    raise optuna.TrialPruned
            return value

        study = optuna.create_study(pruner=MonitorPruner(inner=optuna.pruners.NopPruner()))
        study.optimize(objective, n_trials=4)
        assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "COMPLETE", "PRUNED"]


class TestAccelerate:
    def test_logs_what_the_accelerator_logs(self, run: Run, sink: MemorySink) -> None:
        accelerate = pytest.importorskip("accelerate")
        from monitor.client.integrations.accelerate import MonitorTracker

        accelerator = accelerate.Accelerator(cpu=True, log_with=MonitorTracker(run=run))
        accelerator.init_trackers("mine", config={"lr": 0.1})
        for step in range(5):
            accelerator.log({"train_loss": 1 / (step + 1)}, step=step)
        accelerator.end_training()
        run.finish()
        assert sink.points(run.id, "train_loss") == [(step, 1 / (step + 1)) for step in range(5)]
        assert sink.events(run.id, "config")[0].data == {"config": {"lr": 0.1}}
