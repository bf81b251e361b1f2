"""Which schema a database has, and whether this code can use it.

Asked by every process that opens a store, of which few ever migrate one: so it is asked in plain SQL, and Alembic,
whose import takes a tenth of a second, is loaded where there is something to migrate or to explain.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, Engine, text

from monitor.errors import SchemaMismatch
from monitor.store.sql.connect import EMBEDDED_PATIENCE_S, shown, translated
from monitor.store.sql.lock import Turns
from monitor.store.sql.schema import VERSION_TABLE

NEWEST: Final = "0013"
"""The version that this code uses, the newest in `migrations/`."""


def version_of(connection: Connection) -> str | None:
    """The version of a database, None for one that has no schema of ours."""
    if not connection.dialect.has_table(connection, VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one_or_none()
    return None if found is None else str(found)


def refuse_missing(url: URL) -> None:
    """Refuse a SQLite file that is not there: to connect to it would make it.

    Raises:
        SchemaMismatch: there is none.
    """
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        where = shown(url)
        raise SchemaMismatch(where, found=None, wanted=NEWEST, command=f"monitor db upgrade --url {where}")


def prepare(engine: Engine, *, create: bool) -> None:
    """Check a database's version; a new database is migrated if `create`.

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
