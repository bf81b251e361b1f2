"""The id of a request: taken or made, in the answer, in errors, and in the log."""

from __future__ import annotations

import logging
import string
from collections.abc import Iterator
from contextvars import copy_context

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.api import create_api
from monitor.api.requests import HEADER, take_id
from monitor.api.requests import _log as log_of_requests
from monitor.ingest.engines import Engines
from monitor.settings import Settings
from monitor.store import Store

from .conftest import Api, a_batch, served

KNOWN = string.ascii_letters + string.digits + "_.:+/=-"


@given(st.binary(max_size=200))
def test_an_id_is_taken_exactly_where_it_can_stand_in_a_header_and_a_log(given: bytes) -> None:
    found = copy_context().run(take_id, {HEADER: given})

    valid = 1 <= len(given) <= 128 and all(chr(each) in KNOWN for each in given)
    assert (found == given) == valid
    assert 1 <= len(found) <= 128 and all(chr(each) in KNOWN for each in found)


def test_an_answer_carries_the_id_of_its_request_or_one_that_was_made(api: Api) -> None:
    assert api.http.get("/api/v1/me", headers={"X-Request-ID": "trace-1/a"}).headers["x-request-id"] == "trace-1/a"
    made = {api.http.get("/healthz", headers={"X-Request-ID": "no blanks"}).headers["x-request-id"] for _ in range(5)}
    assert len(made) == 5


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("GET", "/api/v1/runs/nosuch", {}, 404),
        ("GET", "/nosuch", {}, 404),
        ("GET", "/api/v1/runs?limit=x", {}, 422),
        ("POST", "/api/v1/batches", {"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415),
        ("GET", "/api/v1/runs", {"headers": {"Origin": "https://evil.example"}}, 403),
    ],
)
def test_every_error_names_its_request(api: Api, method: str, path: str, more: dict[str, object], status: int) -> None:
    answer = api.http.request(method, path, **more)  # type: ignore[arg-type]  # by name

    assert answer.status_code == status
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.fixture
def loud(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, logger=log_of_requests.name):
        yield caplog


def test_the_log_names_method_path_status_caller_and_run_and_no_secret(
    loud: pytest.LogCaptureFixture, tmp_path: object
) -> None:
    settings = Settings(dir=tmp_path, token="correct-horse-battery-staple")  # type: ignore[arg-type]  # a path
    batch = a_batch([1.0], name="hush")
    with Store.open(settings.store_url) as store, served(create_api(store, Engines(), settings)) as url:
        api = Api(httpx.Client(base_url=url, headers={"Authorization": f"Bearer {settings.token}"}), store)
        assert api.post(batch).status_code == 200
        api.http.get("/api/v1/runs", params={"search": "private"})
        httpx.get(f"{url}/api/v1/runs")
        api.http.close()

    lines = [record.request for record in loud.records if hasattr(record, "request")]
    assert [(each["method"], each["path"], each["status"]) for each in lines] == [
        ("POST", "/api/v1/batches", 200),
        ("GET", "/api/v1/runs", 200),
        ("GET", "/api/v1/runs", 401),
    ]
    assert (lines[0]["run_id"], lines[0]["address"], lines[2]["caller"]) == (batch.run_id, "127.0.0.1", None)
    assert all(each["caller"] and each["ms"] > 0 for each in lines[:2])
    assert "private" not in str(lines) and "horse" not in str(lines) and "hush" not in str(lines)


def test_a_failure_is_logged_under_the_id_that_its_answer_gives(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from monitor.api.requests import request_id

    seen = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((request_id(), record.getMessage()))

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(api.store, "projects", fail)
    handler, logger = Handler(), logging.getLogger("uvicorn.error")
    logger.addHandler(handler)
    try:
        answer = api.http.get("/api/v1/projects", headers={"X-Request-ID": "mine"})
    finally:
        logger.removeHandler(handler)

    assert (answer.status_code, answer.json()["request_id"]) == (500, "mine")
    assert any(name == "mine" and "Exception in ASGI application" in message for name, message in seen)
