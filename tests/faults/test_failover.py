"""PostgreSQL fails under load, in every way that it has: nothing acknowledged is lost, nothing is stored twice."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from monitor.domain import RunStatus
from monitor.store import Store
from monitor.store.sql import migrate
from tests.conftest import Feed, PostgresServer
from tests.faults.postgres_pair import Postgres, url_of
from tests.faults.test_replicas import Writer
from tests.server.conftest import Start, start_up, until

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.faults]
__all__ = ["start_up"]
WRITERS, STEPS = 8, 1500
TRAINING = f"""
import time, monitor

run = monitor.init(project="fleet", name="training")
for step in range({STEPS}):
    run.log({{"train/loss": 2 / (1 + step / 100)}}, step=step)
    time.sleep(0.01)  # as a training takes time for its steps
run.finish()
"""


@pytest.fixture
def pair(postgres: PostgresServer) -> Iterator[tuple[Postgres, Postgres]]:
    """A primary and its synchronous standby; `postgres` has made the user that they run as."""
    made: list[Postgres] = []
    try:
        made.append(Postgres.made())
        made.append(made[0].standby())
        yield made[0], made[1]
    finally:
        for server in made:
            server.close()


def under_load(
    start_up: Start, url: str, folder: Path, disturb: Callable[[], None], database: Callable[[], str]
) -> float:
    """Have writers and a training log through a server while something happens to the database; then check all.

    Returns:
        The longest time in seconds that no writer was acknowledged anything.
    """
    server = start_up("--no-dashboard", "--port", "0", MONITOR_DATABASE_URL=url)
    api, over = server.urls["api"], threading.Event()
    writers = [Writer([api], over) for _ in range(WRITERS)]
    own = {"MONITOR_SERVER_URL": api, "MONITOR_DIR": str(folder / "client"), "MONITOR_FINISH_TIMEOUT_S": "120"}
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MONITOR_")}
    training = subprocess.Popen([sys.executable, "-c", TRAINING], env={**clean, **own, "MONITOR_CAPTURE": "false"})
    watch = Stalls(writers)
    try:
        for each in (*writers, watch):
            each.start()
        until(lambda: all(writer.acked > 200 for writer in writers), 60)
        disturb()
        reached = [writer.acked for writer in writers]
        until(lambda: all(writer.acked > at + 200 for writer, at in zip(writers, reached, strict=True)), 90)
        assert training.wait(180) == 0
    finally:
        training.kill()
        watch.over.set()
        over.set()
        for writer in writers:
            writer.join(60)
    assert [writer.error for writer in writers] == [""] * WRITERS
    with Store.open(database()) as store:
        for writer in writers:
            assert store.history(writer.run_id, "train/loss").steps.tolist() == list(range(1, writer.acked))
        run = store.run("training")
        assert store.history(run.id, "train/loss").steps.tolist() == list(range(STEPS))
        until(lambda: store.run("training").status is RunStatus.FINISHED)
    until(lambda: httpx.get(f"{api}/readyz").status_code == 200, 60)
    return watch.longest_s


class Stalls(threading.Thread):
    """Watches for how long at most no writer is acknowledged anything."""

    def __init__(self, writers: list[Writer]) -> None:
        super().__init__(daemon=True)
        self.writers, self.over, self.longest_s = writers, threading.Event(), 0.0

    def run(self) -> None:
        acked, since = 0, time.monotonic()
        while not self.over.wait(0.02):
            now = sum(writer.acked for writer in self.writers)
            if now != acked:
                acked, since = now, time.monotonic()
            self.longest_s = max(self.longest_s, time.monotonic() - since)


def test_a_standby_takes_over_and_has_all_that_was_acknowledged(
    start_up: Start, pair: tuple[Postgres, Postgres], tmp_path: Path
) -> None:
    primary, standby = pair

    def fail_over() -> None:
        primary.kill()
        time.sleep(2)  # until somebody, or a program, decides
        standby.promote()

    stall_s = under_load(start_up, url_of(primary, standby), tmp_path, fail_over, lambda: url_of(standby))
    print(f"stalled for {stall_s:.1f} s")
    assert stall_s < 20


def test_nothing_is_acknowledged_that_the_standby_does_not_have_however_long_it_takes(
    pair: tuple[Postgres, Postgres],
) -> None:
    primary, standby = pair
    migrate.upgrade(url_of(primary))
    primary.execute("ALTER DATABASE postgres SET statement_timeout = '1s'")
    with Store.open(url_of(primary)) as store:
        feed = Feed(store)
        feed.start()
        standby.signal(signal.SIGSTOP)
        writes = [
            threading.Thread(target=work)
            for work in (lambda: feed.log("loss", [0], [1.0]), lambda: store.register_channels(["c"], 1))
        ]
        for write in writes:
            write.start()
        writes[0].join(4)
        waiting = [write.is_alive() for write in writes]
        standby.signal(signal.SIGCONT)
        for write in writes:
            write.join(20)
    assert waiting == [True, True]


def test_a_host_that_does_not_answer_is_passed_over(pair: tuple[Postgres, Postgres]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel takes connections, and nobody reads
        silent_host = f"host=127.0.0.1:{silent.getsockname()[1]}&"
        url, begun = url_of(*pair).replace("?", f"?{silent_host}"), time.monotonic()
        migrate.upgrade(url)
        with Store.open(url) as store:
            Feed(store).start()
    assert time.monotonic() - begun < 30  # each of its few connections waits for five seconds


def test_a_database_that_restarts_under_load_loses_nothing(
    start_up: Start, pair: tuple[Postgres, Postgres], tmp_path: Path
) -> None:
    primary, _ = pair

    def restart() -> None:
        for _ in range(3):
            primary.restart()
            time.sleep(1)

    stall_s = under_load(start_up, url_of(primary), tmp_path, restart, lambda: url_of(primary))
    print(f"stalled for {stall_s:.1f} s")


def test_connections_that_run_out_and_statements_that_time_out_lose_nothing(
    start_up: Start, pair: tuple[Postgres, Postgres], tmp_path: Path
) -> None:
    primary, _ = pair

    def disturb() -> None:
        held = all_connections(primary)
        mine = [connection.info.backend_pid for connection in held]
        held[0].execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> ALL(%s)"
            " AND backend_type = 'client backend'",
            [mine],
        )
        held += all_connections(primary)  # those of the server too, before it comes back
        time.sleep(3)
        for connection in held:
            connection.close()
        with psycopg.connect(url_of(primary)) as connection:
            connection.execute("LOCK TABLE monitor_runs")  # statements wait for it, and time out
            time.sleep(5)

    primary.execute("ALTER DATABASE postgres SET statement_timeout = '2s'")
    stall_s = under_load(start_up, url_of(primary), tmp_path, disturb, lambda: url_of(primary))
    print(f"stalled for {stall_s:.1f} s")


def test_deadlocks_under_a_database_that_serialises_all_transactions_lose_nothing(
    start_up: Start, pair: tuple[Postgres, Postgres], tmp_path: Path
) -> None:
    primary, _ = pair
    primary.execute("ALTER DATABASE postgres SET default_transaction_isolation = 'serializable'")

    def disturb() -> None:
        for _ in range(3):
            deadlock(primary)

    stall_s = under_load(start_up, url_of(primary), tmp_path, disturb, lambda: url_of(primary))
    ((deadlocks, rolled_back),) = primary.execute(
        "SELECT deadlocks, xact_rollback FROM pg_stat_database WHERE datname = 'postgres'"
    )
    print(f"{deadlocks} deadlocks, {rolled_back} transactions undone, stalled for {stall_s:.1f} s")
    assert deadlocks >= 3


def deadlock(server: Postgres) -> None:
    """Have all writes that are under way wait for each other, so that PostgreSQL ends them."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'monitor_chunks'::regclass"
    with psycopg.connect(url_of(server)) as other:
        other.execute("SET deadlock_timeout = '60s'")  # the others see it first
        other.execute("LOCK TABLE monitor_chunks IN EXCLUSIVE MODE")
        until(lambda: server.execute(waiting) != [(0,)])
        other.execute("LOCK TABLE monitor_runs IN EXCLUSIVE MODE")  # their rows of it are locked


def all_connections(server: Postgres) -> list[psycopg.Connection[tuple[object, ...]]]:
    """All that the server has left."""
    held: list[psycopg.Connection[tuple[object, ...]]] = []
    while True:
        try:
            held.append(psycopg.connect(url_of(server)))
        except psycopg.OperationalError:
            return held
