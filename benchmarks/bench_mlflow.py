"""Our MLflow store beside stock MLflow's: one point, a batch of 1,000, a chart and a history of a long metric, bytes.

    python benchmarks/bench_mlflow.py            # SQLite, PostgreSQL and over HTTP; minutes, most of them MLflow's
    python benchmarks/bench_mlflow.py --smoke    # a few seconds, SQLite alone

Both stores have a database of their own of the same kind and are asked in turn, in one process; over HTTP both have a
server with one worker. Figures are medians, and a ratio says how many times as fast ours is. The long metric is put
into stock MLflow's table by SQL, into ours by `log_batch`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from mlflow.entities import Metric
from mlflow.store.tracking.dbmodels.models import SqlMetric
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.bench_store import NOW, loss, postgres, timed
from monitor.mlflow_store.store import Store

BATCH = 1000
"""Metrics that MLflow takes at once, at most."""
KEY = "acc"


class Side:
    """A run in one of the two stores."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.id = store.create_run("0", "bench", NOW, [], "bench").info.run_id

    def send(self, first: int, values: list[float]) -> None:
        metrics = [Metric(KEY, value, NOW + 7 * (first + i), first + i) for i, value in enumerate(values)]
        if len(metrics) == 1:
            self.store.log_metric(self.id, metrics[0])
        else:
            self.store.log_batch(self.id, metrics, [], [])

    def fill(self, values: list[float]) -> None:
        """Give a stock store its history in bulk."""
        for at in range(0, len(values), 10_000):
            rows = [
                {"key": KEY, "value": value, "timestamp": NOW + 7 * (at + i), "step": at + i, "is_nan": False}
                for i, value in enumerate(values[at : at + 10_000])
            ]
            with self.store.engine.begin() as connection:
                connection.execute(SqlMetric.__table__.insert(), [{**row, "run_uuid": self.id} for row in rows])

    def chart(self) -> object:
        return self.store.get_metric_history_bulk_interval([self.id], KEY, 320, None, None)

    def page(self, token: str | None = None) -> object:
        return self.store.get_metric_history(self.id, KEY, max_results=25_000, page_token=token)


def compare(what: str, ours: Callable[[int], object], stock: Callable[[int], object], rounds: int) -> dict[str, object]:
    both = [(timed(lambda i=i: ours(i)), timed(lambda i=i: stock(i))) for i in range(rounds)]
    mine, other = (statistics.median(pair[side] for pair in both) * 1e3 for side in (0, 1))
    return shown(what, mine, other, "ms")


def shown(what: str, mine: float, other: float, unit: str) -> dict[str, object]:
    print(f"{what:52s} ours {mine:10.3f} {unit:7s} stock {other:10.3f} {unit:7s} {other / mine:8.1f}x", flush=True)
    return {"what": what, "ours": mine, "stock": other, "unit": unit, "ratio": other / mine}


