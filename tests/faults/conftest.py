"""The process whose children are killed, and the checker: nothing lost, nothing twice, order kept."""

from __future__ import annotations

import itertools
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from monitor.settings import Settings, load
from monitor.shipping.sync import own_destination, sync, unsent
from monitor.store import Store

_files = itertools.count()


class Child:
    """A process that the victim forked.

    Attributes:
        pid: its process id.
        progress: where it counts what it has done.
    """

    def __init__(self, pid: int, progress: Path) -> None:
        self.pid, self.progress = pid, progress

    def done(self) -> int:
        """How many `log()` calls of the main metric have returned."""
        return int(struct.unpack("<q", self.progress.read_bytes()[:8])[0])

    def ready(self) -> bool:
        """True once its run has begun."""
        return self.progress.read_bytes()[8:] == b"\1" * 8

    def alive(self) -> bool:
        """True while the process is there."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.wait(60)

    def wait(self, timeout_s: float) -> None:
        """Wait until it is gone."""
        until(lambda: not self.alive(), timeout_s)


class Victim:
    """Starts processes to be killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "victim.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        self._children: list[Child] = []

    def start(self, do: str, settings: Settings, **order: object) -> Child:
        """Start a process."""
        progress = self._folder / f"progress-{next(_files)}"
        progress.write_bytes(b"\0" * 16)
        given = {
            name: str(value) if isinstance(value, Path) else value
            for name, value in settings.model_dump(exclude_unset=True).items()
            if name not in ("capture", "ship_interval_s", "heartbeat_s")
        }
        line = json.dumps({"do": do, "settings": given, "progress": str(progress), **order})
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        child = Child(int(self._process.stdout.readline()), progress)
        self._children.append(child)
        return child

    def command(self, arguments: list[str], settings: Settings, output: Path) -> Child:
        """Start `monitor` with these arguments, its output in a file, in the folder of that."""
        environment = {"MONITOR_DIR": str(settings.dir), "MONITOR_DATABASE_URL": settings.store_url}
        environment["MONITOR_CAPTURE"] = "false"
        order = {"arguments": arguments, "environment": environment, "folder": str(output.parent)}
        return self.start("command", settings, output=str(output), **order)

    def close(self) -> None:
        for child in self._children:
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
        self._process.communicate()


def until(condition: object, timeout_s: float) -> None:
    """Wait for a condition that only another process can fulfil."""
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)  # there is no event to wait for across processes that are killed


@pytest.fixture(scope="session")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    made = Victim(tmp_path_factory.mktemp("victim"))
    yield made
    made.close()


@pytest.fixture
def place(tmp_path: Path, sqlite_url: str) -> Settings:
    return load(dir=tmp_path, database_url=sqlite_url, capture=False, ship_interval_s=0.01, finish_timeout_s=60.0)


def recover(place: Settings) -> None:
    """Send what dead processes left to the embedded store, until their couriers, who do so as well, have gone.

    A courier that was just starting when its process was killed may take a journal up after the others were sent.
    """

    def all_sent() -> bool:
        report = sync(place.journal_dir, own_destination(place))
        assert [item.problem for item in report.left if item.problem] == []
        return unsent(place.journal_dir) == ()

    until(all_sent, 60)


def check(store: Store, run_id: str, key: str, returned: int) -> int:
    """Nothing lost, nothing twice, order kept.

    Args:
        returned: how many `log()` calls returned; the one in which the process died may have been stored as well.

    Returns:
        Points stored.
    """
    points = store.history(run_id, key)
    n = len(points)
    assert n in (returned, returned + 1), f"{returned} calls returned, {n} points are stored"
    assert points.steps.tolist() == list(range(n))
    assert points.values.tolist() == [float(step) for step in range(n)]
    return n
