"""Points that go to the store without Flask are the points that MLflow would have read."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from fastapi import FastAPI, Request
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from monitor.mlflow_store.app import is_ours
from monitor.mlflow_store.direct import BATCH, METRIC, InFront, Points, Unusual, one_point, points
from tests import loops

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

NUMBERS = st.one_of(
    st.integers(-3, 5), st.sampled_from([2**63 - 1, 2**63, -(2**63), 10**400, 1e308, -0.0, 5e-324]), st.floats()
)
WORDS = st.sampled_from(["NaN", "Infinity", "-Infinity", "nan", "1", "1.5", "", "loss", "a b", "\ud800", "\0"])
ANY = st.one_of(NUMBERS, WORDS, st.none(), st.booleans(), st.just([]), st.just({}))
NAMES = st.sampled_from(["key", "value", "timestamp", "step", "model_id", "dataset_name", "runId", "other"])
USUAL = st.fixed_dictionaries(
    {"key": st.sampled_from(["loss", "a b"]), "value": st.one_of(NUMBERS, WORDS), "timestamp": NUMBERS},
    optional={"step": NUMBERS},
)
ROWS = st.one_of(USUAL, st.builds(lambda row, more: {**row, **more}, USUAL, st.dictionaries(NAMES, ANY, max_size=3)))
RUNS = st.one_of(st.just({"run_id": "r"}), st.just({"run_id": "r", "run_uuid": "r"}), st.just({"run_uuid": "r"}))


def sent(data: Any) -> Any:
    """Data as they arrive."""
    return json.loads(json.dumps(data))


def row(metric: Any) -> tuple[object, ...]:
    """What makes a point; NaN as its text."""
    return metric.key, repr(metric.value), metric.timestamp, metric.step, metric.model_id, metric.dataset_name


def read_by_mlflow(data: Any, message: Any) -> Any:
    from mlflow.utils.proto_json_utils import parse_dict

    parse_dict(data, message)
    return message


@given(run=RUNS, data=ROWS)
@example(run={"run_id": "r"}, data={"key": "k", "value": math.nan, "timestamp": 1})
def test_a_point_is_what_mlflow_reads_or_is_left_to_it(run: dict[str, str], data: dict[str, Any]) -> None:
    from mlflow.entities import Metric
    from mlflow.protos.service_pb2 import LogMetric

    body = sent({**run, **data})
    try:
        run_id, metric = one_point(body)
    except (Unusual, ValueError):
        return
    found = read_by_mlflow(body, LogMetric())
    assert run_id == found.run_id
    assert row(metric) == row(Metric(found.key, found.value, found.timestamp, found.step))
    assert not (found.model_id or found.dataset_name or found.dataset_digest)


@given(run=RUNS, rows=st.lists(ROWS, max_size=4), more=st.dictionaries(st.sampled_from(["params", "tags"]), ANY))
def test_points_are_what_mlflow_reads_or_are_left_to_it(
    run: dict[str, str], rows: list[dict[str, Any]], more: dict[str, Any]
) -> None:
    from mlflow.entities import Metric
    from mlflow.protos.service_pb2 import LogBatch

    body = sent({**run, "metrics": rows, **more})
    try:
        run_id, metrics = points(body)
    except (Unusual, ValueError):
        return
    found = read_by_mlflow(body, LogBatch())
    assert run_id == found.run_id
    assert [row(metric) for metric in metrics] == [row(Metric.from_proto(each)) for each in found.metrics]
    assert not (found.params or found.tags)


def test_what_mlflows_client_sends_needs_no_flask() -> None:
    from mlflow.entities import Metric
    from mlflow.protos.service_pb2 import LogBatch, LogMetric
    from mlflow.utils.proto_json_utils import message_to_json

    for value in (0.5, -1.0, math.nan, math.inf, -math.inf, 1e300, 3):
        one = LogMetric(run_uuid="r", run_id="r", key="loss", value=value, timestamp=1, step=0)
        assert row(one_point(json.loads(message_to_json(one)))[1]) == row(Metric("loss", float(value), 1, 0))
        batch = LogBatch(run_id="r", metrics=[Metric("loss", value, 1, 2).to_proto()], params=[], tags=[])
        assert row(points(json.loads(message_to_json(batch)))[1][0]) == row(Metric("loss", float(value), 1, 2))


class Kept:
    """A store that keeps what it is told, or refuses it."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.refuses = refuses

    def log_metric(self, *given: Any) -> None:
        if self.refuses:
            raise ValueError
        self.calls.append(given)

    log_batch = log_metric


