"""Runs that a callback starts by itself: how each ends, and what the next training finds, with the real libraries."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.integrations import _owned
from monitor.run.start import Run
from monitor.shipping.sinks import MemorySink

os.environ.setdefault("KERAS_BACKEND", "torch")
pytestmark = pytest.mark.filterwarnings("ignore")

Train = Callable[[Any, BaseException | None], None]
"""A short training with a callback; the exception, if there is one, is raised in its middle."""
X = np.random.default_rng(0).normal(size=(64, 4)).astype("f4")
Y = X.sum(1)


def xgboost(_: Path) -> tuple[type, Train]:
    xgb = pytest.importorskip("xgboost")
    from monitor.integrations.xgboost import MonitorCallback

    class Bomb(xgb.callback.TrainingCallback):  # type: ignore[misc]
        def __init__(self, error: BaseException | None) -> None:
            self.error = error

        def after_iteration(self, model: object, epoch: int, log: object) -> bool:
            if epoch == 2 and self.error is not None:
                raise self.error
            return False

    def train(callback: Any, error: BaseException | None) -> None:
        matrix = xgb.DMatrix(X, Y)
        xgb.train({"nthread": 1}, matrix, 4, evals=[(matrix, "train")], verbose_eval=False,
                  callbacks=[callback, Bomb(error)])  # fmt: skip

    return MonitorCallback, train


def xgboost_estimator(_: Path) -> tuple[type, Train]:
    xgb = pytest.importorskip("xgboost")
    from monitor.integrations.xgboost import MonitorCallback

    def train(callback: Any, error: BaseException | None) -> None:
        def metric(y: object, predicted: object) -> float:
            if error is not None:
                raise error
            return 0.5

        xgb.XGBRegressor(n_estimators=4, n_jobs=1, eval_metric=metric, callbacks=[callback]).fit(
            X, Y, eval_set=[(X, Y)], verbose=False
        )

    return MonitorCallback, train


def lightgbm(_: Path) -> tuple[type, Train]:
    lgb = pytest.importorskip("lightgbm")
    from monitor.integrations.lightgbm import MonitorCallback

    def train(callback: Any, error: BaseException | None) -> None:
        def bomb(env: Any) -> None:
            if env.iteration == 2 and error is not None:
                raise error

        data = lgb.Dataset(X, Y)
        lgb.train({"objective": "l2", "verbose": -1, "num_threads": 1}, data, 4, valid_sets=[data],
                  valid_names=["train"], callbacks=[callback, bomb])  # fmt: skip

    return MonitorCallback, train


def keras(_: Path) -> tuple[type, Train]:
    keras = pytest.importorskip("keras")
    from monitor.integrations.keras import MonitorCallback

    class Bomb(keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self, error: BaseException | None) -> None:
            super().__init__()
            self.error = error

        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            if epoch == 1 and self.error is not None:
                raise self.error

    def train(callback: Any, error: BaseException | None) -> None:
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
        model.compile(optimizer="sgd", loss="mse")
        model.fit(X, Y, epochs=2, batch_size=32, verbose=0, callbacks=[callback, Bomb(error)])

    return MonitorCallback, train


def huggingface(folder: Path) -> tuple[type, Train]:
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    from monitor.integrations.huggingface import MonitorCallback

    class Tiny(torch.nn.Module):  # type: ignore[misc]
        def __init__(self, error: BaseException | None) -> None:
            super().__init__()
            self.linear, self.error, self.calls = torch.nn.Linear(4, 1), error, 0

        def forward(self, x: Any, labels: Any) -> dict[str, Any]:
            self.calls += 1
            if self.calls == 3 and self.error is not None:
                raise self.error
            out = self.linear(x)
            return {"loss": (out[:, 0] - labels).square().mean(), "logits": out}

    def train(callback: Any, error: BaseException | None) -> None:
        rows = [{"x": torch.tensor(x), "labels": torch.tensor(y)} for x, y in zip(X, Y, strict=True)]
        arguments = transformers.TrainingArguments(
            output_dir=str(folder), max_steps=4, per_device_train_batch_size=8, logging_steps=1, save_strategy="no",
            report_to="none", disable_tqdm=True, use_cpu=True,
        )  # fmt: skip
        transformers.Trainer(Tiny(error), arguments, train_dataset=rows, callbacks=[callback]).train()

    return MonitorCallback, train


def lightning(folder: Path) -> tuple[type, Train]:
    pl = pytest.importorskip("lightning.pytorch")
    torch = pytest.importorskip("torch")
    from monitor.integrations.lightning import MonitorLogger

    class Tiny(pl.LightningModule):  # type: ignore[misc]
        def __init__(self, error: BaseException | None) -> None:
            super().__init__()
            self.linear, self.error = torch.nn.Linear(4, 1), error

        def training_step(self, batch: Any, i: int) -> Any:
            if i == 2 and self.error is not None:
                raise self.error
            loss = (self.linear(batch)[:, 0] - batch.sum(1)).square().mean()
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    def train(logger: Any, error: BaseException | None) -> None:
        trainer = pl.Trainer(max_epochs=1, logger=logger, default_root_dir=folder, log_every_n_steps=1,
                             accelerator="cpu", enable_progress_bar=False, enable_model_summary=False,
                             enable_checkpointing=False)  # fmt: skip
        try:
            trainer.fit(Tiny(error), torch.utils.data.DataLoader(torch.tensor(X), batch_size=8))
        except SystemExit as left:  # what Lightning makes of an interrupt
            raise KeyboardInterrupt from left

    return MonitorLogger, train


FRAMEWORKS = [
    xgboost,
    xgboost_estimator,
    lightgbm,
    *(pytest.param(framework, marks=pytest.mark.slow) for framework in (keras, huggingface, lightning)),
]


def end(sink: MemorySink, run: Run) -> tuple[object, object]:
    (event,) = sink.events(run.id, "finish")
    return event.data["status"], event.data["error"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_ends_as_the_training_does_and_begins_anew(
    framework: Callable[[Path], tuple[type, Train]], runs: list[Run], sink: MemorySink, tmp_path: Path
) -> None:
    make, train = framework(tmp_path)
    callback = make(project="mine", name="n", tags=["a"], group="g", run_id="f" * 32)
    for error in (RuntimeError("boom"), KeyboardInterrupt(), None):
        if error is None:
            train(callback, None)
        else:
            with pytest.raises(type(error)):
                train(callback, error)
    assert [end(sink, run) for run in runs] == [
        ("failed", "RuntimeError: boom"),
        ("failed", "stopped by user"),
        ("finished", None),
    ]
    begun = [sink.events(run.id, "run")[0].data for run in runs]
    assert {(data["project"], data["name"], data["group"], str(data["tags"])) for data in begun} == {
        ("mine", "n", "g", "{'a': ''}")
    }
    assert len({run.id for run in runs}) == 3
    assert runs[0].id == "f" * 32
    counts = [len(sink.points(run.id, "train/loss") or sink.points(run.id, "train_loss")) for run in runs]
    assert counts[0] <= counts[2]
    assert 0 < counts[2] <= 8


class TestWatch:
    def test_what_ends_by_itself_is_finished_and_what_is_nested_ends_first(
        self, runs: list[Run], sink: MemorySink
    ) -> None:
        class Framework:
            def train(self, held: _owned.OwnedRun, inner: Callable[[], None] = lambda: None) -> str:
                held.start()
                inner()
                return "done"

        _owned.watch(Framework, "train")
        _owned.watch(Framework, "train")
        _owned.watch(Framework, "no such function")
        outer, inner = _owned.OwnedRun(), _owned.OwnedRun()

        def fail() -> None:
            Framework().train(inner, lambda: 1 // 0)  # type: ignore[arg-type, return-value]

        with pytest.raises(ZeroDivisionError):
            Framework().train(outer, fail)
        assert Framework().train(outer) == "done"
        assert [end(sink, run)[0] for run in runs] == ["failed", "failed", "finished"]

    def test_a_run_that_was_given_is_left_to_the_caller(self, run: Run, sink: MemorySink) -> None:
        held = _owned.OwnedRun(run)

        class Framework:
            def train(self) -> None:
                held.start()
                raise ValueError("no data")

        _owned.watch(Framework, "train")
        with pytest.raises(ValueError, match="no data"):
            Framework().train()
        assert not sink.events(run.id, "finish")
        run.finish()
        assert end(sink, run) == ("finished", None)


class TestObey:
    @pytest.mark.parametrize("theirs", [True, False])
    def test_takes_back_what_is_ours_alone(self, theirs: bool) -> None:
        class Trainer:
            stop: object = False

        trainer = Trainer()
        _owned.obey(trainer, "stop", True)
        assert trainer.stop
        if theirs:
            trainer.stop = True
        _owned.obey(trainer, "stop", False)
        assert trainer.stop is theirs
