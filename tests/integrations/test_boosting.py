from __future__ import annotations

import gc
import math
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from monitor.run.start import Run, init
from monitor.server.ports import free_port
from monitor.settings import Settings
from monitor.shipping.sinks import MemorySink

pytestmark = pytest.mark.filterwarnings("ignore")


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    return x, (x[:, 0] + 0.1 * rng.normal(size=300) > 0).astype(int)


class TestXGBoost:
    def test_logs_every_round(self, run: Run, sink: MemorySink) -> None:
        xgboost = pytest.importorskip("xgboost")
        from monitor.integrations.xgboost import MonitorCallback

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
        from monitor.integrations.xgboost import MonitorCallback

        stop()
        x, y = data()
        model = xgboost.XGBClassifier(n_estimators=500, n_jobs=1, callbacks=[MonitorCallback(run, wait_s=60)])
        model.fit(x, y, eval_set=[(x, y)], verbose=False)
        run.finish()
        assert model.get_booster().num_boosted_rounds() < 5

    def train(self, run: Run | None, evals: list[tuple[str, str]], metrics: list[str], **more: object) -> dict:
        """Boost for 12 rounds; `evals` names a set of the data and how it is called."""
        xgboost = pytest.importorskip("xgboost")
        from monitor.integrations.xgboost import MonitorCallback

        x, y = data()
        sets = {"fit": xgboost.DMatrix(x[:200], y[:200]), "held": xgboost.DMatrix(x[200:], y[200:])}
        told: dict[str, dict[str, list[float]]] = {}
        xgboost.train(
            {"objective": "binary:logistic", "eval_metric": metrics, "nthread": 1}, sets["fit"], 12,
            evals=[(sets[which], name) for which, name in evals], evals_result=told, verbose_eval=False,
            callbacks=[MonitorCallback(run, **more)],  # type: ignore[arg-type]
        )  # fmt: skip
        return told

    @pytest.mark.parametrize("metrics", [["logloss", "auc"], ["auc", "logloss"], ["logloss", "map", "ndcg@3", "pre@3"]])
    def test_a_metric_that_rises_is_no_loss(self, run: Run, sink: MemorySink, metrics: list[str]) -> None:
        told = self.train(run, [("fit", "train"), ("held", "val")], metrics)
        run.finish()
        assert [v for _, v in sink.points(run.id, "train/loss")] == told["train"]["logloss"]
        assert [v for _, v in sink.points(run.id, "val/loss")] == told["val"]["logloss"]
        assert [v for _, v in sink.points(run.id, f"val/{metrics[-1]}")] == told["val"][metrics[-1]]

    def test_the_negative_of_the_auc_is_the_loss_where_it_is_alone(self, run: Run, sink: MemorySink) -> None:
        told = self.train(run, [("held", "val")], ["auc"])
        run.finish()
        assert [v for _, v in sink.points(run.id, "val/loss")] == [-v for v in told["val"]["auc"]]
        assert sink.points(run.id, "train/loss") == []
        assert sink.events(run.id, "loss")[0].data["loss"] == {"name": "-auc", "comparable": True}

    @pytest.mark.parametrize(
        ("evals", "train", "val"),
        [
            ([("held", "val"), ("fit", "train")], "train", "val"),
            ([("fit", "learn"), ("held", "holdout")], "learn", "holdout"),
            ([("held", "eval")], None, "eval"),
            ([("held", "news")], None, "news"),
            ([("fit", "training")], "training", None),
            ([("fit", "train"), ("held", "a"), ("held", "b")], "train", "a"),
            ([("fit", "validation_0"), ("held", "validation_1")], "validation_0", "validation_1"),
            ([("fit", "mine"), ("held", "yours")], "mine", "yours"),
        ],
    )
    def test_sets_are_told_by_their_names(
        self, run: Run, sink: MemorySink, evals: list[tuple[str, str]], train: str | None, val: str | None
    ) -> None:
        told = self.train(run, evals, ["logloss"])
        run.finish()
        for key, name in (("train/loss", train), ("val/loss", val)):
            assert [v for _, v in sink.points(run.id, key)] == ([] if name is None else told[name]["logloss"])
        assert all(sink.points(run.id, f"{name}/logloss") for _, name in evals)

    @pytest.mark.slow
    def test_a_good_training_is_not_ended_because_its_auc_rises(self, settings: Settings) -> None:
        xgboost = pytest.importorskip("xgboost")
        from monitor import Api
        from monitor.integrations.xgboost import MonitorCallback

        rng = np.random.default_rng(0)
        x = rng.normal(size=(600, 10))
        y = (x @ rng.normal(size=10) + rng.normal(size=600) > 0).astype(int)
        train, val = xgboost.DMatrix(x[:400], y[:400]), xgboost.DMatrix(x[400:], y[400:])
        run = init("p", settings=settings.model_copy(update={"shipper": "thread"}))
        told: dict[str, dict[str, list[float]]] = {}
        xgboost.train(
            {"objective": "binary:logistic", "eta": 0.1, "eval_metric": ["logloss", "auc"], "nthread": 1}, train, 60,
            evals=[(train, "train"), (val, "val")], evals_result=told, verbose_eval=False,
            callbacks=[MonitorCallback(run, wait_s=60)],
        )  # fmt: skip
        run.finish()
        assert told["val"]["auc"][-1] > told["val"]["auc"][0] + 0.05
        assert len(told["val"]["auc"]) == 60  # later the log loss rises, which does end it
        with Api(settings=settings) as api:
            view = api.run(run.id)
            assert view.history("val/loss").values.tolist() == pytest.approx(told["val"]["logloss"])
            assert "divergence" not in {found.rule for found in view.diagnosis().findings}

    def test_the_user_can_say_it(self, run: Run, sink: MemorySink) -> None:
        told = self.train(
            run, [("fit", "test"), ("held", "a"), ("held", "b")], ["error", "auc", "logloss"],
            train_name="test", val_name="b", metric="error",
        )  # fmt: skip
        run.finish()
        assert [v for _, v in sink.points(run.id, "train/loss")] == told["test"]["error"]
        assert [v for _, v in sink.points(run.id, "val/loss")] == told["b"]["error"]

    def test_more_rounds_of_a_model_go_on_counting(self, run: Run, sink: MemorySink) -> None:
        xgboost = pytest.importorskip("xgboost")
        from monitor.integrations.xgboost import MonitorCallback

        x, y = data()
        matrix, model = xgboost.DMatrix(x, y), None
        for _ in range(2):
            model = xgboost.train(
                {"nthread": 1}, matrix, 3, evals=[(matrix, "train")], xgb_model=model, verbose_eval=False,
                callbacks=[MonitorCallback(run)],
            )  # fmt: skip
        run.finish()
        assert [step for step, _ in sink.points(run.id, "train/loss")] == [0, 1, 2, 3, 4, 5]


