"""From the offending `log()` to the webhook: real clients, a real server and a real receiver, among 200 live runs.

Some runs are real clients with courier processes of their own. Now and then one logs a value that crosses a threshold,
and at its end a NaN. All others send a batch every second, as a client does whose steps take a second. The floor is
what the loop could do by itself under the same load: post to the webhook. Run it from the checkout:

    python benchmarks/bench_alerts.py            # SQLite and PostgreSQL, about four minutes
    python benchmarks/bench_alerts.py --smoke    # a few seconds, SQLite alone, for the tests
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parent))
from bench_ingest import server
from bench_store import Table, loss, postgres

import monitor
from monitor.settings import load
from monitor.wire import MEDIA_TYPE, Batch, Columns, Event, encode_batch

KEYS = ("train/loss", "val/loss")
SECONDS = 150
"""For how long the other runs send, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured.

    Attributes:
        live: runs that are live at once.
        clients: those of them that are real clients, each in a process of its own.
        alerts: of each client; the last is a NaN.
        every_s: seconds between the alerts of a client, on average.
    """

    live: int = 200
    clients: int = 12
    alerts: int = 10
    every_s: float = 4.0


@dataclass(slots=True)
class Receiver:
    """What the webhook was posted, by run and rule or threshold: when each alert came, and when it was stored."""

    url: str = ""
    came: dict[tuple[str, str], float] = field(default_factory=dict)
    stored: dict[tuple[str, str], float] = field(default_factory=dict)


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """A webhook on loopback."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            came = time.time()
            for run_id in body["run_ids"]:
                key = (run_id, body["dedup_key"].split(":", 1)[1])
                found.came.setdefault(key, came)
                found.stored.setdefault(key, body.get("created_ms", 0) / 1000)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.daemon_threads = True
    found.url = f"127.0.0.1:{receiver.server_port}/alerts"
    threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield found
    receiver.shutdown()
    receiver.server_close()


def client(project: str, address: str, folder: str, url: str, size: Size) -> None:
    """A training of ten steps a second; prints when it logged what is worth an alert, and what a bare post took."""
    rng, settings = random.Random(project), load(dir=folder, server_url=address, capture=False)
    run, step, values = monitor.init(project, settings=settings), 0, loss(100_000).tolist()
    print(json.dumps({"began": run.id}), flush=True)
    sys.stdin.readline()  # until all are there
    for number in range(size.alerts):
        until = time.monotonic() + rng.uniform(0.5, 1.5) * size.every_s
        while time.monotonic() < until:
            run.log({"train/loss": values[step], "val/loss": 1.1 * values[step]}, step)
            step += 1
            time.sleep(0.1)
        last = number == size.alerts - 1
        sent = time.time()
        run.log({"train/loss": math.nan} if last else {f"x{number}": 2.0}, step)
        key = "nan" if last else f"threshold:x{number} > 1"
        body = json.dumps({"run_ids": [run.id], "dedup_key": f"{run.id}:floor:{number}"}).encode()
        start = time.perf_counter()
        urllib.request.urlopen(urllib.request.Request(f"http://{url}", body, method="POST"), timeout=30).close()
        floor = time.perf_counter() - start
        print(json.dumps({"run": run.id, "key": key, "sent": sent, "floor": floor}), flush=True)
    sys.stdin.readline()
    run.finish()


@contextlib.contextmanager
def live_runs(address: str, count: int) -> Iterator[None]:
    """Runs that send a point of two series every second, over a connection each, until the block ends.

    What they send is encoded beforehand: trainings have machines of their own, and these two cores are the server's.
    """
    bodies = [posts_of(number) for number in range(count)]
    ended = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_send_all(address, bodies, ended)), daemon=True)
    thread.start()
    yield
    ended.set()
    thread.join(60)


def posts_of(number: int) -> list[bytes]:
    """The requests of a run: its beginning, and a batch for each second."""
    run_id, values, now = os.urandom(16).hex(), loss(SECONDS, number), time.time_ns() // 10**6
    data = {"project": f"bench-{number % 5}", "name": f"live-{number}"}
    begun = Event(kind="run", record=0, time_ms=now, data=data)
    batches = [Batch(run_id=run_id, writer="w", first=0, count=1, events=(begun,))]
    for i in range(SECONDS):
        both = np.array([values[i], 1.1 * values[i]])
        points = Columns(np.array([0, 1], np.uint16), np.full(2, i), both, np.full(2, now + 1000 * i))
        batches.append(Batch(run_id=run_id, writer="w", first=1 + i, count=1, keys=KEYS, points=points))
    return [_request(encode_batch(batch)) for batch in batches]


def _request(body: bytes) -> bytes:
    head = f"POST /api/v1/batches HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {MEDIA_TYPE}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _send_all(address: str, bodies: list[list[bytes]], ended: threading.Event) -> None:
    host, port = address.removeprefix("http://").split(":")
    await asyncio.gather(*(_send(host, int(port), posts, ended) for posts in bodies))


async def _send(host: str, port: int, posts: list[bytes], ended: threading.Event) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    await asyncio.sleep(random.random())
    for post in posts:
        due = time.monotonic() + 1
        while not await _accepted(reader, writer, post):
            await asyncio.sleep(0.5)  # as a client does where the database is busy
        if ended.is_set():
            break
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    writer.close()


