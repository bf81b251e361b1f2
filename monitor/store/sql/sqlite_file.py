"""The file of a SQLite store: created for its owner only, watched for replacement, with a time limit on statements.

SQLite keeps writing to a file that was deleted or replaced: what is committed there is lost with the process. So before
anything is acknowledged, the path is checked. The files next to it are checked as well: `-wal` holds the last commits,
and two processes with different `-shm` files do not see each other's locks.
"""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import Final, cast
from urllib.parse import quote

from sqlalchemy import Connection

from monitor.errors import StoreError

BESIDE: Final = ("-wal", "-shm")
_INSTRUCTIONS: Final = 200_000
"""SQLite instructions between two looks at the clock: a few milliseconds."""

Identity = tuple[int, int]


class SqliteFile:
    """One database file, as the connections of one engine have opened it."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._beside = [self._path + suffix for suffix in BESIDE]
        self._opened: Identity | None = None
        self._lock = threading.Lock()

    def connect(self, busy_s: float, statement_s: float | None) -> sqlite3.Connection:
        """A connection to the file. The first one creates the file if it is missing.

        Args:
            busy_s: seconds to wait for SQLite's locks.
            statement_s: most seconds per statement; None for no limit.

        Raises:
            StoreError: the file is not the one that was opened first.
        """
        with self._lock:
            if self._opened is None:
                _create(Path(self._path))
            else:
                self.check()
            place = f"file:{quote(self._path)}?mode=rw"
            connection = sqlite3.connect(place, uri=True, timeout=busy_s, check_same_thread=False, factory=_Connection)
            if self._opened is None:
                self._opened = _identity(self._path)
        connection.limit(self, statement_s)
        return connection

    def check(self) -> None:
        """Check that the open file is still the one at its path.

        Raises:
            StoreError: it was deleted, moved or replaced.
        """
        if _identity(self._path) != self._opened:
            raise self._gone(self._path)

    def check_commit(self, connection: _Connection) -> None:
        """Check that a connection's commits are in the files that others will open: `check`, plus the files next to it.

        While a connection is open, SQLite itself neither removes nor replaces these.

        Raises:
            StoreError: one of them was deleted, moved or replaced.
        """
        self.check()
        found = [_identity(path) for path in self._beside]
        if connection.beside is None:
            connection.beside = found
        for path, before, now in zip(self._beside, connection.beside, found, strict=True):
            if before != now:
                raise self._gone(path)

    def _gone(self, path: str) -> StoreError:
        return StoreError(
            f"{path} was deleted, moved or replaced while it was in use, and nothing is stored; put it back, or restart"
        )


class _Connection(sqlite3.Connection):
    """A connection that knows its file, and aborts statements that take too long."""

    file: SqliteFile
    beside: list[Identity | None] | None = None
    deadline = math.inf
    statement_s = math.inf

    def limit(self, file: SqliteFile, statement_s: float | None) -> None:
        """Set the file, and the most seconds per statement."""
        self.file = file
        if statement_s is not None:
            self.statement_s = statement_s
            self.set_progress_handler(lambda: time.monotonic() > self.deadline, _INSTRUCTIONS)


def start_clock(connection: Connection, *_: object) -> None:
    """SQLAlchemy starts a statement. Statements of a write have no limit: the others wait for it anyway."""
    raw, writes = _raw(connection), connection.get_execution_options().get("write", False)
    raw.deadline = math.inf if writes else time.monotonic() + raw.statement_s


def check_read(connection: Connection) -> None:
    """Refuse to read a file that is no longer at its path. Costs one `stat`.

    Raises:
        StoreError: it was deleted, moved or replaced.
    """
    _raw(connection).file.check()


def check_written(connection: Connection) -> None:
    """Refuse to acknowledge a commit to files that are no longer at their paths.

    Raises:
        StoreError: one was deleted, moved or replaced.
    """
    raw = _raw(connection)
    raw.file.check_commit(raw)


def _raw(connection: Connection) -> _Connection:
    return cast(_Connection, connection.connection.driver_connection)


def _create(path: Path) -> None:
    """Create the file and missing folders, accessible only by the owner.

    SQLite gives the files next to it the same mode.
    """
    missing = [folder for folder in path.parents if not folder.exists()]
    with contextlib.suppress(OSError):  # SQLite reports the error when it opens the file
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600))


def _identity(path: str) -> Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116  # twice as fast as a Path, at every write
    except OSError:
        return None
    return found.st_dev, found.st_ino
