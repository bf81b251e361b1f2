from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.linear_model import SGDClassifier  # after the library that may be missing
from sklearn.metrics import log_loss

from monitor.integrations.sklearn import fit
from monitor.run.start import Run
from monitor.shipping.sinks import MemorySink


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 4))
    return x, (x[:, 0] > 0).astype(int)


def score(model: SGDClassifier, x: np.ndarray, y: np.ndarray) -> float:
    return float(log_loss(y, model.predict_proba(x), labels=model.classes_))


def test_logs_every_batch_and_every_validation(run: Run, sink: MemorySink) -> None:
    x, y = data()
    model = fit(
        SGDClassifier(loss="log_loss", random_state=0), x[:300], y[:300], run, score,
        validation=(x[300:], y[300:]), classes=[0, 1], epochs=5, batch_size=100,
    )  # fmt: skip
    run.finish()
    assert model.score(x[300:], y[300:]) > 0.9
    assert [step for step, _ in sink.points(run.id, "train/loss")] == list(range(15))
    told = sink.events(run.id, "config")[0].data["config"]
    assert (told["model"]["name"], told["model"]["loss"], told["batch_size"]) == ("SGDClassifier", "log_loss", 100)  # type: ignore[index]
    assert [step for step, _ in sink.points(run.id, "val/loss")] == [2, 5, 8, 11, 14]


def test_ends_where_the_run_says_so(run: Run, sink: MemorySink, stop: Callable[[], None]) -> None:
    x, y = data()
    stop()
    fit(SGDClassifier(loss="log_loss"), x, y, run, score, classes=[0, 1], epochs=50, wait_s=60)
    run.finish()
    assert len(sink.points(run.id, "train/loss")) == 2
    assert sink.events(run.id, "finish")[0].data["status"] == "stopped"


def test_takes_sparse_samples_and_a_second_training_goes_on_counting(run: Run, sink: MemorySink) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    x, y = data()
    for form in (sparse.csc_matrix, sparse.csr_array):
        fit(
            SGDClassifier(loss="log_loss"), form(x[:300]), y[:300], run, score,
            validation=(form(x[300:]), y[300:]), classes=[0, 1], epochs=2, batch_size=100, wait_s=0,
        )  # fmt: skip
    run.finish()
    assert [step for step, _ in sink.points(run.id, "train/loss")] == list(range(12))
    assert [step for step, _ in sink.points(run.id, "val/loss")] == [2, 5, 8, 11]


def test_the_training_loss_is_that_before_the_model_learns_from_the_batch(run: Run, sink: MemorySink) -> None:
    class Model:
        learned: frozenset[float] = frozenset()

        def partial_fit(self, x: np.ndarray, y: np.ndarray) -> None:
            self.learned |= set(x[:, 0].tolist())

    def known(model: Model, x: np.ndarray, y: np.ndarray) -> float:
        return float(np.isin(x[:, 0], list(model.learned)).mean())

    fit(Model(), np.arange(40.0)[:, None], np.zeros(40), run, known, epochs=1, batch_size=10, wait_s=0)
    run.finish()
    assert [value for _, value in sink.points(run.id, "train/loss")] == [1.0, 0.0, 0.0, 0.0]