def ask(store: Kept, path: str, body: bytes, kind: bytes = b"application/json", query: bytes = b"") -> bytes:
    """Send a request in two parts; the answer, which Flask's stand-in gives by saying the body."""
    parts = [(body[:5], True), (body[5:], False)]
    answer: list[bytes] = []

    async def receive() -> Any:
        part, more = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": more}

    async def send(message: Any) -> None:
        answer.append(message.get("body", b""))

    async def flask(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        assert not message["more_body"]
        await send({"type": "http.response.body", "body": b"Flask: " + message["body"]})

    scope = {"type": "http", "path": path, "headers": [(b"content-type", kind)], "query_string": query}
    loops.run(Points(store, flask), scope, receive, send)  # type: ignore[arg-type]  # no whole store
    return b"".join(answer)


POINT = b'{"run_id": "r", "key": "loss", "value": 1.5, "timestamp": 7, "step": 3}'
MANY = b'{"run_id": "r", "metrics": [{"key": "loss", "value": 1.5, "timestamp": 7}]}'


def mlflow_like(seen: list[str], workspaces: bool = False) -> tuple[Kept, InFront]:
    """An application with middleware of MLflow's names, which note that they were passed, and a store in front."""
    app = FastAPI()
    app.mount("/", FastAPI())

    def noting(name: str) -> None:
        async def middleware(request: Request, call_next: Any) -> Any:
            seen.append(name)
            return await call_next(request)

        middleware.__name__ = name
        app.middleware("http")(middleware)

    for name in ("security", "workspace_context_middleware", "gateway_timing_middleware"):
        noting(name)
    store = Kept()
    return store, InFront(app, store, workspaces=workspaces)  # type: ignore[arg-type]  # no whole store


@pytest.mark.parametrize("prefix", ["", "/ml"])
def test_points_go_to_the_store_directly_behind_a_static_prefix_too(
    prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.server.handlers import STATIC_PREFIX_ENV_VAR

    monkeypatch.setenv(STATIC_PREFIX_ENV_VAR, prefix)
    seen: list[str] = []
    store, app = mlflow_like(seen)
    with TestClient(app) as client:
        for path, body in ((METRIC, POINT), (BATCH, MANY)):
            assert client.post(prefix + path, content=body, headers={"content-type": "application/json"}).json() == {}
    assert [call[0] for call in store.calls] == ["r", "r"]
    assert seen == ["security", "security"]


def test_points_pass_the_middleware_of_workspaces_where_there_are_some() -> None:
    seen: list[str] = []
    store, app = mlflow_like(seen, workspaces=True)
    with TestClient(app) as client:
        client.post(METRIC, content=POINT, headers={"content-type": "application/json", "X-MLFLOW-WORKSPACE": "w"})
    assert len(store.calls) == 1
    assert seen == ["workspace_context_middleware", "security"]


def test_a_workspace_of_a_server_without_any_is_left_to_mlflow_to_refuse() -> None:
    seen: list[str] = []
    store, app = mlflow_like(seen)
    with TestClient(app) as client:
        client.post(METRIC, content=POINT, headers={"content-type": "application/json", "X-MLFLOW-WORKSPACE": "w"})
    assert store.calls == []
    assert "workspace_context_middleware" in seen


@pytest.mark.filterwarnings("ignore:starlette.middleware.wsgi is deprecated")
def test_mlflow_has_the_middleware_that_points_pass_by() -> None:
    from mlflow.server.fastapi_app import app

    names = {getattr(layer.kwargs.get("dispatch"), "__name__", "") for layer in app.user_middleware}
    assert {"gateway_timing_middleware", "workspace_context_middleware"} <= names


def test_the_metrics_that_mlflow_exposes_itself_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("prometheus_multiproc_dir", raising=False)
    assert is_ours("/metrics")
    monkeypatch.setenv("prometheus_multiproc_dir", "/somewhere")
    assert not is_ours("/metrics")
    assert is_ours("/readyz")


@pytest.mark.parametrize(("path", "body"), [(METRIC, POINT), (BATCH, MANY)])
def test_points_are_stored_and_answered_as_mlflow_does(path: str, body: bytes) -> None:
    store = Kept()
    assert ask(store, path, body, b"application/json; charset=utf-8") == b"{}"
    assert store.calls[0][0] == "r"


@pytest.mark.parametrize("path", [METRIC, BATCH])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b'{"run_id": "r"}', b'{"run_id": "r", "key": "k"}'])
def test_a_body_of_another_form_is_flasks(path: str, body: bytes) -> None:
    store = Kept()
    assert ask(store, path, body) == b"Flask: " + body
    assert store.calls == []


def test_what_the_store_refuses_is_said_by_flask_which_gets_the_whole_request() -> None:
    assert ask(Kept(refuses=True), METRIC, POINT) == b"Flask: " + POINT
    assert ask(Kept(), METRIC, POINT, kind=b"text/plain") == b"Flask: " + POINT
    assert ask(Kept(), METRIC, POINT, query=b"a=b") == b"Flask: " + POINT
