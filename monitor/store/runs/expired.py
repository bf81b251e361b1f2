"""Which runs are old enough to be deleted, downsampled or purged. `purge` removes them permanently."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, exists, or_, select

from monitor.store.runs.work import LIVE
from monitor.store.sql.schema import RUNS, SERIES


def retired(connection: Connection, project: str | None, before_ms: int, limit: int) -> tuple[str, ...]:
    """Runs that ended, and were last heard of, before a time and are not deleted yet, oldest first.

    Args:
        project: only this project; None for all.
        before_ms: milliseconds since the epoch.
    """
    query = select(RUNS.c.run_id).where(*_ended(before_ms)).order_by(RUNS.c.finished_ms).limit(limit)
    if project is not None:
        query = query.where(RUNS.c.project == project)
    return tuple(connection.execute(query).scalars())


def thinnable(connection: Connection, project: str | None, before_ms: int, points: int) -> tuple[str, ...]:
    """Those of them that have a series with more than twice `points` points, oldest first."""
    long = exists().where(SERIES.c.run_id == RUNS.c.run_id, SERIES.c.count > 2 * points)
    query = select(RUNS.c.run_id).where(*_ended(before_ms), long).order_by(RUNS.c.finished_ms)
    if project is not None:
        query = query.where(RUNS.c.project == project)
    return tuple(connection.execute(query).scalars())


def _ended(before_ms: int) -> tuple[ColumnElement[bool], ...]:
    """The end is by the client's clock, which may be years behind; when it was heard of, by the server's."""
    heard = or_(RUNS.c.heartbeat_ms.is_(None), RUNS.c.heartbeat_ms < before_ms)
    return RUNS.c.deleted_ms.is_(None), RUNS.c.status.not_in(LIVE), RUNS.c.finished_ms < before_ms, heard


def purgeable(connection: Connection, before_ms: int, limit: int) -> tuple[str, ...]:
    """Runs that were deleted before a time, oldest first."""
    query = select(RUNS.c.run_id).where(RUNS.c.deleted_ms < before_ms).order_by(RUNS.c.deleted_ms).limit(limit)
    return tuple(connection.execute(query).scalars())


def purge(connection: Connection, run_id: str, before_ms: int) -> bool:
    """Permanently delete a run with all its rows, unless it was restored in the meantime."""
    where = (RUNS.c.run_id == run_id, RUNS.c.deleted_ms < before_ms)
    return connection.execute(RUNS.delete().where(*where)).rowcount == 1
