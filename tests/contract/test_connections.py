"""PostgreSQL's connections: few, shared, given back, waited for, and replaced when the server drops them."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import text

from monitor.errors import RunNotFound, StoreBusy, StoreError
from monitor.store import Store
from monitor.store.sql import pool
from tests.conftest import Feed, PostgresServer

pytestmark = pytest.mark.postgres
_roles = itertools.count()


@pytest.fixture
def few_url(postgres: PostgresServer, postgres_url: str) -> Iterator[str]:
    """The database for a role that may have four connections."""
    role = f"few{next(_roles)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 4".encode())
        connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}".encode())
    yield postgres_url.replace("postgres:@", f"{role}:@").replace("postgres@", f"{role}@")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP OWNED BY {role}".encode())
        connection.execute(f"DROP ROLE {role}".encode())


def sessions(url: str, *, role: str = "%") -> list[int]:
    """Process numbers of the server's sessions of this database, but for the one that asks."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND usename LIKE %s AND backend_type = 'client backend'",
            [role],
        )
        return [row[0] for row in found.fetchall()]


def read_at_once(store: Store, count: int) -> list[BaseException]:
    """Reads that are all under way at the same time, as far as there are connections; what they raised."""
    problems: list[BaseException] = []

    def read() -> None:
        try:
            with store._read() as connection:
                connection.execute(text("SELECT pg_sleep(0.2)"))
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=read) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return problems


def test_a_role_with_few_connections_reads_and_writes_at_once_and_afterwards(few_url: str) -> None:
    with Store.open(few_url) as store:
        feed = Feed(store)
        feed.start()
        assert read_at_once(store, 8) == []
        for step in range(3):
            feed.log("loss", [step], [1.0])
        writer = Feed(store)
        started = threading.Thread(target=writer.start)
        started.start()
        assert read_at_once(store, 8) == []
        started.join(60)
        assert store.run(writer.run_id).id == writer.run_id


def test_a_write_waits_for_the_connections_that_another_process_gives_back(
    few_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "IDLE_S", 1.0)
    monkeypatch.setattr(pool, "WAIT_S", 60.0)
    with Store.open(few_url) as store, Store.open(few_url) as other:
        assert read_at_once(other, 4) == []  # and keeps its four connections for a second
        assert Feed(store).start().acked == 1


def test_where_nobody_gives_a_connection_back_a_write_is_busy(few_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "WAIT_S", 0.3)
    with Store.open(few_url) as store:
        store._engine.dispose()
        held = [psycopg.connect(few_url) for _ in range(4)]
        with pytest.raises(StoreError, match="too many connections"):
            Feed(store).start()
        for connection in held:
            connection.close()
        monkeypatch.setattr(pool, "WAIT_S", 60.0)  # the server takes its time to end them
        Feed(store).start()


def test_idle_connections_are_given_back(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "IDLE_S", 0.2)
    with Store.open(postgres_url) as store:
        assert read_at_once(store, 20) == []
        with store._read():
            before = len(sessions(postgres_url))
        given = threading.Event()
        for _ in range(600):
            if len(sessions(postgres_url)) < before:
                break
            given.wait(0.1)
        assert len(sessions(postgres_url)) < before
        assert store.runs(limit=1).total == 0


def test_reads_and_writes_of_a_process_share_a_small_pool(postgres_url: str) -> None:
    with Store.open(postgres_url) as store:
        before = len(sessions(postgres_url))
        feeds = [Feed(store) for _ in range(20)]
        writers = [threading.Thread(target=feed.start) for feed in feeds]
        for thread in writers:
            thread.start()
        assert read_at_once(store, 20) == []
        for thread in writers:
            thread.join(60)
        assert len(sessions(postgres_url)) - before < pool.CONNECTIONS
        assert store.runs(limit=1).total == 20
    assert 8 * pool.CONNECTIONS <= 97  # seven workers and the process above them; PostgreSQL keeps three for itself


def test_long_reads_leave_connections_to_the_writes(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.store.database.WAIT_S", 0.3)
    done, begun = threading.Event(), threading.Semaphore(0)

    def read() -> None:
        with store._read():
            begun.release()
            done.wait(60)

    with Store.open(postgres_url) as store:
        threads = [threading.Thread(target=read) for _ in range(pool.READS)]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert begun.acquire(timeout=60)
        try:
            with pytest.raises(StoreBusy, match="had no connection free"):
                store.runs(limit=1)
            Feed(store).start()
        finally:
            done.set()
            for thread in threads:
                thread.join(60)
        assert store.runs(limit=1).total == 1


def test_a_server_that_dropped_its_connections_is_read_and_written_at_once(postgres_url: str) -> None:
    with Store.open(postgres_url) as store:
        feed = Feed(store)
        feed.start()
        assert read_at_once(store, 3) == []
        for _ in range(2):
            with psycopg.connect(postgres_url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            assert store.run(feed.run_id).id == feed.run_id
            assert feed.log("loss", [feed.acked], [1.0]).acked == feed.acked


def test_reads_that_fail_do_not_cost_a_write_what_it_has_prepared(postgres_url: str) -> None:
    with Store.open(postgres_url) as store:
        feed = Feed(store)
        feed.start()
        for step in range(10):
            feed.log("loss", [step], [1.0])
            with pytest.raises(RunNotFound):
                store.run("f" * 32)
            with pytest.raises(StoreError), store._read() as connection:
                connection.execute(text("SELECT 1 / 0"))
            with pytest.raises(StoreError), store._change() as connection:
                connection.execute(text("SELECT 1 / 0"))
            with contextlib.suppress(RuntimeError), store._change() as connection:
                connection.execute(text("SELECT 1"))
                raise RuntimeError
        assert len(store.history(feed.run_id, "loss")) == 10


@pytest.mark.parametrize("through_pooler", [False, True])
def test_a_statement_that_takes_too_long_is_ended(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, through_pooler: bool
) -> None:
    monkeypatch.setattr("monitor.store.store.STATEMENT_S", 1.0)
    if through_pooler:  # which hands out process numbers of its own
        monkeypatch.setattr("psycopg.ConnectionInfo.backend_pid", 1)
    with Store.open(postgres_url) as store:
        for _ in range(2):
            with pytest.raises(StoreError, match="a statement took too long and was ended"), store._read() as reading:
                reading.execute(text("SELECT pg_sleep(60)"))
            assert store.runs(limit=1).total == 0
