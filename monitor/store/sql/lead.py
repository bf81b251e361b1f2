"""Decides which of several servers does a job: the one that holds the job's advisory lock in PostgreSQL.

The locks are held by a transaction on a dedicated connection. When its process dies, the database ends the transaction,
and the next server to ask gets the lock. They belong to a transaction rather than a session because a pooler may give
each transaction another session.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from typing import Final

from sqlalchemy import URL, Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from monitor.store.sql.connect import make_engine, translated

_TRY: Final = text("SELECT pg_try_advisory_xact_lock(:key)")
_STILL: Final = text("SELECT 1")
_SETTINGS: Final = (
    "SET LOCAL idle_in_transaction_session_timeout = 0",  # the transaction is idle on purpose
    "SET LOCAL tcp_keepalives_idle = 4",  # a machine that loses power never closes its connection
    "SET LOCAL tcp_keepalives_interval = 1",
    "SET LOCAL tcp_keepalives_count = 3",
)


class Leader:
    """The jobs that this process leads. SQLite has only one server, which leads all of them."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._alone = url.get_backend_name() == "sqlite"
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._connection: Connection | None = None
        self._leads: set[str] = set()

    def leads(self, job: str) -> bool:
        """Become, or stay, the leader of a job. False if another server is.

        Raises:
            StoreError: the database does not answer. Whoever does the job now, this process does not.
        """
        if self._alone:
            return True
        with self._lock, translated(self._url):
            try:
                connection = self._connection or self._connect()
                if job in self._leads:
                    connection.execute(_STILL)
                elif connection.execute(_TRY, {"key": _key(job)}).scalar_one():
                    self._leads.add(job)
            except DBAPIError:
                self._drop()
                raise
            return job in self._leads

    def close(self) -> None:
        """Give up all jobs."""
        with self._lock:
            self._drop()
            if self._engine is not None:
                self._engine.dispose()

    def _connect(self) -> Connection:
        self._engine = self._engine or make_engine(self._url)
        connection = self._connection = self._engine.connect()
        for setting in _SETTINGS:
            connection.execute(text(setting))
        return connection

    def _drop(self) -> None:
        self._leads.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(DBAPIError):
                connection.invalidate()
                connection.close()


def _key(job: str) -> int:
    """The number of a job's lock."""
    return int.from_bytes(hashlib.sha256(f"lossmonitor {job}".encode()).digest()[:8], "big", signed=True)
