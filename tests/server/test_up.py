from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import httpx
import pytest

from monitor.domain import Access, Caller
from monitor.errors import SettingsError
from monitor.server import run_dashboard, up
from monitor.server.ports import free_port
from monitor.settings import Settings
from monitor.store import Store

from ..alerts.conftest import Webhook
from .conftest import Start, a_batch, descendants, gone, post, until


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_ends_the_server_cleanly_and_soon(start_up: Start, number: int) -> None:
    up_ = start_up("--no-dashboard", "--port", "0")
    post(up_.urls["api"], a_batch(uuid.uuid4().hex, [3.0], first=0))

    assert up_.end(number, timeout_s=60) == 0  # a server that waits for something would never end


def test_no_answer_waits_for_an_acknowledgement_of_its_first_half(start_up: Start) -> None:
    took = [math.inf]
    with httpx.Client(base_url=start_up("--no-dashboard", "--port", "0").urls["api"]) as client:
        end = time.monotonic() + 60
        while min(took) >= 0.035 and time.monotonic() < end:
            begin = time.perf_counter()
            assert client.get("/healthz").is_success
            took.append(time.perf_counter() - begin)

    # Nagle's algorithm against delayed acknowledgements costs 40 ms every time; what else the machine does costs
    # something most of the time at most.
    assert min(took) < 0.035


def test_a_client_that_keeps_its_connection_does_not_keep_the_server_from_ending(start_up: Start) -> None:
    up_ = start_up("--no-dashboard", "--port", "0")
    with httpx.Client(base_url=up_.urls["api"]) as client:
        assert client.get("/healthz").is_success
        assert up_.end(signal.SIGTERM, timeout_s=60) == 0  # the connection stays open for as long as it is asked to


@pytest.mark.slow
def test_killing_the_server_loses_no_acknowledged_point(start_up: Start, tmp_path: Path) -> None:
    port = str(free_port("127.0.0.1", 0, "port"))
    run_id, acked = uuid.uuid4().hex, 0
    for _ in range(2):
        up_ = start_up("--no-dashboard", "--port", port)
        killer = threading.Timer(0.5, up_.process.kill)
        acked = post(up_.urls["api"], a_batch(run_id, [1.0] * 20, first=acked)).acked
        killer.start()
        try:
            while True:
                acked = post(up_.urls["api"], a_batch(run_id, [1.0] * 20, first=acked)).acked
        except httpx.HTTPError:
            pass
        killer.join()
        up_.end(signal.SIGKILL)

    up_ = start_up("--no-dashboard", "--port", port)
    history = httpx.get(f"{up_.urls['api']}/api/v1/runs/{run_id}/history?key=train/loss").json()

    # A batch may have been stored whose answer was cut off, and never half of one.
    assert len(history["steps"]) in (acked - 1, acked - 1 + 20, acked - 1 + 21)
    assert history["steps"][: acked - 1] == list(range(1, acked))


_ABANDONED = """
import os, monitor
run = monitor.init("p", name="abandoned", mode="offline")
for step in range(500):
    run.log({"train/loss": 1.0 / (1 + step)}, step=step)
os._exit(9)
"""