class TestLightGBM:
    @pytest.mark.parametrize("metrics", [["auc", "binary_logloss"], ["binary_logloss", "auc"], ["auc"]])
    @pytest.mark.parametrize("order", [1, -1])
    def test_sets_and_metrics_are_told_by_their_names(
        self, run: Run, sink: MemorySink, metrics: list[str], order: int
    ) -> None:
        lightgbm = pytest.importorskip("lightgbm")
        from monitor.integrations.lightgbm import MonitorCallback

        x, y = data()
        train = lightgbm.Dataset(x[:200], y[:200])
        sets = {"mine": train, "val": train.create_valid(x[200:], y[200:])}
        names = list(sets)[::order]
        told: dict[str, dict[str, list[float]]] = {}
        lightgbm.train(
            {"objective": "binary", "metric": metrics, "verbose": -1, "num_threads": 1}, train, 10,
            valid_sets=[sets[name] for name in names], valid_names=names,
            callbacks=[lightgbm.record_evaluation(told), MonitorCallback(run)],
        )  # fmt: skip
        run.finish()
        loss, sign = ("auc", -1) if metrics == ["auc"] else ("binary_logloss", 1)
        assert [v for _, v in sink.points(run.id, "train/loss")] == [sign * v for v in told["mine"][loss]]
        assert [v for _, v in sink.points(run.id, "val/loss")] == [sign * v for v in told["val"][loss]]

    def test_logs_every_round(self, run: Run, sink: MemorySink) -> None:
        lightgbm = pytest.importorskip("lightgbm")
        from monitor.integrations.lightgbm import MonitorCallback

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
        from monitor.integrations.lightgbm import MonitorCallback

        stop()
        x, y = data()
        train = lightgbm.Dataset(x, y)
        model = lightgbm.train(
            {"objective": "binary", "verbose": -1, "num_threads": 1}, train, 500, valid_sets=[train],
            valid_names=["training"], callbacks=[MonitorCallback(run, wait_s=60)],
        )  # fmt: skip
        run.finish()
        assert model.num_trees() < 10


