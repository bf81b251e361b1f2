"""The write path beside its floors: one point, a million through the SDK, and through HTTP on PostgreSQL.

Every figure is the median of runs that alternate with the floor's. Run it from the checkout:

    python benchmarks/bench_ingest.py            # a few minutes
    python benchmarks/bench_ingest.py --smoke    # a few seconds, SQLite alone, for the tests
"""

from __future__ import annotations

import argparse
import array
import contextlib
import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from bench_store import NOW, Floor, Run, Table, columns, loss, postgres, timed

import monitor
from monitor.client.sinks import HttpSink
from monitor.rules import Engine
from monitor.settings import load
from monitor.store import Store
from monitor.wire import Batch, Event

_SERVER = "import sys; from monitor.cli import main; sys.argv = ['monitor', 'up', '--no-dashboard']; main()"


def bench_one_point(table: Table, store: Store, name: str, floor: Callable[[bytes], object], count: int) -> None:
    """Our point and the floor's (one row with the point as a blob, one commit) in turn, at growing lengths."""
    run, values, sent = Run(store, Engine()), loss(count + 50), 0
    for length in (0, 100_000, 1_000_000):
        if length > 1000 * count:
            break
        if length:
            run.send(columns(sent, loss(length - sent)))
            sent = length
        ours, floors = [], []
        for i in range(count + 50):
            point = columns(sent + i, values[i : i + 1])
            ours.append(timed(lambda point=point: run.send(point)) * 1e3)  # type: ignore[misc]  # bound now
            floors.append(timed(lambda: floor(b"x" * 24)) * 1e3)
        sent += count + 50
        table.add(
            f"{name}: one point after {length:,}, median", statistics.median(ours[50:]), "ms", statistics.median(floors)
        )


def python_floor(folder: Path, values: list[float]) -> float:
    """What a packed-blob logger costs in Python: each call appends to arrays, 4,096 points become a row."""
    raw = sqlite3.connect(folder / f"blob{time.perf_counter_ns()}.db", isolation_level=None)
    for pragma in ("page_size=32768", "journal_mode=WAL", "synchronous=NORMAL"):
        raw.execute(f"PRAGMA {pragma}")
    raw.execute("CREATE TABLE chunks (seq INTEGER PRIMARY KEY, s BLOB, v BLOB)")
    buffers = {"train/loss": (array.array("q"), array.array("d"))}

    def log(step: int, row: dict[str, float]) -> None:
        for key, value in row.items():
            steps, kept = buffers[key]
            steps.append(step)
            kept.append(value)
            if len(steps) >= 4096:
                raw.execute("INSERT INTO chunks (s, v) VALUES (?, ?)", (steps.tobytes(), kept.tobytes()))
                buffers[key] = (array.array("q"), array.array("d"))

    rows = [{"train/loss": value} for value in values]
    took = timed(lambda: [log(i, row) for i, row in enumerate(rows)])
    raw.close()
    return took


def bench_sdk(table: Table, folder: Path, n: int, rounds: int) -> None:
    """From the first call until `finish` has returned: everything is stored and diagnosed."""
    values = loss(n).tolist()
    rows, steps = [{"train/loss": value} for value in values], np.arange(n)
    ways: dict[str, Callable[[monitor.Run], object]] = {
        "log()": lambda run: [run.log(row, i) for i, row in enumerate(rows)],
        "log_many()": lambda run: run.log_many(steps, {"train/loss": values}),
    }
    times: dict[str, list[float]] = {"floor": [], **{name: [] for name in ways}}
    for i in range(rounds):
        times["floor"].append(python_floor(folder, values))
        for name, way in ways.items():
            settings = load(dir=folder / f"sdk{i}{name}", capture=False, finish_timeout_s=300)
            run = monitor.init("bench", settings=settings, mode="embedded")
            times[name].append(timed(lambda run=run, way=way: (way(run), run.finish())))  # type: ignore[misc]  # bound now
            with monitor.Api(settings=settings) as api:
                assert len(api.run(run.id).history("train/loss")) == n
    for name in ways:
        floor = n / statistics.median(times["floor"])
        table.add(
            f"embedded SDK, {name} of {n:,} points to the end", n / statistics.median(times[name]), "points/s", floor
        )


