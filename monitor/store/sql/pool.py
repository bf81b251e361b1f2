"""The PostgreSQL connections of one process: few, shared by reads and writes, and closed when idle.

Servers and roles have connection limits. A process that keeps idle connections starves the others, and one that
reserves some for reads starves its own writes.
"""

from __future__ import annotations

import selectors
import threading
import time
from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool
from sqlalchemy.util import queue

if TYPE_CHECKING:
    import psycopg

CONNECTIONS: Final = 10
"""Most connections per process. Seven workers and their parent stay below PostgreSQL's default limit of 100."""
READS: Final = CONNECTIONS - 3
"""Most concurrent reads, so that long ones leave connections for writes."""
WAIT_S: Final = 10.0
"""Most seconds to wait for a connection."""
IDLE_S: Final = 10.0
"""Seconds after which an unused connection is closed."""
_AGAIN_S: Final = 0.1
"""Seconds between attempts while the server has no connection left. One of ours may come back earlier."""
_SINCE: Final = "idle since"
_FULL: Final = ("too many connections", "too many clients", "connection slots")
"""Error texts of PostgreSQL and poolers; connection errors have no code."""


class Pool(QueuePool):
    """A connection queue that closes idle connections."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._giving = threading.Lock()
        self._timer: threading.Timer | None = None

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        info = record.record_info
        if info is not None:
            info[_SINCE] = time.monotonic()
        super()._do_return_conn(record)
        if self._timer is None:
            self._come_back()

    def _come_back(self) -> None:
        with self._giving:
            if self._timer is None:
                self._timer = threading.Timer(IDLE_S, self._give_back)
                self._timer.daemon = True
                self._timer.start()

    def _give_back(self) -> None:
        """Close connections that have been idle for long. Runs again while there are others."""
        fresh, now = [], time.monotonic()
        while True:
            try:
                record = self._pool.get(False)
            except queue.Empty:
                break
            if now - (record.record_info or {}).get(_SINCE, now) < 0.9 * IDLE_S:
                fresh.append(record)
                continue
            record.close()
            self._dec_overflow()
        for record in reversed(fresh):
            self._pool.put(record, False)
        with self._giving:
            self._timer = None
        if fresh:
            self._come_back()


def connect(engine: Engine) -> Connection:
    """A connection from the engine's pool. If the server has none left, waits for one of ours to come back.

    Raises:
        DBAPIError: the server cannot be reached, or has had no connection left for `WAIT_S`.
        TimeoutError: SQLAlchemy's; all pooled connections were in use for as long.
    """
    end = time.monotonic() + WAIT_S
    while True:
        try:
            return engine.connect()
        except DBAPIError as error:
            if not any(words in str(error.orig) for words in _FULL) or time.monotonic() > end:
                raise
        time.sleep(_AGAIN_S)


def check_alive(connection: object, _: ConnectionPoolEntry, __: PoolProxiedConnection) -> None:
    """Replace a connection that the server has closed. SQLAlchemy calls it at every checkout.

    A server that closes a connection announces it, and so does the kernel if the server dies: there is something to
    read although nothing was asked. This check takes a microsecond; a test query would cost a round trip.
    """
    raw = cast("psycopg.Connection[Any]", connection)
    try:
        with _Selector() as selector:
            selector.register(raw.fileno(), selectors.EVENT_READ)
            if not selector.select(0):
                return
        raw.execute("SELECT 1")
        raw.rollback()
    except Exception as error:
        raise InvalidatePoolError(str(error)) from error


_Selector: Final = getattr(selectors, "PollSelector", selectors.SelectSelector)
