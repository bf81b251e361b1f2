"""Creates engines for SQLite and PostgreSQL, set up for short transactions and large blobs.

SQLite runs in WAL mode with 32 KiB pages, a busy timeout and `synchronous=NORMAL`: a killed process loses nothing, a
power cut at most the last commits, which the writers' journals still hold. `sqlite_file.py` watches the file itself.

PostgreSQL is used through one pool per process (`pool.py`), by psycopg 3 in its binary format. No session state is
assumed, so PgBouncer may pool transactions. On a direct connection, statements are prepared and the statement timeout
is set once per session, which saves a millisecond per write. A transaction pooler is recognised by the backend process
id that it reports. `?prepare_threshold=5` in the URL forces preparation.
"""

from __future__ import annotations

import contextlib
import functools
import re
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from monitor.errors import StoreBusy, StoreError
from monitor.store.sql.json_text import json_text
from monitor.store.sql.pool import CONNECTIONS, WAIT_S, Pool, check_alive
from monitor.store.sql.sqlite_file import SqliteFile, start_clock

if TYPE_CHECKING:
    import psycopg

PAGE_SIZE: Final = 32 * 1024
"""Of a new SQLite file."""
BUSY_TIMEOUT_S: Final = 10.0
"""Most seconds that a write waits for other writers of a SQLite file, over all its waits. In a server, whose client
then tries again."""
EMBEDDED_PATIENCE_S: Final = 60.0
"""The same without a server, where nobody would try again: waiting loses nothing."""
STATEMENT_S: Final = 30.0
"""Most seconds for one statement of a store. Migrations and copies may take longer."""
PATIENCE: Final = "patience_ms"
"""Key in a connection's `info`: milliseconds that its next write may still wait for SQLite's lock."""
_LIMIT: Final = "limit_read"
UNLIMITED: Final = "unlimited_commit"
"""Key in a connection's `info`: whether commits wait for a standby; see `wait_for_standby`."""
_ASKED: Final = """SELECT pg_backend_pid(), current_setting('statement_timeout'),
current_setting('synchronous_standby_names')"""
RENEWED_S: Final = 600
"""Seconds after which a connection is replaced, so that it notices a standby that was added."""
_NETWORKED: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""Detects within 25 s that the database's machine is gone, and within 5 s that it does not answer, so that the next
host in the URL is tried. Without these settings the kernel would wait for 15 minutes or longer.
"""
PREPARE_FROM: Final = 3
"""A connection prepares a statement after running it this many times."""
_NETWORK: Final = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "davfs", "fuse.glusterfs", "fuse.sshfs", "glusterfs", "gpfs", "lustre"}
    | {"ncpfs", "nfs", "nfs4", "smb3", "smbfs"}
)
"""File systems on which SQLite's WAL cannot work: it needs memory shared between the processes."""


def parse_url(url: str) -> URL:
    """Parse a database URL. `postgresql://` and `postgres://` mean psycopg 3.

    Raises:
        StoreError: not a URL, or neither SQLite with a file nor PostgreSQL.
    """
    try:
        url.encode()
    except UnicodeEncodeError:
        raise StoreError(f"{url!a} is not text in UTF-8; name another file") from None
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # An unreadable URL may hold a password anywhere, so show it only if it is plainly a file name.
        given = repr(url) if re.fullmatch(r"[\w./\\-]*", url) else "what is given"
        raise StoreError(f"{given} is not a database URL; write sqlite:///FILE or postgresql://…") from None
    backend = parsed.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise StoreError(f"{shown(parsed)}: {backend} is not supported; write sqlite:///FILE or postgresql://…")
    if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
        raise StoreError(f"{shown(parsed)}: the store needs a file that several connections share; name one")
    path = str(Path(parsed.database).expanduser().absolute())
    # Collapse leading slashes: `Path` keeps two, and SQLite would take what follows for a host name.
    return parsed.set(drivername="sqlite+pysqlite", database="/" + path.lstrip("/") if path.startswith("//") else path)


