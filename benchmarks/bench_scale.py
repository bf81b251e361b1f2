"""What a batch costs a server, PostgreSQL, HAProxy and the disk, by its size; `capacity.py` counts with these figures.

Processor time depends little on what else the machine does. Where the time on the clock matters, the cores that the
parts really got are kept next to it. Run it from the checkout:

    python benchmarks/bench_scale.py --save benchmarks/results/scale.json    # about five minutes
    python benchmarks/bench_scale.py --smoke                                 # half a minute: does it work?
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil
import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).parent))
from bench_ingest import server
from bench_store import NOW, Run, columns, loss, postgres

from monitor.ingest.engines import Engines
from monitor.store import Store
from monitor.wire import MEDIA_TYPE, Batch, Event, encode_batch
from tests.faults.haproxy import balancer

THREADS = 4
"""Connections to each server."""
REPLICAS = 4


@dataclass
class Figures:
    """What was measured with batches of one size.

    Attributes:
        what: how the batches travelled: `embedded`, `server`, `replicas` (in turn to each of several servers),
            `balanced` (through HAProxy), `paced` (at the rate of live runs).
        server_ms, database_ms, balancer_ms, client_ms: processor time a batch.
        wal_bytes, request_bytes: a batch.
        disk_bytes: a point, by the growth of the whole database.
        cores: processor time of all parts by the time on the clock.
        p50_ms, p95_ms: from sending a batch until it is acknowledged.
    """

    what: str
    servers: int
    runs: int
    points: int
    batches: int
    seconds: float
    server_ms: float = 0.0
    database_ms: float = 0.0
    balancer_ms: float = 0.0
    client_ms: float = 0.0
    wal_bytes: float = 0.0
    request_bytes: float = 0.0
    disk_bytes: float = 0.0
    cores: float = 0.0
    p50_ms: float = 0.0
    p95_ms: float = 0.0


class Fleet(threading.Thread):
    """Runs that send one batch after the other, in turn, through one connection.

    Args:
        batches: encoded beforehand: in a real fleet, that happens on other machines.
        every_s: seconds between two batches of a run; 0 for as fast as they are acknowledged.
    """

    def __init__(self, address: str, batches: list[bytes], runs: int, every_s: float = 0.0) -> None:
        super().__init__(daemon=True)
        self.address, self.batches, self.every_s, self.runs = address, batches, every_s, runs
        self.waits: list[float] = []

    def run(self) -> None:
        begun = time.perf_counter()
        with httpx.Client(base_url=self.address, headers={"Content-Type": MEDIA_TYPE}, timeout=60) as client:
            for number, body in enumerate(self.batches):
                if self.every_s:
                    time.sleep(max(0.0, begun + number * self.every_s / self.runs - time.perf_counter()))
                sent = time.perf_counter()
                client.post("/api/v1/batches", content=body).raise_for_status()
                self.waits.append(time.perf_counter() - sent)


def prepared(runs: list[str], size: int, rounds: int, first: int) -> list[bytes]:
    """`rounds` batches of each run, of `size` points each, from record `first` on; 0 for the batch that starts it."""
    if first == 0:
        data = {"project": "bench"}
        events = [(Event(kind="run", record=0, time_ms=NOW, data={**data, "name": run}),) for run in runs]
        starts = [Batch(run_id=r, writer="w", first=0, count=1, events=e) for r, e in zip(runs, events, strict=True)]
        return [encode_batch(batch) for batch in starts]
    made = []
    for number in range(rounds):
        at = first + number * size
        points = columns(at - 1, loss(size, at))
        for run in runs:
            batch = Batch(run_id=run, writer="w", first=at, count=size, keys=("train/loss",), points=points)
            made.append(encode_batch(batch))
    return made


class Parts:
    """The processes of a deployment and its database, to say what they have spent."""

    def __init__(self, url: str, servers: list[int], balancers: list[int]) -> None:
        self.url = url
        self.pids = {"server": servers, "database": [postmaster(url)], "balancer": balancers}

    def spent(self) -> dict[str, float]:
        """Seconds of processor time of each part; bytes of WAL and of the database."""
        found = {name: cpu_s(pids) for name, pids in self.pids.items()}
        found["client"] = time.process_time()
        query = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn, pg_database_size(current_database())"
        with psycopg.connect(self.url) as connection:
            row = connection.execute(query).fetchone()
        assert row is not None
        return {**found, "wal": float(row[0]), "disk": float(row[1])}


def postmaster(url: str) -> int:
    """The database's first process, of which all others are children."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        return psutil.Process(row[0]).ppid()


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


