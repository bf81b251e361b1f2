"""Schema versions: Alembic without an ini file, under a lock, on SQLite and PostgreSQL.

The version lives in a table of its own (`monitor_schema_version`), apart from MLflow's and everybody else's. On
PostgreSQL migrations run under a transaction-level advisory lock, on SQLite in one transaction that holds the write
lock, so that any number of processes may open a new database at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL

from monitor._resources import MIGRATIONS
from monitor.errors import StoreError
from monitor.store.sql.connect import make_engine, parse_url, shown, translated
from monitor.store.sql.version import version_of

_ADVISORY_LOCK: Final = 0x6C6F73736D6F6E  # "lossmon"


def head() -> str:
    """The version that this code uses."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    assert found is not None
    return found


def current(url: str) -> str | None:
    """The version of a database, None for one that has no schema of ours.

    Raises:
        StoreError: the database cannot be reached.
    """
    with _connected(url) as (connection, _):
        return version_of(connection)


def upgrade(url: str, revision: str = "head") -> None:
    """Bring a database up to a version; one that is there already is left alone.

    Raises:
        StoreError: no such version, or the database refused.
    """
    with _connected(url) as (connection, _):
        _run(connection, "upgrade", revision)


def downgrade(url: str, revision: str) -> None:
    """Take a database back to a version, `base` for an empty one; what the newer version added is lost.

    Raises:
        StoreError: no such version, or the database refused.
    """
    with _connected(url) as (connection, _):
        _run(connection, "downgrade", revision)


def create(engine: Engine) -> None:
    """Create the tables of a new database, unless another process was faster."""
    with translated(engine.url), engine.begin() as connection:
        _lock(connection)
        if version_of(connection) is None:
            _run(connection, "upgrade", "head", locked=True)


def known() -> set[str]:
    """The versions that this code can migrate from and to."""
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


@contextlib.contextmanager
def _connected(url: str) -> Iterator[tuple[Connection, URL]]:
    parsed = parse_url(url)
    engine = make_engine(parsed)
    try:
        with translated(parsed), engine.begin() as connection:
            yield connection, parsed
    finally:
        engine.dispose()


def _run(connection: Connection, direction: str, revision: str, *, locked: bool = False) -> None:
    if not locked:
        _lock(connection)
    config = _config()
    config.attributes["connection"] = connection
    try:
        (command.upgrade if direction == "upgrade" else command.downgrade)(config, revision)
    except CommandError as error:
        raise StoreError(f"database {shown(connection.engine.url)}: {error}") from None


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    else:
        # A writing statement that changes nothing: it takes the write lock, and waits for it.
        connection.exec_driver_sql("PRAGMA user_version = 0")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
