"""Copy a whole database into another, of either kind: resumable, and verified by counts and checksums.

Runs are copied one after the other, each in one transaction, so that an interrupted copy resumes where it stopped:
a run that is there in the same version is verified and left alone, one that has moved on since is copied again. Both
databases may be in use meanwhile; what is written to the source after a run was copied is found by copying again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, RowMapping, Table, select, tuple_

from monitor.errors import StoreError
from monitor.store.sql.connect import make_engine, parse_url, shown, translated
from monitor.store.sql.schema import AUDIT, METADATA, RUNS, TOKENS
from monitor.store.sql.upsert import upsert
from monitor.store.sql.version import prepare, refuse_missing

_PORTION: Final = 64
"""Rows read and written at once; a chunk's row may hold a few MiB."""
_LINES: Final = 1000
"""Rows of the audit log read and written at once."""
_TABLES: Final = [table for table in METADATA.sorted_tables if "run_id" in table.columns]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a copy is.

    Attributes:
        done: runs that are in the destination and verified.
        total: runs of the source.
        copied: of those done, how many were copied now; the others were there.
        rows: rows copied now.
    """

    done: int
    total: int
    copied: int
    rows: int


def copy(source: str, destination: str, *, progress: Callable[[Progress], None] | None = None) -> Progress:
    """Copy all runs, with everything that belongs to them, the tokens and the audit log.

    Args:
        source: URL of a database of this version.
        destination: URL of another; made where it is new. Runs that only it has are left alone.
        progress: called after every run.

    Raises:
        SchemaMismatch: one of the two has another schema version.
        StoreError: a database refused, both URLs name the same one, or what was written reads back otherwise.
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
    """Copy the tokens and the audit log; what the destination has besides stays."""
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
    """Copy a run if it is not there as it is; how many rows were written."""
    version = select(RUNS.c.version, RUNS.c.heartbeat_ms).where(RUNS.c.run_id == run_id)
    here = reading.execute(version).one_or_none()
    if here is None:  # deleted since the list was read
        return 0
    with destination.connect() as connection:
        there = connection.execute(version).one_or_none()
    written = 0
    if there is None or tuple(there) != tuple(here):
        with destination.begin() as writing:
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
            f"run {run_id}: {table.name} reads back otherwise in {shown(connection.engine.url)} "
            f"({there[0]} rows, {here[0]} expected; checksum {there[1][:12]}, {here[1][:12]} expected); copy again"
        )


def _checksum(connection: Connection, table: Table, run_id: str) -> tuple[int, str]:
    """How many rows a table has of a run, and a digest of all their values in the order of their keys."""
    digest, count, names = hashlib.blake2b(digest_size=16), 0, sorted(table.columns.keys())
    for rows in _portions(connection, table, run_id):
        for row in rows:
            for name in names:
                value = row[name]
                digest.update(bytes(value) if isinstance(value, bytes | memoryview) else repr(value).encode())
                digest.update(b"\x1f")
        count += len(rows)
    return count, digest.hexdigest()


def _portions(connection: Connection, table: Table, run_id: str) -> Iterator[Sequence[RowMapping]]:
    """A run's rows in the order of their keys, some at a time, so that memory does not grow with the run."""
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
