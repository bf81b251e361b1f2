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
    from monitor.integrations.keras import MonitorCallback

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
    from monitor.integrations.keras import MonitorCallback

    stop()
    x = np.zeros((64, 2), "f4")
    history = model.fit(x, x.sum(1), epochs=200, batch_size=16, verbose=0, callbacks=[MonitorCallback(run)])
    run.finish()
    assert len(history.epoch) < 50


class Advice:
    """A run whose advice is what the test says, by question."""

    loss_known = True

    def __init__(self, *stops: bool) -> None:
        self.stops, self._writer = list(stops), None

    def log(self, *_: object, **__: object) -> None: ...

    update_config = log

    def should_stop(self, wait_s: float = 0.0) -> bool:
        return self.stops.pop(0) if self.stops else False


@pytest.mark.parametrize("theirs", [True, False])
def test_a_stop_that_is_withdrawn_is_taken_back_and_that_of_others_is_not(model, theirs: bool) -> None:
    keras = pytest.importorskip("keras")
    from monitor.integrations.keras import MonitorCallback

    class Other(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            if theirs and epoch == 1:
                self.model.stop_training = True

    x = np.zeros((32, 2), "f4")
    advice = Advice(False, False, False, True, False)  # advised at the last batch of the second epoch, then withdrawn
    history = model.fit(
        x, x.sum(1), epochs=4, batch_size=16, verbose=0,
        callbacks=[Other(), MonitorCallback(advice)],  # type: ignore[arg-type]
    )  # fmt: skip
    assert len(history.epoch) == (2 if theirs else 4)


def test_a_server_that_is_down_is_not_waited_for_at_each_epoch(settings, model, monkeypatch) -> None:
    from monitor.integrations.keras import MonitorCallback
    from monitor.run.start import init

    quick = settings.model_copy(update={"finish_timeout_s": 0.1, "shipper": "thread"})
    run = init("p", settings=quick.model_copy(update={"server_url": "http://127.0.0.1:9"}))
    waits = []
    shipper = run._writer.shipper
    drain = shipper.drain
    monkeypatch.setattr(shipper, "drain", lambda *a, **k: waits.append(1) or drain(*a, **k))
    x = np.zeros((32, 2), "f4")
    model.fit(x, x.sum(1), epochs=20, batch_size=16, verbose=0, callbacks=[MonitorCallback(run)])
    run.finish()
    assert len(waits) <= 2  # the first, before the failure was known, and that of `finish`


def test_a_resumed_run_goes_on_counting(settings, model) -> None:
    from monitor import Api
    from monitor.integrations.keras import MonitorCallback

    place = settings.model_copy(update={"shipper": "thread"})
    x = np.zeros((32, 2), "f4")
    for _ in range(2):
        callback = MonitorCallback(run_id="a" * 32, resume="allow", settings=place)
        model.fit(x, x.sum(1), epochs=2, batch_size=16, verbose=0, callbacks=[callback])
    with Api(settings=place) as api:
        view = api.run("a" * 32)
        assert view.history("train/loss").steps.tolist() == list(range(8))
        assert (view.info.attempt, view.info.status) == (2, "finished")
