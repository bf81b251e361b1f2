"""Trainings log through HAProxy to servers that are killed at random: nothing is lost, each alert is sent once."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from monitor.domain import RunStatus
from monitor.server.ports import free_port
from monitor.store import Store
from monitor.store.outbox import NEVER_MS
from tests.alerts.conftest import Webhook, webhook  # noqa: F401  # a fixture
from tests.faults.haproxy import balancer
from tests.server.conftest import Start, Up, start_up, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.faults,
    pytest.mark.skipif(shutil.which("haproxy") is None, reason="HAProxy is not installed: apt-get install haproxy"),
]
__all__ = ["start_up"]
SERVERS, KILLS = 3, 8
TRAINING = """
import os, sys, time, monitor

run, steps, left = monitor.init(project="fleet", name=sys.argv[1]), 0, 50
while left:
    left -= os.path.exists(sys.argv[2])
    ill = sys.argv[1].startswith("ill") and left < 50
    run.log({"train/loss": float("nan") if ill else 2 / (1 + steps / 100)}, step=steps)
    steps += 1
    time.sleep(0.02)  # as a training takes time for its steps
run.finish()
print(steps)
"""
"""Trains until a file is there, and 50 steps more."""


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate(timeout=10)


def test_trainings_behind_a_balancer_lose_nothing_and_each_alert_is_sent_once(
    start_up: Start,
    postgres_url: str,
    webhook: Webhook,  # noqa: F811  # the fixture
    processes: list[subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    ports = [free_port("127.0.0.1", 0, "port") for _ in range(SERVERS)]
    env = {"MONITOR_DATABASE_URL": postgres_url, "MONITOR_ALERT_URLS": webhook.url, "MONITOR_LOST_AFTER_S": "20"}

    def start(port: int) -> Up:
        return start_up("--no-dashboard", "--port", str(port), **env)

    servers = [start(port) for port in ports]
    proxy, url = balancer(tmp_path, ports)
    processes.append(proxy)
    until(lambda: _answers(url), 20)

    over = tmp_path / "over"

    def train(name: str) -> subprocess.Popen[bytes]:
        own = {"MONITOR_SERVER_URL": url, "MONITOR_DIR": str(tmp_path / name), "MONITOR_HEARTBEAT_S": "1"}
        own |= {"MONITOR_CAPTURE": "false", "MONITOR_FINISH_TIMEOUT_S": "60"}
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MONITOR_")}
        command = [sys.executable, "-c", TRAINING, name, str(over)]
        process = subprocess.Popen(command, env={**clean, **own}, stdout=subprocess.PIPE, start_new_session=True)
        processes.append(process)
        return process

    trainings = {name: train(name) for name in ("ill-1", "ill-2", "well")}
    gone = train("gone")
    with Store.open(postgres_url) as store:
        until(lambda: _step(store, "gone") > 20, 60)
        os.killpg(gone.pid, signal.SIGKILL)  # its courier too: nobody says that it is over
        kills = _kill_servers(servers, start, over, lambda: any(each.poll() is None for each in trainings.values()))
        assert [each.returncode for each in trainings.values()] == [0] * len(trainings)

        for name, training in trainings.items():
            run, (steps, _) = store.run(name), training.communicate()
            assert run.status is RunStatus.FINISHED
            assert store.history(run.id, "train/loss").steps.tolist() == list(range(int(steps)))
        assert store.diagnosis(store.run("ill-1").id).verdict != store.diagnosis(store.run("well").id).verdict
        until(lambda: store.run("gone").status is RunStatus.LOST, 60)  # another server has taken the watch over
        # ... and the sending, once the dead one's hold is over.
        until(lambda: not _waiting(store), 60)
        sent = {f"{row.alert.run_id}-{row.id}": row.alert for row in store.alerts() if row.delivered_ms is not None}
    times = Counter(body["id"] for body in webhook.bodies)
    assert set(times) == set(sent)
    assert {"ill-1", "ill-2", "gone"} <= {alert.run_name for alert in sent.values()}
    assert sum(times.values()) <= len(sent) + kills  # who dies between sending and writing it down repeats one message


def test_a_head_that_comes_too_slowly_holds_no_connection_of_the_balancer(
    processes: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    proxy, url = balancer(tmp_path, [1])
    processes.append(proxy)
    port = int(httpx.URL(url).port or 0)

    def listens() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True
        return False

    until(listens)
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nX: ")
        slow.settimeout(1)
        answer = b""
        while not answer:
            assert time.monotonic() - begun < 30
            slow.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                answer = slow.recv(100)
    assert answer.startswith(b"HTTP/1.1 408")


def _kill_servers(servers: list[Up], start: Callable[[int], Up], over: Path, training: Callable[[], bool]) -> int:
    """SIGKILL one or two servers at a time, at random moments, and start them again; how many died.

    After `KILLS` of them the trainings are asked to end, and the kills continue until they have.
    """
    rng, kills = random.Random(11), 0
    while training():
        if kills >= KILLS:
            over.touch()
        time.sleep(rng.uniform(0.2, 2.0))  # the kill comes at any moment
        victims = rng.sample(range(SERVERS), rng.choice([1, 1, 2]))
        ports = {each: int(httpx.URL(servers[each].urls["api"]).port or 0) for each in victims}
        for each in victims:
            servers[each].end(signal.SIGKILL)
        for each in victims:
            servers[each] = start(ports[each])
        kills += len(victims)
    return kills


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _waiting(store: Store) -> bool:
    return any(row.delivered_ms is None and row.next_ms < NEVER_MS for row in store.alerts())


def _step(store: Store, name: str) -> int:
    found = store.runs(limit=100).items
    return next((run.last_step or 0 for run in found if run.name == name), 0)
