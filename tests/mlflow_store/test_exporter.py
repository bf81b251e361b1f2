from __future__ import annotations

import dataclasses
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from monitor.domain import Action, Recommendation, RunInfo, RunStatus, SeriesInfo
from monitor.errors import ServerUnreachable, SettingsError
from monitor.mlflow_store import Exporter
from monitor.mlflow_store.exporter import FIRST_RETRY_MS
from monitor.mlflow_store.rest import MlflowServer
from monitor.roles import Role

from .conftest import DictStore

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

# One MLflow server is enough, wherever the tests are spread over processes.
pytestmark = pytest.mark.xdist_group("mlflow")

VAL = SeriesInfo(
    key="val/loss", role=Role.VAL, count=60, last_step=1500, last=0.58, min=0.41, min_step=875, last_time_ms=2_000
)


def a_run(**changed: Any) -> RunInfo:
    values: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "project": f"digits-{uuid.uuid4().hex[:6]}",
        "name": "brave-otter",
        "status": RunStatus.RUNNING,
        "created_ms": 1_000,
        "config": {"lr": 0.1, "model": {"depth": 3}},
        "tags": {"team": "vision"},
        "verdict": "overfitting",
        "headline": "Validation loss rose by 41%.",
        "recommendation": Recommendation(
            action=Action.STOP,
            best_step=875.0,
            best_val_loss=0.41,
            first_stop_step=1150.0,
            reason="It only gets worse.",
        ),
        "version": 1,
    }
    return RunInfo(**(values | changed))


@pytest.fixture
def store() -> DictStore:
    return DictStore()


@pytest.fixture
def exporter(mlflow_uri: str) -> Iterator[Exporter]:
    with closing(Exporter(mlflow_uri)) as opened:
        yield opened


def find(client: MlflowClient, run: RunInfo, filter_string: str = "") -> list[Run]:
    experiment = client.get_experiment_by_name(run.project)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], filter_string=filter_string))


def test_a_run_is_found_in_mlflow_by_its_verdict(
    exporter: Exporter, store: DictStore, mlflow_client: MlflowClient
) -> None:
    run = a_run()
    store.put(run, VAL)

    assert exporter.sync(store, now_ms=3_000) == 1

    (found,) = find(mlflow_client, run, "tags.`monitor.verdict` = 'overfitting' and metrics.`best/val_loss` < 0.5")
    assert found.info.run_name == "brave-otter"
    assert (found.info.status, found.info.start_time, found.info.end_time) == ("RUNNING", 1_000, None)
    assert found.data.params == {"lr": "0.1", "model.depth": "3"}
    assert found.data.metrics == {"best/val_loss": 0.41, "monitor.severity": 0.0}
    tags = found.data.tags
    assert tags["team"] == "vision"
    assert tags["monitor.headline"] == "Validation loss rose by 41%."
    assert (
        tags["monitor.state"],
        tags["monitor.action"],
        tags["monitor.best_step"],
        tags["monitor.first_stop_step"],
    ) == ("running", "stop", "875", "1150")
    assert all(value.strip() for value in tags.values())
    assert "**overfitting**: Validation loss rose by 41%." in tags["mlflow.note.content"]


def test_an_unchanged_run_is_left_alone_and_a_changed_one_updates_the_same_mlflow_run(
    exporter: Exporter, store: DictStore, mlflow_client: MlflowClient
) -> None:
    run = a_run()
    store.put(run, VAL)
    exporter.sync(store, now_ms=3_000)
    assert exporter.sync(store, now_ms=3_000) == 0

    ended = dataclasses.replace(run, status=RunStatus.STOPPED, finished_ms=9_000, version=2, verdict="healthy")
    ended = dataclasses.replace(ended, recommendation=dataclasses.replace(run.recommendation, best_val_loss=0.39))
    store.put(ended, VAL)
    assert exporter.sync(store, now_ms=9_000) == 1

    (found,) = find(mlflow_client, run)
    assert (found.info.status, found.info.end_time) == ("FINISHED", 9_000)
    assert found.data.metrics["best/val_loss"] == 0.39
    assert found.data.tags["monitor.verdict"] == "healthy"


def test_a_copy_that_was_cut_short_before_it_was_written_down_makes_no_second_run(
    exporter: Exporter, store: DictStore, mlflow_client: MlflowClient
) -> None:
    run = a_run()
    store.put(run, VAL)
    exporter.sync(store, now_ms=3_000)
    store.external.clear()

    assert exporter.sync(store, now_ms=3_000) == 1

    (found,) = find(mlflow_client, run)
    assert store.external[run.id] == (1, found.info.run_id)


