"""The clock of a server or of a training is set while both run: nothing is lost, twice, out of order, or falsely lost.

A library that is preloaded (`clock.c`) sets the clocks; without a C compiler these tests are skipped.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.alerts.conftest import Webhook, webhook  # noqa: F401  # a fixture
from tests.server.conftest import Start, Up, start_up, until

__all__ = ["start_up"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.faults,
    pytest.mark.skipif(
        not (sys.platform == "linux" and shutil.which("cc")), reason="needs Linux and a C compiler: apt-get install gcc"
    ),
]
HOUR, DAY = 3600, 86_400
TRAINING = """
import os, sys, time, monitor

run, n = monitor.init(project="clocks", name=sys.argv[1]), 0
while not os.path.exists(sys.argv[2]):
    run.log({"train/loss": 1.0}, step=n)
    n += 1
    time.sleep(0.02)
run.finish()
print(n, run.id)
"""


class Clock:
    """The clock of one process and of those that it starts."""

    def __init__(self, file: Path, library: Path) -> None:
        self.file, self.env = file, {"LD_PRELOAD": str(library), "CLOCK_FILE": str(file)}
        file.write_bytes(bytes(8))

    def set(self, ahead_s: int) -> None:
        """How far it is ahead of the right time."""
        with self.file.open("r+b") as file:
            file.write(ahead_s.to_bytes(8, sys.byteorder, signed=True))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("clock") / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(made), str(source), "-ldl"], check=True)
    return made


class Trainings:
    """Two trainings, of which the first has a clock of its own."""

    def __init__(self, folder: Path, server: str, clock: Clock, token: str = "") -> None:
        self.over = folder / "over"
        own = {"MONITOR_SERVER_URL": server, "MONITOR_CAPTURE": "false", "MONITOR_HEARTBEAT_S": "0.5"}
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MONITOR_")} | own
        clean |= {"MONITOR_TOKEN": token} if token else {}
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-c", TRAINING, name, str(self.over)],
                env={**clean, **env, "MONITOR_DIR": str(folder / name)},
                stdout=subprocess.PIPE,
                text=True,
            )
            for name, env in (("set", clock.env), ("right", {}))
        ]

    def end(self) -> dict[str, int]:
        """Points logged by run id."""
        self.over.touch()
        found = {}
        for process in self.processes:
            out, _ = process.communicate(timeout=60)
            count, run_id = out.split()
            found[run_id] = int(count)
        return found

    def close(self) -> None:
        """Leave none behind."""
        for process in self.processes:
            process.kill()
            process.communicate()


def served(start_up: Start, clock: Clock, **env: str) -> Up:
    own = {
        "MONITOR_LOST_AFTER_S": "5", "MONITOR_STALLED_AFTER_S": "5", "MONITOR_LIVENESS_INTERVAL_S": "0.2",
        "MONITOR_KEEPING_INTERVAL_S": "0.5", "MONITOR_RETENTION_DAYS": json.dumps({"*": 0.5}),
    }  # fmt: skip
    return start_up("--no-dashboard", "--port", "0", **clock.env, **own, **env)


def statuses(api: httpx.Client) -> dict[str, str]:
    return {run["name"]: run["status"] for run in api.get("/api/v1/runs").json()["runs"]}


def complete(api: httpx.Client, run_id: str, count: int) -> bool:
    """Whether every point is there once, in order."""
    found = api.get(f"/api/v1/runs/{run_id}/history", params={"key": "train/loss"}).json()
    return bool(found["steps"] == list(range(count)))


@pytest.mark.parametrize("whose", ["server", "training"])
def test_nothing_is_lost_or_called_lost_while_a_clock_is_set(
    start_up: Start,
    tmp_path: Path,
    library: Path,
    webhook: Webhook,  # noqa: F811  # the fixture
    whose: str,
) -> None:
    clocks = {name: Clock(tmp_path / name, library) for name in ("server", "training")}
    jumps = clocks[whose]
    up = served(start_up, clocks["server"], MONITOR_ALERT_URLS=json.dumps([webhook.url]))
    trainings = Trainings(tmp_path, up.urls["api"], clocks["training"])
    with contextlib.closing(trainings), httpx.Client(base_url=up.urls["api"], timeout=10) as api:
        until(lambda: statuses(api) == {"set": "running", "right": "running"}, 60)
        for offset in (-HOUR, 0, DAY, 0, 400 * DAY, 400 * DAY - HOUR, -20 * 365 * DAY, 0):
            jumps.set(offset)
            seen = watched(lambda: statuses(api), 7)
            assert seen == [{"set": "running", "right": "running"}], offset
        for run_id, count in trainings.end().items():
            until(lambda run_id=run_id, count=count: complete(api, run_id, count))  # type: ignore[misc]
        jumps.set(2 * DAY)
        seen = watched(lambda: statuses(api), 3)
        assert seen == [{"set": "finished", "right": "finished"}]
        jumps.set(0)
        alarms = [body["title"] for body in webhook.bodies if body["rule"] in ("lost", "stalled", "failed")]
        assert alarms == []
    assert up.end(signal.SIGTERM) == 0


def watched(look: Callable[[], dict[str, str]], seconds: float) -> list[dict[str, str]]:
    """What was seen for a while, without repetition."""
    seen: list[dict[str, str]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (now := look()) not in seen:
            seen.append(now)
        time.sleep(0.2)  # a false alarm has no event to await
    return seen
