"""What a point costs as its series grows, to 100 million points, and what it takes on disk once it is stored.

At each length the same small writes are timed: single points, batches of 1,000 and of 10,000, merges of chunks included
(so means, not medians), and what of that this process computed, which other programs on the machine disturb least. In
between the series grows by batches of a million. Run it from the checkout:

    python benchmarks/bench_growth.py                # SQLite and PostgreSQL, about ten minutes and 1.5 GB of disk
    python benchmarks/bench_growth.py --most 1000000
    python benchmarks/bench_growth.py --smoke        # a few seconds, SQLite alone, for the tests
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).parent))
from bench_store import NOW, Run, Table, columns, databases, loss, timed

from monitor.ingest.engines import Engines
from monitor.store import Store

WRITES = {1: 256, 1_000: 40, 10_000: 10}
"""How many writes of a size are timed at each length."""
LARGEST = 1_000_000
_NOISE = loss(LARGEST)
_STORED = "coalesce(length({0}), 0)"


class Series:
    """One series that grows."""

    def __init__(self, store: Store, key: str = "train/loss") -> None:
        self._run, self._key, self.length = Run(store, Engines()), key, 0
        self.run_id = self._run.id

    def add(self, n: int, size: int) -> tuple[float, float]:
        """Append n points in batches; the seconds that took, and those that this process computed."""
        took = computed = 0.0
        for at in range(0, n, size):
            count = min(size, n - at)
            start = np.random.default_rng(self.length).integers(0, LARGEST - count + 1)
            points = columns(self.length, _NOISE[start : start + count])
            before = time.process_time()
            took += timed(lambda points=points: self._run.send(points, self._key))  # type: ignore[misc]  # bound now
            computed += time.process_time() - before
            self.length += count
        return took, computed


def bench_lengths(table: Table, store: Store, name: str, most: int, writes: dict[int, int]) -> None:
    """A series for each length, grown and then written to."""
    costs: dict[int, dict[int, float]] = {size: {} for size in writes}
    length = 1_000
    while length <= most:
        series = Series(store)
        series.add(length, LARGEST)
        for size, times in writes.items():
            took, computed = (1e6 * s / (size * times) for s in series.add(size * times, size))
            table.add(f"{name}: after {length:,} points, {size:,} a batch", took, "us/point")
            table.add(f"{name}: after {length:,} points, {size:,} a batch, computing", computed, "us/point")
            costs[size][length] = computed
        length *= 10
    for size, cost_at in costs.items():
        longest = max(cost_at)
        ratio = cost_at[longest] / cost_at[1_000]
        table.add(f"{name}: {size:,} a batch, after {longest:,} against after 1,000, computing", ratio, "x")


def bench_bytes(table: Table, store: Store, name: str, n: int) -> None:
    columns_ = ("steps", "vals", "times", "epochs", "sketch")
    size = " + ".join(_STORED.format(column) for column in columns_)
    for how, batch in (("one at a time", 1), ("in bulk", n)):
        series = Series(store)
        series.add(n, batch)
        store.compact(series.run_id, now_ms=NOW)
        with store._engine.connect() as connection:
            query = text(f"SELECT count(*), sum({size}) FROM monitor_chunks WHERE run_id = :run")
            chunks, stored = connection.execute(query, {"run": series.run_id}).one()
        table.add(f"{name}: {n:,} points, {how}: {chunks} chunks", float(stored) / n, "bytes/pt")


def main(arguments: list[str] | None = None) -> list[dict[str, object]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="small sizes, SQLite alone")
    parser.add_argument("--most", type=int, default=10**8, help="points of the longest series")
    parser.add_argument("--only", choices=["sqlite", "postgres"], help="one database alone")
    parser.add_argument("--save", type=Path, help="write the figures here, as JSON")
    given = parser.parse_args(arguments)
    most, single = (10_000, 200) if given.smoke else (given.most, 5_000)
    writes = {1: 8, 1_000: 2} if given.smoke else WRITES
    table = Table()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-growth-")))
        for name, url in databases(given, folder, stack).items():
            with Store.open(url) as store:
                bench_lengths(table, store, name, most, writes)
                bench_bytes(table, store, name, single)
    if given.save:
        given.save.write_text(json.dumps(table.rows, indent=1), encoding="utf-8")
    return table.rows


if __name__ == "__main__":
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    main()