class TestOptuna:
    def test_prunes_what_diverges_and_keeps_what_converges(self) -> None:
        optuna = pytest.importorskip("optuna")
        from monitor.integrations.optuna import MonitorPruner

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

    @pytest.mark.parametrize("jobs", [1, 3])
    def test_one_pruner_serves_many_studies(self, jobs: int) -> None:
        optuna = pytest.importorskip("optuna")
        from monitor.integrations.optuna import MonitorPruner

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        pruner = MonitorPruner()

        def reporting(curve: Callable[[int], float]) -> Callable[[optuna.Trial], float]:
            def objective(trial: optuna.Trial) -> float:
                for step in range(60):
                    trial.report(curve(step), step)
                    if trial.should_prune():
                        raise optuna.TrialPruned
                return 1.0

            return objective

        curves = {
            "bad": lambda step: math.nan,
            "good": lambda step: 2 * math.exp(-step / 10) + 0.1,
            "rising score": lambda step: 1 - math.exp(-step / 10),
        }
        for direction, name in (("minimize", "bad"), ("minimize", "good"), ("maximize", "rising score")):
            study = optuna.create_study(pruner=pruner, direction=direction)
            study.optimize(reporting(curves[name]), n_trials=3, n_jobs=jobs)
            assert {trial.state.name for trial in study.trials} == {"PRUNED" if name == "bad" else "COMPLETE"}
            assert {len(trial.intermediate_values) for trial in study.trials} == {5 if name == "bad" else 60}

    def test_a_study_in_the_place_of_a_deleted_one_is_another(self, tmp_path: Path) -> None:
        optuna = pytest.importorskip("optuna")
        from monitor.integrations.optuna import MonitorPruner

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/o.db")
        pruner = MonitorPruner()
        found = []
        for value in (math.nan, 1.0):
            study = optuna.create_study(storage=storage, study_name="mine", pruner=pruner)
            trial = study.ask()
            for step in range(6):
                trial.report(value / (1 + step), step)
                pruned = trial.should_prune()
            found.append((study._study_id, trial._trial_id, pruned))
            optuna.delete_study(study_name="mine", storage=storage)
        assert found == [(1, 1, True), (1, 1, False)]

    def test_forgets_a_storage_that_is_gone_and_travels_without_its_memory(self) -> None:
        optuna = pytest.importorskip("optuna")
        from monitor.integrations.optuna import MonitorPruner

        pruner = MonitorPruner()
        study = optuna.create_study(pruner=pruner)
        trial = study.ask()
        trial.report(1.0, 0)
        trial.should_prune()
        assert len(pruner._trials) == 1
        assert len(pickle.loads(pickle.dumps(pruner))._trials) == 0
        del study, trial
        gc.collect()
        assert len(pruner._trials) == 0


RANKS = """
import os, sys
from pathlib import Path
import accelerate, torch
from monitor.integrations.accelerate import MonitorTracker
from monitor.shipping.sinks import MemorySink
from monitor.settings import Settings
from monitor.integrations import _owned
from monitor.run.start import init
from monitor.settings import load
from functools import partial

folder, sink = Path(sys.argv[1]), MemorySink()
settings = load(dir=folder / "store", capture=False, ship_interval_s=0.005)
_owned.init = partial(init, sink=sink)
accelerator = accelerate.Accelerator(cpu=True, log_with=MonitorTracker("mine", settings=settings))
accelerator.init_trackers("mine", config={"lr": 0.1})
accelerator.log({"train_loss": 1.0}, step=0)
accelerator.end_training()
logged = [len(sink.points(batch.run_id, "train_loss")) for batch in sink.batches[:1]]
(folder / f"rank{os.environ['RANK']}").write_text(f"{accelerator.num_processes} {sum(logged)}")
"""


class TestAccelerate:
    @pytest.mark.slow
    def test_leaves_the_processes_to_the_accelerator(self, tmp_path: Path) -> None:
        pytest.importorskip("accelerate")
        script = tmp_path / "train.py"
        script.write_text(RANKS)
        port = free_port("127.0.0.1", 0, "port")
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
        done = subprocess.run(
            [*command, str(script), str(tmp_path)], timeout=240, capture_output=True, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        assert [(tmp_path / f"rank{rank}").read_text() for rank in (0, 1)] == ["2 1", "2 0"]

    def test_is_made_before_anything_is_known_of_processes(self, runs: list[Run], sink: MemorySink) -> None:
        accelerate = pytest.importorskip("accelerate")
        from monitor.integrations.accelerate import MonitorTracker

        accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
        tracker = MonitorTracker("mine", tags=["a"])
        assert not accelerate.PartialState._shared_state
        accelerator = accelerate.Accelerator(cpu=True, log_with=tracker)
        accelerator.init_trackers("ignored")
        assert accelerator.get_tracker("monitor", unwrap=True) is runs[0]
        accelerator.log({"train_loss": 1.0}, step=3)
        accelerator.end_training()
        assert sink.points(runs[0].id, "train_loss") == [(3, 1.0)]
        assert [event.data["status"] for event in sink.events(runs[0].id, "finish")] == ["finished"]

    def test_starts_by_itself_where_accelerate_does_not_start_trackers(self, runs: list[Run], sink: MemorySink) -> None:
        pytest.importorskip("accelerate")
        from monitor.integrations.accelerate import MonitorTracker

        tracker = MonitorTracker("mine")
        tracker.store_init_configuration({"lr": 0.1})
        tracker.log({"train_loss": 1.0}, step=0)
        tracker.finish()
        assert sink.points(runs[0].id, "train_loss") == [(0, 1.0)]
        assert sink.events(runs[0].id, "config")[0].data == {"config": {"lr": 0.1}}

    def test_logs_what_the_accelerator_logs(self, run: Run, sink: MemorySink) -> None:
        accelerate = pytest.importorskip("accelerate")
        from monitor.integrations.accelerate import MonitorTracker

        accelerator = accelerate.Accelerator(cpu=True, log_with=MonitorTracker(run=run))
        accelerator.init_trackers("mine", config={"lr": 0.1})
        for step in range(5):
            accelerator.log({"train_loss": 1 / (step + 1)}, step=step)
        accelerator.end_training()
        run.finish()
        assert sink.points(run.id, "train_loss") == [(step, 1 / (step + 1)) for step in range(5)]
        assert sink.events(run.id, "config")[0].data == {"config": {"lr": 0.1}}