def shown(url: URL) -> str:
    """A URL for messages: as people write it, without secrets."""
    query = {name: "HIDDEN" if _SECRET.search(name) else value for name, value in url.query.items()}
    return url.set(drivername=url.get_backend_name(), query=query).render_as_string(hide_password=True)


_SECRET: Final = re.compile(r"pass|secret|token|credential|key", re.IGNORECASE)
"""URL parameters whose values are never shown, such as `password` and `sslpassword`."""


def make_engine(url: URL, *, statement_s: float | None = None) -> Engine:
    """An engine with its pool. It connects on first use.

    Args:
        url: the result of `parse_url`.
        statement_s: most seconds per statement; None for no limit.

    Raises:
        StoreError: the SQLite file would be on a network file system, or psycopg is not installed.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, statement_s)
    given = str(url.query.get("prepare_threshold", ""))
    prepare = int(given) if given.isdecimal() else None
    try:
        engine = create_engine(
            url.difference_update_query(["prepare_threshold"]),
            poolclass=Pool,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=WAIT_S,
            # Reuse the latest connection first, so that the others become idle and are closed.
            pool_use_lifo=True,
            pool_recycle=RENEWED_S,
            connect_args={"prepare_threshold": prepare, **{k: v for k, v in _NETWORKED.items() if k not in url.query}},
            json_serializer=json_text,
            isolation_level="READ COMMITTED",  # whatever the database's default is; see `link.BEGIN`
        )
    except ModuleNotFoundError:
        raise StoreError(f"{shown(url)} needs psycopg; pip install 'lossmonitor[server]'") from None
    event.listen(engine, "connect", _set_up_postgresql)
    event.listen(engine, "connect", functools.partial(_set_up_session, prepare is None, statement_s))
    event.listen(engine, "checkout", check_alive)
    return engine


def reading(engine: Engine) -> Engine:
    """The engine for reads that see one consistent state of the database."""
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def writing(engine: Engine) -> Engine:
    """The engine for `Link`. On PostgreSQL, `Link` itself sends BEGIN and COMMIT."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(write=True)
    return engine.execution_options(isolation_level="AUTOCOMMIT")


@contextlib.contextmanager
def translated(url: URL, patience_s: float | None = None) -> Iterator[None]:
    """Convert the driver's errors into ours.

    Args:
        patience_s: for how long SQLite's lock was waited for; None for the usual time.

    Raises:
        StoreBusy: SQLite stayed locked for the whole busy timeout, or no connection became free in time.
    """
    try:
        yield
    except PoolTimeout:
        raise StoreBusy(shown(url), WAIT_S, "had no connection free") from None
    except DBAPIError as error:
        raise _ours(url, error.orig or error, patience_s) from error
    except Exception as error:
        if not _of_driver(error):
            raise
        raise _ours(url, error, patience_s) from error


def _of_driver(error: BaseException) -> bool:
    psycopg = sys.modules.get("psycopg")
    return isinstance(error, sqlite3.Error) or (psycopg is not None and isinstance(error, psycopg.Error))


def _ours(url: URL, error: BaseException, patience_s: float | None) -> StoreError:
    text = str(error).strip()
    if isinstance(error, sqlite3.OperationalError) and ("locked" in text or "busy" in text):
        return StoreBusy(shown(url), patience_s or BUSY_TIMEOUT_S)
    if text == "interrupted" or getattr(error, "sqlstate", None) == "57014":  # query_canceled
        return StoreError(f"database {shown(url)}: a statement took too long and was ended; ask for less at once")
    return StoreError(f"database {shown(url)}: {text.splitlines()[0] if text else type(error).__name__}")


