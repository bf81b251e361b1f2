from __future__ import annotations

import pytest

skorch = pytest.importorskip("skorch")
torch = pytest.importorskip("torch")

import numpy as np  # noqa: E402  # after the libraries that may be missing
from sklearn.model_selection import GridSearchCV  # noqa: E402

from monitor.integrations.skorch import MonitorCallback  # noqa: E402
from monitor.run.start import Run  # noqa: E402
from monitor.shipping.sinks import MemorySink  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_each_fit_of_a_grid_search_is_a_run(runs: list[Run], sink: MemorySink) -> None:
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("f4")
    net = skorch.NeuralNetRegressor(
        torch.nn.Linear, module__in_features=4, module__out_features=1, max_epochs=2, verbose=0, train_split=None,
        callbacks=[("monitor", MonitorCallback(project="grid", every=2, tags=["a"]))],
    )  # fmt: skip
    GridSearchCV(net, {"lr": [0.01, 0.05]}, cv=2, scoring="neg_mean_squared_error").fit(x, x.sum(1, keepdims=True))
    assert len(runs) == 5  # two rates on two folds, and the best of them on all
    assert {run.project for run in runs} == {"grid"}
    rates = [sink.events(run.id, "run")[0].data["config"]["lr"] for run in runs]  # type: ignore[index]
    assert sorted(rates[:4]) == [0.01, 0.01, 0.05, 0.05]
    assert all(sink.events(run.id, "finish")[0].data["status"] == "finished" for run in runs)
