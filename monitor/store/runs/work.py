"""What the jobs read: the runs that live, and alerts."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, select

from monitor.domain import Delivery, RunInfo
from monitor.store.runs import rows
from monitor.store.sql.schema import OUTBOX, RUNS

LIVE: Final = ("running", "stalled", "lost")


def live_runs(connection: Connection) -> tuple[RunInfo, ...]:
    """Runs that may still send points."""
    query = select(*rows.INFO_COLUMNS).where(RUNS.c.status.in_(LIVE), RUNS.c.deleted_ms.is_(None))
    return tuple(rows.run_info(row) for row in connection.execute(query).mappings())


def alerts(connection: Connection, run_id: str | None, limit: int, within: str | None) -> tuple[Delivery, ...]:
    """The newest alerts, delivered or not, of all projects or `within` one."""
    query = select(OUTBOX).order_by(OUTBOX.c.created_ms.desc(), OUTBOX.c.run_id, OUTBOX.c.id.desc()).limit(limit)
    if run_id is not None:
        query = query.where(OUTBOX.c.run_id == run_id)
    if within is not None:
        query = query.join(RUNS, RUNS.c.run_id == OUTBOX.c.run_id).where(RUNS.c.project == within)
    return tuple(rows.delivery(row) for row in connection.execute(query).mappings())
