from __future__ import annotations

import contextlib
import math
import socket
import threading
import time

import numpy as np
import pytest

from monitor import wire
from monitor.api import curves
from monitor.domain import Delivery, Diagnosis, Finding, RunInfo, SeriesInfo
from monitor.ingest import ingest
from monitor.ingest.engines import Engines
from monitor.reader.decoding import decode
from monitor.wire import Batch

from ..conftest import event_batch
from .conftest import NOW_MS, Api, a_batch


@pytest.fixture(scope="module")
def run(api: Api) -> Batch:
    batch = a_batch([3.0, 2.0, math.nan, math.inf, 1.0], name="reader", project="reads", tags={"team": "vision"})
    assert api.post(batch).status_code == 200
    return batch


def get(api: Api, path: str, **params: object) -> object:
    response = api.http.get(f"/api/v1{path}", params=params)  # type: ignore[arg-type]  # ints and strings
    assert response.status_code == 200, response.text
    return response.json()


def test_the_list_of_runs_is_the_stores(api: Api, run: Batch) -> None:
    page = get(api, "/runs", project="reads", sparkline=4)

    assert isinstance(page, dict)
    assert page["total"] == 1
    assert [decode(RunInfo, r) for r in page["runs"]] == list(api.store.runs(project="reads").items)
    assert list(page["sparklines"][run.run_id]) == ["train"]


def test_a_run_is_found_by_id_prefix_and_name_and_shows_its_series(api: Api, run: Batch) -> None:
    by_id, by_prefix, by_name = (get(api, f"/runs/{ref}") for ref in (run.run_id, run.run_id[:12], "reader"))

    assert by_id == by_prefix == by_name
    assert isinstance(by_id, dict)
    assert [decode(SeriesInfo, s) for s in by_id["series"]] == list(api.store.series(run.run_id))
    assert by_id["checkpoints"] == []
    assert get(api, "/runs/reader/series") == by_id["series"]


def test_a_name_with_slashes_and_spaces_is_a_reference_too(api: Api) -> None:
    batch = a_batch([3.0], name="sweep/lr 0.1/é")
    api.post(batch)

    found = get(api, "/runs/sweep%2Flr%200.1%2F%C3%A9")

    assert isinstance(found, dict)
    assert found["id"] == batch.run_id


def test_findings_and_diagnosis_are_the_stores(api: Api, run: Batch) -> None:
    findings = get(api, "/runs/reader/findings")

    assert isinstance(findings, list)
    assert [decode(Finding, f) for f in findings] == list(api.store.findings(run.run_id))
    assert findings
    diagnosis: Diagnosis = api.store.diagnosis(run.run_id)
    assert get(api, "/runs/reader/diagnosis") == diagnosis.to_dict()


def test_events_come_in_order_with_their_data(api: Api, run: Batch) -> None:
    events = get(api, "/runs/reader/events")

    assert isinstance(events, list)
    assert [e["kind"] for e in events] == ["run"]
    assert events[0]["data"]["tags"] == {"team": "vision"}


def test_a_curve_is_strict_json_and_lossless(api: Api, run: Batch) -> None:
    curve = wire.curve_from_json(get(api, "/runs/reader/curve", key="train/loss", smoothing=0.5))  # type: ignore[arg-type]  # checked there

    assert (curve.shown, curve.total) == (5, 5)
    assert curve.x.tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(curve.y, [3.0, 2.0, math.nan, math.inf, 1.0])
    assert curve.smoothed is not None


def test_a_history_is_packed_for_those_who_ask_and_json_for_the_others(api: Api, run: Batch) -> None:
    path = "/api/v1/runs/reader/history"
    packed = api.http.get(path, params={"key": "train/loss"}, headers={"Accept": wire.POINTS_MEDIA_TYPE})
    plain = api.http.get(path, params={"key": "train/loss", "lo": 2, "hi": 3})

    points = wire.decode_points(packed.content)
    assert packed.headers["content-type"] == wire.POINTS_MEDIA_TYPE
    assert points.values.tobytes() == run.points.value.tobytes()
    assert plain.json() == {
        "key": "train/loss",
        "steps": [2, 3],
        "values": [2.0, "NaN"],
        "times": [NOW_MS + 2, NOW_MS + 3],
        "epochs": None,
    }
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept"


