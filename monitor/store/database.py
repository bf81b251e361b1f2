"""Connections to one database: transactions that write to one run, reads that see one state."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine

from monitor.store.connect import same_process, shown, translated
from monitor.store.transaction import Transaction


class Database:
    """The plumbing of a store.

    It may be used from any thread, and again in a forked child, which gets connections of its own.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sqlite = engine.dialect.name == "sqlite"
        snapshot = {} if self._sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._reading = engine.execution_options(**snapshot)
        self._writing = threading.Lock()
        self._pid = os.getpid()

    @property
    def url(self) -> str:
        """Where the database is, without the password."""
        return shown(self._engine.url)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @contextlib.contextmanager
    def write(self, run_id: str, now_ms: int) -> Iterator[Transaction]:
        """One transaction on one run, which is locked first; committed at the end, rolled back on any exception.

        Raises:
            StoreBusy: another process held the SQLite database for too long.
            StoreError: the database refused.
        """
        self._after_fork()
        with self._one_writer(), translated(self._engine.url), self._engine.begin() as connection:
            transaction = Transaction(connection, run_id, now_ms)
            yield transaction
            transaction.flush()

    @contextlib.contextmanager
    def _read(self) -> Iterator[Connection]:
        self._after_fork()
        with translated(self._engine.url), self._reading.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def _change(self) -> Iterator[Connection]:
        self._after_fork()
        with self._one_writer(), translated(self._engine.url), self._engine.begin() as connection:
            yield connection

    def _one_writer(self) -> contextlib.AbstractContextManager[object]:
        """Within one process SQLite's writers queue here, which is fair and wakes at once, and not at the file."""
        return self._writing if self._sqlite else contextlib.nullcontext()

    def _after_fork(self) -> None:
        if not same_process(self._pid):
            self._engine.dispose(close=False)
            self._writing = threading.Lock()
            self._pid = os.getpid()
