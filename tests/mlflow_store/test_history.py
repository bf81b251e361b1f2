"""Whole histories in a real MLflow, through kills, and never back again."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from monitor.errors import ServerUnreachable
from monitor.importers import ImportedRun, NotTraining, read_runs, send_run
from monitor.ingest import ingest
from monitor.ingest.engines import Engines
from monitor.mlflow_store import Exporter
from monitor.store import Store
from tests.conftest import NOW_MS, Feed

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

pytestmark = pytest.mark.xdist_group("mlflow")
HUGE = 1.7976931348623157e308


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Store]:
    with Store.open(sqlite_url) as opened:
        yield opened


def mirror(uri: str, store: Store) -> None:
    """Copy all there is."""
    with closing(Exporter(uri)) as exporter:
        while exporter.sync(store, NOW_MS, lambda run_id: f"http://dash/run?id={run_id}"):
            pass


def found_in(client: MlflowClient, run_id: str) -> Run:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (run,) = client.search_runs(experiments, f"tags.`monitor.run_id` = '{run_id}'")
    return run


def history(client: MlflowClient, run: Run, key: str) -> list[tuple[int, float]]:
    """Steps and values, by step."""
    found = [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, key)]
    return sorted(found, key=lambda point: point[0])


def test_every_point_is_there_with_nan_and_infinities_and_nothing_else(
    mlflow_uri: str, mlflow_client: MlflowClient, store: Store
) -> None:
    feed = Feed(store)
    feed.start(project="whole")
    feed.log("train/loss", range(2500), [2.0 / (1 + i) for i in range(2500)])
    feed.log("odd", [0, 1, 2, 3], [math.inf, -math.inf, math.nan, 0.5])
    batch = feed.batch("odd", [7, 7], [math.nan, math.nan])  # the same point twice
    batch.points.time_ms[:] = NOW_MS
    feed.send(batch)

    mirror(mlflow_uri, store)
    feed.log("train/loss", [2500], [0.25])
    mirror(mlflow_uri, store)

    run = found_in(mlflow_client, feed.run_id)
    assert history(mlflow_client, run, "train/loss") == [(i, 2.0 / (1 + i)) for i in range(2500)] + [(2500, 0.25)]
    odd = history(mlflow_client, run, "odd")
    assert [step for step, _ in odd] == [0, 1, 2, 3, 7]
    assert [value for _, value in odd if not math.isnan(value)] == [HUGE, -HUGE, 0.5]
    assert run.data.metrics.keys() <= {"train/loss", "odd", "best/val_loss", "monitor.severity", "monitor.skill"}
    assert run.data.tags["monitor.page"] == f"http://dash/run?id={feed.run_id}"


def test_a_copy_that_ends_before_it_was_noted_repeats_no_point(
    mlflow_uri: str, mlflow_client: MlflowClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = Feed(store)
    feed.start(project="cut")
    feed.log("loss", range(1500), [math.nan if i % 3 else 1.0 / (1 + i) for i in range(1500)])

    class Cut(Exception):
        pass

    def cut(*_: Any) -> None:
        raise Cut

    with monkeypatch.context() as patch, closing(Exporter(mlflow_uri)) as exporter:
        patch.setattr(store, "mirrored", cut)
        assert exporter.sync(store, NOW_MS) == 0
        assert exporter.failing == {feed.run_id: 1}
    mirror(mlflow_uri, store)

    run = found_in(mlflow_client, feed.run_id)
    assert [step for step, _ in history(mlflow_client, run, "loss")] == list(range(1500))


MIRROR = """
import sys
from monitor.mlflow_store import Exporter
from monitor.store import Store
with Store.open(sys.argv[2]) as store:
    exporter = Exporter(sys.argv[1])
    while exporter.sync(store, 0):
        pass
