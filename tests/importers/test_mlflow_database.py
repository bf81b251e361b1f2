"""The same runs, as the real MLflow wrote them into SQLite, PostgreSQL and files, read without it."""

from __future__ import annotations

import math
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from monitor.errors import FileUnreadable
from monitor.importers import ImportedRun, NotTraining, read_curves, read_runs, send_run
from monitor.ingest import ingest
from monitor.ingest.engines import Engines
from monitor.store import Store
from tests.conftest import NOW_MS, PostgresServer

WRITE = """
import sys, warnings
warnings.simplefilter("ignore")
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag

client = MlflowClient(sys.argv[1])
odd = client.create_experiment('a: "b" #2 ü/日本 ' + "x " * 90)
start = 1_700_000_000_000

def run(name, metrics=(), status="FINISHED", experiment=odd, **tags):
    run_id = client.create_run(experiment, run_name=name, start_time=start, tags=tags).info.run_id
    for at in range(0, len(metrics), 1000):
        client.log_batch(run_id, metrics=metrics[at : at + 1000])
    if status != "RUNNING":
        client.set_terminated(run_id, status, end_time=start + 99_000)
    return run_id

def curve(key, values, *, every_ms=10, step=lambda i: i, begin=0):
    return [Metric(key, value, start + begin + i * every_ms, step(i)) for i, value in enumerate(values)]

parent = run("sweep")
child = run("sweep/1", curve("train/loss", [2 / (1 + i) for i in range(3000)])
            + curve("val_loss", [2.5 / (1 + i) for i in range(30)], every_ms=1000, step=lambda i: i * 100),
            **{"mlflow.parentRunId": parent, "team": "vision", "mlflow.source.name": "train.py"})
client.log_batch(child, params=[Param("lr", "1e-3"), Param("note", " padded: #1 "), Param("size", "007")])
source = Dataset(name="d", digest="x", source_type="local", source="{}", schema="{}", profile="{}")
client.log_inputs(child, [DatasetInput(dataset=source, tags=[])])
run("broken", [Metric("loss", v, start + i, i) for i, v in
               enumerate([1.0, float("nan"), float("inf"), float("-inf"), 0.5])], "FAILED")
run("no steps", curve("loss", [1 / (1 + i) for i in range(400)], step=lambda i: 0)
    + curve("val_loss", [1 / (1 + i) for i in range(4)], step=lambda i: 0, every_ms=1000, begin=1)
    + curve("final", [0.5], begin=5000), "KILLED")
run("negative", curve("loss", [3.0, 2.0, 1.0], step=lambda i: i - 2), "RUNNING")
client.delete_run(run("gone", curve("loss", [1.0])))
trash = client.create_experiment("trash")
run("in the trash", curve("loss", [1.0]), experiment=trash)
client.delete_experiment(trash)
run("mirror", curve("loss", [1.0]), **{"monitor.run_id": "ab" * 16})
"""


