"""What people wait for on the dashboard, and what its open pages cost.

A store is filled, `monitor up` is started over it, and a headless Chromium opens its pages. A time is that from the
start of the navigation until the rows of the list, or the curve, are on the page, with its scripts in the browser's
cache; the median of several. Then a run gets a point a second while so many pages show it. The processor time and the
memory are those of the server and the dashboard together, without Chromium.

    python benchmarks/bench_dashboard.py            # 10,000 runs and a curve of 10,000,000 points, about ten minutes
    python benchmarks/bench_dashboard.py --smoke    # half a minute, to see that it runs
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import psutil
from bench_store import Run, Table, columns, loss
from playwright.sync_api import Browser, Page, sync_playwright

from monitor.domain import RunQuery
from monitor.ingest import ingest
from monitor.rules import Engine
from monitor.store import Store
from monitor.wire import Batch, Columns, Event

DRAWN = ".lm-plot[data-drawn]"
POINTS = 40
"""Points of each of the many runs."""
METRICS = 39
"""Of the long run besides its loss."""
LIVE_PAGES = 20
ZOOMED = "[data-testid=caption]:has-text('in view')"


def fill(store: Store, runs: int, points: int) -> None:
    """Many short runs, of which one in twenty is open and diverges, and one long one."""
    engine, now = Engine(), time.time_ns() // 1_000_000
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
        ingest(store, engine, batch, now_ms=now)
    if store.runs(RunQuery(search="long", limit=1)).total:
        return
    long, values = Run(store, engine, "long"), loss(points)
    for at in range(0, points, 100_000):
        long.send(columns(at, values[at : at + 100_000]))
    steps = np.arange(0, points, max(1, points // 10_000))
    for i in range(METRICS):
        small = 2 / (1 + steps / points) + np.random.default_rng(i).normal(0, 0.05, len(steps))
        long.send(
            Columns(np.zeros(len(steps), np.uint16), steps, small, np.full(len(steps), now)), f"part{i // 8}/m{i}"
        )


def opened(page: Page, url: str, shows: str, rounds: int) -> float:
    """Seconds until a page shows something; the median of the rounds after the first."""
    took = []
    for _ in range(rounds + 1):
        page.goto("about:blank")
        start = time.perf_counter()
        page.goto(url, wait_until="commit")
        page.wait_for_selector(shows, timeout=120_000)
        took.append(time.perf_counter() - start)
    return statistics.median(took[1:])


def spent(root: psutil.Process) -> float:
    """Seconds of processor time of a process and all that it started."""
    times = [each.cpu_times() for each in (root, *root.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def idle(page: Page, url: str, shows: str, root: psutil.Process, seconds: float) -> float:
    """Seconds of processor time a minute of an open page costs, once it is drawn."""
    page.goto(url, wait_until="commit")
    page.wait_for_selector(shows, timeout=120_000)
    page.wait_for_timeout(3000)
    before, start = spent(root), time.perf_counter()
    page.wait_for_timeout(1000 * seconds)
    return 60 * (spent(root) - before) / (time.perf_counter() - start)


def resident(root: psutil.Process) -> float:
    """MiB of memory of a process and all that it started."""
    return float(sum(each.memory_info().rss for each in (root, *root.children(recursive=True)))) / 2**20


def zoom(page: Page, url: str, rounds: int) -> tuple[float, float]:
    """Seconds from the end of a drag until the chart shows the window, and until it was read in full; medians."""
    drawn, read = [], []
    for i in range(rounds + 1):
        page.goto(url, wait_until="commit")
        page.wait_for_selector(DRAWN, timeout=120_000)
        box = page.locator(f"{DRAWN} .nsewdrag").first.bounding_box()
        assert box
        page.evaluate("""() => document.querySelector(".lm-plot").on("plotly_relayout", () => {
            requestAnimationFrame(() => { window.zoomed ??= performance.now(); });
        })""")
        left, y = box["x"] + box["width"] * (0.3 + 0.02 * i), box["y"] + box["height"] / 2
        page.mouse.move(left, y)
        page.mouse.down()
        page.mouse.move(left + box["width"] / 5, y, steps=4)
        start = float(page.evaluate("performance.now()"))
        page.mouse.up()
        page.wait_for_function("window.zoomed !== undefined", polling=10)
        drawn.append((float(page.evaluate("window.zoomed")) - start) / 1000)
        page.wait_for_selector(ZOOMED, timeout=60_000)
        read.append((float(page.evaluate("performance.now()")) - start) / 1000)
    return statistics.median(drawn[1:]), statistics.median(read[1:])


def live(
    table: Table, browser: Browser, here: str, root: psutil.Process, store: Store, pages: int, seconds: float
) -> None:
    """A run gets a point a second while so many pages show it: what that costs, and when a point is on a page."""
    run, sent, waits = Run(store, Engine(), f"live {time.time_ns()}"), 1500, []
    run.send(columns(0, loss(sent)))
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    for _ in range(pages):
        page = context.new_page()
        page.goto(f"{here}/run?id={run.id}", wait_until="commit")
        page.wait_for_selector(DRAWN, timeout=120_000)
    page.wait_for_timeout(3000)
    before, memory, start = spent(root), resident(root), time.perf_counter()
    shown = "(wanted) => document.querySelector('[data-testid=last-step]').textContent === wanted"
    while time.perf_counter() - start < seconds:
        run.send(columns(sent, loss(sent + 1)[sent:]))
        asked, sent = time.perf_counter(), sent + 1
        page.wait_for_function(shown, arg=f"step {sent - 1:,}", timeout=60_000)
        waits.append(time.perf_counter() - asked)
        page.wait_for_timeout(1000 * max(0.0, 1 - waits[-1]))
    cores = (spent(root) - before) / (time.perf_counter() - start)
    case = f"a run that gets a point a second, {pages} pages"
    table.add(f"{case}: point on the page, median", statistics.median(waits), "s")
    table.add(f"{case}: point on the page, longest", max(waits), "s")
    table.add(f"{case}: processor", cores, "cores")
    table.add(f"{case}: memory, before", memory, "MiB")
    table.add(f"{case}: memory, after", resident(root), "MiB")
    context.close()


def measure(
    table: Table, links: Mapping[str, str], root: psutil.Process, store: Store, rounds: int, rest: float, pages: int
) -> None:
    """Open every page in question."""
    here, rows = links["dashboard"], "[data-testid=runs] tbody tr"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        table.add("front page, until its cards stand", opened(page, here, "[data-testid=fleet]", rounds), "s")
        table.add("list of runs, until its rows stand", opened(page, f"{here}/runs", rows, rounds), "s")
        run = f"{here}/run?id={store.run('long').id}"
        table.add("the long run's page, until its curve stands", opened(page, run, DRAWN, rounds), "s")
        page.goto("about:blank")
        page.wait_for_timeout(5000)
        before, start = spent(root), time.perf_counter()
        page.wait_for_timeout(1000 * rest)
        none = 60 * (spent(root) - before) / (time.perf_counter() - start)
        table.add("no page open, processor time a minute", none, "s")
        for name, url, shows in (("list of runs", f"{here}/runs", rows), ("front page", here, "[data-testid=fleet]"),
                                 ("an open run's page", run, DRAWN)):  # fmt: skip
            table.add(f"{name} open, processor time a minute", idle(page, url, shows, root, rest), "s")
        if pages > 1:
            case = "the long run, from the end of a drag until the chart shows the window"
            for name, took in zip((case, f"{case} in full"), zoom(page, run, rounds), strict=True):
                table.add(name, took, "s")
        page.close()
        live(table, browser, here, root, store, pages, rest)
        browser.close()


def main() -> None:
    """Fill a store, serve it, and print the figures with the load."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="a small store, for the tests")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--points", type=int, default=10_000_000)
    parser.add_argument("--folder", help="keep the store there, and use the one that is there")
    chosen = parser.parse_args()
    runs, points, rounds, rest = (100, 20_000, 1, 3.0) if chosen.smoke else (chosen.runs, chosen.points, 5, 30.0)
    pages = 1 if chosen.smoke else LIVE_PAGES
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or temporary
        store = Store.open(f"sqlite:///{Path(folder) / 'monitor.db'}")
        there = store.runs(RunQuery(limit=1)).total
        if there <= runs:
            fill(store, runs - there, points)
        print(f"{store.runs(RunQuery(limit=1)).total:,} runs, one of {points:,} points", flush=True)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MONITOR_")} | {"MONITOR_DIR": folder}
        command = [sys.executable, "-m", "monitor", "up", "--json", "--port", "0", "--dashboard-port", "0"]
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            assert process.stdout
            links = json.loads(process.stdout.readline())
            measure(Table(), links, psutil.Process(process.pid), store, rounds, rest, pages)
        finally:
            process.terminate()
            process.wait(30)
            store.close()
    print("load average " + ", ".join(f"{load:.1f}" for load in os.getloadavg()))


if __name__ == "__main__":
    main()