@contextlib.contextmanager
def server(folder: Path, url: str) -> Iterator[str]:
    """A server in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {"MONITOR_DIR": str(folder / "server"), "MONITOR_DATABASE_URL": url, "MONITOR_PORT": str(port)}
    log = (folder / "server.log").open("wb")
    process = subprocess.Popen([sys.executable, "-c", _SERVER], env={**os.environ, **given}, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None:
                raise RuntimeError((folder / "server.log").read_text())
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def send(address: str, n: int, size: int) -> list[float]:
    """One run's points in batches; the seconds that each took."""
    sink, run_id, values = HttpSink(address), os.urandom(16).hex(), loss(n)
    event = Event(kind="run", record=0, time_ms=NOW, data={"project": "bench", "name": "x"})
    acked = sink.send(Batch(run_id=run_id, writer="w", first=0, count=1, events=(event,))).acked
    times = []
    for i in range(0, n, size):
        points = columns(i, values[i : i + size])
        batch = Batch(run_id=run_id, writer="w", first=acked, count=len(points), keys=("train/loss",), points=points)
        start = time.perf_counter()
        acked = sink.send(batch).acked
        times.append(time.perf_counter() - start)
    sink.close()
    return times


def bench_http(table: Table, name: str, address: str, n: int, runs: int, each: int, rounds: int) -> None:
    small = sorted(send(address, 300, 1)[50:])
    table.add(f"HTTP, {name}: a batch of one point, median", small[len(small) // 2] * 1e3, "ms")
    table.add(f"HTTP, {name}: a batch of one point, 99th percentile", small[int(len(small) * 0.99)] * 1e3, "ms")
    one = [timed(lambda: send(address, n, 20_000)) for _ in range(rounds)]
    table.add(f"HTTP, {name}: one run of {n:,} points", n / statistics.median(one), "points/s")
    took = []
    for _ in range(rounds):
        threads = [threading.Thread(target=send, args=(address, each, 20_000)) for _ in range(runs)]
        took.append(timed(lambda threads=threads: [[t.start() for t in threads], [t.join() for t in threads]]))  # type: ignore[misc]  # bound now
    table.add(
        f"HTTP, {name}: {runs} runs at once, {each:,} points each", runs * each / statistics.median(took), "points/s"
    )


def bench_postgres_floors(table: Table, url: str, n: int, rounds: int) -> None:
    import psycopg

    rows, blob, copy = list(zip([0] * n, range(n), loss(n).tolist(), strict=True)), [], []
    with psycopg.connect(url, autocommit=True) as raw:
        raw.execute("CREATE TABLE narrow (series int4, step int8, value float8)")
        raw.execute("CREATE TABLE floor_blobs (seq serial PRIMARY KEY, data bytea)")

        def copied() -> None:
            with raw.cursor().copy("COPY narrow FROM STDIN (FORMAT BINARY)") as out:
                out.set_types(["int4", "int8", "float8"])
                for row in rows:
                    out.write_row(row)

        for _ in range(rounds):
            copy.append(timed(copied))
            parts = [columns(i, loss(n)[i : i + 20_000]).value.tobytes() * 3 for i in range(0, n, 20_000)]

            def stored(parts: list[bytes] = parts) -> None:
                for part in parts:
                    raw.execute("INSERT INTO floor_blobs (data) VALUES (%b)", (part,))

            blob.append(timed(stored))
    table.add(f"floor, postgres: COPY of {n:,} rows", n / statistics.median(copy), "points/s")
    table.add("floor, postgres: raw blobs, 20,000 points each", n / statistics.median(blob), "points/s")


def main(arguments: list[str] | None = None) -> list[dict[str, object]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="small sizes, SQLite alone")
    parser.add_argument("--save", type=Path, help="write the figures here, as JSON")
    given = parser.parse_args(arguments)
    n, count, rounds = (20_000, 40, 1) if given.smoke else (10**6, 1000, 3)
    table = Table()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-ingest-")))
        url = f"sqlite:///{folder / 'bench.db'}"
        floor = Floor(folder)
        with Store.open(url) as store:
            write = lambda data: floor.raw.execute("INSERT INTO chunks (data) VALUES (?)", (data,))  # noqa: E731
            bench_one_point(table, store, "sqlite", write, count)
        floor.raw.close()
        bench_sdk(table, folder, n, rounds)
        name = "sqlite"
        if not given.smoke:
            import psycopg

            name, url = "postgres", stack.enter_context(postgres())
            bench_postgres_floors(table, url, n, rounds)
            with Store.open(url) as store, psycopg.connect(url, autocommit=True) as raw:
                insert = lambda data: raw.execute("INSERT INTO floor_blobs (data) VALUES (%b)", (data,))  # noqa: E731
                bench_one_point(table, store, name, insert, count)
        address = stack.enter_context(server(folder, url))
        bench_http(table, name, address, n, *((4, 2000) if given.smoke else (64, 20_000)), rounds)
    if given.save:
        given.save.write_text(json.dumps(table.rows, indent=1), encoding="utf-8")
    return table.rows


if __name__ == "__main__":
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    main()
