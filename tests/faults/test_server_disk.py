"""The disk under a server is full or read-only, or its database is moved away: points wait, and none is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from monitor.store import Store
from tests.server.conftest import Start, Up, start_up, until

pytestmark = [pytest.mark.slow, pytest.mark.faults]
__all__ = ["start_up"]
TRAINING = """
import sys, time, monitor
from pathlib import Path

run, step = monitor.init(project="p", name="training"), 0
while not Path(sys.argv[1]).exists():
    run.log({"train/loss": 1.0}, step=step)
    step += 1
    time.sleep(0.005)
run.finish()
print(step)
"""


def mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MiB, where this machine lets us have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)):
        pytest.skip("mounting needs a privilege that this process has not")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


class Case:
    """A server over a database on a disk of its own, and a training that logs to it."""

    def __init__(self, start: Start, disk: Path, folder: Path) -> None:
        self.start, self.disk, self.folder, self.over = start, disk, folder, folder / "over"
        self.url = f"sqlite:///{disk / 'monitor.db'}"
        self.server = self.up("0")
        own = {"MONITOR_SERVER_URL": self.server.urls["api"], "MONITOR_DIR": str(folder / "client")}
        own |= {"MONITOR_CAPTURE": "false", "MONITOR_FINISH_TIMEOUT_S": "120"}
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MONITOR_")}
        command = [sys.executable, "-c", TRAINING, str(self.over)]
        self.training = subprocess.Popen(command, env={**clean, **own}, stdout=subprocess.PIPE, text=True)
        until(lambda: self.stored() > 100, 60)

    def up(self, port: str) -> Up:
        return self.start("--no-dashboard", "--port", port, MONITOR_DATABASE_URL=self.url)

    def ready(self) -> bool:
        return httpx.get(f"{self.server.urls['api']}/readyz", timeout=30).status_code == 200

    def stored(self) -> int:
        with Store.open(self.url) as store:
            found = store.runs(limit=1).items
            return (found[0].last_step or 0) if found else 0

    def check(self) -> None:
        """All that was logged is there, once, in its order."""
        at = self.stored()
        until(lambda: self.stored() > at, 120)
        self.over.touch()
        out, _ = self.training.communicate(timeout=180)
        with Store.open(self.url) as store:
            steps = store.history(store.run("training").id, "train/loss").steps.tolist()
        assert steps == list(range(int(out)))


def fills_up(case: Case) -> None:
    with (case.disk / "other").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    until(lambda: not case.ready(), 60)
    assert case.training.poll() is None
    (case.disk / "other").unlink()
    until(case.ready, 60)


def is_moved_away_and_put_back(case: Case) -> None:
    files = sorted(case.disk.glob("monitor.db*"))
    for path in files:
        path.rename(path.with_name(f"away-{path.name}"))
    until(lambda: not case.ready(), 60)
    assert not (case.disk / "monitor.db").exists()
    for path in files:
        path.with_name(f"away-{path.name}").rename(path)
    until(case.ready, 60)


def is_read_only_when_the_server_starts(case: Case) -> None:
    port = str(httpx.URL(case.server.urls["api"]).port)
    case.server.end(signal.SIGKILL)
    assert mount("-o", "remount,ro", str(case.disk))
    case.server = case.up(port)
    assert not case.ready()
    assert mount("-o", "remount,rw", str(case.disk))
    until(case.ready, 60)


@pytest.mark.parametrize("fault", [fills_up, is_moved_away_and_put_back, is_read_only_when_the_server_starts])
def test_points_wait_until_the_disk_is_well(
    start_up: Start, disk: Path, tmp_path: Path, fault: Callable[[Case], None]
) -> None:
    case = Case(start_up, disk, tmp_path)
    try:
        fault(case)
        case.check()
    finally:
        case.training.kill()
        case.training.wait(20)
