"""Servers as users run them: `python -m monitor up` in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
import numpy as np
import pytest

from monitor.domain import Reply
from monitor.wire import MEDIA_TYPE, Batch, Columns, Event, encode_batch

from ..alerts.conftest import webhook  # noqa: F401  # a fixture

NOW_MS = 1_764_000_000_000


@dataclass
class Up:
    """A running `monitor up`."""

    process: subprocess.Popen[str]
    urls: dict[str, str]

    def end(self, number: int, timeout_s: float = 60) -> int:
        """Send a signal and wait; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout_s)
        finally:
            for pipe in (self.process.stdout, self.process.stderr):
                if pipe:
                    pipe.close()


Start = Callable[..., Up]


@pytest.fixture
def start_up(tmp_path: Path) -> Iterator[Start]:
    """Starts `monitor up ARGUMENTS` over this test's folder and waits until it is ready."""
    started: list[Up] = []

    def start(*arguments: str, files: int | None = None, log: Path | None = None, **env: str) -> Up:
        command = [sys.executable, "-m", "monitor", "up", "--json", "--dir", str(tmp_path), *arguments]
        if files is not None:  # descriptors that it may have
            command = ["sh", "-c", f'ulimit -n {files} && exec "$@"', "sh", *command]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MONITOR_")}
        with contextlib.ExitStack() as stack:
            stderr: IO[str] | int = stack.enter_context(log.open("a")) if log else subprocess.PIPE
            process = subprocess.Popen(command, env={**clean, **env}, stdout=subprocess.PIPE, stderr=stderr, text=True)
        up = Up(process, {})
        started.append(up)
        assert process.stdout
        line = process.stdout.readline()
        assert line, log.read_text() if log else process.stderr and process.stderr.read()
        up.urls = json.loads(line)
        return up

    yield start
    for up in started:
        up.end(signal.SIGKILL)


def post(url: str, batch: Batch) -> Reply:
    """Send a batch to a server."""
    response = httpx.post(
        f"{url}/api/v1/batches", content=encode_batch(batch), headers={"Content-Type": MEDIA_TYPE}, timeout=60
    )
    assert response.status_code == 200, response.text
    return Reply.from_dict(response.json())


def a_batch(run_id: str, losses: list[float], *, first: int, name: str = "n", key: str = "train/loss") -> Batch:
    """Records `first`… of a run's only writer; the first one starts the run."""
    n, start = len(losses), first == 0
    data = {"project": "p", "name": name, "resume": "never"}
    steps = np.arange(first, first + n) + start
    return Batch(
        run_id=run_id,
        writer="w",
        first=first,
        count=n + start,
        keys=(key,) if n else (),
        points=Columns(np.zeros(n, "u2"), steps, np.array(losses, "f8"), NOW_MS + steps) if n else Columns.empty(),
        events=(Event(kind="run", record=0, time_ms=NOW_MS, data=data),) if start else (),
    )


def gone(pid: int) -> bool:
    """True once no process, or only a zombie, has this id."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def descendants(pid: int) -> set[int]:
    """All processes below one."""
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == pid:
                found |= {int(entry.name)} | descendants(int(entry.name))
    return found


def until(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    """Wait for something that another process does."""
    pause, end = threading.Event(), time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        pause.wait(0.05)