def test_projects_and_alerts_are_listed(api: Api, run: Batch) -> None:
    projects, told = get(api, "/projects"), get(api, "/deliveries", run="reader")
    alerts = get(api, "/alerts", run="reader")

    assert isinstance(projects, dict)
    reads = {"name": "reads", "runs": 1, "keep_days": None, "thin_days": None, "cost_per_hour": {}}
    assert reads in projects["projects"]
    assert projects["purge_days"] == 7.0
    assert isinstance(told, dict)
    assert isinstance(alerts, dict)
    stored: tuple[Delivery, ...] = api.store.alerts(run.run_id)
    assert [a["alert"]["dedup_key"] for a in told["deliveries"]] == [row.alert.dedup_key for row in stored]
    assert {a["rule"] for a in alerts["alerts"]} == {row.alert.kind for row in stored} != set()


def test_a_stop_is_told_to_the_loop_with_its_next_reply(api: Api) -> None:
    batch = a_batch([3.0], name="stoppable")
    api.post(batch)

    asked = api.http.post("/api/v1/runs/stoppable/stop", json={"who": " ada "})
    reply = api.post(a_batch([], run_id=batch.run_id, first=2, start=False)).json()

    told = asked.json()
    assert (told["run_id"], told["stop_requested"], told["stop"]["state"]) == (batch.run_id, "ada", "requested")
    assert (reply["stop_requested"], reply["stop"], reply["stop_request"]) == ("ada", True, 1)
    late = api.http.delete("/api/v1/runs/stoppable/stop?who=bob")
    assert (late.status_code, late.json()["type"].rpartition(":")[2]) == (409, "stop-refused")
    assert api.http.get("/api/v1/runs/stoppable/stops").json()[0]["state"] == "delivered"


def test_a_stop_that_was_not_delivered_is_taken_back(api: Api) -> None:
    batch = a_batch([3.0], name="takenback")
    api.post(batch)
    api.http.post("/api/v1/runs/takenback/stop", json={"who": "ada", "reason": "why not"})

    back = api.http.delete("/api/v1/runs/takenback/stop?who=bob").json()

    assert (back["stop_requested"], back["stop"]["state"], back["stop"]["note"]) == (
        None,
        "withdrawn",
        "withdrawn by bob",
    )
    assert api.post(a_batch([], run_id=batch.run_id, first=2, start=False)).json()["stop"] is False


def test_a_request_waits_until_the_run_ends(api: Api) -> None:
    batch = a_batch([3.0], name="awaited")
    api.post(batch)
    assert api.http.get("/api/v1/wait?run=awaited&for=finish&wait=0.1").json()["outcomes"] == []
    ends = threading.Timer(0.3, lambda: ingest(
        api.store, Engines(), event_batch(batch.run_id, batch.writer, 2, "finish", status="finished", error=None),
        now_ms=NOW_MS))  # fmt: skip
    ends.start()
    (found,) = api.http.get("/api/v1/wait?run=awaited&for=finish&wait=20").json()["outcomes"]
    ends.join()
    assert (found["what"], found["status"]) == ("finish", "finished")
    refused = api.http.get("/api/v1/wait?run=awaited&for=verdict=overfiting")
    assert refused.status_code == 422 and "did you mean 'overfitting'" in refused.json()["detail"]


def test_events_are_a_list_an_answer_with_a_cursor_or_a_stream(api: Api) -> None:
    batch = a_batch([3.0], name="told")
    api.post(batch)
    assert api.http.get("/api/v1/runs/told/events").json()[0]["kind"] == "run"
    first = api.http.get("/api/v1/runs/told/events?since=").json()
    assert {event["kind"] for event in first["events"]} == {"points", "recommendation", "status"}
    again = api.http.get("/api/v1/runs/told/events", params={"since": first["cursor"], "wait": 0.1}).json()
    assert (again["events"], again["cursor"]) == ([], first["cursor"])
    assert api.http.get("/api/v1/runs/told/events?since=xx").status_code == 422

    api.post(event_batch(batch.run_id, batch.writer, 2, "finish", status="finished", error=None))
    stream = api.http.get("/api/v1/runs/told/events", headers={"Accept": "text/event-stream"})
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert [line for line in stream.text.splitlines() if line.startswith("event: ")][-2:] == [
        "event: status",
        "event: end",
    ]
    mark = next(line.removeprefix("id: ") for line in stream.text.splitlines() if line.startswith("id: "))
    resumed = api.http.get(
        "/api/v1/runs/told/events", headers={"Accept": "text/event-stream", "Last-Event-ID": mark}
    )  # fmt: skip
    assert resumed.text.startswith("id: ") and "event: points" not in resumed.text