def is_network_file_system(path: Path, mounts: str) -> str | None:
    """The type of the network file system that a path is on; None for a local one.

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


def _sqlite_engine(url: URL, statement_s: float | None) -> Engine:
    path = Path(str(url.database))
    kind = is_network_file_system(path, _mounts())
    if kind:
        raise StoreError(
            f"{path} lies on a network file system ({kind}), where SQLite's locks and shared memory do not work; "
            "set MONITOR_DIR to a local folder, or MONITOR_DATABASE_URL to a PostgreSQL database"
        )
    file = SqliteFile(path)
    engine = create_engine(
        url,
        creator=lambda: file.connect(BUSY_TIMEOUT_S, statement_s),
        json_serializer=json_text,
        poolclass=QueuePool,
        pool_timeout=WAIT_S,
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    if statement_s is not None:
        event.listen(engine, "before_cursor_execute", start_clock)
    return engine


def _begin_sqlite(connection: Connection) -> None:
    """A write takes the lock at once, so that two writers never both start as readers and then deadlock."""
    # Through the driver: SQLAlchemy takes as long to say BEGIN as for several of the statements that follow. Like other
    # statements that go to the driver, it starts no clock; the time of the connection's last read must not persist.
    start_clock(connection)
    raw = cast(sqlite3.Connection, connection.connection.driver_connection)
    if not connection.get_execution_options().get("write", False):
        raw.execute("BEGIN")
        return
    usual = int(BUSY_TIMEOUT_S * 1000)
    wanted = connection.info.pop(PATIENCE, usual)
    if connection.info.get("busy_ms", usual) != wanted:
        raw.execute(f"PRAGMA busy_timeout = {wanted}")
        connection.info["busy_ms"] = wanted
    raw.execute("BEGIN IMMEDIATE")


def _mounts() -> str:
    try:
        return Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _set_up_sqlite(connection: object, _: ConnectionPoolEntry) -> None:
    raw = cast(sqlite3.Connection, connection)
    raw.isolation_level = None  # we send BEGIN ourselves, so that several reads see one state
    cursor = raw.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        # The page size cannot be changed once the file is in WAL mode. Large pages suit blobs.
        cursor.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        _switch_to_wal(cursor)
    # Commits without an fsync: a power cut may undo the last ones, which the journals still hold.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA cache_size = -65536")
    cursor.execute("PRAGMA mmap_size = 1073741824")
    cursor.close()


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    """SQLite does not wait for the lock that it needs here, so wait for it ourselves."""
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
    from psycopg.rows import RowFactory, tuple_row

    class BinaryCursor(Cursor[tuple[object, ...]]):
        """Fetches blobs as bytes, not as hexadecimal text."""

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


def _set_up_session(prepare: bool, statement_s: float | None, connection: object, entry: ConnectionPoolEntry) -> None:
    """Prepare statements and limit their time once per session, unless a pooler is in between.

    Behind a pooler the next transaction may reach another server process, so each read sets its limit itself.
    """
    raw = cast("psycopg.Connection[tuple[object, ...]]", connection)
    found = raw.execute(_ASKED).fetchone()
    raw.commit()
    entry.info[UNLIMITED] = found is not None and found[2] != ""
    direct = found is not None and found[0] == raw.info.backend_pid
    if direct and prepare:
        raw.prepare_threshold = PREPARE_FROM
    if statement_s is None or (found is not None and found[1] != "0"):  # the operator's own limit takes precedence
        return
    limit = f"statement_timeout = {int(statement_s * 1000)}"
    if direct:
        raw.execute(f"SET {limit}".encode())
        raw.commit()
    else:
        entry.info[_LIMIT] = f"SET LOCAL {limit}"


def read_only(error: BaseException) -> bool:
    """True for a write through a SQLite connection that was opened while the disk was read-only, and stays so."""
    found = getattr(error, "orig", None) or error
    return str(getattr(found, "sqlite_errorname", "")).startswith("SQLITE_READONLY")


def limit_read(connection: Connection) -> None:
    """Limit the time of a read's statements, unless its session does."""
    statement = connection.info.get(_LIMIT)
    if statement is not None:
        connection.exec_driver_sql(statement)


def wait_for_standby(connection: Connection) -> bytes | None:
    """What to run before a commit that waits for a synchronous standby; None if there is none.

    If the statement timeout ended that wait, PostgreSQL would report success for a commit that the standby does not
    have.
    """
    return b"SET LOCAL statement_timeout = 0" if connection.info.get(UNLIMITED) else None
