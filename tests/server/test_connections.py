"""Clients that say nothing, too much, or take nothing: the others do not notice them."""

from __future__ import annotations

import contextlib
import itertools
import logging
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import Response

from monitor.server import connections, create_app
from monitor.server.ports import bind
from monitor.server.serving import Serving
from monitor.settings import Settings

from .conftest import Start, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
HALF = b"GET /api/v1/info HTTP/1.1\r\nHost: x\r\nX-Half: "
CHUNKED = (
    b"POST /api/v1/batches HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A server in this process, as `monitor up` serves."""
    with bind("127.0.0.1", 0, "port") as sock:
        host, port = sock.getsockname()[:2]
        with Serving(create_app(Settings(dir=tmp_path)), [sock], f"http://{host}:{port}", threading.Event()):
            yield host, port


def all_of(sock: socket.socket) -> bytes:
    """What comes until the other side closes."""
    found = b""
    try:
        while part := sock.recv(65536):
            found += part
    except ConnectionResetError:
        pass
    return found


@pytest.mark.slow
def test_idle_clients_cannot_use_up_the_descriptors(start_up: Start) -> None:
    up = start_up("--port", "0", "--no-dashboard", "--no-mlflow", files=300)
    place = httpx.URL(up.urls["api"])

    with ExitStack() as stack:
        for _ in range(400):
            idle = stack.enter_context(socket.create_connection((place.host, place.port or 80), timeout=60))
            idle.sendall(HALF)
        with httpx.Client(base_url=place, timeout=60) as client:
            statuses = {client.get("/api/v1/runs").status_code for _ in range(20)}
        fresh = {httpx.get(f"{place}/readyz", timeout=60).status_code for _ in range(5)}

    assert statuses == fresh == {200}
    up.process.send_signal(signal.SIGTERM)
    assert up.process.stderr
    assert "connections closed while idle, to make room for others" in up.process.stderr.read()


def test_a_head_that_does_not_end_is_answered_and_logged(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 600.0)  # until all have sent what they send
    with (
        caplog.at_level(logging.WARNING, "monitor.server.connections"),
        socket.create_connection(address, timeout=60) as silent,
        socket.create_connection(address, timeout=60) as half,
        socket.create_connection(address, timeout=60) as second,
    ):
        half.sendall(HALF)
        second.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + HALF)
        answers = second.recv(65536)
        monkeypatch.setattr(connections, "HEAD_S", 0.2)

        assert all_of(silent).startswith(b"HTTP/1.1 408")
        assert all_of(half).startswith(b"HTTP/1.1 408")
        answers += all_of(second)  # the first of its requests is answered
        assert answers.startswith(b"HTTP/1.1 200")
        assert b"HTTP/1.1 408" in answers
    assert "connections closed: no request within 0.2 s: 1" in caplog.text


@pytest.mark.parametrize(
    "endless",
    [
        b"GET / HTTP/1.1\r\nX: " + b"a" * 1_000_000,
        b"GET /" + b"a" * 1_000_000,
        b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 100_000,
        CHUNKED + b"1;" + b"a" * 1_000_000,
        CHUNKED + b"1\r\n \r\n0\r\nX: " + b"a" * 1_000_000,
    ],
    ids=["header", "address", "headers", "chunk extension", "trailer"],
)
def test_what_is_no_body_is_bounded(address: tuple[str, int], endless: bytes) -> None:
    with socket.create_connection(address, timeout=60) as sock:
        try:
            for at in range(0, len(endless), 50_000):
                sock.sendall(endless[at : at + 50_000])
        except OSError:
            pass
        answer = all_of(sock)

    assert not answer or answer.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400", b"HTTP/1.1 422")), answer[:100]
    assert httpx.get(f"http://{address[0]}:{address[1]}/healthz").status_code == 200


def test_an_answer_that_is_not_taken_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "STALL_S", 0.2)
    app = create_app(Settings(dir=tmp_path))

    @app.get("/long")
    async def long() -> Response:
        return Response(b"x" * 64 * 2**20)

    with (
        caplog.at_level(logging.WARNING, "monitor.server.connections"),
        bind("127.0.0.1", 0, "port") as sock,
        Serving(app, [sock], "http://x", threading.Event()),
        socket.socket() as idle,
    ):
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        idle.settimeout(60)
        idle.connect(sock.getsockname()[:2])
        idle.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: "nothing of an answer read" in caplog.text)
        assert len(all_of(idle)) < 64 * 2**20


_PARTS = (
    b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /api/v1/batches HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    CHUNKED + b"2\r\n{}\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
    b"\0\r\n\r\n",
)


def test_whatever_clients_send_and_whenever_they_go_no_connection_is_forgotten(tmp_path: Path) -> None:
    with bind("127.0.0.1", 0, "port") as sock:
        address = sock.getsockname()[:2]
        serving = Serving(create_app(Settings(dir=tmp_path)), [sock], "http://x", threading.Event())
        kept = serving._uvicorn.config.http.connections_  # type: ignore[union-attr]  # as `Serving` made it

        @settings(max_examples=60, deadline=None)
        @given(st.lists(st.sampled_from(_PARTS), max_size=4), st.lists(st.integers(0, 400), max_size=5), st.booleans())
        def talk(parts: list[bytes], cuts: list[int], listens: bool) -> None:
            said = b"".join(parts)
            with socket.create_connection(address, timeout=60) as client:
                for begin, end in itertools.pairwise(sorted({0, *cuts, len(said)})):
                    try:
                        client.sendall(said[begin:end])
                    except OSError:
                        break
                if listens and said:
                    client.settimeout(0.05)
                    with contextlib.suppress(OSError):
                        client.recv(65536)

        with serving:
            talk()
            until(lambda: not (kept.all or kept.heads or kept.kept or kept.stalled))
            assert httpx.get(f"http://{address[0]}:{address[1]}/healthz").status_code == 200


def test_where_connections_run_out_one_that_waits_gives_way_and_one_at_work_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.server.serving.descriptors", lambda: 80)  # 16 connections
    monkeypatch.setattr(connections, "HEAD_S", 600.0)
    app = create_app(Settings(dir=tmp_path))
    entered, leave = threading.Semaphore(0), threading.Event()

    @app.get("/work")
    def work() -> str:
        entered.release()
        leave.wait(60)
        return "done"

    with bind("127.0.0.1", 0, "port") as sock, ExitStack() as stack:
        address = sock.getsockname()[:2]
        stack.enter_context(Serving(app, [sock], "http://x", threading.Event()))
        busy = [stack.enter_context(socket.create_connection(address, timeout=60)) for _ in range(15)]
        for one in busy:
            one.sendall(b"GET /work HTTP/1.1\r\nHost: x\r\n\r\n")
            assert entered.acquire(timeout=60)
        idle = stack.enter_context(socket.create_connection(address, timeout=60))
        idle.sendall(HALF)
        last = stack.enter_context(socket.create_connection(address, timeout=60))
        last.sendall(b"GET /work HTTP/1.1\r\nHost: x\r\n\r\n")
        assert entered.acquire(timeout=60)  # let in
        assert all_of(idle) == b""  # for whom it had to go
        with socket.create_connection(address, timeout=60) as refused:
            assert all_of(refused).startswith(b"HTTP/1.1 503")
        leave.set()
        for one in [*busy, last]:
            assert one.recv(65536).startswith(b"HTTP/1.1 200")
