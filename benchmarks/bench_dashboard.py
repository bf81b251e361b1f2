"""What people wait for on the dashboard, and what its open pages cost, next to what is asked of it.

A store is filled, `monitor up` is started over it, and a headless Chromium opens its pages. A time is that from the
start of the navigation until what was opened is on the page; the median of several visits, with the scripts in the
browser's cache. A click is lost if the server never took it, or if the tick that it set is gone. The processor time and
the memory are those of the server and the dashboard together, without Chromium.

    python benchmarks/bench_dashboard.py                    # every figure but the hour, about twenty minutes
    python benchmarks/bench_dashboard.py --parts memory     # the hour
    python benchmarks/bench_dashboard.py --smoke            # to see that it runs
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import psutil
from bench_store import Run, columns, loss
from dashboard_bench import COMPARED, Bench, Figures, burners, fill, resident, served, spent
from playwright.sync_api import Browser, Error, Page, sync_playwright

from monitor import Api
from monitor.domain import RunQuery
from monitor.ingest.engines import Engines
from monitor.store import Store

DRAWN, PANEL = ".lm-plot[data-drawn]", ".lm-panel svg"
ROWS, CARDS = "[data-testid=runs] tbody tr", "[data-testid=fleet]"
LIVE_PAGES = 20
ZOOMED = "[data-testid=caption]:has-text('in view')"
PARTS = ("first", "pages", "zoom", "live", "clicks")


Served = contextlib.AbstractContextManager[tuple[Mapping[str, str], psutil.Process, Store]]


def visit(page: Page, url: str, shows: Sequence[str]) -> list[float]:
    """Seconds until a page shows each of these, one after the other."""
    page.goto("about:blank")
    start, took = time.perf_counter(), []
    page.goto(url, wait_until="commit")
    for each in shows:
        page.wait_for_selector(each, timeout=120_000)
        took.append(time.perf_counter() - start)
    return took


def opened(page: Page, url: str, shows: Sequence[str], rounds: int) -> list[float]:
    """The median seconds until a page shows each of these, over the rounds after the first."""
    took = [visit(page, url, shows) for _ in range(rounds + 1)]
    return [statistics.median(times) for times in zip(*took[1:], strict=True)]


def idle(page: Page, url: str, shows: str, root: psutil.Process, seconds: float) -> float:
    """Seconds of processor time a minute of an open page costs, once it is drawn."""
    page.goto(url, wait_until="commit")
    page.wait_for_selector(shows, timeout=120_000)
    page.wait_for_timeout(3000)
    before, start = spent(root), time.perf_counter()
    page.wait_for_timeout(1000 * seconds)
    return 60 * (spent(root) - before) / (time.perf_counter() - start)


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


def pages(bench: Bench) -> None:
    """The time until each page is there, and what an open one costs."""
    page, rest = bench.page(), 3.0 if bench.small else 60.0  # an open page is redrawn every 15 s
    for name, url, shows, asked in (
        ("front page, until its cards are shown", bench.here, [CARDS], 1.0),
        ("list of runs, until its rows are shown", f"{bench.here}/runs", [ROWS], 1.0),
        ("the long run, until its curve and the panels in view are shown", bench.run(), [DRAWN, PANEL], 1.5),
        (f"a comparison of {COMPARED} runs, until it is drawn", bench.compared(), [DRAWN], 2.0),
    ):
        bench.figures.add(name, opened(page, url, shows, bench.rounds)[-1], "s", asked)
    page.goto("about:blank")
    page.wait_for_timeout(3000)
    before, start = spent(bench.root), time.perf_counter()
    page.wait_for_timeout(1000 * rest)
    none = 60 * (spent(bench.root) - before) / (time.perf_counter() - start)
    bench.figures.add("no page open, processor time a minute", none, "s")
    for name, url, seen in (("front page", bench.here, CARDS), ("list of runs", f"{bench.here}/runs", ROWS),
                            ("the long run", bench.run(), DRAWN)):  # fmt: skip
        cost = idle(page, url, seen, bench.root, rest)
        bench.figures.add(f"{name} open, processor time a minute", cost, "s")
    page.context.close()


def zooms(bench: Bench) -> None:
    """A drag on the curve of the long run."""
    page = bench.page()
    drawn, read = zoom(page, bench.run(), bench.rounds)
    bench.figures.add("zoom, until the chart shows the window", drawn, "s", 0.3)
    bench.figures.add("zoom, until every point of the window was read", read, "s")
    page.context.close()


def live(bench: Bench, count: int, seconds: float) -> None:
    """A run gets a point a second while so many pages show it: what that costs, and when a point is on a page."""
    run, sent, waits = Run(bench.store, Engines(), f"live {time.time_ns()}"), 1500, []
    values = loss(sent + 10_000)
    run.send(columns(0, values[:sent]))
    context = bench.browser.new_context(viewport={"width": 1440, "height": 900})
    for _ in range(count):
        page = context.new_page()
        page.goto(f"{bench.here}/run?id={run.id}", wait_until="commit")
        page.wait_for_selector(DRAWN, timeout=120_000)
    page.wait_for_timeout(3000)
    before, memory, start = spent(bench.root), resident(bench.root), time.perf_counter()
    shown = "(wanted) => document.querySelector('[data-testid=last-step]').textContent === wanted"
    while time.perf_counter() - start < seconds:
        run.send(columns(sent, values[sent : sent + 1]))
        asked, sent = time.perf_counter(), sent + 1
        page.wait_for_function(shown, arg=f"step {sent - 1:,}", timeout=60_000)
        waits.append(time.perf_counter() - asked)
        page.wait_for_timeout(1000 * max(0.0, 1 - waits[-1]))
    cores = (spent(bench.root) - before) / (time.perf_counter() - start)
    grown, case = resident(bench.root) - memory, f"a point a second, {count} open page{'s' * (count > 1)}"
    bench.figures.add(f"{case}: until it is seen, median", statistics.median(waits), "s", 1.5 if count == 1 else None)
    bench.figures.add(f"{case}: longest", max(waits), "s")
    bench.figures.add(f"{case}: processor", cores, "cores", 1.0 if count == LIVE_PAGES else None)
    bench.figures.add(f"{case}: memory grown in {seconds / 60:.3g} min", grown, "MiB")
    context.close()


def stops(bench: Bench, count: int, load: int) -> None:
    """Ask runs to stop, each with its two clicks, on many pages at once; withdrawn after each round."""
    at_once = min(20, count)
    runs = [Run(bench.store, Engines(), f"asked {i}") for i in range(at_once)]
    context = bench.browser.new_context(viewport={"width": 1440, "height": 900})
    open_pages = [context.new_page() for _ in runs]
    for page, run in zip(open_pages, runs, strict=True):
        run.send(columns(0, loss(100)))
        page.goto(f"{bench.here}/run?id={run.id}", wait_until="commit")
        page.wait_for_selector(DRAWN, timeout=120_000)
    taken = clicked = 0
    with burners(load), Api(bench.links["api"]) as api:
        while clicked < count:
            for i, page in enumerate(open_pages):
                page.get_by_role("button", name="Ask to stop").click(timeout=120_000)
                page.get_by_label("Who asks").fill(f"reader {clicked + i}")
                page.get_by_role("button", name="Ask it to stop").click(timeout=120_000)
            for i, (page, run) in enumerate(zip(open_pages, runs, strict=True)):
                with contextlib.suppress(Error):
                    page.wait_for_selector(f"[data-testid=asked]:has-text('by reader {clicked + i};')", timeout=60_000)
                    taken += api.run(run.id).info.stop_requested == f"reader {clicked + i}"
                    api.run(run.id).withdraw_stop("bench")
            clicked += at_once
    bench.figures.add(f"clicks to stop lost of {clicked}, {load} busy processes", clicked - taken, "clicks", 0)
    context.close()


def ticks(bench: Bench, count: int, load: int) -> None:
    """Tick runs of the list, and take ticks away, without waiting for the page."""
    page, wanted = bench.page(), set[str]()
    page.goto(f"{bench.here}/runs", wait_until="commit")
    page.wait_for_selector(ROWS, timeout=120_000)
    with burners(load):
        ids = page.eval_on_selector_all("input[data-tick]", "boxes => boxes.map((box) => box.dataset.tick)")
        for each in np.random.default_rng(0).choice(ids, count).tolist():
            page.locator(f"input[data-tick='{each}']").click(timeout=120_000)
            wanted ^= {each}
        picked = f"{len(wanted)} run{'s' * (len(wanted) != 1)} picked"
        told = 0
        with contextlib.suppress(Error):
            page.wait_for_selector(f"[data-testid=compare-bar]:has-text('{picked}')", timeout=60_000)
            told = 1
        kept = set(page.eval_on_selector_all("input[data-tick]:checked", "all => all.map((box) => box.dataset.tick)"))
    lost = len(kept ^ wanted) + (1 - told)
    bench.figures.add(f"clicks on ticks lost of {count}, {load} busy processes", lost, "clicks", 0)
    page.context.close()


def memory(bench: Bench, minutes: float) -> None:
    """A run gets a point a second for an hour while three pages are open: what each quarter of it adds."""
    run, sent = Run(bench.store, Engines(), f"hour {time.time_ns()}"), 1500
    values = loss(sent + int(minutes * 90) + 10)
    run.send(columns(0, values[:sent]))
    for url, shows in ((bench.here, CARDS), (f"{bench.here}/runs", ROWS), (f"{bench.here}/run?id={run.id}", DRAWN)):
        page = bench.page()
        visit(page, url, [shows])
    quarters, start = [resident(bench.root)], time.perf_counter()
    for quarter in range(4):
        while time.perf_counter() - start < 15 * minutes * (quarter + 1):
            run.send(columns(sent, values[sent : sent + 1]))
            sent += 1
            page.wait_for_timeout(950)
        quarters.append(resident(bench.root))
    for at, (before, after) in enumerate(itertools.pairwise(quarters)):
        case = f"{minutes / 4:g} minutes of live refresh, part {at + 1} of 4: memory added"
        bench.figures.add(case, after - before, "MiB")


def first(figures: Figures, browser: Browser, start: Callable[[str, str], Served]) -> None:
    """The first visit after a server start: of a new browser, and of one that has been there before."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    with start("0", "0") as (links, root, store):
        bench = Bench(figures, browser, links, root, store, small=False)
        figures.add("the long run at once after a server start, new browser", visit(page, bench.run(), [DRAWN])[0], "s")
        visit(page, bench.run(), [DRAWN, PANEL])
        page.goto("about:blank")
    ports = [links[name].rpartition(":")[2] for name in ("api", "dashboard")]
    with start(*ports) as (links, root, store):
        bench = Bench(figures, browser, links, root, store, small=False)
        case = "the long run at once after a server start, browser that knows it"
        figures.add(case, visit(page, bench.run(), [DRAWN])[0], "s")
    page.context.close()


