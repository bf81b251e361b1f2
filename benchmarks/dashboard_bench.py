"""What the measurements of the dashboard share: a filled store, a server over it, and a table of figures."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import psutil
from bench_store import Run, columns, loss
from playwright.sync_api import Browser, Page

from monitor.domain import RunQuery
from monitor.ingest import ingest
from monitor.ingest.engines import Engines
from monitor.store import Store
from monitor.wire import Batch, Columns, Event

POINTS = 40
"""Points of each of the many runs."""
METRICS = 39
"""Of the long run besides its loss."""
COMPARED = 100
BUSY = "while True: sum(range(10_000))"


def fill(store: Store, runs: int, points: int) -> None:
    """Many short runs, of which one in twenty is open and diverges, and one long one."""
    engines, now = Engines(), time.time_ns() // 1_000_000
    steps = np.arange(POINTS)
    for i in range(runs):
        rng = np.random.default_rng(i)
        values = 2 / (1 + steps / 10) * (1 + 0.05 * rng.normal(size=POINTS))
        if i % 20 == 0:
            values = values * np.exp(np.maximum(0, steps - 30) / 3)
        place = Columns(np.zeros(POINTS, np.uint16), steps, values, np.full(POINTS, now))
        first = Event(kind="run", record=0, time_ms=now, data={
            "project": f"project-{i % 5}", "name": f"run-{i}", "config": {"lr": float(rng.random()), "seed": i},
        })  # fmt: skip
        last = Event(kind="finish", record=POINTS + 1, time_ms=now, data={"status": "finished"})
        events = (first,) if i % 20 == 0 else (first, last)
        batch = Batch(run_id=os.urandom(16).hex(), writer="w", first=0, count=POINTS + len(events),
                      keys=("train/loss",), points=place, events=events)  # fmt: skip
        ingest(store, engines, batch, now_ms=now)
    if store.runs(RunQuery(search="long", limit=1)).total:
        return
    long, values = Run(store, engines, "long"), loss(points)
    for at in range(0, points, 100_000):
        long.send(columns(at, values[at : at + 100_000]))
    steps = np.arange(0, points, max(1, points // 10_000))
    for i in range(METRICS):
        small = 2 / (1 + steps / points) + np.random.default_rng(i).normal(0, 0.05, len(steps))
        long.send(
            Columns(np.zeros(len(steps), np.uint16), steps, small, np.full(len(steps), now)), f"part{i // 8}/m{i}"
        )


class Figures:
    """Rows of a Markdown table, printed as they come."""

    def __init__(self) -> None:
        print("| figure | measured | asked | load |\n|---|---|---|---|", flush=True)

    def add(self, what: str, value: float, unit: str, asked: float | None = None) -> None:
        """A figure, with the most that it may be; None where nothing is asked."""
        missed = asked is not None and value > asked
        limit = "" if asked is None else f"{asked:g} {unit}{', missed' if missed else ''}"
        print(f"| {what} | {value:.4g} {unit} | {limit} | {os.getloadavg()[0]:.0f} |", flush=True)


@dataclass(frozen=True, slots=True)
class Bench:
    """What the parts measure with."""

    figures: Figures
    browser: Browser
    links: Mapping[str, str]
    root: psutil.Process
    store: Store
    small: bool

    @property
    def here(self) -> str:
        """The dashboard's address."""
        return self.links["dashboard"]

    @property
    def rounds(self) -> int:
        """Visits a median is of, after the first one."""
        return 1 if self.small else 5

    def page(self) -> Page:
        """A page with caches of its own."""
        return self.browser.new_context(viewport={"width": 1440, "height": 900}).new_page()

    def run(self, name: str = "long") -> str:
        """The address of a run's page."""
        return f"{self.here}/run?id={self.store.run(name).id}"

    def compared(self) -> str:
        """The address of a comparison of many runs."""
        runs = self.store.runs(RunQuery(search="run-", limit=COMPARED)).items
        return f"{self.here}/compare?" + "&".join(f"run={run.id}" for run in runs)


def spent(root: psutil.Process) -> float:
    """Seconds of processor time of a process and all that it started."""
    times = [each.cpu_times() for each in (root, *root.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def resident(root: psutil.Process) -> float:
    """MiB of memory of a process and all that it started."""
    return float(sum(each.memory_info().rss for each in (root, *root.children(recursive=True)))) / 2**20


@contextlib.contextmanager
def burners(count: int) -> Iterator[None]:
    """So many processes that do nothing but keep a core busy."""
    started = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


@contextlib.contextmanager
def served(
    folder: str, store: Store, port: str, dashboard: str
) -> Iterator[tuple[Mapping[str, str], psutil.Process, Store]]:
    """`monitor up` over a folder."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MONITOR_")} | {"MONITOR_DIR": folder}
    command = [sys.executable, "-m", "monitor", "up", "--json", "--port", port, "--dashboard-port", dashboard]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout
        yield json.loads(process.stdout.readline()), psutil.Process(process.pid), store
    finally:
        process.terminate()
        process.wait(30)