def bench_stores(name: str, urls: tuple[str, str], n: int, rounds: int) -> Iterator[dict[str, object]]:
    ours, stock = Side(Store(urls[0], "/nowhere")), Side(SqlAlchemyStore(urls[1], "/nowhere"))
    values = loss(n + rounds * (BATCH + 1)).tolist()
    empty = [size_of(side.store, ours is side) for side in (ours, stock)]
    for at in range(0, n, BATCH):
        ours.send(at, values[at : at + BATCH])
    stock.fill(values[:n])
    ours.store.ours.compact(ours.id, now_ms=NOW)
    mine, other = (
        (size_of(side.store, ours is side) - was) / n for side, was in zip((ours, stock), empty, strict=True)
    )
    yield shown(f"{name}: bytes a point of {n:,}", mine, other, "bytes")
    reads = max(3, rounds // 20)
    yield compare(f"{name}: chart of {n:,} points", lambda _: ours.chart(), lambda _: stock.chart(), reads)
    yield compare(f"{name}: first page of its history", lambda _: ours.page(), lambda _: stock.page(), reads)
    own = ours.store.ours
    yield compare(
        f"{name}: its whole history, ours by our API",
        lambda _: own.history(ours.id, KEY),
        lambda _: stock.store.get_metric_history(stock.id, KEY),
        1,
    )
    at = n
    for what, size in ((f"a batch of {BATCH:,} points", BATCH), ("one point", 1)):
        yield compare(
            f"{name}: {what}",
            lambda i, size=size, at=at: ours.send(at + i * size, values[at + i * size : at + (i + 1) * size]),
            lambda i, size=size, at=at: stock.send(at + i * size, values[at + i * size : at + (i + 1) * size]),
            rounds,
        )
        at += size * rounds
    yield floor(name, stock.store, rounds)


def floor(name: str, store: Any, rounds: int) -> dict[str, object]:
    """What a commit of one row takes, of which either store needs one a point."""
    with store.engine.connect() as connection:
        connection.execute(text("CREATE TABLE floor (value INTEGER)"))
        connection.commit()

        def insert() -> None:
            connection.execute(text("INSERT INTO floor VALUES (1)"))
            connection.commit()

        taken = statistics.median(timed(insert) for _ in range(rounds)) * 1e3
    print(f"{name}: a commit of one row, the floor of both {taken:17.3f} ms", flush=True)
    return {"what": f"{name}: a commit of one row", "value": taken, "unit": "ms"}


def size_of(store: Any, ours: bool) -> int:
    """Bytes on disk of what holds the histories, its indexes included, once the database has tidied up."""
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if store.engine.dialect.name == "sqlite":
            connection.execute(text("VACUUM"))
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
            return Path(store.engine.url.database).stat().st_size
        parts = [f"monitor_chunks_{i:02}" for i in range(16)] if ours else ["metrics"]
        total = 0
        for part in parts:
            if connection.execute(text("SELECT to_regclass(:part)"), {"part": part}).scalar() is not None:
                connection.execute(text(f"VACUUM FULL {part}"))
                total += connection.execute(text("SELECT pg_total_relation_size(:part)"), {"part": part}).scalar_one()
        return total


def bench_http(folder: Path, rounds: int) -> Iterator[dict[str, object]]:
    """Both servers, with one worker, each over a SQLite file."""
    with contextlib.ExitStack() as stack:
        up = ("-m", "monitor", "up", "--json", "--mlflow", "--no-dashboard", "--dir", str(folder / "dir"), "--port")
        server = (
            "-m",
            "mlflow",
            "server",
            "--workers",
            "1",
            "--backend-store-uri",
            f"sqlite:///{folder}/http.db",
            "--port",
        )
        sides = [stack.enter_context(Served(command, folder)) for command in (up, server)]
        values = loss(BATCH).tolist()

        def send(side: Served, first: int, size: int) -> None:
            rows = [
                {"key": KEY, "value": value, "timestamp": NOW + first + i, "step": first + i}
                for i, value in enumerate(values[:size])
            ]
            path = "runs/log-metric" if size == 1 else "runs/log-batch"
            side.post(path, {"run_id": side.run, **(rows[0] if size == 1 else {"metrics": rows})})

        at = 0
        for what, size in ((f"a batch of {BATCH:,} points", BATCH), ("one point", 1)):
            ours, stock = (lambda i, side=side, size=size, at=at: send(side, at + i * size, size) for side in sides)
            yield compare(f"HTTP: {what}", ours, stock, rounds)
            at += size * rounds


class Served:
    """A server in a process of its own, and a run in it."""

    def __init__(self, command: tuple[str, ...], folder: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONWARNINGS": "ignore"}
        arguments = [sys.executable, *command, self.url.rsplit(":", 1)[1]]
        self.process = subprocess.Popen(
            arguments, env=env, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.client = httpx.Client(base_url=f"{self.url}/api/2.0/mlflow/", timeout=60)

    def __enter__(self) -> Served:
        for _ in range(600):
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/health").is_success:
                    break
            time.sleep(0.2)
        self.run = self.post("runs/create", {"experiment_id": "0"}).json()["run"]["info"]["run_id"]
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)

    def post(self, path: str, data: dict[str, object]) -> httpx.Response:
        return self.client.post(path, json=data).raise_for_status()


def free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def main(arguments: list[str] | None = None) -> list[dict[str, object]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="few points, SQLite alone")
    parser.add_argument("--points", type=int, default=1_000_000, help="points of the long metric")
    parser.add_argument("--only", choices=["sqlite", "postgres", "http"], help="one part alone")
    parser.add_argument("--save", type=Path, help="write the figures here, as JSON")
    given = parser.parse_args(arguments)
    n, rounds = (2 * BATCH, 3) if given.smoke else (given.points, 60)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    parts = ["sqlite"] if given.smoke else [given.only] if given.only else ["sqlite", "postgres", "http"]
    rows: list[dict[str, object]] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-mlflow-")))
        os.environ["MONITOR_DIR"] = str(folder)
        if "sqlite" in parts:
            rows += bench_stores("sqlite", (f"sqlite:///{folder}/ours.db", f"sqlite:///{folder}/stock.db"), n, rounds)
        if "postgres" in parts:
            urls = [stack.enter_context(postgres()).replace("postgresql:", "postgresql+psycopg:") for _ in range(2)]
            rows += bench_stores("postgres", (urls[0], urls[1]), n, rounds)
        if "http" in parts:
            rows += bench_http(folder, rounds)
    if given.save:
        given.save.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return rows


if __name__ == "__main__":
    main()
