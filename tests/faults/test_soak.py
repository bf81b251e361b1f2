"""Hours in minutes: runs come and go while a server and the database fail at random; memory, files, waits stay flat.

`SOAK_S=3600 SOAK_RUNS=200 pytest tests/faults/test_soak.py -s` takes an hour; `SOAK_EVERY_S`, `SOAK_LIFE_S` and
`SOAK_FAULT_S` set how often a run sends, how long it lasts, and how often something fails. `SOAK_REPORT=FILE` keeps the
samples, which `benchmarks/draw_soak.py` draws.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from monitor.store import Store
from monitor.wire import MEDIA_TYPE, Batch, encode_batch
from tests.conftest import PostgresServer, event_batch
from tests.faults.postgres_pair import Postgres, url_of
from tests.server.conftest import Start, Up, a_batch, start_up

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.faults]
__all__ = ["start_up"]
SECONDS, RUNS = float(os.environ.get("SOAK_S", "150")), int(os.environ.get("SOAK_RUNS", "20"))
EVERY_S, LIFE_S = float(os.environ.get("SOAK_EVERY_S", "0.5")), float(os.environ.get("SOAK_LIFE_S", "45"))
RATE, MOST_POINTS, FINISHED, FROZEN_S = 20.0, 2000, 0.8, 3.0
"""Points per second of a run; the most in a batch; the share of runs that finish, while the others are lost; how long a
process is stopped when it is not killed."""
SAMPLE_S, FAULT_S = max(2.0, SECONDS / 500), float(os.environ.get("SOAK_FAULT_S", "15"))
TRAINING = """
import sys, time, monitor

run, end = monitor.init(project="soak", name="training"), time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    run.log({"train/loss": 1.0})
    time.sleep(0.05)
