"""Schema migrations: Alembic without an ini file, under a lock, on SQLite and PostgreSQL.

The version has its own table (`monitor_schema_version`), separate from MLflow's. On PostgreSQL, migrations run under a
transaction-level advisory lock; on SQLite, in one transaction that holds the write lock. So any number of processes may
open a new database at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL

from monitor._resources import MIGRATIONS
from monitor.errors import StoreError
from monitor.store.sql.connect import make_engine, parse_url, shown, translated
from monitor.store.sql.version import lock_schema, version_of

_ADVISORY_LOCK: Final = 0x6C6F73736D6F6E  # "lossmon"


def head() -> str:
    """The version that this code uses."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    assert found is not None
    return found


def current(url: str) -> str | None:
    """The version of a database; None if it has no schema of ours."""
    with _connected(url) as (connection, _):
        return version_of(connection)


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate a database up to a version. One that is already there is left alone."""
    with _connected(url) as (connection, _):
        _run(connection, "upgrade", revision)


def downgrade(url: str, revision: str) -> None:
    """Migrate a database down to a version; `base` removes everything. What newer versions added is lost."""
    with _connected(url) as (connection, _):
        _run(connection, "downgrade", revision)


def create(engine: Engine) -> None:
    """Create the tables of a new database, unless another process was faster."""
    with translated(engine.url), engine.begin() as connection:
        lock_schema(connection, _ADVISORY_LOCK)
        if version_of(connection) is None:
            _run(connection, "upgrade", "head", locked=True)


def known() -> set[str]:
    """The versions that this code can migrate between."""
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
        lock_schema(connection, _ADVISORY_LOCK)
    config = _config()
    config.attributes["connection"] = connection
    try:
        (command.upgrade if direction == "upgrade" else command.downgrade)(config, revision)
    except CommandError as error:
        raise StoreError(f"database {shown(connection.engine.url)}: {error}") from None


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