def test_the_queue_the_ledger_and_an_explanation_are_served(api: Api) -> None:
    api.post(a_batch([3.0, float("nan")], name="explained"))
    assert api.http.get("/api/v1/attention?sparkline=20").json()["running"] >= 1
    assert api.http.get("/api/v1/ledger").json() == {"currency": "USD", "months": [], "entries": []}
    assert api.http.get("/api/v1/runs/explained/explain").json()["text"]
    assert api.http.get("/api/v1/runs/explained/saving").json()["planned_steps"] is None
    assert "saving" in api.http.get("/api/v1/runs/explained/snapshot").json()


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/runs/nosuchrun", 404, "run-not-found"),
        ("/runs/nosuchrun/curve?key=loss", 404, "run-not-found"),
        ("/runs/reader/curve?key=nosuch", 404, "series-not-found"),
        ("/runs/reader/history?key=nosuch", 404, "series-not-found"),
        ("/alerts?run=nosuch", 404, "run-not-found"),
        ("/runs?limit=0", 422, "invalid-request"),
        ("/runs?status=dancing", 422, "invalid-request"),
        ("/runs/reader/curve", 422, "invalid-request"),
        ("/runs/reader/curve?key=train/loss&smoothing=1", 422, "invalid-request"),
        ("/runs/reader/curve?key=train/loss&x=moon", 422, "invalid-request"),
        ("/nosuch", 404, "no-such-route"),
    ],
)
def test_what_cannot_be_answered_is_a_problem_of_its_kind(
    api: Api, run: Batch, path: str, status: int, kind: str
) -> None:
    response = api.http.get(f"/api/v1{path}")

    problem = response.json()
    assert (response.status_code, problem["type"]) == (status, f"urn:lossmonitor:problem:{kind}")
    assert response.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail"} <= problem.keys()


@pytest.mark.parametrize("order", ["-nosuch", "id; drop table runs", "-"])
def test_an_order_that_is_no_column_is_refused(api: Api, run: Batch, order: str) -> None:
    response = api.http.get("/api/v1/runs", params={"order": order})

    assert response.status_code == 422, response.text


def test_runs_are_found_by_a_query_and_a_wrong_one_points_at_the_character(api: Api, run: Batch) -> None:
    found = get(api, "/runs", query='project = "reads" and train.best < 1.5')
    refused = api.http.get("/api/v1/runs", params={"query": "status = = 1"})

    assert isinstance(found, dict)
    assert [r["name"] for r in found["runs"]] == ["reader"]
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:lossmonitor:problem:query-error")
    assert (refused.json()["field"], refused.json()["position"]) == ("query", 9)


def test_a_parameter_that_is_wrong_is_named(api: Api) -> None:
    assert api.http.get("/api/v1/runs?limit=many").json()["field"] == "limit"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/runs?search=%00", "search"),
        ("/runs?query=name=%22%00%22", "query"),
        ("/runs/%00", "ref"),
        ("/runs/reader/curve?key=%00", "key"),
        ("/runs/reader/curve?key=train/loss&lo=nan", "lo"),
        ("/runs/reader/history?key=train/loss&lo=99999999999999999999", "lo"),
        ("/runs/reader/history?key=train/loss&attempt=99999999999", "attempt"),
        ("/runs?offset=99999999999", "offset"),
        ("/alerts?run=%00", "run"),
    ],
)
def test_what_no_database_could_hold_is_refused_by_name(api: Api, run: Batch, path: str, field: str) -> None:
    response = api.http.get(f"/api/v1{path}")

    assert (response.status_code, response.json().get("field")) == (422, field), response.text


def test_the_wrong_method_is_a_problem_too(api: Api) -> None:
    response = api.http.request("DELETE", "/api/v1/runs", json={})

    assert (response.status_code, response.json()["type"]) == (405, "urn:lossmonitor:problem:method-not-allowed")


@pytest.mark.parametrize("who", ["  ", "a\0b", "x" * 201, 7])
def test_a_stop_without_a_name_that_can_be_stored_is_refused(api: Api, run: Batch, who: object) -> None:
    response = api.http.post("/api/v1/runs/reader/stop", json={"who": who})

    assert (response.status_code, response.json()["field"]) == (422, "who")


def test_openapi_describes_every_route(api: Api) -> None:
    described = api.http.get("/openapi.json").json()

    assert {"/healthz", "/readyz", "/api/v1/batches", "/api/v1/runs/{ref}/curve"} <= described["paths"].keys()
    # Their pages would load scripts from elsewhere.
    assert [api.http.get(page).status_code for page in ("/docs", "/redoc")] == [404, 404]
    for path, methods in described["paths"].items():
        for method, route in methods.items():
            assert route["description"], f"{method} {path} has no description"


