"""Runs of a real MLflow server."""

from __future__ import annotations

import contextlib
import math
import warnings
from pathlib import Path

import pytest

from monitor.errors import FileUnreadable
from monitor.importers import ImportedRun, NotTraining, read_curves, read_runs
from monitor.mlflow_store import Exporter
from monitor.store import Store
from tests.conftest import Feed

pytestmark = pytest.mark.xdist_group("tracking")
START = 1_700_000_000_000


@pytest.fixture(autouse=True)
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A history comes in three pages."""
    monkeypatch.setattr("monitor.importers.mlflow_server._HISTORY_PAGE", 1000)


@pytest.fixture(scope="module")
def filled(tracking_uri: str) -> tuple[str, str, str]:
    """Address, experiment and run of a server that holds two runs, one of them without metrics."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param, RunTag

        client = MlflowClient(tracking_uri)
        experiment = client.create_experiment("digits")
        run = client.create_run(experiment, run_name="warm", start_time=START).info.run_id
        metrics = [Metric("train/loss", 2 / (i + 1), START + i * 100, i) for i in range(2_600)]
        metrics += [Metric("val/loss", 1.0, START + i * 100, i) for i in range(0, 500, 50)]
        metrics += [Metric("odd", math.nan, START, 3)]
        params = [Param("lr", "0.001"), Param("opt", "adam")]
        for at in range(0, len(metrics), 1000):
            client.log_batch(run, metrics=metrics[at : at + 1000], params=[] if at else params)
        client.log_batch(run, tags=[RunTag("team", "a")])
        client.set_terminated(run, "FAILED", end_time=START + 9_000_000)
        client.create_run(experiment, run_name="empty")
    return tracking_uri, experiment, run


def test_histories_params_tags_and_times_are_read_page_by_page(filled: tuple[str, str, str]) -> None:
    uri, experiment, _ = filled
    found = list(read_runs(f"mlflow:{uri}/#/experiments/{experiment}"))  # other tests fill others
    (run,) = [item for item in found if isinstance(item, ImportedRun)]
    assert [type(item) for item in found if item is not run] == [NotTraining]
    assert (run.project, run.name, run.status) == ("digits", "warm", "failed")
    assert run.config == {"lr": 0.001, "opt": "adam"}
    assert run.tags["team"] == "a"
    assert (run.started_ms, run.finished_ms) == (START, START + 9_000_000)
    train = run.points.key == run.keys.index("train/loss")
    assert run.points.step[train].tolist() == list(range(2_600))
    assert run.points.value[train][:3].tolist() == [2.0, 1.0, 2 / 3]
    assert math.isnan(run.points.value[run.points.key == run.keys.index("odd")][0])


def test_the_training_loss_of_a_step_comes_first(filled: tuple[str, str, str]) -> None:
    (run,) = read_runs("{}/#/experiments/{}/runs/{}".format(*filled))
    assert isinstance(run, ImportedRun)
    at = [run.keys[k] for k, step in zip(run.points.key, run.points.step, strict=True) if step == 50]
    assert at == ["train/loss", "val/loss"]


@pytest.mark.slow
def test_an_address_copied_from_the_pages_picks_what_it_shows(filled: tuple[str, str, str]) -> None:
    uri, experiment, ident = filled
    (run,) = read_runs(f"{uri}/#/experiments/{experiment}/runs/{ident}")
    assert isinstance(run, ImportedRun)
    assert run.project == "digits"
    assert len(list(read_runs(f"{uri}/#/experiments/{experiment}"))) == 2
    assert not [item for item in read_runs(f"{uri}/#/experiments/0") if isinstance(item, ImportedRun)]
    curves = read_curves(f"{uri}/#/experiments/{experiment}/runs/{ident}")
    assert len(curves.train) == 2_600


def test_a_run_or_an_experiment_that_is_not_there_is_an_error(filled: tuple[str, str, str]) -> None:
    for page in ("#/experiments/999", f"#/experiments/0/runs/{'0' * 32}"):
        (problem,) = read_runs(f"{filled[0]}/{page}")
        assert isinstance(problem, FileUnreadable) and "HTTP 404" in str(problem)


@pytest.mark.parametrize(
    ("source", "said"), [("http://127.0.0.1:1", "does not answer"), ("mlflow:./no-mlruns", "is not an MLflow store")]
)
def test_where_no_server_is_one_error_says_so(source: str, said: str) -> None:
    (problem,) = read_runs(source)
    assert isinstance(problem, FileUnreadable) and said in str(problem)


@pytest.mark.slow
def test_what_a_monitor_has_mirrored_there_is_not_read_back(tracking_uri: str, tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'm.db'}") as store:
        feed = Feed(store)
        feed.start(project="mirrored", name="ours")
        feed.log("val/loss", [1, 2], [2.0, 1.0])
        feed.event("finish")
        with contextlib.closing(Exporter(tracking_uri, budget_s=math.inf)) as exporter:
            for _ in range(3):
                exporter.sync(store, feed.now_ms)
                found = [item for item in read_runs(f"mlflow:{tracking_uri}") if "mirror" in str(item)]
                (told,) = [item for item in found if feed.run_id in str(item)]
                assert isinstance(told, NotTraining)
                assert told.reason == f"is the mirror of run {feed.run_id}; the monitor that wrote it has its history"