def test_journals_of_processes_that_died_are_shipped_at_the_start(start_up: Start, tmp_path: Path) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith("MONITOR_")} | {"MONITOR_DIR": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", _ABANDONED], env=env, check=False).returncode == 9

    up_ = start_up("--no-dashboard", "--port", "0")

    def stored() -> bool:
        found = httpx.get(f"{up_.urls['api']}/api/v1/runs/abandoned")
        return found.is_success and found.json()["series"][0]["count"] == 500

    until(stored)


@pytest.mark.slow
def test_a_second_server_over_the_same_store_says_where_the_first_one_is(start_up: Start, tmp_path: Path) -> None:
    first = start_up("--no-dashboard", "--port", "0")
    port = first.urls["api"].rsplit(":", 1)[1]

    second = start_up("--no-dashboard", "--port", port)

    assert second.urls == first.urls
    assert second.process.wait(60) == 0
    assert second.process.stderr
    assert f"already running at {first.urls['api']}" in second.process.stderr.read()
    assert httpx.get(f"{first.urls['api']}/healthz").is_success


def test_a_port_that_something_else_has_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(SettingsError, match=f"setting port: port {port} of 127.0.0.1 is taken; .*MONITOR_PORT"):
            up(Settings(dir=tmp_path, port=port), dashboard=False)


def test_a_host_that_others_reach_without_a_token_is_refused_before_anything_starts(tmp_path: Path) -> None:
    settings = Settings(dir=tmp_path / "new", host="0.0.0.0", port=0)

    for start in (up, run_dashboard):
        with pytest.raises(SettingsError, match="can be reached from other machines"):
            start(settings)
    assert not (tmp_path / "new").exists()


def test_on_a_thread_an_event_ends_it(tmp_path: Path) -> None:
    ready, stop, found = threading.Event(), threading.Event(), {}

    def note(urls: dict[str, str]) -> None:
        found.update(urls)
        ready.set()

    settings = Settings(dir=tmp_path, port=0, token="secret")
    thread = threading.Thread(target=up, args=(settings,), kwargs={"dashboard": False, "ready": note, "stop": stop})
    thread.start()
    assert ready.wait(60)
    try:
        assert httpx.get(f"{found['api']}/api/v1/runs").status_code == 401
        assert httpx.get(f"{found['api']}/api/v1/runs", headers={"Authorization": "Bearer secret"}).is_success
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()
    with Store.open(settings.store_url) as store:
        assert store.runs().total == 0


def test_a_verdict_reaches_a_webhook_and_mlflow_and_no_process_is_left_after_a_kill(
    start_up: Start, webhook: Webhook
) -> None:
    up_ = start_up(
        *("--dashboard-port", "0", "--port", "0", "--mlflow"),
        MONITOR_ALERT_URLS=json.dumps([webhook.url]),
        MONITOR_ALERT_INTERVAL_S="0.1",
    )
    assert up_.urls["mlflow"] == up_.urls["api"]
    links = httpx.get(f"{up_.urls['api']}/api/v1/info").json()["links"]
    assert links == {name: up_.urls[name] for name in ("dashboard", "mlflow")}

    run_id = uuid.uuid4().hex
    post(up_.urls["api"], a_batch(run_id, [3.0, 2.0, float("nan"), float("nan"), float("nan")], first=0, name="sick"))

    verdict = httpx.get(f"{up_.urls['api']}/api/v1/runs/{run_id}").json()["verdict"]
    assert verdict in ("nan", "divergence")
    until(lambda: any(body["title"].startswith(f"sick: {verdict} since step 3") for body in webhook.bodies))
    until(lambda: _mlflow_verdicts(up_.urls["mlflow"], run_id) == [verdict], timeout_s=60)

    below = descendants(up_.process.pid)
    assert len(below) >= 2
    up_.end(signal.SIGKILL)
    until(lambda: all(gone(pid) for pid in below), timeout_s=60)


def _mlflow_verdicts(uri: str, run_id: str) -> list[str]:
    experiment = httpx.get(f"{uri}/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": "p"})
    if not experiment.is_success:
        return []
    query = {
        "experiment_ids": [experiment.json()["experiment"]["experiment_id"]],
        "filter": f"tags.`monitor.run_id` = '{run_id}'",
    }
    runs = httpx.post(f"{uri}/api/2.0/mlflow/runs/search", json=query).json().get("runs", [])
    return [tag["value"] for run in runs for tag in run["data"]["tags"] if tag["key"] == "monitor.verdict"]


def test_a_token_in_the_store_opens_the_server_to_other_machines_and_its_own_parts_go_on(
    start_up: Start, tmp_path: Path
) -> None:
    settings = Settings(dir=tmp_path)
    with Store.open(settings.store_url) as store:
        by = Caller(name="test", access=Access.ADMIN)
        times = {"project": None, "expires_ms": None, "now_ms": 1, "by": by}
        token = store.create_token("me", Access.VIEWER, **times)[1]  # type: ignore[arg-type]  # given by name

    url = start_up("--no-dashboard", "--port", "0", "--host", "0.0.0.0").urls["api"]

    assert httpx.get(f"{url}/api/v1/runs").status_code == 401
    assert httpx.get(f"{url}/api/v1/runs", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    refused = httpx.post(f"{url}/api/v1/runs/x/stop", json={}, headers={"Authorization": f"Bearer {token}"})
    assert refused.status_code == 403
