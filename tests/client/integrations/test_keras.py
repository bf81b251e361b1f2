from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("keras", exc_type=ImportError)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch):
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    made = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    made.compile(optimizer=keras.optimizers.SGD(0.05), loss="mse", metrics=["mae"])
    return made


def test_logs_a_real_training(run, sink, model) -> None:
    from monitor.client.integrations.keras import MonitorCallback

    x = np.random.default_rng(0).normal(size=(64, 2)).astype("f4")
    y = x.sum(1)
    history = model.fit(
        x, y, validation_data=(x, y), epochs=3, batch_size=16, verbose=0, callbacks=[MonitorCallback(run)]
    )
    run.finish()
    assert [step for step, _ in sink.points(run.id, "train/loss")] == list(range(12))
    assert [v for _, v in sink.points(run.id, "val/loss")] == pytest.approx(history.history["val_loss"])
    assert [step for step, _ in sink.points(run.id, "val/mae")] == [3, 7, 11]
    assert [v for _, v in sink.points(run.id, "lr")] == pytest.approx([0.05] * 3)


def test_stops_where_the_run_says_so(run, model, stop: Callable[[], None]) -> None:
    from monitor.client.integrations.keras import MonitorCallback

    stop()
    x = np.zeros((64, 2), "f4")
    history = model.fit(x, x.sum(1), epochs=200, batch_size=16, verbose=0, callbacks=[MonitorCallback(run)])
    run.finish()
    assert len(history.epoch) < 50
