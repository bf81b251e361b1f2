"""What docs/mlflow.md shows runs as it stands, against a real MLflow."""

from __future__ import annotations

import re
import warnings
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from monitor._resources import ROOT
from monitor.domain import RunStatus
from monitor.mlflow_store import Exporter
from monitor.store import Store
from monitor.store.sql import migrate
from tests.conftest import NOW_MS, Feed

if TYPE_CHECKING:
    from mlflow import MlflowClient

pytestmark = pytest.mark.xdist_group("mlflow")
TEXT = (ROOT / "docs" / "mlflow.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(python(?: keras)?)\n(.*?)^```", TEXT, re.M | re.S)
QUERIES = re.findall(
    r"^\| [^|]+ \| (`+)(.+?)\1 \|$", TEXT[TEXT.index("| which runs |") : TEXT.index("MLflow's filters")], re.M
)
ADDRESS = "http://127.0.0.1:8470"


@pytest.fixture(scope="module")
def mirrored(mlflow_uri: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An MLflow with a few runs of the project `my-project`, each in a state of its own."""
    url = f"sqlite:///{tmp_path_factory.mktemp('mirrored') / 'm.db'}"
    migrate.upgrade(url)
    steps = np.arange(0, 3000, 10)
    down = 2.2 * np.exp(-steps / 400) + 0.05
    with Store.open(url) as store, closing(Exporter(mlflow_uri)) as exporter:
        overfit = run(store, "overfit", {"lr": 0.1})
        overfit.event("checkpoint", step=500, path="best.pt")
        overfit.log("train/loss", steps, down)
        overfit.log("val/loss", steps, np.where(steps < 600, down + 0.02, 0.55 + (steps - 600) / 1000))
        healthy = run(store, "healthy", {"lr": 0.01}, group="seeds")
        healthy.log("train/loss", steps, down)
        healthy.log("val/loss", steps, down + 0.01)
        healthy.event("finish", status="finished")
        broken = run(store, "broken", {"lr": 0.1})
        broken.log("train/loss", range(9), [2.0, 1.9, 1.8, *[float("nan")] * 6])
        store.set_status(broken.run_id, RunStatus.LOST, now_ms=NOW_MS)
        while exporter.sync(store, NOW_MS):
            pass
    return mlflow_uri


def run(store: Store, name: str, config: dict[str, Any], **more: Any) -> Feed:
    feed = Feed(store)
    loss = {"name": "CrossEntropy", "chance_level": 2.303, "floor": 0.0}
    feed.start(project="my-project", name=name, config=config, loss=loss, **more)
    return feed


@pytest.mark.parametrize("query", [query for _, query in QUERIES])
def test_a_query_finds_some_runs_and_not_all(query: str, mirrored: str, mlflow_client: MlflowClient) -> None:
    experiment = mlflow_client.get_experiment_by_name("my-project")
    assert experiment is not None

    found = mlflow_client.search_runs([experiment.experiment_id], filter_string=query)

    assert 0 < len(found) < 3


def test_there_are_queries_and_blocks() -> None:
    assert len(QUERIES) > 12
    assert len(BLOCKS) == 4


@pytest.mark.parametrize("code", [code for kind, code in BLOCKS if kind == "python"])
def test_a_block_runs_as_it_stands(code: str, mirrored: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    assert ADDRESS in code  # an address that nobody serves is tried for minutes
    monkeypatch.chdir(tmp_path)
    before = mlflow.get_tracking_uri()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(code.replace(ADDRESS, mirrored), "docs/mlflow.md", "exec"), {"__name__": "docs"})
    finally:
        mlflow.set_tracking_uri(before)


@pytest.mark.slow
def test_the_callback_ends_a_training(
    mirrored: str, mlflow_client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    (code,) = [code for kind, code in BLOCKS if kind == "python keras"]
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(mirrored)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            space: dict[str, Any] = {}
            exec(compile(code, "docs/mlflow.md", "exec"), space)
            model = keras.Sequential([keras.layers.Dense(1)])
            model.compile(loss="mse", optimizer="sgd")
            with mlflow.start_run() as active:
                mlflow_client.set_tag(active.info.run_id, "monitor.action", "stop")
                rows = np.ones((4, 2))
                history = model.fit(rows, rows[:, :1], epochs=5, verbose=0, callbacks=[space["StopWhenTold"]()])
    finally:
        mlflow.set_tracking_uri(before)
    assert len(history.history["loss"]) == 1
