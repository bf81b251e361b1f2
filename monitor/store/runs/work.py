"""What the jobs read and write: the runs that live, alerts, and what a mirror has not seen yet."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, and_, func, or_, select

from monitor.domain import Delivery, RunInfo
from monitor.store.runs import rows
from monitor.store.sql.schema import EXPORTS, OUTBOX, RUNS
from monitor.store.sql.upsert import insert_once, upsert

LIVE: Final = ("running", "stalled", "lost")


def live_runs(connection: Connection) -> tuple[RunInfo, ...]:
    """Runs that may still send points."""
    query = select(*rows.INFO_COLUMNS).where(RUNS.c.status.in_(LIVE), RUNS.c.deleted_ms.is_(None))
    return tuple(rows.run_info(row) for row in connection.execute(query).mappings())


def alerts(connection: Connection, run_id: str | None, limit: int) -> tuple[Delivery, ...]:
    """The newest alerts, delivered or not."""
    query = select(OUTBOX).order_by(OUTBOX.c.created_ms.desc(), OUTBOX.c.run_id, OUTBOX.c.id.desc()).limit(limit)
    if run_id is not None:
        query = query.where(OUTBOX.c.run_id == run_id)
    return tuple(rows.delivery(row) for row in connection.execute(query).mappings())


def changed_runs(
    connection: Connection, target: str, limit: int, without: Collection[str]
) -> tuple[tuple[RunInfo, str | None], ...]:
    """Runs whose version is above the one a mirror has, with the id they have there; but for some of them."""
    mirror = and_(EXPORTS.c.run_id == RUNS.c.run_id, EXPORTS.c.target == target)
    query = (
        select(*rows.INFO_COLUMNS, EXPORTS.c.external_id)
        .select_from(RUNS.outerjoin(EXPORTS, mirror))
        .where(RUNS.c.run_id.not_in(without), RUNS.c.deleted_ms.is_(None))
        .where(or_(EXPORTS.c.version.is_(None), RUNS.c.version > EXPORTS.c.version))
        .order_by(func.coalesce(EXPORTS.c.version, 0), RUNS.c.created_ms)
        .limit(limit)
    )
    return tuple((rows.run_info(row), row["external_id"]) for row in connection.execute(query).mappings())


def exported(connection: Connection, run_id: str, target: str, version: int, external_id: str | None) -> None:
    """Note that a mirror has a run up to a version."""
    row = {"run_id": run_id, "target": target, "version": version, "external_id": external_id}
    connection.execute(upsert(EXPORTS, connection.dialect.name), row)


def mirrored_as(connection: Connection, run_id: str, target: str, external_id: str, instead_of: str | None) -> str:
    """Put down under which id a mirror has a run, unless another server was first; the id that is put down."""
    row = and_(EXPORTS.c.run_id == run_id, EXPORTS.c.target == target)
    known = EXPORTS.c.external_id
    connection.execute(
        EXPORTS.update().where(row, known.is_(None) if instead_of is None else known == instead_of),
        {"external_id": external_id},
    )
    connection.execute(
        insert_once(EXPORTS, connection.dialect.name),
        {"run_id": run_id, "target": target, "version": 0, "external_id": external_id},
    )
    return str(connection.execute(select(known).where(row)).scalar_one())
