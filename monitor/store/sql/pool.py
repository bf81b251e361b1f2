"""The connections of one process to PostgreSQL: few, shared by reads and writes, and returned when unused.

A server counts its connections, and so may a role. A process that keeps idle ones starves the others, and one that
keeps some for reads alone starves its own writes.
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
"""Connections of a process, at most: seven workers and the process above them stay below PostgreSQL's usual 100."""
READS: Final = CONNECTIONS - 3
"""Reads under way at a time, at most, so that long ones leave connections to the writes."""
WAIT_S: Final = 10.0
"""Seconds to wait for a connection."""
IDLE_S: Final = 10.0
"""Seconds after which an unused connection is closed."""
_AGAIN_S: Final = 0.1
"""Seconds between two tries where the server has no connection left; one of ours may come back before."""
_SINCE: Final = "idle since"
_FULL: Final = ("too many connections", "too many clients", "connection slots")
"""What PostgreSQL and poolers say; an error of connecting comes without a code."""


class Pool(QueuePool):
    """A queue of connections that closes those that stay idle."""

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
        """Close what has been idle for long; come back while there is more."""
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
    """A connection out of the engine's pool; where the server has none left, the next of ours that comes back.

    Raises:
        DBAPIError: the server cannot be reached, or has had no connection left for `WAIT_S`.
        TimeoutError: SQLAlchemy's; all connections of the pool were in use for as long.
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
    """Have a connection replaced that the server has closed meanwhile; SQLAlchemy calls it when one is taken.

    A server that closes a connection says so, and so does the kernel when it dies: there is something to read where
    nothing was asked. To look costs a microsecond, where a question to every server would cost a round trip.
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
