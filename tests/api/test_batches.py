from __future__ import annotations

import dataclasses
import json
import math
import socket
import time
import uuid

import pytest

from monitor import wire
from monitor.api import intake
from monitor.domain import Reply

from .conftest import NOW_MS, Api, a_batch


def test_a_packed_batch_is_stored_and_answered_with_the_recommendation(api: Api) -> None:
    batch = a_batch([3.0, 2.0, math.nan, math.inf, -math.inf], name="packed")

    response = api.post(batch)

    reply = Reply.from_dict(response.json())
    assert (response.status_code, reply.acked, reply.duplicate) == (200, 6, False)
    points = api.store.history(batch.run_id, "train/loss")
    assert points.values.tobytes() == batch.points.value.tobytes()


def test_the_json_spelling_stores_the_same_points(api: Api) -> None:
    packed = a_batch([3.0, math.nan, math.inf, -math.inf, 5e-324], name="a")
    spelled = dataclasses.replace(packed, run_id=uuid.uuid4().hex)
    api.post(packed)

    response = api.http.post("/api/v1/batches", json=wire.batch_to_json(spelled))

    assert response.status_code == 200, response.text
    ours, theirs = (api.store.history(b.run_id, "train/loss") for b in (packed, spelled))
    assert ours.values.tobytes() == theirs.values.tobytes()
    assert ours.steps.tolist() == theirs.steps.tolist()


def test_a_repeated_batch_is_a_duplicate_and_stores_nothing_twice(api: Api) -> None:
    batch = a_batch([3.0, 2.0])
    api.post(batch)

    again = Reply.from_dict(api.post(batch).json())

    assert (again.acked, again.duplicate) == (3, True)
    assert len(api.store.history(batch.run_id, "train/loss")) == 2


def test_a_gap_is_refused_with_the_record_expected(api: Api) -> None:
    batch = a_batch([3.0, 2.0])
    api.post(batch)

    response = api.post(a_batch([1.0], run_id=batch.run_id, first=7, start=False))

    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, problem["type"]) == (409, "urn:lossmonitor:problem:offset-gap")
    assert (problem["expected"], problem["got"], problem["status"]) == (3, 7, 409)


def test_a_run_that_exists_is_refused_unless_it_is_resumed(api: Api) -> None:
    batch = a_batch([3.0])
    api.post(batch)

    response = api.post(dataclasses.replace(batch, writer="w2"))

    assert (response.status_code, response.json()["type"]) == (409, "urn:lossmonitor:problem:run-exists")
    assert "expected" not in response.json()


def test_points_of_a_run_that_was_never_started_are_refused(api: Api) -> None:
    response = api.post(a_batch([3.0], start=False))

    assert response.status_code in (404, 422), response.text
    assert response.json()["type"].startswith("urn:lossmonitor:problem:")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"run_id": "XYZ"}, "run_id"),
        ({"points": [{"key": "loss", "step": 1, "value": "one", "time_ms": 1}]}, "points[0].value"),
        ({"points": [{"key": "loss", "step": 1.5, "value": 1, "time_ms": 1}]}, "points[0].step"),
        ({"points": [{"key": [], "step": 1, "value": 1, "time_ms": 1}]}, "points[0].key"),
        ({"events": [{"kind": "dance", "record": 0, "time_ms": 1}]}, "events[0]"),
        ({"events": [{"kind": {}, "record": 0, "time_ms": 1}]}, "events[0].kind"),
        ({"count": 4 * 10**18}, "count"),
        ({"first": -1}, "first"),
    ],
)
def test_a_bad_field_is_named_and_nothing_of_the_batch_is_stored(
    api: Api, change: dict[str, object], field: str
) -> None:
    batch = a_batch([3.0])
    body = wire.batch_to_json(batch) | change

    response = api.http.post("/api/v1/batches", json=body)

    assert (response.status_code, response.json()["field"]) == (422, field)
    assert api.http.get(f"/api/v1/runs/{batch.run_id}").status_code == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[1, 2]", b"nul", b'"\xff"', b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_a_problem_not_a_crash(api: Api, body: bytes) -> None:
    response = api.http.post("/api/v1/batches", content=body, headers={"Content-Type": "application/json"})

    assert (response.status_code, response.json()["field"]) == (422, "body")


def test_a_truncated_packed_body_names_the_column(api: Api) -> None:
    body = wire.encode_batch(a_batch([3.0, 2.0]))[:-8]

    response = api.http.post("/api/v1/batches", content=body, headers={"Content-Type": wire.MEDIA_TYPE})

    assert (response.status_code, response.json()["field"]) == (422, "points.key")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"])
def test_a_form_of_another_site_cannot_post_because_its_media_types_are_not_taken(api: Api, content_type: str) -> None:
    response = api.http.post("/api/v1/batches", content=b"{}", headers={"Content-Type": content_type})

    assert (response.status_code, response.json()["type"]) == (415, "urn:lossmonitor:problem:media-type")


def test_a_compressed_body_is_refused_not_misread(api: Api) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}

    assert api.http.post("/api/v1/batches", content=b"x", headers=headers).status_code == 415


def test_a_body_that_announces_too_much_is_refused_before_it_is_read(api: Api) -> None:
    head = (
        f"POST /api/v1/batches HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {2**40}\r\n\r\n"
    )
    with socket.create_connection((api.http.base_url.host, api.http.base_url.port or 80), timeout=60) as sock:
        sock.sendall(head.encode())
        answer = sock.recv(4096).decode()

    assert answer.startswith("HTTP/1.1 413")


def test_a_body_without_a_length_is_refused_once_it_is_too_long(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(intake.LIMITS, ("/api/v1/batches", "application/json"), 1000)

    response = api.http.post(
        "/api/v1/batches", content=iter([b" " * 600, b" " * 600]), headers={"Content-Type": "application/json"}
    )

    assert response.status_code == 413


def test_a_small_batch_is_answered_without_a_nagle_stall(api: Api) -> None:
    batch = a_batch([3.0])
    api.post(batch)
    took, end = [math.inf], time.monotonic() + 60
    while min(took) >= 0.03 and time.monotonic() < end:
        begin = time.perf_counter()
        response = api.post(a_batch([1.0], run_id=batch.run_id, first=1 + len(took), start=False))
        took.append(time.perf_counter() - begin)
        assert response.status_code == 200, response.text

    # A stall is 40 ms, every time; what else the machine does costs something most of the time at most.
    assert min(took) < 0.03


def test_the_time_of_a_heartbeat_is_the_servers(api: Api) -> None:
    batch = a_batch([3.0])
    api.post(batch)
    api.clock.now_ms = NOW_MS + 5_000
    try:
        beat = a_batch([], run_id=batch.run_id, first=2, start=False)
        assert api.post(beat).status_code == 200
        assert api.store.run(batch.run_id).heartbeat_ms == NOW_MS + 5_000
    finally:
        api.clock.now_ms = NOW_MS


def test_two_hundred_thousand_points_fit_one_batch(api: Api) -> None:
    losses = [1.0] * 200_000
    batch = a_batch(losses)

    assert Reply.from_dict(api.post(batch).json()).acked == 200_001
    assert json.loads(api.http.get(f"/api/v1/runs/{batch.run_id}").text)["series"][0]["count"] == 200_000
