"""Which schema version a database has, and whether this code can use it.

Every process that opens a store checks this, and few ever migrate. So it uses plain SQL; Alembic, which takes a tenth
of a second to import, is loaded only if there is something to migrate or explain.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, Engine, text

from monitor.errors import SchemaMismatch
from monitor.store.sql.connect import EMBEDDED_PATIENCE_S, shown, translated
from monitor.store.sql.lock import Turns
from monitor.store.sql.schema import VERSION_TABLE

NEWEST: Final = "0014"
"""The version that this code uses: the newest in `migrations/`."""


def version_of(connection: Connection) -> str | None:
    """The version of a database; None if it has no schema of ours."""
    if not connection.dialect.has_table(connection, VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one_or_none()
    return None if found is None else str(found)


def lock_schema(connection: Connection, key: int) -> None:
    """Wait until no other process changes the schema, and keep others from it until the transaction ends.

    Args:
        key: of PostgreSQL's advisory lock; SQLite has only its write lock.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
    else:
        # A write that changes nothing: it waits for the write lock and takes it.
        connection.exec_driver_sql("PRAGMA user_version = 0")


def refuse_missing(url: URL) -> None:
    """Refuse a SQLite file that does not exist, since connecting would create it.

    Raises:
        SchemaMismatch: there is none.
    """
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        where = shown(url)
        command = f"monitor db upgrade --url {where}"
        raise SchemaMismatch(where, found=None, wanted=NEWEST, command=command, missing=True)


def prepare(engine: Engine, *, create: bool) -> None:
    """Check a database's version. A new database is migrated if `create`.

    Raises:
        SchemaMismatch: the database is older or newer than this code, or new and not to be created.
    """
    with translated(engine.url), engine.connect() as connection:
        found = version_of(connection)
    if found == NEWEST:
        return
    if found is None and create:
        _create(engine)
        return
    from monitor.store.sql import migrate

    url = shown(engine.url)
    known = found is None or found in migrate.known()
    fix = f"monitor db upgrade --url {url}" if known else "pip install --upgrade lossmonitor"
    raise SchemaMismatch(url, found=found, wanted=NEWEST, command=fix)


def _create(engine: Engine) -> None:
    """Create the tables; processes that start at once over a new SQLite file queue, as making them may take long."""
    from monitor.store.sql import migrate

    if engine.dialect.name != "sqlite":
        migrate.create(engine)
        return
    turns = Turns(Path(f"{engine.url.database}-turn"))
    try:
        with turns.turn(EMBEDDED_PATIENCE_S):
            migrate.create(engine)
    finally:
        turns.close()