def measured(what: str, parts: Parts, fleets: list[Fleet], points: int) -> Figures:
    """Let fleets send all that they have, and say what it cost."""
    before, begun = parts.spent(), time.perf_counter()
    for fleet in fleets:
        fleet.start()
    for fleet in fleets:
        fleet.join()
    took = time.perf_counter() - begun
    after = parts.spent()
    used = {name: after[name] - before[name] for name in after}
    waits = np.concatenate([fleet.waits for fleet in fleets])
    count = sum(len(fleet.batches) for fleet in fleets)
    if len(waits) != count:
        raise RuntimeError(f"{count - len(waits)} of {count} batches were not acknowledged")
    each = {f"{name}_ms": round(1000 * used[name] / count, 3) for name in ("server", "database", "balancer", "client")}
    return Figures(
        what=what, servers=len(parts.pids["server"]), runs=sum(fleet.runs for fleet in fleets), points=points,
        batches=count, seconds=round(took, 3), **each, wal_bytes=round(used["wal"] / count),
        request_bytes=round(sum(len(b) for fleet in fleets for b in fleet.batches) / count),
        disk_bytes=round(used["disk"] / (count * points), 2),
        cores=round(sum(used[name] for name in ("server", "database", "balancer", "client")) / took, 2),
        p50_ms=round(1000 * float(np.median(waits)), 1), p95_ms=round(1000 * float(np.quantile(waits, 0.95)), 1),
    )  # fmt: skip


class Deployment:
    """Servers over one database, reached in turn or through HAProxy."""

    def __init__(self, what: str, url: str, addresses: list[str], entries: list[str], balancers: list[int]) -> None:
        self.what, self.entries = what, entries
        self.parts = Parts(url, listening(addresses), balancers)

    def bench(self, points: int, rounds: int, runs: int, *, every_s: float = 0.0) -> Figures:
        """Batches of so many points, so many of each of `runs` new runs a connection."""
        names = [[os.urandom(16).hex() for _ in range(runs)] for _ in range(THREADS * len(self.entries))]
        entries = [entry for entry in self.entries for _ in range(THREADS)]
        starts = [Fleet(at, prepared(ids, 0, 1, 0), runs) for at, ids in zip(entries, names, strict=True)]
        measured("start", self.parts, starts, 1)
        fleets = [
            Fleet(at, prepared(ids, points, rounds, 1), runs, every_s) for at, ids in zip(entries, names, strict=True)
        ]
        return measured("paced" if every_s else self.what, self.parts, fleets, points)


@contextlib.contextmanager
def deployed(what: str, folder: Path, url: str, servers: int) -> Iterator[Deployment]:
    """Start servers, and HAProxy before them where `what` is `balanced`."""
    with contextlib.ExitStack() as stack:
        addresses = []
        for number in range(servers):
            own = folder / f"{what}-{number}"
            own.mkdir()
            addresses.append(stack.enter_context(server(own, url)))
            while not _ready(addresses[-1]):
                time.sleep(0.1)  # nothing tells when it is
        if what != "balanced":
            yield Deployment(what, url, addresses, addresses, [])
            return
        process, address = balancer(folder, [int(each.rpartition(":")[2]) for each in addresses])
        stack.callback(process.wait)
        stack.callback(process.kill)
        while not _ready(address):
            time.sleep(0.1)  # as above
        yield Deployment(what, url, addresses, [address] * servers, [process.pid])


def _ready(address: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{address}/readyz").status_code == 200
    return False


def embedded(folder: Path, points: int, rounds: int) -> Figures:
    """The write path alone, in this process, on SQLite."""
    with Store.open(f"sqlite:///{folder / 'embedded.db'}") as store:
        parts = [columns(i * points, loss(points, i)) for i in range(rounds)]
        run = Run(store, Engines(), os.urandom(4).hex())
        spent, begun = time.process_time(), time.perf_counter()
        for part in parts:
            run.send(part)
        used, took = time.process_time() - spent, time.perf_counter() - begun
    server_ms = round(1000 * used / rounds, 3)
    return Figures("embedded", 0, 1, points, rounds, round(took, 3), server_ms=server_ms, cores=round(used / took, 2))


def main(arguments: list[str] | None = None) -> dict[str, object]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="small sizes")
    parser.add_argument("--save", type=Path, help="write the figures here, as JSON")
    given = parser.parse_args(arguments)
    sizes = {1: 2, 10: 2} if given.smoke else {1: 40, 10: 40, 100: 30, 1000: 15, 10_000: 4}
    runs, found, load = 2 if given.smoke else 8, list[Figures](), os.getloadavg()[0]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-scale-")))
        url = stack.enter_context(postgres())

        def note(figures: Figures) -> None:
            found.append(figures)
            print(figures, flush=True)

        for size, rounds in sizes.items():
            note(embedded(folder, size, rounds * 4))
        with deployed("server", folder, url, 1) as one:
            for size, rounds in sizes.items():
                note(one.bench(size, rounds, runs))
            note(one.bench(10, 4 if given.smoke else 30, 2 if given.smoke else 10, every_s=0.5))
        replicas = 2 if given.smoke else REPLICAS
        for what in ("replicas", "balanced") if shutil.which("haproxy") else ("replicas",):
            with deployed(what, folder, url, replicas) as many:
                for size, rounds in sizes.items():
                    note(many.bench(size, rounds, 2))
                note(many.bench(200 if given.smoke else 50_000, 2 if given.smoke else 4, 2))
    machine = {"cores": os.cpu_count(), "load": [round(load, 1), round(os.getloadavg()[0], 1)]}
    kept = {"machine": machine, "figures": [asdict(figures) for figures in found]}
    if given.save:
        given.save.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return kept


if __name__ == "__main__":
    main()