def measure(chosen: argparse.Namespace, folder: str, store: Store) -> None:
    """The parts that were asked for."""
    figures, parts = Figures(), chosen.parts
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        if "first" in parts:
            first(figures, browser, lambda port, dashboard: served(folder, store, port, dashboard))
        with served(folder, store, "0", "0") as (links, root, _):
            bench = Bench(figures, browser, links, root, store, chosen.smoke)
            if "pages" in parts:
                pages(bench)
            if "zoom" in parts:
                zooms(bench)
            if "live" in parts:
                for count in (1,) if chosen.smoke else (1, LIVE_PAGES):
                    live(bench, count, 3.0 if chosen.smoke else 20.0)
            if "clicks" in parts:
                stops(bench, chosen.clicks, chosen.load)
                ticks(bench, chosen.clicks, chosen.load)
            if "memory" in parts:
                memory(bench, chosen.minutes)
        browser.close()


def main() -> None:
    """Fill a store, serve it, and print the figures with the load."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="a small store and few clicks, for the tests")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--points", type=int, default=10_000_000)
    parser.add_argument("--folder", help="keep the store there, and use the one that is there")
    parser.add_argument("--parts", nargs="+", choices=(*PARTS, "memory"), default=PARTS)
    parser.add_argument("--clicks", type=int, default=200, help="of each kind")
    parser.add_argument("--load", type=int, default=20, help="busy processes during the clicks")
    parser.add_argument("--minutes", type=float, default=60.0, help="of the part memory")
    chosen = parser.parse_args()
    if chosen.smoke:
        chosen.runs, chosen.points, chosen.clicks, chosen.load = 100, 20_000, 4, 2
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or temporary
        store = Store.open(f"sqlite:///{Path(folder) / 'monitor.db'}")
        there = store.runs(RunQuery(limit=1)).total
        if there <= chosen.runs:
            fill(store, chosen.runs - there, chosen.points)
        print(
            f"{store.runs(RunQuery(limit=1)).total:,} runs, one of {chosen.points:,} points, {os.cpu_count()} cores\n"
        )
        try:
            measure(chosen, folder, store)
        finally:
            store.close()


if __name__ == "__main__":
    main()