def test_of_two_servers_that_mirror_a_run_at_once_the_second_deletes_the_run_it_made(
    mlflow_uri: str, store: DictStore, mlflow_client: MlflowClient
) -> None:
    run = a_run()
    store.put(run, VAL)
    mlflow_client.create_experiment(run.project)

    class Hasty(Exporter):
        """A server that looks for the run, and while it makes one another server does the same."""

        def _find_or_create(self, *arguments: Any) -> Any:
            found = self._server.find_run
            self._server.find_run = lambda *_: (other.sync(store, now_ms=3_000), None)[1]  # type: ignore[method-assign]  # nothing found, and then
            try:
                return super()._find_or_create(*arguments)
            finally:
                self._server.find_run = found  # type: ignore[method-assign]  # as it was

    with closing(Exporter(mlflow_uri)) as other, closing(Hasty(mlflow_uri)) as hasty:
        assert hasty.sync(store, now_ms=3_000) == 1

    (found,) = find(mlflow_client, run)
    assert store.external[run.id] == (1, found.info.run_id)
    assert found.data.tags["monitor.verdict"] == "overfitting"


def test_a_lost_run_ends_in_mlflow_and_runs_again_when_it_comes_back(
    exporter: Exporter, store: DictStore, mlflow_client: MlflowClient
) -> None:
    run = a_run(status=RunStatus.LOST, heartbeat_ms=5_000)
    store.put(run)
    exporter.sync(store, now_ms=6_000)
    (lost,) = find(mlflow_client, run)
    assert (lost.info.status, lost.info.end_time) == ("KILLED", 5_000)

    store.put(dataclasses.replace(run, status=RunStatus.RUNNING, version=2))
    exporter.sync(store, now_ms=7_000)

    (back,) = find(mlflow_client, run)
    assert back.info.status == "RUNNING"


def test_a_param_that_changed_is_told_in_tags_because_mlflow_keeps_the_first(
    exporter: Exporter, store: DictStore, mlflow_client: MlflowClient
) -> None:
    run = a_run()
    store.put(run)
    exporter.sync(store, now_ms=3_000)

    store.put(dataclasses.replace(run, config={"lr": 0.01, "added": True}, version=2))
    exporter.sync(store, now_ms=4_000)

    (found,) = find(mlflow_client, run)
    assert found.data.params == {"lr": "0.1", "model.depth": "3", "added": "True"}
    assert found.data.tags["monitor.params_changed"] == "lr"
    assert found.data.tags["monitor.param.lr"] == "0.01"


def test_hundreds_of_long_params_and_tags_fit_mlflows_batches(
    exporter: Exporter, store: DictStore, mlflow_client: MlflowClient
) -> None:
    run = a_run(config={f"p{i}": "é" * 6000 for i in range(230)}, tags={f"t{i}": "é" * 9000 for i in range(230)})
    store.put(run)

    exporter.sync(store, now_ms=3_000)

    (found,) = find(mlflow_client, run)
    assert len(found.data.params) == 230
    assert found.data.tags["t229"] == "é" * 7999 + "…"


def test_a_run_that_somebody_deleted_in_mlflow_stays_deleted(
    exporter: Exporter, store: DictStore, mlflow_client: MlflowClient
) -> None:
    run = a_run()
    store.put(run)
    exporter.sync(store, now_ms=3_000)
    mlflow_client.delete_run(store.external[run.id][1])

    store.put(dataclasses.replace(run, version=2))
    exporter.sync(store, now_ms=4_000)

    assert find(mlflow_client, run) == []
    assert store.external[run.id][0] == 2


def test_a_deleted_experiment_stays_deleted_and_keeps_no_other_run_from_the_mirror(
    mlflow_uri: str, store: DictStore, mlflow_client: MlflowClient
) -> None:
    gone, other = a_run(), a_run()
    mlflow_client.delete_experiment(mlflow_client.create_experiment(gone.project))
    store.put(gone)
    store.put(other)

    with closing(Exporter(mlflow_uri)) as exporter:
        exporter.sync(store, now_ms=3_000)

    assert len(find(mlflow_client, other)) == 1
    assert store.external[gone.id] == (1, None)


def test_an_empty_value_and_odd_names_are_taken(
    exporter: Exporter, store: DictStore, mlflow_client: MlflowClient
) -> None:
    run = a_run(config={"": "x", "a": "", "größe/β(1)": [1, None], "..": {"//": {}}}, tags={"a@b": "", "..": "up"})
    store.put(run)

    exporter.sync(store, now_ms=3_000)

    (found,) = find(mlflow_client, run)
    assert found.data.params["größe/β_1_"] == "[1, null]"
    assert (found.data.tags["a_b"], found.data.tags["_"]) == ("true", "up")


