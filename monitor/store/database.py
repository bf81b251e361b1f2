"""Connections to one database: transactions that write to one run, reads that see one state."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL

from monitor.store.connect import BUSY_TIMEOUT_S, same_process, shown, translated, writing_engine
from monitor.store.link import linked
from monitor.store.transaction import Ahead, Transaction
from monitor.store.turns import Turns


class Database:
    """The plumbing of a store.

    It may be used from any thread, and again in a forked child, which gets connections of its own.
    """

    def __init__(self, engine: Engine, url: URL) -> None:
        self._engine = engine
        self._sqlite = engine.dialect.name == "sqlite"
        snapshot = {} if self._sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._reading = engine.execution_options(**snapshot)
        self._linking = writing_engine(engine, url)
        self._writing = threading.Lock()
        self._turns = Turns(Path(f"{engine.url.database}-turn"), BUSY_TIMEOUT_S) if self._sqlite else None
        self._pid = os.getpid()

    @property
    def url(self) -> str:
        """Where the database is, without the password."""
        return shown(self._engine.url)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()
        self._linking.dispose()
        if self._turns is not None:
            self._turns.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @contextlib.contextmanager
    def write(self, run_id: str, now_ms: int, ahead: Ahead | None = None) -> Iterator[Transaction]:
        """One transaction on one run, which is locked first; committed at the end, rolled back on any exception.

        Args:
            run_id: the run, whether it exists or not.
            now_ms: milliseconds since the epoch.
            ahead: what will be read in any case, so that it is read at once.

        Raises:
            StoreBusy: another process held the SQLite database for too long.
            StoreError: the database refused.
        """
        self._after_fork()
        with (
            self._one_writer(),
            translated(self._engine.url),
            self._linking.begin() as connection,
            linked(connection) as link,
        ):
            transaction = Transaction(link, run_id, now_ms, ahead)
            yield transaction
            transaction.flush()

    @contextlib.contextmanager
    def _read(self) -> Iterator[Connection]:
        self._after_fork()
        # It ends with a commit: after a rollback psycopg gives up the statements that it has prepared.
        with translated(self._engine.url), self._reading.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def _change(self) -> Iterator[Connection]:
        self._after_fork()
        with self._one_writer(), translated(self._engine.url), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def _one_writer(self) -> Iterator[None]:
        """SQLite's writers queue here, those of this process and those of others, where waiting is fair."""
        if self._turns is None:
            yield
        else:
            with self._writing, self._turns.turn():
                yield

    def _after_fork(self) -> None:
        if not same_process(self._pid):
            self._engine.dispose(close=False)
            self._linking.dispose(close=False)
            self._writing = threading.Lock()
            if self._turns is not None:
                self._turns.close()
            self._pid = os.getpid()
