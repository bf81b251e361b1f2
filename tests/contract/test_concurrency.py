"""Many writers at once: processes on one file, runs that never wait for each other, keys that a cluster could place."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading

import numpy as np
import pytest
from sqlalchemy import event

from monitor.ingest.engines import Engines
from monitor.store import Store
from monitor.store.sql import connect
from monitor.store.sql.link import Answer, Link, Statement, Values
from monitor.store.sql.schema import METADATA
from monitor.wire import Batch, Columns
from tests.conftest import NOW_MS, Feed


def test_processes_that_write_at_once_lose_nothing(store_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    shared = "f" * 32
    workers = [context.Process(target=_write, args=(store_url, shared, i, barrier)) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(180)
    assert [worker.exitcode for worker in workers] == [0] * 3
    with Store.open(store_url) as store:
        assert store.runs().total == 4
        assert store.run(shared).attempt == 1
        for i in range(3):
            assert store.history(f"{i:032x}", "loss").values.tolist() == list(range(30))
            assert store.history(shared, f"rank{i}").values.tolist() == list(range(30))


def _write(url: str, shared: str, i: int, barrier: threading.Barrier) -> None:
    connect.BUSY_TIMEOUT_S = 120.0  # type: ignore[misc]  # the others may be halted with the lock in their hands
    barrier.wait()
    with Store.open(url) as store:
        own, joint = Feed(store, run_id=f"{i:032x}"), Feed(store, run_id=shared, writer=f"w{i}")
        own.start()
        joint.start(join=True)
        for step in range(30):
            own.log("loss", [step], [float(step)])
            joint.log(f"rank{i}", [step], [float(step)])


@pytest.mark.postgres
def test_runs_do_not_wait_for_each_other_on_postgresql(postgres_url: str) -> None:
    with Store.open(postgres_url) as store:
        one, two = Feed(store), Feed(store)
        one.start()
        two.start()
        with store.write(one.run_id, NOW_MS) as tx:
            tx.set(headline="held")
            tx.flush()
            done = threading.Event()
            other = threading.Thread(target=lambda: (two.log("loss", [1], [1.0]), done.set()))
            other.start()
            assert done.wait(60), "a write to one run waited for a write to another"
            other.join()
            same = threading.Thread(target=lambda: one.log("loss", [1], [1.0]))
            same.start()
            same.join(0.2)
            assert same.is_alive(), "two transactions held the same run"
        same.join(60)
        assert len(store.history(one.run_id, "loss")) == 1


def test_threads_that_send_one_writers_batch_store_it_once(store: Store) -> None:
    feed = Feed(store)
    feed.start()
    batch = feed.batch("loss", range(50), [1.0] * 50)
    replies: list[bool] = []
    threads = [threading.Thread(target=lambda: replies.append(_send(store, feed, batch))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(replies) == [False] + [True] * 5
    assert len(store.history(feed.run_id, "loss")) == 50


def test_threads_that_send_one_writers_first_batch_start_the_run_once(store: Store) -> None:
    barrier, replies = threading.Barrier(4), list[bool]()

    def start() -> None:
        barrier.wait()
        replies.append(Feed(store, run_id="d" * 32).start().duplicate)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(replies) == [False, True, True, True]
    assert (store.run("d" * 32).attempt, len(store.events("d" * 32))) == (1, 1)


def _send(store: Store, feed: Feed, batch: Batch) -> bool:
    return Feed(store, run_id=feed.run_id, acked=1).send(batch).duplicate


def test_writers_that_start_one_run_at_once_start_it_once(store: Store) -> None:
    errors: list[str] = []

    def start(i: int) -> None:
        try:
            Feed(store, run_id="e" * 32, writer=f"w{i}").start()
        except ValueError as error:
            errors.append(type(error).__name__)

    threads = [threading.Thread(target=start, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == ["RunExists"] * 3
    assert store.run("e" * 32).attempt == 1


OF_NO_RUN = {
    "monitor_audit", "monitor_channel_settings", "monitor_channels", "monitor_rules", "monitor_silences",
    "monitor_tokens", "monitor_views",
}  # fmt: skip
"""Tables that belong to no run, each of a few rows."""


def test_every_primary_key_starts_with_the_run() -> None:
    for table in METADATA.tables.values():
        if table.name in OF_NO_RUN:
            continue
        assert next(iter(table.primary_key)).name == "run_id", table.name
        for key in table.foreign_keys:
            assert (key.column.table.name, key.ondelete, key.parent.name) == ("monitor_runs", "CASCADE", "run_id")


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, object]]:
    """What write transactions say to the database, with the values."""
    found: list[tuple[str, object]] = []
    ask, tell = Link.ask, Link.tell

    def asking(link: Link, statement: Statement, values: Values) -> Answer:
        found.append((statement.on(link.dialect).text, values))
        return ask(link, statement, values)

    def telling(link: Link, statement: Statement, *rows: Values) -> None:
        found.extend((statement.on(link.dialect).text, row) for row in rows)
        tell(link, statement, *rows)

    monkeypatch.setattr(Link, "ask", asking)
    monkeypatch.setattr(Link, "tell", telling)
    return found


def test_a_write_touches_one_run_and_takes_its_lock_first(store: Store, spoken: list[tuple[str, object]]) -> None:
    begun: list[str] = []

    def trace(raw: object, *_: object) -> None:
        if isinstance(raw, sqlite3.Connection):
            raw.set_trace_callback(lambda sql: begun.append(sql) if sql.startswith("BEGIN") else None)

    event.listen(store._engine, "checkout", trace)
    feed, other = Feed(store, engines=Engines()), Feed(store)
    other.start()
    feed.start(tags={"a": "b"}, config={"lr": 1})
    spoken.clear()
    begun.clear()
    columns = Columns(
        np.array([0, 1] * 100, "u2"), np.arange(200), np.append(np.ones(199), np.nan), np.full(200, NOW_MS)
    )
    feed.send(Batch(run_id=feed.run_id, writer="w", first=1, count=200, keys=("loss", "val_loss"), points=columns))
    feed.log("loss", [300], [1.0])
    feed.event("checkpoint", step=1, path="p")
    feed.event("alert", title="t")
    store.compact(feed.run_id, now_ms=NOW_MS)
    assert begun == ["BEGIN IMMEDIATE"] * 5 or "FOR NO KEY UPDATE" in spoken[0][0]
    assert spoken[0][0].startswith("SELECT monitor_runs")
    assert {sql.split()[0] for sql, _ in spoken} == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    assert len(spoken) > 20
    for sql, values in spoken:
        assert feed.run_id in repr(values), sql
        assert other.run_id not in repr(values), sql


def test_deleting_a_run_takes_its_rows_along(store: Store) -> None:
    feed = Feed(store)
    feed.start(tags={"a": "b"})
    feed.log("loss", range(20), [1.0] * 19 + [float("nan")])
    feed.event("checkpoint", step=1, path="p")
    store.exported(feed.run_id, "mlflow", 1, "x")
    with store._change() as connection:
        runs = METADATA.tables["monitor_runs"]
        connection.execute(runs.delete().where(runs.c.run_id == feed.run_id))
        for table in METADATA.tables.values():
            assert connection.execute(table.select()).all() == [], table.name
