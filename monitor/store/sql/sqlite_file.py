"""The file of a SQLite store: made for its owner alone, opened while it is the same file, and its statements' clock.

SQLite keeps writing to a file that was deleted or replaced: what is committed there is lost with the process. So the
file's place is looked at before anything is acknowledged. The files next to it (`-wal`, `-shm`) are checked as well:
what was committed last lies in the first, and two processes with different second ones do not see each other's locks.
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
"""Instructions of SQLite's between two looks at the clock: a few milliseconds."""

Identity = tuple[int, int]


class SqliteFile:
    """One database file, as the connections of one engine have it open.

    Args:
        path: absolute.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._beside = [self._path + suffix for suffix in BESIDE]
        self._opened: Identity | None = None
        self._lock = threading.Lock()

    def connect(self, busy_s: float, statement_s: float | None) -> sqlite3.Connection:
        """A connection to the file; the first one makes the file where there is none.

        Args:
            busy_s: seconds to wait for SQLite's locks.
            statement_s: seconds that a statement may take; None for any time.

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
        """See whether the file that is open is still the one at its place.

        Raises:
            StoreError: it was deleted, moved away or replaced.
        """
        if _identity(self._path) != self._opened:
            raise self._gone(self._path)

    def check_commit(self, connection: _Connection) -> None:
        """See whether a connection's commits can be found again: `check`, and the same for the files next to it.

        As long as a connection is open, SQLite itself neither removes nor replaces these.

        Raises:
            StoreError: one of them was deleted, moved away or replaced.
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
    """A connection that knows its file, and ends statements that take too long."""

    file: SqliteFile
    beside: list[Identity | None] | None = None
    deadline = math.inf
    statement_s = math.inf

    def limit(self, file: SqliteFile, statement_s: float | None) -> None:
        """Set the file, and the seconds that a statement may take."""
        self.file = file
        if statement_s is not None:
            self.statement_s = statement_s
            self.set_progress_handler(lambda: time.monotonic() > self.deadline, _INSTRUCTIONS)


def start_clock(connection: Connection, *_: object) -> None:
    """A statement begins, SQLAlchemy says; those of a write have any time, as all others wait for it anyway."""
    raw, writes = _raw(connection), connection.get_execution_options().get("write", False)
    raw.deadline = math.inf if writes else time.monotonic() + raw.statement_s


def check_read(connection: Connection) -> None:
    """Refuse to read a file that is no longer at its place; costs one look at the file system.

    Raises:
        StoreError: it was deleted, moved away or replaced.
    """
    _raw(connection).file.check()


def check_written(connection: Connection) -> None:
    """Refuse to acknowledge what was committed into files that are no longer at their places.

    Raises:
        StoreError: one was deleted, moved away or replaced.
    """
    raw = _raw(connection)
    raw.file.check_commit(raw)


def _raw(connection: Connection) -> _Connection:
    return cast(_Connection, connection.connection.driver_connection)


def _create(path: Path) -> None:
    """Make the file, and folders on its way, for their owner alone; SQLite gives the files next to it the same mode."""
    missing = [folder for folder in path.parents if not folder.exists()]
    with contextlib.suppress(OSError):  # SQLite says what is wrong when it opens the file
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600))


def _identity(path: str) -> Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116  # twice as fast as a Path, at every write
    except OSError:
        return None
    return found.st_dev, found.st_ino
