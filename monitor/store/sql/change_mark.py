"""A change mark: a text that differs after any commit to a database, by any process, and is cheap to read."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, text

from monitor.store.sql.connect import BUSY_TIMEOUT_S, translated

_SNAPSHOT: Final = text("SELECT CAST(pg_current_snapshot() AS text)")
"""The snapshot that a statement sees. Its text changes whenever a writing transaction ends."""


class ChangeMark:
    """The change mark of one database.

    Args:
        read: begins a read; used for PostgreSQL only.
    """

    def __init__(self, url: URL, read: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._url, self._read = url, read
        self._file = Path(url.database or "") if url.get_backend_name() == "sqlite" else None
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int, int] | None = None
        self._name = ""

    def look(self) -> str:
        """The current mark."""
        if self._file is None:
            with self._read() as connection:
                seen = str(connection.execute(_SNAPSHOT).scalar_one())
        else:
            with self._lock, translated(self._url):
                seen = self._version(self._file)
        return hashlib.sha256(seen.encode()).hexdigest()[:16]

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _version(self, file: Path) -> str:
        """SQLite tells each connection how often others have committed. So this one commits nothing and stays open."""
        try:
            found = file.stat()
        except OSError:  # the next read says why
            return "gone"
        opened = (found.st_dev, found.st_ino, os.getpid())
        if self._connection is None or opened != self._opened:
            self._drop()
            self._connection = sqlite3.connect(
                f"{file.as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S, check_same_thread=False
            )
            # SQLite's counter is per connection; the random name keeps a new connection from repeating an old mark.
            self._opened, self._name = opened, secrets.token_hex(8)
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return f"{self._name} {version}"

    def _drop(self) -> None:
        if self._connection is not None and self._opened is not None and self._opened[2] == os.getpid():
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None
