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
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL

from monitor._resources import MIGRATIONS
from monitor.errors import SchemaMismatch, StoreError
from monitor.store.connect import make_engine, parse_url, shown, translated
from monitor.store.schema import VERSION_TABLE

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
        return _version(connection)


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


def prepare(engine: Engine, *, create: bool) -> None:
    """Check a database's version; a new database is migrated if `create`.

    Raises:
        SchemaMismatch: the database is older or newer than this code, or new and not to be created.
    """
    wanted = head()
    with translated(engine.url):
        with engine.connect() as connection:
            found = _version(connection)
        if found is None and create:
            with engine.begin() as connection:
                _lock(connection)
                if _version(connection) is None:
                    _run(connection, "upgrade", "head", locked=True)
            return
    if found != wanted:
        url = shown(engine.url)
        known = found is None or found in _known()
        fix = f"monitor db upgrade --url {url}" if known else "pip install --upgrade lossmonitor"
        raise SchemaMismatch(url, found=found, wanted=wanted, command=fix)


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


def _version(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def _known() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
