"""More than one process behind one port: each record is stored once, whoever takes it, and whoever dies."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from monitor.domain import Reply
from monitor.errors import SettingsError
from monitor.server.workers import check_workers
from monitor.settings import Settings
from monitor.wire import MEDIA_TYPE, Batch, encode_batch

from .conftest import Start, Up, a_batch, descendants, until


def test_more_than_one_process_over_sqlite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="MONITOR_DATABASE_URL"):
        check_workers(Settings(dir=tmp_path, workers=2))


@pytest.mark.postgres
@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="other kernels do not spread connections over processes")
def test_two_processes_store_every_record_once_though_one_of_them_is_killed(start_up: Start, postgres_url: str) -> None:
    up = start_up("--no-dashboard", "--port", "0", "--workers", "2", MONITOR_DATABASE_URL=postgres_url)
    run_id, address = uuid.uuid4().hex, up.urls["api"]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(httpx.Client(base_url=address, timeout=60)) for _ in range(24)]
        for client in clients:  # whichever process is asked; one asks the other, which may be busy
            until(lambda client=client: "liveness" in client.get("/api/v1/info").json()["jobs"])  # type: ignore[misc]
        held = _connections(up)
        assert len(held) == 2
        assert sum(held.values()) == len(clients)  # so both have some, all but surely

        acked = 0
        for i, client in enumerate([*clients, *clients]):
            batch = a_batch(run_id, [1.0] * 10, first=acked)
            acked = _send(client, batch).acked
            again = _send(clients[(i + 7) % len(clients)], batch)
            assert (again.acked, again.duplicate) == (acked, True)
            if i == len(clients):
                os.kill(next(pid for pid in held if pid != up.process.pid), signal.SIGKILL)
        until(lambda: len(_connections(up)) == 2, 60)

    steps = httpx.get(f"{address}/api/v1/runs/{run_id}/history", params={"key": "train/loss"}).json()["steps"]
    assert steps == list(range(1, 481))


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.skipif(sys.platform != "linux", reason="as above")
def test_a_second_server_with_workers_does_not_join_the_first_ones_port(start_up: Start, postgres_url: str) -> None:
    first = start_up("--no-dashboard", "--port", "0", "--workers", "2", MONITOR_DATABASE_URL=postgres_url)
    port = str(urlsplit(first.urls["api"]).port)

    second = subprocess.run(
        [sys.executable, "-m", "monitor", "up", "--no-dashboard", "--port", port, "--workers", "2"],
        env={**os.environ, "MONITOR_DATABASE_URL": postgres_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert f"already running at {first.urls['api']}" in second.stderr


def _connections(up: Up) -> dict[int, int]:
    """The processes that listen at the server's port, and how many connections each has there."""
    port, found = urlsplit(up.urls["api"]).port, {}
    for pid in {up.process.pid, *descendants(up.process.pid)}:
        with contextlib.suppress(psutil.Error):
            own = [c for c in psutil.Process(pid).net_connections("tcp") if c.laddr and c.laddr.port == port]
            if any(c.status == psutil.CONN_LISTEN for c in own):
                found[pid] = sum(c.status == psutil.CONN_ESTABLISHED for c in own)
    return found


def _send(client: httpx.Client, batch: Batch) -> Reply:
    """Send a batch, once more where the connection went with the process at its other end."""
    for _ in range(3):
        with contextlib.suppress(httpx.TransportError):
            response = client.post("/api/v1/batches", content=encode_batch(batch), headers={"Content-Type": MEDIA_TYPE})
            assert response.status_code == 200, response.text
            return Reply.from_dict(response.json())
    raise AssertionError("nobody answers")