def test_health_info_and_readiness_answer(api: Api) -> None:
    health, ready, info = (api.http.get(p).json() for p in ("/healthz", "/readyz", "/api/v1/info"))

    assert (health["status"], health["name"]) == ("ok", "lossmonitor")
    assert ready == {"status": "ok", "store": info["store"], "jobs": {}}
    assert api.store.url.startswith(info["store"])
    assert info["store_id"] == health["store_id"]
    assert len(info["rules_hash"]) == 12


def test_a_history_streams_as_arrow(api: Api, run: Batch) -> None:
    pa = pytest.importorskip("pyarrow", reason="the server extra has it")
    answer = api.http.get(
        "/api/v1/runs/reader/history",
        params={"key": "train/loss"},
        headers={"Accept": "application/vnd.apache.arrow.stream"},
    )
    table = pa.ipc.open_stream(answer.content).read_all()

    assert answer.headers["content-type"] == "application/vnd.apache.arrow.stream"
    assert table.schema.names == ["step", "value", "time"]
    assert str(table.schema.field("time").type) == "timestamp[ms, tz=UTC]"
    assert table.schema.metadata == {b"run_id": run.run_id.encode(), b"run": b"reader", b"key": b"train/loss"}
    np.testing.assert_array_equal(table["value"].to_numpy(), [3.0, 2.0, math.nan, math.inf, 1.0])


def test_an_unknown_series_is_refused_before_a_stream_begins(api: Api, run: Batch) -> None:
    headers = {"Accept": "application/vnd.apache.arrow.stream"}
    answer = api.http.get("/api/v1/runs/reader/history", params={"key": "nothing"}, headers=headers)

    assert (answer.status_code, answer.json()["type"]) == (404, "urn:lossmonitor:problem:series-not-found")


def test_a_reader_that_hangs_up_gives_its_connection_back(api: Api) -> None:
    batch = a_batch(np.random.default_rng(0).normal(size=900_000).tolist(), name="endless")
    api.post(batch)
    pool = api.store._engine.pool
    headers = {"Accept": "application/vnd.apache.arrow.stream"}
    with api.http.stream(
        "GET", "/api/v1/runs/endless/history", params={"key": "train/loss"}, headers=headers
    ) as answer:
        next(answer.iter_raw())
        assert pool.checkedout() >= 1
    end = time.monotonic() + 60
    while pool.checkedout() and time.monotonic() < end:
        api.http.get("/healthz")
    assert pool.checkedout() == 0


def test_a_reader_that_does_not_read_is_cut_off(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "PART_S", 0.5)
    api.post(a_batch(np.random.default_rng(0).normal(size=900_000).tolist(), name="unread"))
    pool = api.store._engine.pool
    request = api.http.build_request(
        "GET",
        "/api/v1/runs/unread/history",
        params={"key": "train/loss"},
        headers={"Accept": "application/vnd.apache.arrow.stream"},
    )
    with socket.socket() as idle:
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**17)
        idle.settimeout(60)
        idle.connect((request.url.host, request.url.port or 80))
        lines = [f"GET {request.url.raw_path.decode()} HTTP/1.1", *(f"{k}: {v}" for k, v in request.headers.items())]
        idle.sendall("\r\n".join([*lines, "", ""]).encode())
        begun = idle.recv(100, socket.MSG_PEEK)  # it has begun to answer
        end = time.monotonic() + 60
        while pool.checkedout() and time.monotonic() < end:
            api.http.get("/healthz")
        assert b"200 OK" in begun
        assert pool.checkedout() == 0
        received = bytearray()
        with contextlib.suppress(ConnectionResetError):
            while part := idle.recv(1 << 20):
                received += part
        assert not received.endswith(b"0\r\n\r\n")  # and never says that this was all


def test_a_run_whose_name_holds_a_line_end_is_found_by_it(api: Api) -> None:
    batch = a_batch([1.0], name="two\nlines/here")
    assert api.post(batch).status_code == 200

    assert api.http.get("/api/v1/runs/two%0Alines%2Fhere").json()["id"] == batch.run_id
    assert api.http.delete(f"/api/v1/runs/{batch.run_id}").status_code == 200
    assert api.http.post("/api/v1/deleted/two%0Alines%2Fhere/restore").json()["id"] == batch.run_id