run.finish()
"""


@dataclass
class Sample:
    """How things are at a time: MiB and descriptors of what is never killed, waits since the last one."""

    at_s: float
    server_mib: float
    server_files: int
    client_mib: float
    client_files: int
    database_connections: int
    wait_ms: float
    behind_s: float


class Soaked(threading.Thread):
    """One run after the other. Like the courier, it sends a batch with all that is due until it is acknowledged."""

    def __init__(self, addresses: list[str], over: threading.Event, waits: list[float]) -> None:
        super().__init__(daemon=True)
        self.addresses, self.over, self.waits = addresses, over, waits
        self.done: dict[str, int] = {}
        self.reached_s = time.monotonic()
        self.error = ""

    def run(self) -> None:
        rng = random.Random()
        with httpx.Client(timeout=20) as client:
            while not self.over.is_set() and not self.error:
                self._one_run(client, rng)

    def _one_run(self, client: httpx.Client, rng: random.Random) -> None:
        run_id, acked, begun = uuid.uuid4().hex, 0, time.monotonic()
        life_s = LIFE_S * rng.uniform(0.5, 1.5)
        while (age_s := time.monotonic() - begun) < life_s and not self.over.is_set():
            due = int(RATE * age_s) - acked
            if due > 0 or not acked:
                points = [1.0] * min(max(1, due), MOST_POINTS)
                acked = self._send(client, rng, a_batch(run_id, points, first=acked, name=run_id))
                self.reached_s = begun + acked / RATE
            if self.error:
                return
            if due < MOST_POINTS:
                self.over.wait(EVERY_S)
        if not self.error:
            self.done[run_id] = acked
            if rng.random() < FINISHED:
                self._send(client, rng, event_batch(run_id, "w", acked, "finish"))

    def behind_s(self) -> float:
        """Seconds of logging that are not acknowledged, beyond those that wait to be sent."""
        return max(0.0, time.monotonic() - self.reached_s - EVERY_S)

    def _send(self, client: httpx.Client, rng: random.Random, batch: Batch) -> int:
        body = encode_batch(batch)
        begun = time.monotonic()
        while True:
            try:
                url = f"{rng.choice(self.addresses)}/api/v1/batches"
                answer = client.post(url, content=body, headers={"Content-Type": MEDIA_TYPE})
            except httpx.HTTPError:
                time.sleep(0.05)  # whoever was killed is started again
                continue
            if answer.status_code == 200:
                self.waits.append(time.monotonic() - begun)
                return int(answer.json()["acked"])
            if answer.status_code < 500:
                self.error = answer.text
                return batch.first
            time.sleep(0.1)


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Postgres]:
    made = Postgres.made()
    yield made
    made.close()


def test_nothing_grows_while_runs_come_and_go_and_servers_and_the_database_die(
    start_up: Start, database: Postgres, tmp_path: Path
) -> None:
    url = url_of(database)
    logs = tmp_path / "steady.log", tmp_path / "victim.log"
    steady, victim = (started(start_up, url, log) for log in logs)
    addresses, over, waits = [each.urls["api"] for each in (steady, victim)], threading.Event(), list[float]()
    writers = [Soaked(addresses, over, waits) for _ in range(RUNS)]
    own = {"MONITOR_SERVER_URL": addresses[0], "MONITOR_DIR": str(tmp_path / "client"), "MONITOR_CAPTURE": "false"}
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MONITOR_")}
    training = subprocess.Popen([sys.executable, "-c", TRAINING, str(SECONDS)], env={**clean, **own})
    samples: list[Sample] = []
    faults = dict.fromkeys(("database killed", "database stopped", "server killed", "server stopped"), 0)
    rng, begun = random.Random(3), time.monotonic()
    next_fault = begun + FAULT_S
    try:
        for writer in writers:
            writer.start()
        while (now := time.monotonic()) < begun + SECONDS:
            if now > next_fault:
                what = rng.choice(sorted(faults))
                faults[what] += 1
                match what:
                    case "server killed":
                        victim = replaced(victim, start_up, url, logs[1], addresses)
                    case "server stopped":
                        stopped(victim.process.send_signal)
                    case "database killed":
                        database.restart()
                    case "database stopped":
                        stopped(database.signal)
                next_fault = now + FAULT_S * rng.uniform(0.7, 1.3)
            samples.append(sample(now - begun, steady, training, url, waits, writers))
            report(samples, faults)
            over.wait(SAMPLE_S)
        assert training.wait(60) == 0
    finally:
        training.kill()
        over.set()
        for writer in writers:
            writer.join(60)
        show(samples, faults)
    assert [writer.error for writer in writers] == [""] * RUNS
    with Store.open(url) as store:
        done = {run: acked for writer in writers for run, acked in writer.done.items()}
        for run, acked in done.items():
            assert store.history(run, "train/loss").steps.tolist() == list(range(1, acked))
    assert len(done) > RUNS
    flat(samples)


def started(start_up: Start, url: str, log: Path) -> Up:
    """A server that logs to a file, which is still there if the test fails or hangs."""
    return start_up("--no-dashboard", "--port", "0", log=log, MONITOR_DATABASE_URL=url)


def replaced(victim: Up, start_up: Start, url: str, log: Path, addresses: list[str]) -> Up:
    """SIGKILL a server, and start it again."""
    victim.end(signal.SIGKILL)
    again = started(start_up, url, log)
    addresses[1] = again.urls["api"]
    return again


def stopped(send: Callable[[int], None]) -> None:
    """Stop processes for a while, as a machine that swaps or a paused container does."""
    send(signal.SIGSTOP)
    time.sleep(FROZEN_S)
    send(signal.SIGCONT)


def sample(
    at_s: float, server: Up, training: subprocess.Popen[bytes], url: str, waits: list[float], writers: list[Soaked]
) -> Sample:
    """How things are now."""
    taken = [waits.pop() for _ in range(len(waits))]
    (server_mib, server_files), (client_mib, client_files) = (held(each) for each in (server.process.pid, training.pid))
    return Sample(
        at_s=round(at_s, 1),
        server_mib=server_mib,
        server_files=server_files,
        client_mib=client_mib,
        client_files=client_files,
        database_connections=connections(server.process.pid, int(url.rpartition(":")[2].partition("/")[0])),
        wait_ms=round(1000 * statistics.median(taken), 1) if taken else 0.0,
        behind_s=round(max(writer.behind_s() for writer in writers), 1),
    )


def held(pid: int) -> tuple[float, int]:
    """MiB and descriptors of a process and of those below it."""
    mib, files = 0.0, 0
    try:
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            mib += each.memory_info().rss / 2**20
            files += each.num_fds()
    except psutil.NoSuchProcess:
        pass
    return round(mib, 1), files


def connections(pid: int, port: int) -> int:
    """How many a process has to a port."""
    return sum(1 for each in psutil.Process(pid).net_connections("tcp") if each.raddr and each.raddr.port == port)


LIMITS = {"server_mib": 15.0, "client_mib": 8.0, "server_files": 4.0, "client_files": 4.0, "database_connections": 4.0}
"""By how much each may grow from the end of the first third, which is for warming up, to the end."""


def flat(samples: list[Sample]) -> None:
    """Nothing grows, by the median of the slopes between any two samples, which no fault moves."""
    steady = samples[len(samples) // 3 :]
    minutes = (steady[-1].at_s - steady[0].at_s) / 60
    grown = {name: slope(steady, name) * minutes for name in (*LIMITS, "wait_ms")}
    print(f"over the last {minutes:.1f} minutes:", {name: round(value, 2) for name, value in grown.items()})
    assert {name: value for name, value in grown.items() if name in LIMITS and value > LIMITS[name]} == {}
    assert grown["wait_ms"] <= 50 + statistics.median(each.wait_ms for each in steady)
    assert min(each.behind_s for each in steady[-5:]) <= 2 * EVERY_S


def slope(samples: list[Sample], name: str) -> float:
    """How much more a minute; samples of what is gone are left out."""
    points = [(each.at_s / 60, float(getattr(each, name))) for each in samples if each.client_mib][
        :: len(samples) // 300 + 1
    ]
    return statistics.median((y - v) / (x - u) for i, (x, y) in enumerate(points) for u, v in points[:i])


def show(samples: list[Sample], faults: dict[str, int]) -> None:
    """Print the figures in eight rows."""
    print(f"\n{RUNS} runs, {SECONDS:g} s, faults: {faults}")
    for each in samples[:: max(1, len(samples) // 8)]:
        print(each)


def report(samples: list[Sample], faults: dict[str, int]) -> None:
    """Keep all figures up to now, where that is asked for."""
    if to := os.environ.get("SOAK_REPORT"):
        what = {"runs": RUNS, "every_s": EVERY_S, "rate": RATE, "life_s": LIFE_S, "seconds": SECONDS, "faults": faults}
        kept = {**what, "samples": [asdict(each) for each in samples]}
        Path(to).write_text(json.dumps(kept), encoding="utf-8")
