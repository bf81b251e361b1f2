"""`monitor.mlflow.should_stop`, as a training loop that logs with MLflow calls it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

import monitor.mlflow
from monitor.errors import SettingsError
from monitor.mlflow_store import Exporter
from monitor.store import Store
from tests.conftest import NOW_MS, Feed

if TYPE_CHECKING:
    from mlflow import MlflowClient

pytestmark = pytest.mark.xdist_group("mlflow")


@pytest.fixture(autouse=True)
def asked_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor.mlflow, "EVERY_S", 0.0)
    monkeypatch.setattr(monitor.mlflow, "_watches", {})


@pytest.fixture
def tracking(mlflow_uri: str) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow

        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(mlflow_uri)
        yield mlflow_uri
        mlflow.set_tracking_uri(before)


def test_a_stop_is_read_from_the_mirror_by_either_id(
    tracking: str, mlflow_client: MlflowClient, sqlite_url: str
) -> None:
    with Store.open(sqlite_url) as store, closing(Exporter(tracking)) as exporter:
        feed = Feed(store)
        feed.start(project="stopping")
        exporter.sync(store, NOW_MS)
        assert not monitor.mlflow.should_stop(feed.run_id, wait_s=60)

        store.request_stop(feed.run_id, "anna", now_ms=NOW_MS)
        exporter.sync(store, NOW_MS)

        assert monitor.mlflow.should_stop(feed.run_id, wait_s=60)
        experiment = mlflow_client.get_experiment_by_name("stopping")
        assert experiment is not None
        (run,) = mlflow_client.search_runs([experiment.experiment_id])
        assert monitor.mlflow.should_stop(run.info.run_id, wait_s=60)


def test_a_person_stops_a_run_by_a_tag_and_takes_it_back(tracking: str, mlflow_client: MlflowClient) -> None:
    run_id = mlflow_client.create_run("0").info.run_id
    assert not monitor.mlflow.should_stop(run_id, wait_s=60)

    mlflow_client.set_tag(run_id, "monitor.stop", "true")
    assert monitor.mlflow.should_stop(run_id, wait_s=60)

    mlflow_client.set_tag(run_id, "monitor.stop", "false")
    assert not monitor.mlflow.should_stop(run_id, wait_s=60)


def test_a_loop_breaks_where_its_active_run_is_told_to_stop(tracking: str, mlflow_client: MlflowClient) -> None:
    import mlflow

    with pytest.raises(SettingsError, match="no run of MLflow is active"):
        monitor.mlflow.should_stop()
    epochs = []
    with mlflow.start_run() as run:
        for epoch in range(10):
            epochs.append(epoch)
            if epoch == 2:
                mlflow_client.set_tag(run.info.run_id, "monitor.action", "stop")
            if monitor.mlflow.should_stop(wait_s=60):
                break
    assert epochs == [0, 1, 2]


def test_an_mlflow_that_does_not_answer_is_waited_for_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri("http://127.0.0.1:1")
    try:
        assert not monitor.mlflow.should_stop("a" * 32, wait_s=60)
        watch = monitor.mlflow._watches["http://127.0.0.1:1", "a" * 32]
        assert watch._trouble
        begun = time.monotonic()
        for _ in range(20):
            assert not monitor.mlflow.should_stop("a" * 32, wait_s=60)
        assert time.monotonic() - begun < 60
    finally:
        mlflow.set_tracking_uri(before)
    assert caplog.text.count("does not say whether to stop") == 1
