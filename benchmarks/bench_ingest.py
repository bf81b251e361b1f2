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
import psutil

sys.path.insert(0, str(Path(__file__).parent))
from bench_store import NOW, Floor, Run, Table, columns, loss, postgres, timed

import monitor
from monitor.ingest.engines import Engines
from monitor.settings import load
from monitor.shipping.sinks import HttpSink
from monitor.store import Store
from monitor.wire import Batch, Event

_SERVER = "import sys; from monitor.cli import main; sys.argv = ['monitor', 'up', '--no-dashboard']; main()"


def bench_one_point(table: Table, store: Store, name: str, floor: Callable[[bytes], object], count: int) -> None:
    """Our point and the floor's (one row with the point as a blob, one commit) in turn, at growing lengths."""
    run, values, sent = Run(store, Engines()), loss(count + 50), 0
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


@contextlib.contextmanager
def floor_of(folder: Path, name: str, url: str) -> Iterator[Callable[[bytes], object]]:
    """What stores some bytes as a row of its own and commits, in the same kind of database."""
    if name == "sqlite":
        floor = Floor(folder)
        yield lambda data: floor.raw.execute("INSERT INTO chunks (data) VALUES (?)", (data,))
        floor.raw.close()
        return
    import psycopg

    with psycopg.connect(url, autocommit=True) as raw:
        yield lambda data: raw.execute("INSERT INTO floor_blobs (data) VALUES (%b)", (data,))


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
    """From the first call until `finish` has returned: everything is stored and diagnosed.

    The store is there already, as on every machine that has logged before.
    """
    values = loss(n).tolist()
    rows, steps = [{"train/loss": value} for value in values], np.arange(n)
    ways: dict[str, Callable[[monitor.Run], object]] = {
        "log()": lambda run: [run.log(row, i) for i, row in enumerate(rows)],
        "log_many()": lambda run: run.log_many(steps, {"train/loss": values}),
    }
    for name in ways:
        Store.open(load(dir=folder / f"sdk{name}").store_url).close()
    times: dict[str, list[float]] = {"floor": [], **{name: [] for name in ways}}
    for _ in range(rounds):
        times["floor"].append(python_floor(folder, values))
        for name, way in ways.items():
            settings = load(dir=folder / f"sdk{name}", capture=False, finish_timeout_s=300)
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
def server(folder: Path, url: str, workers: int = 1) -> Iterator[str]:
    """A server in processes of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {"MONITOR_DIR": str(folder / "server"), "MONITOR_DATABASE_URL": url, "MONITOR_PORT": str(port)}
    given["MONITOR_WORKERS"] = str(workers)
    log = (folder / "server.log").open("wb")
    process = subprocess.Popen([sys.executable, "-c", _SERVER], env={**os.environ, **given}, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        while _listening(process.pid, port) < workers:
            if process.poll() is not None:
                raise RuntimeError((folder / "server.log").read_text())
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def _listening(pid: int, port: int) -> int:
    """How many processes of the server listen at its port."""
    found = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    count = 0
    for process in found:
        with contextlib.suppress(psutil.Error):
            places = process.net_connections("tcp")
            count += any(p.status == psutil.CONN_LISTEN and p.laddr and p.laddr.port == port for p in places)
    return count


class Client:
    """One run's points in batches that are made beforehand, so that the one who sends is not what is measured."""

    def __init__(self, address: str, n: int, size: int) -> None:
        self._sink, run_id, values = HttpSink(address), os.urandom(16).hex(), loss(n)
        event = Event(kind="run", record=0, time_ms=NOW, data={"project": "bench", "name": "x"})
        self._batches = [Batch(run_id=run_id, writer="w", first=0, count=1, events=(event,))]
        for i in range(0, n, size):
            points = columns(i, values[i : i + size])
            self._batches.append(
                Batch(run_id=run_id, writer="w", first=i + 1, count=len(points), keys=("train/loss",), points=points)
            )

    def send(self) -> list[float]:
        """Send them; the seconds that each took."""
        times = [timed(lambda batch=batch: self._sink.send(batch)) for batch in self._batches]  # type: ignore[misc]  # bound now
        self._sink.close()
        return times


def bench_http(table: Table, name: str, address: str, n: int, rounds: int) -> None:
    small = sorted(Client(address, 300, 1).send()[50:])
    table.add(f"HTTP, {name}: a batch of one point, median", small[len(small) // 2] * 1e3, "ms")
    table.add(f"HTTP, {name}: a batch of one point, 99th percentile", small[int(len(small) * 0.99)] * 1e3, "ms")
    one = [timed(Client(address, n, 20_000).send) for _ in range(rounds)]
    table.add(f"HTTP, {name}: one run of {n:,} points", n / statistics.median(one), "points/s")


def bench_servers(table: Table, name: str, folder: Path, url: str, n: int, rounds: int, *, smoke: bool) -> None:
    for workers in (1, 2) if name == "postgres" else (1,):
        with server(folder, url, workers) as address:
            if workers == 1:
                bench_http(table, name, address, n, rounds)
            many = (4, 2000) if smoke else (64, 20_000)
            bench_many(table, f"{name}, {workers} process{'es' if workers > 1 else ''}", address, *many, rounds)


def bench_many(table: Table, name: str, address: str, runs: int, each: int, rounds: int) -> None:
    took = []
    for _ in range(rounds):
        threads = [threading.Thread(target=Client(address, each, 20_000).send) for _ in range(runs)]
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
    parser.add_argument("--only", choices=["point", "sdk", "http"], help="one part alone")
    parser.add_argument("--save", type=Path, help="write the figures here, as JSON")
    given = parser.parse_args(arguments)
    n, count, rounds = (20_000, 40, 1) if given.smoke else (10**6, 1000, 3)
    parts = [given.only] if given.only else ["point", "sdk", "http"]
    table = Table()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-ingest-")))
        urls = {"sqlite": f"sqlite:///{folder / 'bench.db'}"}
        if not given.smoke:
            urls["postgres"] = stack.enter_context(postgres())
            bench_postgres_floors(table, urls["postgres"], n, rounds)
        for name, url in urls.items():
            if "point" in parts:
                with Store.open(url) as store, floor_of(folder, name, url) as floor:
                    bench_one_point(table, store, name, floor, count)
        if "sdk" in parts:
            bench_sdk(table, folder, n, rounds)
        if "http" in parts:
            for name, url in urls.items():
                bench_servers(table, name, folder, url, n, rounds, smoke=given.smoke)
    if given.save:
        given.save.write_text(json.dumps(table.rows, indent=1), encoding="utf-8")
    return table.rows


if __name__ == "__main__":
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    main()
