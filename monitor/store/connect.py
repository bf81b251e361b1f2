"""Engines: one code path for SQLite and PostgreSQL, each set up for short transactions and large blobs.

SQLite runs in WAL mode with 32 KiB pages, a busy timeout, and `synchronous=NORMAL`: a process that is killed loses
nothing, a power cut at most the last commits, which the writers' journals still hold. PostgreSQL is spoken to by
psycopg 3 in its binary format, without session state, so that any PgBouncer may pool transactions. Statements are
prepared where the server itself is at the other end, which saves a millisecond a write; a pooler of transactions gives
itself away by the process number that it hands out. `?prepare_threshold=5` in the URL prepares in any case.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from monitor.errors import StoreBusy, StoreError

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy.engine.interfaces import IsolationLevel

PAGE_SIZE: Final = 32 * 1024
BUSY_TIMEOUT_S: Final = 30.0
PREPARE_FROM: Final = 3
"""A statement is prepared when a connection has run it so many times."""
_NETWORK: Final = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "davfs", "fuse.glusterfs", "fuse.sshfs", "glusterfs", "gpfs", "lustre"}
    | {"ncpfs", "nfs", "nfs4", "smb3", "smbfs"}
)
"""File systems on which SQLite's WAL cannot work: it needs shared memory between the processes."""


def parse_url(url: str) -> URL:
    """Read a database URL; `postgresql://` and `postgres://` mean psycopg 3.

    Raises:
        StoreError: not a URL, or neither SQLite with a file nor PostgreSQL.
    """
    try:
        url.encode()
    except UnicodeEncodeError:
        raise StoreError(f"{url!a} is not text in UTF-8; name another file") from None
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise StoreError(f"{url!r} is not a database URL ({error}); write sqlite:///FILE or postgresql://…") from None
    backend = parsed.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise StoreError(f"{shown(parsed)}: {backend} is not supported; write sqlite:///FILE or postgresql://…")
    if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
        raise StoreError(f"{shown(parsed)}: the store needs a file that several connections share; name one")
    return parsed.set(drivername="sqlite+pysqlite", database=str(Path(parsed.database).expanduser().absolute()))


def shown(url: URL) -> str:
    """The URL as messages show it: without the password, and as people write it."""
    return url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True)


def make_engine(url: URL, *, isolation: IsolationLevel | None = None) -> Engine:
    """An engine with its pool; connects when first used.

    Args:
        url: as `parse_url` gives it.
        isolation: of PostgreSQL's transactions, where it is not the server's own.

    Raises:
        StoreError: the SQLite file would lie on a network file system, or psycopg is not installed.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url)
    given = str(url.query.get("prepare_threshold", ""))
    prepare = int(given) if given.isdigit() else None
    try:
        engine = create_engine(
            url.difference_update_query(["prepare_threshold"]),
            pool_size=8,
            max_overflow=32,
            pool_pre_ping=False,
            connect_args={"prepare_threshold": prepare},
            json_serializer=_dumps,
            **({} if isolation is None else {"isolation_level": isolation}),
        )
    except ModuleNotFoundError:
        raise StoreError(f"{shown(url)} needs psycopg; pip install 'lossmonitor[server]'") from None
    event.listen(engine, "connect", _set_up_postgresql)
    if prepare is None:
        event.listen(engine, "connect", _prepare_where_direct)
    return engine


def writing_engine(engine: Engine, url: URL) -> Engine:
    """The engine that writes go through, beside the one for reads.

    On PostgreSQL it has connections of its own: after a rollback psycopg drops all that a connection has prepared, and
    what writes have prepared is not psycopg's.

    Args:
        engine: what `make_engine` made of the URL.
        url: the URL.
    """
    if engine.dialect.name == "sqlite":
        return engine.execution_options(write=True)
    return make_engine(url, isolation="AUTOCOMMIT")


@contextlib.contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turn the driver's errors into ours.

    Raises:
        StoreBusy: SQLite stayed locked for the whole busy timeout.
        StoreError: anything else that the database refused.
    """
    try:
        yield
    except DBAPIError as error:
        raise _ours(url, error.orig or error) from error
    except Exception as error:
        if not _of_driver(error):
            raise
        raise _ours(url, error) from error