async def _accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, post: bytes) -> bool:
    writer.write(post)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    answer = await reader.readexactly(length)
    if b" 200 " not in head[:16] and b" 503 " not in head[:16]:
        raise RuntimeError(answer.decode())
    return b" 200 " in head[:16]


def bench(table: Table, name: str, folder: Path, url: str, size: Size) -> None:
    """Alerts of all clients, on one server."""
    folder.mkdir()
    thresholds = [{"when": f"x{number} > 1", "severity": "critical"} for number in range(size.alerts - 1)]
    with receiving() as receiver:
        os.environ["MONITOR_ALERT_URLS"] = f"json://{receiver.url}"
        os.environ["MONITOR_THRESHOLDS"] = json.dumps(thresholds)
        with server(folder, url) as address, live_runs(address, size.live - size.clients):
            before, start = _processor_s(address), time.monotonic()
            sent = trainings(folder, address, receiver, size)
            busy = (_processor_s(address) - before) / (time.monotonic() - start)
    seconds = {key: receiver.came[key] - when for key, (when, _) in sent.items()}
    times, floors = sorted(seconds.values()), sorted(floor for _, floor in sent.values())
    until_stored = sorted(receiver.stored[key] - when for key, (when, _) in sent.items())
    nans = [took for (_, rule), took in seconds.items() if rule.startswith("nan")]
    among = f"{name}, {size.live} live runs: log() to webhook"
    table.add(f"{among}, median of {len(times)}", statistics.median(times), "s", statistics.median(floors))
    table.add(f"{among}, 95th percentile", _share(times, 0.95), "s", _share(floors, 0.95))
    table.add(f"{among}, longest", times[-1], "s", floors[-1])
    table.add(f"{name}, {size.live} live runs: log() to the commit, median", statistics.median(until_stored), "s")
    table.add(f"{name}, {size.live} live runs: log() to the commit, 95th percentile", _share(until_stored, 0.95), "s")
    table.add(f"{among}, median of the {len(nans)} NaNs alone", statistics.median(nans), "s")
    table.add(f"{name}, {size.live} live runs: processor time of the server", busy, "s/s")


def trainings(folder: Path, address: str, receiver: Receiver, size: Size) -> dict[tuple[str, str], tuple[float, float]]:
    """Run the clients until each alert has come; by alert, when it was logged and what a bare post took."""
    given = [address, str(folder / "clients"), receiver.url, json.dumps(asdict(size))]
    started = [
        subprocess.Popen(
            [sys.executable, __file__, "--client", f"client-{n}", *given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(size.clients)
    ]
    try:
        for process in started:
            assert process.stdout is not None
            assert "began" in json.loads(process.stdout.readline())
        for process in started:
            _go_on(process)
        sent: dict[tuple[str, str], tuple[float, float]] = {}
        for process in started:
            assert process.stdout is not None
            for _ in range(size.alerts):
                said = json.loads(process.stdout.readline())
                sent[(said["run"], said["key"])] = (said["sent"], said["floor"])
        return _awaited(sent, receiver)
    finally:
        for process in started:
            with contextlib.suppress(OSError):
                _go_on(process)
            process.wait(60)


def _processor_s(address: str) -> float:
    """Processor time that the server has used so far, in seconds."""
    port = int(address.rpartition(":")[2])
    listening = [place for place in psutil.net_connections("tcp4") if place.status == psutil.CONN_LISTEN]
    pid = next(place.pid for place in listening if place.laddr.port == port)
    return float(sum(psutil.Process(pid).cpu_times()[:2]))


def _go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def _awaited(
    sent: dict[tuple[str, str], tuple[float, float]], receiver: Receiver
) -> dict[tuple[str, str], tuple[float, float]]:
    """The alerts by the keys that they came under: a finding's has its number."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        came = {run_and_key: run_and_key for run_and_key in list(receiver.came)}
        found = {
            next((each for each in came if each[0] == run and each[1].startswith(key)), None): value
            for (run, key), value in sent.items()
        }
        if None not in found:
            return {key: value for key, value in found.items() if key is not None}
        time.sleep(0.05)
    raise RuntimeError(f"of {len(sent)} alerts some did not come within a minute")


def _share(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main(arguments: list[str] | None = None) -> list[dict[str, object]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="few runs, SQLite alone")
    parser.add_argument("--only", choices=["sqlite", "postgres"], help="one database alone")
    parser.add_argument("--save", type=Path, help="write the figures here, as JSON")
    parser.add_argument("--client", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.client:
        project, address, folder, url, size = given.client
        client(project, address, folder, url, Size(**json.loads(size)))
        return []
    size = Size(live=6, clients=2, alerts=2, every_s=1.0) if given.smoke else Size()
    table = Table()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-alerts-")))
        if given.only != "postgres":
            bench(table, "sqlite", folder / "sqlite", f"sqlite:///{folder / 'bench.db'}", size)
        if given.only != "sqlite" and not given.smoke:
            bench(table, "postgres", folder / "postgres", stack.enter_context(postgres()), size)
    if given.save:
        given.save.write_text(json.dumps(table.rows, indent=1), encoding="utf-8")
    return table.rows


if __name__ == "__main__":
    if "--client" not in sys.argv:
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    main()