def test_a_server_that_is_down_leaves_everything_marked_as_changed(store: DictStore) -> None:
    store.put(a_run())
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"

        with closing(Exporter(uri)) as exporter, pytest.raises(ServerUnreachable, match="MLflow"):
            exporter.sync(store, now_ms=3_000)

    assert len(store.changed_runs("mlflow")) == 1


def test_a_server_that_answers_503_is_unreachable_not_refusing(store: DictStore) -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Down(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    store.put(a_run())
    with HTTPServer(("127.0.0.1", 0), Down) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        uri = f"http://127.0.0.1:{server.server_port}"
        with closing(Exporter(uri)) as exporter, pytest.raises(ServerUnreachable, match="503"):
            exporter.sync(store, now_ms=3_000)
        server.shutdown()
        thread.join()
    assert store.external == {}


def test_an_address_that_is_no_server_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match="mlflow_tracking_uri"):
        Exporter("sqlite:///mlflow.db")


def test_texts_that_no_json_can_carry_are_mended(
    exporter: Exporter, store: DictStore, mlflow_client: MlflowClient
) -> None:
    odd = a_run(
        name="half \ud800",
        config={"k\udfff": "v\ud800", "nul\0": "x\0y", "list": ["\ud800"]},
        tags={"t\ud800": "\udc00", "nul": "\0"},
        headline="\ud800",
    )
    store.put(odd)
    other = a_run()
    store.put(other, VAL)

    assert exporter.sync(store, now_ms=3_000) == 2

    (found,) = find(mlflow_client, odd)
    assert found.info.run_name == "half ?"
    assert (found.data.params["k_"], found.data.params["nul_"]) == ("v?", "x\ufffdy")
    assert len(find(mlflow_client, other)) == 1


class Gate:
    """Stands before a real MLflow and answers 500 to whatever speaks of some runs."""

    def __init__(self, mlflow_uri: str) -> None:
        self.refused: set[str] = set()
        self.times = 0
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if any(word.encode() in body + self.path.encode() for word in gate.refused):
                    gate.times += 1
                    self.send_error(500)
                    return
                headers = {"Content-Type": self.headers.get("Content-Type", "application/json")}
                found = httpx.request(self.command, mlflow_uri + self.path, content=body, headers=headers, timeout=30)
                self.send_response(found.status_code)
                self.send_header("Content-Length", str(len(found.content)))
                self.end_headers()
                self.wfile.write(found.content)

            do_GET = do_POST

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def gate(mlflow_uri: str) -> Iterator[Gate]:
    found = Gate(mlflow_uri)
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def test_a_run_that_makes_mlflow_fail_keeps_no_other_from_the_mirror_and_is_tried_again(
    gate: Gate, store: DictStore, mlflow_client: MlflowClient, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = a_run(), a_run()
    gate.refused = {bad.project}
    store.put(bad)
    store.put(good)
    with closing(Exporter(gate.uri)) as exporter:
        assert exporter.sync(store, now_ms=0) == 1
        assert exporter.failing == {bad.id: 1}
        tries = gate.times
        assert exporter.sync(store, now_ms=FIRST_RETRY_MS - 1) == 0
        assert gate.times == tries  # it waits
        store.put(later := a_run())
        assert exporter.sync(store, now_ms=FIRST_RETRY_MS) == 1
        assert exporter.failing == {bad.id: 2}
        gate.refused = set()
        assert exporter.sync(store, now_ms=2 * FIRST_RETRY_MS) == 0
        assert exporter.sync(store, now_ms=3 * FIRST_RETRY_MS) == 1
        assert exporter.failing == {}
    assert all(len(find(mlflow_client, run)) == 1 for run in (bad, good, later))
    assert f"run {bad.id} (brave-otter) is not mirrored (try 1, again in 10 s; 1 runs are waiting)" in caplog.text


def test_a_bug_that_one_run_meets_keeps_no_other_from_the_mirror(
    exporter: Exporter, store: DictStore, mlflow_client: MlflowClient
) -> None:
    bad, good = a_run(), a_run()
    store.put(bad)
    store.put(good)
    del store.all_series[bad.id]  # reading it is a KeyError

    assert exporter.sync(store, now_ms=3_000) == 1
    assert exporter.failing == {bad.id: 1}
    assert len(find(mlflow_client, good)) == 1


def test_an_answer_that_is_not_mlflows_is_worth_a_retry() -> None:
    """A gateway that answers 200 `{}` says nothing of what exists."""
    server = MlflowServer("http://mlflow")
    server._http = httpx.Client(
        base_url="http://mlflow", transport=httpx.MockTransport(lambda _: httpx.Response(200, json={}))
    )
    for ask in (lambda: server.experiment("digits"), lambda: server.run("a" * 32)):
        with pytest.raises(ServerUnreachable, match="not as MLflow does"):
            ask()
