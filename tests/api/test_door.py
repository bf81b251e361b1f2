"""Nobody gets past the door unasked: every route of the OpenAPI document is tried, so that a new one is too."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import wire
from monitor.api import create_api, door, intake, readiness, services
from monitor.api.app import POSTGRES_WRITERS
from monitor.domain import Reply
from monitor.errors import StoreError
from monitor.hosts import host_name, local_name, same_origin
from monitor.ingest.engines import Engines
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.sql import connect

from .conftest import Api, a_batch, served

TOKEN = "correct-horse-battery-staple"
OPEN = {"/healthz", "/readyz", "/signin"}
EVIL = "http://evil.example"


@dataclass
class House:
    """A server with a token and one without, and all that they answer to."""

    guarded: httpx.Client
    local: httpx.Client
    routes: list[tuple[str, str]]

    def each(self) -> Iterator[tuple[str, str]]:
        """Every route below the token, and some that are none."""
        yield from (route for route in self.routes if route[1] not in OPEN)
        yield from [("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/"), ("PUT", "/api/v1/nothing")]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with_token = Settings(dir=tmp_path_factory.mktemp("guarded"), token=TOKEN)
    without = Settings(dir=tmp_path_factory.mktemp("local"))
    with (
        Store.open(with_token.store_url) as one,
        Store.open(without.store_url) as two,
        served(create_api(one, Engines(), with_token)) as guarded,
        served(create_api(two, Engines(), without)) as local,
        httpx.Client(base_url=guarded) as first,
        httpx.Client(base_url=local) as second,
    ):
        described = second.get("/openapi.json").json()["paths"]
        routes = [
            (method.upper(), re.sub(r"\{[^}]*\}", "x", path))
            for path, methods in described.items()
            for method in methods
        ]
        yield House(first, second, routes)


def ask(client: httpx.Client, method: str, path: str, headers: dict[str, str], *, send: bytes = b"") -> tuple[int, str]:
    """Send a head, and a body in part; status and kind of the problem that comes all the same."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in ({"Host": "localhost"} | headers).items())]
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=60) as sock:
        sock.sendall("\r\n".join([*lines, "", ""]).encode() + send)
        answer = b""
        while b"\r\n\r\n" not in answer or not answer.rstrip().endswith(b"}"):
            part = sock.recv(65536)
            assert part, answer
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"x-content-type-options: nosniff" in head.lower()
    return int(head.split()[1]), json.loads(body).get("type", "").rpartition(":")[2]


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that the server does."""
    pause, end = threading.Event(), time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        pause.wait(0.01)


LARGE = {"Content-Type": "application/json", "Content-Length": str(2**30)}


@pytest.mark.parametrize(
    "token", [None, "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer", ""]
)
def test_without_the_token_every_route_says_401_before_the_body_comes(house: House, token: str | None) -> None:
    headers = LARGE | ({} if token is None else {"Authorization": token})

    for method, path in house.each():
        assert ask(house.guarded, method, path, headers) == (401, "unauthorized"), (method, path)


def test_a_body_that_is_too_large_is_413_at_every_route_before_it_comes(house: House) -> None:
    headers = LARGE | {"Authorization": f"Bearer {TOKEN}"}

    for method, path in house.routes + list(house.each()):
        assert ask(house.guarded, method, path, headers) == (413, "too-large"), (method, path)


def test_a_body_that_grows_too_large_is_413_at_every_route_while_it_comes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "LIMITS", {})
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}

    for method, path in house.routes:
        piece = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
        assert ask(house.local, method, path, headers, send=piece * 5) == (413, "too-large"), (method, path)


def test_a_foreign_host_or_origin_is_403_at_every_route(house: House) -> None:
    for method, path in [*house.routes, *house.each()]:
        assert ask(house.local, method, path, LARGE | {"Host": "evil.example"}) == (403, "host"), (method, path)
        for origin in (EVIL, "null", "http://localhost:1", "https://localhost.evil.example"):
            assert ask(house.local, method, path, LARGE | {"Origin": origin}) == (403, "origin"), (method, path, origin)
            allowed = {"Authorization": f"Bearer {TOKEN}", "Origin": origin}
            assert ask(house.guarded, method, path, LARGE | allowed) == (403, "origin"), (method, path, origin)


def test_what_changes_something_takes_no_type_that_a_form_can_send(house: House) -> None:
    changing = [(method, path) for method, path in house.routes if method not in ("GET", "HEAD")]
    assert changing

    for method, path in changing:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
            answer = house.local.request(method, path, content=b"{}", headers={"Content-Type": kind})
            assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (415, "media-type"), (path, kind)
        bare = ask(house.local, method, path, {"Content-Length": "2"}, send=b"{}")
        assert bare == (415, "media-type"), path


def test_every_answer_carries_the_headers_that_keep_browsers_from_making_more_of_it(house: House) -> None:
    answers = [house.local.get(path) for path in ("/healthz", "/readyz", "/api/v1/runs", "/nothing", "/openapi.json")]
    answers += [house.guarded.get("/api/v1/runs"), house.local.get("/healthz", headers={"Host": "evil.example"})]

    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_bugs_answer_carries_them_too(tmp_path: Path) -> None:
    settings = Settings(dir=tmp_path)
    with Store.open(settings.store_url) as store:
        app = create_api(store, Engines(), settings)

        @app.get("/bug")
        def bug() -> None:
            raise KeyError("x")

        with served(app) as url:
            answer = httpx.get(f"{url}/bug")

    assert (answer.status_code, answer.headers["x-content-type-options"]) == (500, "nosniff")


def test_a_client_with_a_wrong_token_reads_why_though_it_sends_its_body_first(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "LINGER_S", 60.0)
    body = b"x" * 4_000_000

    answer = house.guarded.post("/api/v1/batches", content=body, headers={"Content-Type": wire.MEDIA_TYPE})

    assert (answer.status_code, answer.headers["connection"]) == (401, "close")


def test_a_client_that_asks_first_is_refused_and_cannot_go_on_as_if_its_body_had_come(house: House) -> None:
    place = house.guarded.base_url
    head = "POST /api/v1/batches HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection((place.host, place.port or 80), timeout=60) as sock:
        sock.sendall(head.encode())
        answer = b""
        while part := sock.recv(65536):  # to the end: the connection is closed
            answer += part

    assert answer.startswith(b"HTTP/1.1 401")
    assert b"connection: close" in answer


def test_a_body_that_does_not_come_in_time_is_given_up(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(intake, "BODY_S", 0.2)
    headers = {"Content-Type": "application/json", "Content-Length": "100"}

    assert ask(house.local, "POST", "/api/v1/batches", headers, send=b"{") == (408, "too-slow")
    assert "1 bytes of its body came in 0.2" in caplog.text


def test_more_large_bodies_than_there_is_room_for_are_asked_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "HELD", 1_000_000)
    settings = Settings(dir=tmp_path)
    kind = {"Content-Type": wire.MEDIA_TYPE}
    head = (
        f"POST /api/v1/batches HTTP/1.1\r\nHost: x\r\nContent-Type: {wire.MEDIA_TYPE}\r\nContent-Length: 900000\r\n\r\n"
    )
    with Store.open(settings.store_url) as store:
        app = create_api(store, Engines(), settings)
        with served(app) as url, httpx.Client(base_url=url) as http:
            guard = app.middleware_stack
            assert isinstance(guard, door.Door)
            with socket.create_connection((http.base_url.host, http.base_url.port or 80), timeout=60) as sock:
                sock.sendall(head.encode() + b"x" * 800_000)
                until(lambda: guard._intake._held == 800_000)
                found = http.post("/api/v1/batches", content=b"x" * 500_000, headers=kind)
                assert (found.status_code, found.headers["retry-after"]) == (503, "1")
                assert found.json()["type"].endswith(":overloaded")
                assert http.post("/api/v1/batches", json={}).status_code == 422  # a small one is read
                sock.sendall(b"x" * 100_000)
                assert sock.recv(100).startswith(b"HTTP/1.1 422")  # and so is the one that was there
            until(lambda: guard._intake._held == 0)
            assert http.post("/api/v1/batches", content=b"x" * 900_000, headers=kind).status_code == 422


def test_more_requests_than_can_be_answered_at_once_are_asked_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "BUSY", 1)
    settings = Settings(dir=tmp_path)
    entered, leave = threading.Event(), threading.Event()
    with Store.open(settings.store_url) as store:
        app = create_api(store, Engines(), settings)

        @app.get("/work")
        def work() -> str:
            entered.set()
            leave.wait(60)
            return "done"

        with served(app) as url, ThreadPoolExecutor(1) as pool:
            first = pool.submit(httpx.get, f"{url}/work")
            assert entered.wait(60)
            second, probe = httpx.get(f"{url}/api/v1/runs"), httpx.get(f"{url}/readyz")
            leave.set()
            assert first.result().status_code == 200

    assert (second.status_code, second.headers["retry-after"]) == (503, "1")
    assert second.json()["type"].endswith(":overloaded")
    assert probe.status_code == 200


def test_writes_wait_for_their_turn_for_a_bounded_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "PATIENCE_S", 0.2)
    batch = a_batch([1.0], name="waits")
    assert api.post(batch).status_code == 200
    entered, leave = threading.Semaphore(0), threading.Event()

    def hang(*_: object, **__: object) -> Reply:
        entered.release()
        leave.wait(60)
        raise StoreError("ended by the test")

    monkeypatch.setattr("monitor.api.batches.ingest", hang)
    at_once = 1 if api.store.url.startswith("sqlite") else POSTGRES_WRITERS
    with ThreadPoolExecutor(20) as pool:
        stuck = [pool.submit(api.post, a_batch([1.0])) for _ in range(at_once)]
        assert all(entered.acquire(timeout=60) for _ in stuck)
        others = [pool.submit(api.post, a_batch([1.0])) for _ in range(4)]
        stop = pool.submit(api.http.post, "/api/v1/runs/waits/stop", json={})
        answers = [one.result() for one in [*others, stop]]  # though the ones before them still wait
        leave.set()
        assert {one.result().json()["detail"] for one in stuck} == {"ended by the test"}

    for answer in answers:
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (503, "store-busy")
        assert answer.headers["retry-after"]


def test_a_locked_sqlite_file_holds_up_one_request_and_the_others_are_told_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "PATIENCE_S", 0.3)
    monkeypatch.setattr(connect, "BUSY_TIMEOUT_S", 60.0)
    settings = Settings(dir=tmp_path)
    with Store.open(settings.store_url) as store, served(create_api(store, Engines(), settings)) as url:
        http = httpx.Client(base_url=url, timeout=60)
        found = Api(http, store)
        assert found.post(a_batch([1.0], name="locked")).status_code == 200
        with (
            closing(sqlite3.connect(settings.store_file, isolation_level=None)) as other,
            ThreadPoolExecutor(6) as pool,
        ):
            other.execute("BEGIN IMMEDIATE")
            asked = [pool.submit(found.post, a_batch([1.0])) for _ in range(4)]
            asked.append(pool.submit(http.post, "/api/v1/runs/locked/stop", json={}))
            told = [one.result() for _, one in zip(range(4), as_completed(asked), strict=False)]
            assert http.get("/api/v1/runs").status_code == 200  # reads go on
            other.execute("ROLLBACK")
            (last,) = (one.result() for one in asked if one.result() not in told)
        http.close()

    assert {answer.status_code for answer in told} == {503}
    assert all(answer.headers["retry-after"] for answer in told)
    assert last.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe",
        b"{",
        b"[" * 50_000,
        b'{"who": "\xff"}',
        b'{"who": ' + b"1" * 5000 + b"}",
        b'{"who": "\\ud800"}',
        b"null",
    ],
)
def test_a_stop_that_cannot_be_read_is_422_and_names_the_place(house: House, body: bytes) -> None:
    answer = house.local.post("/api/v1/runs/x/stop", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in (404, 422), answer.text
    assert answer.status_code == 404 or answer.json()["field"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (f"/runs?search={'a%20' * 5000}", "search"),
        (f"/runs?search={'%20'.join(map(str, range(30)))}", "search"),
        (f"/runs?project={'a' * 300}", "project"),
        (f"/runs?query={'a' * 5000}", "query"),
        (f"/runs?nothing={'a' * 5000}", "nothing"),
        (f"/runs/{'a' * 5000}", "ref"),
        (f"/alerts?run={'a' * 300}", "run"),
        (f"/runs/x/curve?key={'a' * 300}", "key"),
    ],
)
def test_parameters_are_bounded_and_the_bound_is_named(house: House, path: str, field: str) -> None:
    answer = house.local.get(f"/api/v1{path}")

    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert re.search(r"at most \d+", answer.json()["detail"]), answer.json()["detail"]


def test_a_run_is_changed_by_its_id_its_name_or_eight_digits_of_its_id_but_by_no_fewer(api: Api) -> None:
    batch = a_batch([1.0], name="changed")
    api.post(batch)

    def stop(ref: str) -> httpx.Response:
        return api.http.post(f"/api/v1/runs/{ref}/stop", json={})

    for ref in (batch.run_id, batch.run_id[:8], "changed"):
        assert stop(ref).status_code == 200
    for length in range(1, 8):
        answer = stop(batch.run_id[:length])
        assert answer.status_code in (404, 422), answer.text  # 404 where several begin so
        assert api.http.get(f"/api/v1/runs/{batch.run_id[:7]}").status_code == 200


def test_json_that_becomes_too_much_in_memory_is_refused_before_it_is_read(house: House) -> None:
    for body in (b"{}," * 800_000, b"[" * 1_600_000, b'"ab",' * 1_600_000, b'{"":0}' * 800_000):
        answer = house.local.post("/api/v1/batches", content=body, headers={"Content-Type": "application/json"})

        assert (answer.status_code, answer.json()["field"]) == (422, "body")
        assert "at most 1500000" in answer.json()["detail"]


def test_a_full_disk_is_not_ready(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(readiness, "FRESH_S", 0.0)
    monkeypatch.setattr(readiness, "ROOM", 2**62)

    answer = house.local.get("/readyz")

    assert (answer.status_code, answer.json()["type"]) == (503, "urn:lossmonitor:problem:store-error")
    assert "bytes free; make room" in caplog.text
    assert "bytes free" not in answer.text


def test_probes_ask_the_store_no_more_than_once_a_second(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "FRESH_S", 60.0)
    asked = []
    monkeypatch.setattr("monitor.api.health.problem_of", lambda *_: asked.append(1))

    with ThreadPoolExecutor(8) as pool:
        statuses = {answer.status_code for answer in pool.map(house.guarded.get, ["/readyz"] * 40)}

    assert statuses == {200}
    assert len(asked) <= 1


@given(st.text(max_size=60))
def test_no_host_is_taken_for_a_local_one_that_a_browser_would_look_up(host: str) -> None:
    name = host_name(host)

    if (
        "." in name.removesuffix(".")
        and not name.endswith(".localhost")
        and re.search(r"[a-z]", name)
        and ":" not in name
    ):
        assert not local_name(name)


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://127.0.0.1:8471", "127.0.0.1:8471", True),
        ("https://m.example", "m.example", True),
        ("https://m.example", "m.example:443", True),
        ("http://M.example", "m.EXAMPLE:80", True),
        ("http://127.0.0.1:8472", "127.0.0.1:8471", False),
        ("http://127.0.0.1:8471.evil.example", "127.0.0.1:8471", False),
        ("http://127.0.0.1:8471@evil.example", "127.0.0.1:8471", False),
        ("null", "null", False),
        ("", "", False),
        ("file://", "", False),
        ("http://evil.example:80443", "evil.example:80", False),
    ],
)
def test_an_origin_is_the_same_only_where_it_is_the_address_that_was_asked(origin: str, host: str, same: bool) -> None:
    assert same_origin(origin, host) is same
