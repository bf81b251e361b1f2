"""A server dies while a receiver has a message of its and does not answer: another sends it within ten seconds."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from monitor.alerts import AppriseChannel, key_of
from monitor.domain.clocks import LEASE_MS
from monitor.store import Store
from tests.conftest import Feed
from tests.faults.test_alert_delivery import known
from tests.server.conftest import Start, start_up, until

pytestmark = [pytest.mark.faults, pytest.mark.slow]
__all__ = ["start_up"]


class Hanging:
    """Takes messages, and answers once it is told to."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.came, self.answers = threading.Event(), threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                outer.came.set()
                outer.answers.wait(60)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

            def handle(self) -> None:
                with contextlib.suppress(OSError):  # whoever waited for the answer is dead
                    super().handle()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self.server.server_port}/alerts?rto=60"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def next(self, timeout_s: float) -> bool:
        """Wait for another message; False where none comes."""
        found = self.came.wait(timeout_s)
        self.came.clear()
        return found


@pytest.fixture
def receiver() -> Iterator[Hanging]:
    made = Hanging()
    yield made
    made.answers.set()
    made.server.shutdown()
    made.server.server_close()


@pytest.mark.postgres
def test_another_server_sends_what_the_dead_one_was_sending(
    start_up: Start, postgres_url: str, receiver: Hanging
) -> None:
    env = {"MONITOR_DATABASE_URL": postgres_url, "MONITOR_ALERT_URLS": receiver.url}
    with Store.open(postgres_url) as store:
        first = start_up("--no-dashboard", "--port", "0", **env)
        alert(store, receiver)
        start_up("--no-dashboard", "--port", "0", **env)
        assert not receiver.next(LEASE_MS / 1000 + 3)  # while the first one lives, its hold lasts
        died = time.monotonic()
        first.end(signal.SIGKILL)
        assert receiver.next(10)
        assert time.monotonic() - died < 10
        settled_once(store, receiver)


def test_a_server_that_is_started_again_sends_it(start_up: Start, sqlite_url: str, receiver: Hanging) -> None:
    env = {"MONITOR_DATABASE_URL": sqlite_url, "MONITOR_ALERT_URLS": receiver.url}
    with Store.open(sqlite_url) as store:
        first = start_up("--no-dashboard", "--port", "0", **env)
        alert(store, receiver)
        first.end(signal.SIGKILL)
        start_up("--no-dashboard", "--port", "0", **env)
        assert receiver.next(10)
        settled_once(store, receiver)


def alert(store: Store, receiver: Hanging) -> None:
    """Have the server send a message that is not answered."""
    until(lambda: key_of(AppriseChannel(receiver.url)) in known(store))
    feed = Feed(store, now_ms=time.time_ns() // 1_000_000)
    feed.start()
    feed.event("alert", title="look", body="", severity="critical")
    assert receiver.next(20)


def settled_once(store: Store, receiver: Hanging) -> None:
    """The message came twice, as the same one, and not again once it was answered."""
    receiver.answers.set()
    until(lambda: all(row.delivered_ms is not None for row in store.alerts()))
    assert not receiver.next(2)
    assert len(receiver.bodies) == 2
    assert len({(body["id"], body["dedup_key"]) for body in receiver.bodies}) == 1
