"""What servers over one PostgreSQL hold: processor time of a server and of the database for each batch, by its size.

Processor time depends little on what else the machine does, so that `docs/scaling.md` can count with it. Runs send
their batches in turn through a few connections to each server. Run it from the checkout:

    python benchmarks/bench_scale.py            # a few minutes
    python benchmarks/bench_scale.py --smoke    # a few seconds, for a look whether it works
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import psutil
import psycopg

sys.path.insert(0, str(Path(__file__).parent))
from bench_ingest import server
from bench_store import NOW, Table, columns, loss, postgres, timed

from monitor.shipping.sinks import HttpSink
from monitor.wire import Batch, Event

THREADS = 4
"""Connections to each server."""


class Fleet:
    """Runs that send one batch after the other, in turn, through one connection."""

    def __init__(self, address: str, runs: int) -> None:
        self._sink, self._sent = HttpSink(address), 1
        self._runs = [os.urandom(16).hex() for _ in range(runs)]
        for run_id in self._runs:
            event = Event(kind="run", record=0, time_ms=NOW, data={"project": "bench", "name": run_id})
            self._sink.send(Batch(run_id=run_id, writer="w", first=0, count=1, events=(event,)))

    def prepare(self, size: int, rounds: int) -> list[Batch]:
        made = []
        for _ in range(rounds):
            points = columns(self._sent - 1, loss(size, self._sent))
            for run_id in self._runs:
                keys, first = ("train/loss",), self._sent
                made.append(Batch(run_id=run_id, writer="w", first=first, count=size, keys=keys, points=points))
            self._sent += size
        return made

    def send(self, batches: list[Batch]) -> None:
        for batch in batches:
            self._sink.send(batch)


def cpu_s(pids: list[int]) -> float:
    """Processor time of some processes and their children, dead ones among them, in seconds."""
    total = 0.0
    for pid in pids:
        process = psutil.Process(pid)
        for each in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                spent = each.cpu_times()
                total += spent.user + spent.system
                if each is process:
                    total += spent.children_user + spent.children_system
    return total


def listening(addresses: list[str]) -> list[int]:
    """The processes of some servers, which are children of this one."""
    ports, pids = {int(address.rpartition(":")[2]) for address in addresses}, []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if any(c.laddr and c.laddr.port in ports for c in child.net_connections("tcp")):
                pids.append(child.pid)
    return pids


def postmaster(url: str) -> int:
    """The database's first process, of which all others are children."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        return psutil.Process(row[0]).ppid()


def bench(table: Table, folder: Path, url: str, servers: int, sizes: dict[int, int], runs: int) -> None:
    with contextlib.ExitStack() as stack:
        addresses = []
        for number in range(servers):
            own = folder / f"{servers}-{number}"
            own.mkdir()
            addresses.append(stack.enter_context(server(own, url)))
        pids, database = listening(addresses), postmaster(url)
        fleets = [Fleet(address, runs) for address in addresses for _ in range(THREADS)]
        for size, rounds in sizes.items():
            batches = [fleet.prepare(size, rounds) for fleet in fleets]
            threads = [threading.Thread(target=f.send, args=(b,)) for f, b in zip(fleets, batches, strict=True)]
            before = cpu_s(pids), cpu_s([database])
            took = timed(lambda threads=threads: [[t.start() for t in threads], [t.join() for t in threads]])  # type: ignore[misc]  # bound now
            spent = np.subtract((cpu_s(pids), cpu_s([database])), before)
            count = sum(map(len, batches))
            what = f"{servers} server{'s' if servers > 1 else ''}, {len(fleets) * runs} runs, {size} points a batch"
            table.add(f"{what}: server", 1000 * spent[0] / count, "ms CPU")
            table.add(f"{what}: PostgreSQL", 1000 * spent[1] / count, "ms CPU")
            table.add(f"{what}: all together", count / took, "batches/s")


def main(arguments: list[str] | None = None) -> list[dict[str, object]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="small sizes")
    parser.add_argument("--save", type=Path, help="write the figures here, as JSON")
    given = parser.parse_args(arguments)
    sizes = {1: 2, 10: 2} if given.smoke else {1: 60, 10: 60, 100: 40, 1000: 20, 10_000: 4}
    table = Table()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-scale-")))
        url = stack.enter_context(postgres())
        for servers in (1, 2) if given.smoke else (1, 3):
            bench(table, folder, url, servers, sizes, 4 if given.smoke else 8)
    if given.save:
        given.save.write_text(json.dumps(table.rows, indent=1), encoding="utf-8")
    return table.rows


if __name__ == "__main__":
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    main()
    print(f"load average {os.getloadavg()[0]:.1f} at the end")
