"""Copies a whole database into another, SQLite or PostgreSQL. Resumable, and verified by counts and checksums.

Each run is copied in one transaction, so an interrupted copy resumes where it stopped: a run that is already there in
the same version is verified and left alone, one that has changed since is copied again. Both databases may be in use
meanwhile. Copying again picks up what was written to the source after a run was copied.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, RowMapping, Table, select, tuple_

from monitor.errors import StoreError
from monitor.store.sql.connect import make_engine, parse_url, shown, translated
from monitor.store.sql.schema import AUDIT, METADATA, RULES, RUNS, TOKENS, VIEWS
from monitor.store.sql.upsert import upsert
from monitor.store.sql.version import prepare, refuse_missing

_PORTION: Final = 64
"""Rows read and written at once. Few, because a chunk's row may hold a few MiB."""
_LINES: Final = 1000
"""Rows of the audit log read and written at once."""
_TABLES: Final = [table for table in METADATA.sorted_tables if "run_id" in table.columns]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a copy is.

    Attributes:
        done: runs that are in the destination and verified.
        total: runs of the source.
        copied: how many of those done were copied just now; the others were already there.
        rows: rows copied just now.
    """

    done: int
    total: int
    copied: int
    rows: int


def copy(source: str, destination: str, *, progress: Callable[[Progress], None] | None = None) -> Progress:
    """Copy all runs with everything that belongs to them, the tokens and the audit log.

    Args:
        source: URL of a database of this version.
        destination: URL of another; created if new. Runs that only it has are left alone.

    Raises:
        SchemaMismatch: one of the two has another schema version.
        StoreError: a database refused, both URLs name the same one, or what was written reads back differently.
    """
    urls = [parse_url(url) for url in (source, destination)]
    if urls[0] == urls[1]:
        raise StoreError(f"{shown(urls[0])} cannot be copied to itself; name another database")
    refuse_missing(urls[0])
    engines = [make_engine(url) for url in urls]
    try:
        prepare(engines[0], create=False)
        prepare(engines[1], create=True)
        with translated(urls[0]), translated(urls[1]):
            return _copy_all(engines[0], engines[1], progress or (lambda _: None))
    finally:
        for engine in engines:
            engine.dispose()


def _copy_all(source: Engine, destination: Engine, progress: Callable[[Progress], None]) -> Progress:
    # A consistent view of each run while others write. A read transaction of SQLite is one anyway.
    snapshot = {"isolation_level": "REPEATABLE READ"} if source.dialect.name == "postgresql" else {}
    with source.connect() as connection:
        wanted = connection.execute(select(RUNS.c.run_id).order_by(RUNS.c.created_ms, RUNS.c.run_id)).scalars().all()
    state = Progress(done=0, total=len(wanted), copied=0, rows=0)
    progress(state)
    for run_id in wanted:
        with source.execution_options(**snapshot).connect() as reading:
            rows = _copy_run(reading, destination, run_id)
        state = Progress(
            done=state.done + 1, total=len(wanted), copied=state.copied + (rows > 0), rows=state.rows + rows
        )
        progress(state)
    _copy_access(source, destination)
    return state


def _copy_access(source: Engine, destination: Engine) -> None:
    """Copy the tokens, the audit log, saved views and saved rules. Other rows in the destination stay."""
    for small in (VIEWS, RULES):
        with source.connect() as reading:
            found = [dict(row) for row in reading.execute(select(small)).mappings()]
        if found:
            with destination.begin() as writing:
                writing.execute(upsert(small, destination.dialect.name), found)
    for table in (TOKENS, AUDIT):
        statement, last = upsert(table, destination.dialect.name), ""
        query = select(table).order_by(table.c.id).limit(_LINES)
        while True:
            with source.connect() as reading:
                rows = [dict(row) for row in reading.execute(query.where(table.c.id > last)).mappings()]
            if not rows:
                break
            with destination.begin() as writing:
                writing.execute(statement, rows)
            last = str(rows[-1]["id"])


def _copy_run(reading: Connection, destination: Engine, run_id: str) -> int:
    """Copy a run unless the destination already has it in this version. Returns the number of rows written."""
    version = select(RUNS.c.version, RUNS.c.heartbeat_ms).where(RUNS.c.run_id == run_id)
    here = reading.execute(version).one_or_none()
    if here is None:  # deleted since the list was read
        return 0
    with destination.connect() as connection:
        there = connection.execute(version).one_or_none()
    written = 0
    if there is None or tuple(there) != tuple(here):
        with destination.begin() as writing:
            # The delete cascades to all tables of the run.
            writing.execute(RUNS.delete().where(RUNS.c.run_id == run_id))
            for table in _TABLES:
                for rows in _portions(reading, table, run_id):
                    writing.execute(table.insert(), [dict(row) for row in rows])
                    written += len(rows)
    with destination.connect() as connection:
        for table in _TABLES:
            _verify(reading, connection, table, run_id)
    return written


def _verify(reading: Connection, connection: Connection, table: Table, run_id: str) -> None:
    here, there = _checksum(reading, table, run_id), _checksum(connection, table, run_id)
    if here != there:
        raise StoreError(
            f"run {run_id}: {table.name} reads back differently in {shown(connection.engine.url)} "
            f"({there[0]} rows, {here[0]} expected; checksum {there[1][:12]}, {here[1][:12]} expected); copy again"
        )


def _checksum(connection: Connection, table: Table, run_id: str) -> tuple[int, str]:
    """The number of rows that a table has for a run, and a digest of all their values in key order."""
    digest, count, names = hashlib.blake2b(digest_size=16), 0, sorted(table.columns.keys())
    for rows in _portions(connection, table, run_id):
        for row in rows:
            for name in names:
                value = row[name]
                digest.update(value if isinstance(value, bytes) else repr(value).encode())
                digest.update(b"\x1f")
        count += len(rows)
    return count, digest.hexdigest()


def _portions(connection: Connection, table: Table, run_id: str) -> Iterator[Sequence[RowMapping]]:
    """A run's rows in key order, in portions, so that memory use does not grow with the run."""
    others = [column for column in table.primary_key if column.name != "run_id"]
    query = select(table).where(table.c.run_id == run_id).order_by(*others).limit(_PORTION)
    rows = connection.execute(query).mappings().all()
    while rows:
        yield rows
        if len(rows) < _PORTION or not others:
            return
        last = tuple(rows[-1][column.name] for column in others)
        after = tuple_(*others) > last if len(others) > 1 else others[0] > last[0]
        rows = connection.execute(query.where(after)).mappings().all()
