"""Connections to one database: write transactions on one run, and reads of one consistent state."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from monitor.errors import StoreBusy
from monitor.store.sql import connect as connecting
from monitor.store.sql.change_mark import ChangeMark
from monitor.store.sql.connect import (
    PATIENCE,
    limit_read,
    read_only,
    reading,
    shown,
    translated,
    wait_for_standby,
    writing,
)
from monitor.store.sql.lead import Leader
from monitor.store.sql.link import linked
from monitor.store.sql.lock import Turns
from monitor.store.sql.pool import READS, WAIT_S, connect
from monitor.store.sql.sqlite_file import check_read, check_written
from monitor.store.transaction import Ahead, Transaction


class Database:
    """The base class of the store: connections, transactions and locks.

    Safe to use from any thread, and again in a forked child, which gets its own connections.
    """

    transaction: ClassVar[type[Transaction]] = Transaction
    """The class that `write` creates."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sqlite = engine.dialect.name == "sqlite"
        self._reading = reading(engine)
        self._linking = writing(engine)
        self._writing = threading.Lock()
        self._reads = threading.Semaphore(READS)
        self._turns = Turns(Path(f"{engine.url.database}-turn")) if self._sqlite else None
        self._pid = os.getpid()
        self._leader = Leader(engine.url)
        self._mark = ChangeMark(engine.url, self._read)
        self.patience_s = connecting.BUSY_TIMEOUT_S
        """Seconds that a write to a SQLite file waits for other writers."""
        self.on_alerts: Callable[[], None] = lambda: None
        """Called after each commit that put messages into the outbox, in the writer's thread."""

    def leads(self, job: str) -> bool:
        """Become, or stay, the server that does a job, among all servers on this database."""
        return self._leader.leads(job)

    def change_mark(self) -> str:
        """A text that differs after anything in the database has changed. It has no other meaning."""
        return self._mark.look()

    @property
    def url(self) -> str:
        """The database's URL without the password."""
        return shown(self._engine.url)

    def close(self) -> None:
        """Close all connections."""
        self._leader.close()
        self._mark.close()
        self._engine.dispose()
        if self._turns is not None:
            self._turns.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @contextlib.contextmanager
    def write(self, run_id: str, now_ms: int, ahead: Ahead | None = None) -> Iterator[Transaction]:
        """One transaction on one run, which is locked first. Commits at the end, rolls back on any exception.

        Args:
            run_id: the run, whether it exists or not.
            ahead: what will certainly be read, so that it can be requested in the same round trip.

        Raises:
            StoreBusy: another process held the SQLite database for too long.
        """
        self._after_fork()
        waited = translated(self._engine.url, self.patience_s)
        with waited, self._one_writer() as left_s, connect(self._linking) as connection:
            self._hurry(connection, left_s)
            with connection.begin(), linked(connection) as link:
                transaction = self.transaction(link, run_id, now_ms, ahead)
                yield transaction
                transaction.flush()
            self._is_kept(connection)
        # Only after the commit, so that whoever is woken up sees the messages.
        if transaction.alerted:
            self.on_alerts()

    @contextlib.contextmanager
    def _read(self) -> Iterator[Connection]:
        self._after_fork()
        with translated(self._engine.url), self._one_reader(), connect(self._reading) as connection:
            if self._sqlite:
                check_read(connection)
            with _ended(connection):
                limit_read(connection)
                yield connection

    @contextlib.contextmanager
    def _change(self) -> Iterator[Connection]:
        self._after_fork()
        # SQLite uses the same connections as `write`, which take the write lock at once.
        with translated(self._engine.url, self.patience_s), self._one_writer() as left_s:
            engine = self._linking if self._sqlite else self._engine
            with connect(engine) as connection:
                self._hurry(connection, left_s)
                with _undone(connection):
                    yield connection
                self._is_kept(connection)

    @contextlib.contextmanager
    def _single(self, *, reads: bool = False) -> Iterator[Connection]:
        """For one statement: on PostgreSQL a transaction by itself, which takes one round trip in place of three."""
        if self._sqlite:
            with self._read() if reads else self._change() as connection:
                yield connection
            return
        self._after_fork()
        with translated(self._engine.url), connect(self._linking) as connection:
            yield connection

    def _hurry(self, connection: Connection, left_s: float) -> None:
        """Let a write to SQLite wait for the lock only as long as its remaining patience."""
        if self._sqlite:
            # Most writes did not wait, so their connection's usual timeout is right and needs no pragma.
            fresh = left_s > 0.9 * self.patience_s
            connection.info[PATIENCE] = max(1, int(1000 * (self.patience_s if fresh else left_s)))

    def _is_kept(self, connection: Connection) -> None:
        """Refuse to acknowledge a commit to a file that has been deleted or replaced."""
        if self._sqlite:
            check_written(connection)

    @contextlib.contextmanager
    def _one_reader(self) -> Iterator[None]:
        if self._sqlite:
            yield
            return
        if not self._reads.acquire(timeout=WAIT_S):
            raise StoreBusy(self.url, WAIT_S, "had no connection free")
        try:
            yield
        finally:
            self._reads.release()

    @contextlib.contextmanager
    def _one_writer(self) -> Iterator[float]:
        """Queue the writers of SQLite, of this process and of others. The queue is fair; SQLite's busy handler is not.

        Yields:
            Seconds that the write may still wait.

        Raises:
            StoreBusy: the writers before it took too long.
        """
        if self._turns is None:
            yield self.patience_s
            return
        end = time.monotonic() + self.patience_s
        if not self._writing.acquire(timeout=self.patience_s):
            raise StoreBusy(self.url, self.patience_s)
        try:
            with self._turns.turn(end - time.monotonic()):
                yield end - time.monotonic()
        finally:
            self._writing.release()

    def _after_fork(self) -> None:
        if os.getpid() != self._pid:
            # A forked child. Without closing them: the connections are still the parent's.
            self._engine.dispose(close=False)
            self._writing = threading.Lock()
            self._reads = threading.Semaphore(READS)
            if self._turns is not None:
                self._turns.close()
            self._pid = os.getpid()


@contextlib.contextmanager
def _ended(connection: Connection) -> Iterator[None]:
    """A transaction that changes nothing, and therefore commits even if an error is raised in it.

    After a rollback psycopg discards the connection's prepared statements, `Link`'s among them.
    """
    transaction = connection.begin()
    try:
        yield
    except DBAPIError as error:
        connection.invalidate(error)
        raise
    except BaseException:
        transaction.commit()
        raise
    transaction.commit()


@contextlib.contextmanager
def _undone(connection: Connection) -> Iterator[None]:
    """An SQLAlchemy transaction that writes.

    If it fails, the connection is discarded, as `Link`'s prepared statements are lost.
    """
    try:
        with connection.begin():
            yield
            if (first := wait_for_standby(connection)) is not None:
                connection.exec_driver_sql(first.decode())
    except BaseException as error:
        if connection.dialect.name != "sqlite" and not connection.invalidated:
            connection.invalidate(error if isinstance(error, Exception) else None)
        if read_only(error):
            connection.invalidate()
            connection.engine.dispose()  # the pooled ones were opened as this one
        raise