def write(uri: str) -> str:
    environment = {**os.environ, "MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run([sys.executable, "-c", WRITE, uri], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return uri


@pytest.fixture(scope="module")
def sqlite_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(f"sqlite:///{tmp_path_factory.mktemp('an mlflow #1')}/mlflow.db")


def runs_of(uri: str) -> dict[str, ImportedRun]:
    return {found.name: found for found in read_runs(uri) if isinstance(found, ImportedRun)}


def check(uri: str) -> None:
    """What `WRITE` wrote, wherever it was put."""
    found = list(read_runs(uri))
    runs = {run.name: run for run in found if isinstance(run, ImportedRun)}
    assert sorted(runs) == ["broken", "negative", "no steps", "sweep/1"]
    assert not [item for item in found if isinstance(item, FileUnreadable)]
    assert sorted(item.reason for item in found if isinstance(item, NotTraining)) == [
        "holds no metrics",
        f"is the mirror of run {'ab' * 16}; the monitor that wrote it has its history",
        "was deleted in MLflow",
        "was deleted in MLflow",
    ]
    assert {run.project for run in runs.values()} == {'a: "b" #2 ü/日本 ' + "x " * 90}
    assert [runs[name].status for name in ("sweep/1", "broken", "no steps")] == ["finished", "failed", "stopped"]

    child = runs["sweep/1"]
    assert child.group == "sweep"
    assert child.tags["team"] == "vision" and "mlflow.source.name" not in child.tags
    assert child.config == {"lr": 0.001, "note": " padded: #1 ", "size": "007"}
    assert [(note.place, note.reason) for note in child.skipped] == [("datasets", "1 are left out")]
    assert series(child, "train/loss") == [(i, 2 / (1 + i)) for i in range(3000)]
    assert series(child, "val_loss") == [(i * 100, 2.5 / (1 + i)) for i in range(30)]
    assert (np.diff(child.points.time_ms) >= 0).all()

    values = [value for _, value in series(runs["broken"], "loss")]
    assert math.isnan(values[1]) and values[:1] + values[2:] == [1.0, math.inf, -math.inf, 0.5]

    counted = runs["no steps"]
    assert series(counted, "loss") == [(i, 1 / (1 + i)) for i in range(400)]
    assert [step for step, _ in series(counted, "val_loss")] == [0, 100, 200, 300]
    assert series(counted, "final") == [(0, 0.5)]
    assert [note.place for note in counted.skipped] == ["steps of 'loss'", "steps of 'val_loss'"]
    assert [step for step, _ in series(runs["negative"], "loss")] == [-2, -1, 0]


def series(run: ImportedRun, key: str) -> list[tuple[int, float]]:
    at = run.points.key == run.keys.index(key)
    return list(zip(run.points.step[at].tolist(), run.points.value[at].tolist(), strict=True))


def test_a_sqlite_database_is_read_as_it_is(sqlite_uri: str) -> None:
    check(sqlite_uri)
    path = sqlite_uri.removeprefix("sqlite:///")
    before = Path(path).read_bytes()
    check(f"mlflow:{path}")
    assert Path(path).read_bytes() == before
    assert sorted(p.name for p in Path(path).parent.iterdir()) == ["mlflow.db"]


@pytest.mark.slow
def test_a_folder_of_files_is_read_as_it_is(tmp_path: Path) -> None:
    write(f"file://{tmp_path}/mlruns")
    check(f"mlflow:{tmp_path}/mlruns")
    check(f"mlflow:file://{tmp_path}/mlruns")


@pytest.mark.slow
@pytest.mark.postgres
def test_a_postgresql_database_is_read_as_it_is(postgres: PostgresServer) -> None:
    url = postgres.create()
    try:
        check(write(url.replace("postgresql://", "postgresql+psycopg://")))
        check(url)
    finally:
        postgres.drop(url)


def test_to_import_twice_stores_nothing_new_and_what_was_broken_off_goes_on(sqlite_uri: str, sqlite_url: str) -> None:
    engines = Engines()
    with Store.open(sqlite_url) as store:
        batches = 0

        def send(batch: object) -> object:
            nonlocal batches
            batches += 1
            if batches == 2:
                raise ConnectionError
            return ingest(store, engines, batch, now_ms=NOW_MS)  # type: ignore[arg-type]  # it is a batch

        def fetch() -> list[bool]:
            return [send_run(run, send).known for run in runs_of(sqlite_uri).values()]  # type: ignore[arg-type]  # as above

        with pytest.raises(ConnectionError):
            fetch()
        assert not all(fetch())
        assert fetch() == [True] * 4
        assert store.runs().total == 4
        verdicts = {run.name: run.verdict for run in store.runs().items}
        assert verdicts["broken"] == "nan"


def test_what_is_not_an_mlflow_store_is_told_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE t (a)")
    other.close()
    for source, said in {
        f"mlflow:{tmp_path}/empty": "name http://host:port, sqlite:///FILE or a folder such as mlruns",
        f"sqlite:///{tmp_path}/other.db": "is not an MLflow database",
        f"mlflow:{tmp_path}/other.db": "is not an MLflow database",
        f"sqlite:///{tmp_path}/gone.db": "is not there",
        "mlflow:mysql://u:secret@h/db": "start `mlflow server --backend-store-uri URI` and import from its address",
        "postgresql://u:secret@127.0.0.1:1/db": "refused",
    }.items():
        (problem,) = read_runs(source)
        assert isinstance(problem, FileUnreadable)
        assert said in str(problem)
        assert "secret" not in str(problem)


def test_one_run_of_a_database_cannot_be_guessed_among_several(sqlite_uri: str) -> None:
    with pytest.raises(FileUnreadable, match="holds several runs"):
        read_curves(sqlite_uri)


@pytest.mark.slow
@pytest.mark.xdist_group("tracking")
def test_a_server_tells_the_same_as_its_database(sqlite_uri: str, tracking_uri: str) -> None:
    write(tracking_uri)
    found = list(read_runs(f"mlflow:{tracking_uri}"))
    here = {run.name: run for run in found if isinstance(run, ImportedRun) and "日本" in (run.project or "")}
    reasons = [item.reason for item in found if isinstance(item, NotTraining)]
    assert reasons.count("was deleted in MLflow") == 2

    there = runs_of(sqlite_uri)
    assert here.keys() == there.keys()
    for name, run in here.items():
        other = there[name]
        for each in ("project", "group", "config", "status", "started_ms", "finished_ms", "keys", "skipped"):
            assert getattr(run, each) == getattr(other, each), each
        for column in ("key", "step", "value", "time_ms"):
            assert np.array_equal(
                getattr(run.points, column), getattr(other.points, column), equal_nan=column == "value"
            )