"""


@pytest.mark.slow
def test_a_mirror_that_is_killed_again_and_again_brings_every_point_once(
    mlflow_uri: str, mlflow_client: MlflowClient, store: Store
) -> None:
    feed = Feed(store)
    feed.start(project="killed")
    for key in ("train/loss", "val/loss", "lr"):
        feed.log(key, range(3_000), [1.0 / (1 + i) for i in range(3_000)])

    def there() -> int:
        try:
            run = found_in(mlflow_client, feed.run_id)
        except ValueError:
            return 0
        return sum(len(history(mlflow_client, run, key)) for key in ("train/loss", "val/loss", "lr"))

    for after in (1, 2_000, 5_000):
        child = subprocess.Popen([sys.executable, "-c", MIRROR, mlflow_uri, store.url])
        while there() < after and child.poll() is None:
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    mirror(mlflow_uri, store)

    run = found_in(mlflow_client, feed.run_id)
    for key in ("train/loss", "val/loss", "lr"):
        assert history(mlflow_client, run, key) == [(i, 1.0 / (1 + i)) for i in range(3_000)]


def test_importing_from_a_mirror_of_our_own_changes_nothing(mlflow_uri: str, store: Store) -> None:
    feed = Feed(store)
    feed.start(project="round")
    feed.log("loss", range(20), [1.0] * 20)
    for _ in range(3):
        mirror(mlflow_uri, store)
        for found in read_runs(mlflow_uri):
            if isinstance(found, ImportedRun):
                assert found.project != "round"
            elif feed.run_id in str(found):
                assert isinstance(found, NotTraining)
    assert store.runs(project="round").total == 1


def test_a_run_that_was_imported_from_there_gets_its_verdict_there_and_no_copy(
    mlflow_uri: str, mlflow_client: MlflowClient, store: Store
) -> None:
    experiment = mlflow_client.create_experiment("theirs")
    theirs = mlflow_client.create_run(experiment, run_name="first", tags={"mlflow.note.content": "Mine."}).info.run_id
    for step in range(3):
        mlflow_client.log_metric(theirs, "loss", math.nan, timestamp=NOW_MS + step, step=step)
    mlflow_client.set_terminated(theirs)
    engines = Engines()

    def fetch() -> list[bool]:
        imported = [r for r in read_runs(f"{mlflow_uri}#/experiments/{experiment}") if isinstance(r, ImportedRun)]
        return [send_run(run, lambda batch: ingest(store, engines, batch, now_ms=NOW_MS)).known for run in imported]

    assert fetch() == [False]
    mirror(mlflow_uri, store)
    assert fetch() == [True]
    mirror(mlflow_uri, store)

    (run,) = mlflow_client.search_runs([experiment])
    assert run.info.run_id == theirs
    assert run.data.tags["monitor.verdict"] == "nan"
    assert run.data.tags["monitor.nan"] == "true"
    assert run.data.tags["mlflow.note.content"] == "Mine."
    assert len(history(mlflow_client, run, "loss")) == 3
    mlflow_client.log_metric(theirs, "loss", 1.0, timestamp=NOW_MS + 9, step=9)  # it goes on there
    assert fetch() == [False]


def test_points_that_mlflow_refuses_keep_no_others_from_it_and_are_named(
    mlflow_uri: str, mlflow_client: MlflowClient, store: Store
) -> None:
    feed = Feed(store)
    feed.start(project="refused", config={"long": "x" * 6000})
    feed.log("loss", range(40), [1.0] * 40)

    with closing(Exporter(mlflow_uri)) as exporter:
        call = exporter._server.call

        def pickier(method: str, path: str, data: dict[str, Any], **more: Any) -> dict[str, Any]:
            """An MLflow that takes no metric at step 7, and params as an old one does."""
            if path == "runs/log-batch":
                from monitor.errors import MlflowRefused

                if any(m["step"] == 7 for m in data["metrics"]) or any(len(p["value"]) > 500 for p in data["params"]):
                    raise MlflowRefused("it", path, "INVALID_PARAMETER_VALUE", "no")
            return call(method, path, data, **more)

        exporter._server.call = pickier  # type: ignore[method-assign,assignment]  # as an old server would answer
        exporter.sync(store, NOW_MS)

    run = found_in(mlflow_client, feed.run_id)
    assert [step for step, _ in history(mlflow_client, run, "loss")] == [i for i in range(40) if i != 7]
    assert run.data.tags["monitor.not_mirrored"] == "metric loss"
    assert run.data.params["long"] == "x" * 499 + "…"


def test_live_runs_are_copied_before_what_there_is_no_time_for(mlflow_uri: str, store: Store) -> None:
    over = [Feed(store) for _ in range(3)]
    for feed in over:
        feed.start(project="over")
        feed.event("finish")
    live = Feed(store)
    live.start(project="over")

    with closing(Exporter(mlflow_uri, budget_s=0.0)) as exporter:
        assert exporter.sync(store, NOW_MS) == 1
        changed = {run.id for run, _ in store.changed_runs("mlflow")}
        assert changed == {feed.run_id for feed in over}
        live.log("loss", [0], [1.0])
        assert exporter.sync(store, NOW_MS) == 1  # the live one again
        assert exporter.sync(store, NOW_MS) == 1
        assert len(store.changed_runs("mlflow")) == 2


def test_nothing_is_noted_while_mlflow_is_down(store: Store) -> None:
    feed = Feed(store)
    feed.start()
    feed.log("loss", [0], [1.0])

    with closing(Exporter("http://127.0.0.1:1")) as exporter, pytest.raises(ServerUnreachable):
        exporter.sync(store, NOW_MS)

    assert len(store.arrived(feed.run_id, "mlflow", 10)) == 1


def test_another_mlflow_gets_all_runs_with_all_their_points(
    mlflow_uri: str, mlflow_client: MlflowClient, store: Store
) -> None:
    feed = Feed(store)
    feed.start(project="moved")
    feed.log("loss", range(5), [1.0] * 5)
    feed.event("finish", status="finished")
    store.mirrored_as(feed.run_id, "mlflow", "f" * 32, instead_of=None)
    store.mirrored(feed.run_id, "mlflow", [(part, 5) for part in store.arrived(feed.run_id, "mlflow", 10)])
    store.exported(feed.run_id, "mlflow", store.run(feed.run_id).version, "f" * 32)
    assert store.changed_runs("mlflow") == ()

    mirror(mlflow_uri, store)

    assert len(history(mlflow_client, found_in(mlflow_client, feed.run_id), "loss")) == 5