def _of_driver(error: BaseException) -> bool:
    psycopg = sys.modules.get("psycopg")
    return isinstance(error, sqlite3.Error) or (psycopg is not None and isinstance(error, psycopg.Error))


def _ours(url: URL, error: BaseException) -> StoreError:
    text = str(error).strip()
    if isinstance(error, sqlite3.OperationalError) and ("locked" in text or "busy" in text):
        return StoreBusy(shown(url), BUSY_TIMEOUT_S)
    return StoreError(f"database {shown(url)}: {text.splitlines()[0] if text else type(error).__name__}")


def is_network_file_system(path: Path, mounts: str) -> str | None:
    """The kind of network file system that a path lies on, None for a local one.

    Args:
        path: absolute; it need not exist yet.
        mounts: text of `/proc/mounts`.
    """
    best, kind = "", ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ")
        inside = str(path) == point or str(path).startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind if kind in _NETWORK else None


def _sqlite_engine(url: URL) -> Engine:
    path = Path(str(url.database))
    kind = is_network_file_system(path, _mounts())
    if kind:
        raise StoreError(
            f"{path} lies on a network file system ({kind}), where SQLite's locks and shared memory do not work; "
            "set MONITOR_DIR to a local folder, or MONITOR_DATABASE_URL to a PostgreSQL database"
        )
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url, connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}, json_serializer=_dumps
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _begin_sqlite(connection: Connection) -> None:
    """A write takes the lock at once, so that two writers never start as readers and then refuse each other."""
    writes = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _mounts() -> str:
    try:
        return Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _set_up_sqlite(connection: object, _: ConnectionPoolEntry) -> None:
    raw = cast(sqlite3.Connection, connection)
    raw.isolation_level = None  # we say BEGIN ourselves, so that reads of several statements see one state
    cursor = raw.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        cursor.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        _switch_to_wal(cursor)
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA cache_size = -65536")
    cursor.execute("PRAGMA mmap_size = 1073741824")
    cursor.close()


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    """SQLite does not wait for the lock it needs here, so wait for it."""
    give_up = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.01)


def _set_up_postgresql(connection: object, _: ConnectionPoolEntry) -> None:
    from psycopg import Cursor, pq
    from psycopg.adapt import Buffer, Loader
    from psycopg.rows import RowFactory, tuple_row

    class View(Loader):
        """Gives a view of the answer; most blobs are unpacked and forgotten, and need not be copied for that."""

        format = pq.Format.BINARY

        def load(self, data: Buffer) -> Buffer:
            return data

    class BinaryCursor(Cursor[tuple[object, ...]]):
        """Blobs come as bytes, not as hexadecimal text."""

        def __init__(
            self,
            connection: psycopg.Connection[tuple[object, ...]],
            *,
            row_factory: RowFactory[tuple[object, ...]] | None = None,
        ) -> None:
            super().__init__(connection, row_factory=row_factory or tuple_row)
            self.format = pq.Format.BINARY

    raw = cast("psycopg.Connection[tuple[object, ...]]", connection)
    raw.cursor_factory = BinaryCursor
    raw.adapters.register_loader("bytea", View)


def _prepare_where_direct(connection: object, _: ConnectionPoolEntry) -> None:
    """Prepare statements unless somebody stands in between, whose next transaction may reach another server process."""
    raw = cast("psycopg.Connection[tuple[object, ...]]", connection)
    found = raw.execute("SELECT pg_backend_pid()").fetchone()
    raw.commit()
    if found is not None and found[0] == raw.info.backend_pid:
        raw.prepare_threshold = PREPARE_FROM


def _dumps(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def same_process(pid: int) -> bool:
    """False in a child that a fork made: it must not use its parent's connections."""
    return os.getpid() == pid
