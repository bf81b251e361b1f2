"""Whatever is sent, the answer is a reply or a problem that names a place, never a crash."""

from __future__ import annotations

import dataclasses
import json
import re
import uuid
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor import wire
from monitor._resources import ROOT

from .conftest import Api, a_batch

_few = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def post(api: Api, body: bytes, media_type: str) -> None:
    response = api.http.post("/api/v1/batches", content=body, headers={"Content-Type": media_type})

    assert response.status_code in (200, 404, 409, 422), response.text
    if response.status_code == 422:
        assert response.json()["field"]


@_few
@given(cut=st.integers(0, 400), at=st.integers(0, 400), byte=st.binary(min_size=1, max_size=9))
def test_a_packed_batch_with_any_bytes_changed_is_stored_or_refused(api: Api, cut: int, at: int, byte: bytes) -> None:
    body = wire.encode_batch(a_batch([3.0, 2.0]))

    post(api, body[:at] + byte + body[at + len(byte) :], wire.MEDIA_TYPE)
    post(api, body[: len(body) - cut], wire.MEDIA_TYPE)


@_few
@given(field=st.sampled_from(["run_id", "writer", "first", "count", "points", "events"]), value=_json)
def test_a_json_batch_with_anything_in_any_field_is_stored_or_refused(api: Api, field: str, value: object) -> None:
    body = wire.batch_to_json(a_batch([3.0, 2.0])) | {field: value}

    post(api, json.dumps(body).encode(), "application/json")


_DATA = st.dictionaries(
    st.sampled_from(
        [
            "project",
            "name",
            "group",
            "config",
            "tags",
            "loss",
            "resume",
            "heartbeat_s",
            "join",
            "step",
            "path",
            "status",
            "x",
        ]
    ),
    _json,
    max_size=6,
)


@_few
@given(kind=st.sampled_from(sorted(wire.EVENT_KINDS)), data=_DATA)
def test_an_event_with_anything_in_it_is_stored_or_refused(api: Api, kind: str, data: dict[str, Any]) -> None:
    start = a_batch([3.0])
    if kind == "run":
        body = wire.batch_to_json(dataclasses.replace(start, run_id=uuid.uuid4().hex))
        body["events"] = [{"kind": kind, "record": 0, "time_ms": 1, "data": {"project": "p", "resume": "never"} | data}]
    else:
        assert api.post(start).status_code == 200
        body = {"run_id": start.run_id, "writer": "w1", "first": 2, "count": 1, "points": []}
        body["events"] = [{"kind": kind, "record": 2, "time_ms": 1, "data": data}]

    post(api, json.dumps(body).encode(), "application/json")

    # What was stored can be read again, by everything that reads it.
    found = api.http.get(f"/api/v1/runs/{body['run_id']}")
    assert found.status_code in (200, 404), found.text
    if found.is_success:
        for path in ("", "/events", "/checkpoints", "/diagnosis", "/findings", "/series"):
            assert api.http.get(f"/api/v1/runs/{body['run_id']}{path}").is_success, path
        assert api.http.get("/api/v1/runs?sparkline=5").is_success


@_few
@given(
    params=st.dictionaries(
        st.sampled_from(["key", "x", "lo", "hi", "width", "smoothing", "attempt"]), st.text(max_size=8)
    )
)
def test_no_parameters_of_a_curve_crash_it(api: Api, params: dict[str, str]) -> None:
    batch = a_batch([3.0, 2.0])
    api.post(batch)
    for path in ("curve", "history"):
        for given_ in (params, {**params, "key": "train/loss"}):
            response = api.http.get(f"/api/v1/runs/{batch.run_id}/{path}", params=given_)
            assert response.status_code in (200, 404, 422), response.text


@_few
@given(
    st.dictionaries(
        st.sampled_from(["project", "group", "verdict", "search", "query", "order", "limit", "offset", "sparkline"]),
        st.text(max_size=12),
    )
)
def test_no_parameters_of_the_list_crash_it(api: Api, params: dict[str, str]) -> None:
    assert api.http.get("/api/v1/runs", params=params).status_code in (200, 422)


def test_the_example_in_the_docs_works_as_it_stands(api: Api) -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    found = re.search(r"-d '(\{.*?\})'\n", text, re.DOTALL)
    assert found

    response = api.http.post("/api/v1/batches", content=found[1].encode(), headers={"Content-Type": "application/json"})

    assert response.status_code == 200, response.text
    assert response.json()["acked"] == 2
