"""Runs that a callback starts by itself: how each ends, and what the next training finds, with the real libraries."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest

from monitor.integrations import _owned
from monitor.run.start import Run
from monitor.shipping.sinks import MemorySink

os.environ.setdefault("KERAS_BACKEND", "torch")
pytestmark = pytest.mark.filterwarnings("ignore")

X = np.random.default_rng(0).normal(size=(64, 4)).astype("f4")


def end(sink: MemorySink, run: Run) -> tuple[object, object]:
    (event,) = sink.events(run.id, "finish")
    return event.data["status"], event.data["error"]


def test_an_estimator_ends_its_run_as_the_training_does(runs: list[Run], sink: MemorySink) -> None:
    xgb = pytest.importorskip("xgboost")
    from monitor.integrations.xgboost import MonitorCallback

    callback = MonitorCallback()
    for error in (RuntimeError("boom"), KeyboardInterrupt(), None):

        def metric(y: object, predicted: object, error: BaseException | None = error) -> float:
            if error is not None:
                raise error
            return 0.5

        model = xgb.XGBRegressor(n_estimators=4, n_jobs=1, eval_metric=metric, callbacks=[callback])
        with pytest.raises(type(error)) if error is not None else nullcontext():
            model.fit(X, X.sum(1), eval_set=[(X, X.sum(1))], verbose=False)
    assert [end(sink, run) for run in runs] == [
        ("failed", "RuntimeError: boom"),
        ("failed", "stopped by user"),
        ("finished", None),
    ]


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

    def test_a_method_that_calls_another_of_its_object_is_one_training(self, runs: list[Run], sink: MemorySink) -> None:
        held = _owned.OwnedRun()

        class Framework:
            def fit(self) -> None:
                held.start().log({"loss": 1.0})

            def tune(self) -> None:
                self.fit()
                self.fit()

        _owned.watch(Framework, "fit")
        _owned.watch(Framework, "tune")
        Framework().tune()
        assert len(runs) == 1
        Framework().fit()
        assert len(runs) == 2
        assert [end(sink, run)[0] for run in runs] == ["finished", "finished"]

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
