"""What the jobs read: live runs and alerts."""

from __future__ import annotations

from collections import Counter
from typing import Final

from sqlalchemy import Connection, and_, func, select

from monitor.domain import Delivery, Gauges, RunInfo
from monitor.store.runs import rows
from monitor.store.runs.outbox import NEVER_MS
from monitor.store.sql.schema import OUTBOX, RUNS

LIVE: Final = ("running", "stalled", "lost")


def live_runs(connection: Connection) -> tuple[RunInfo, ...]:
    """Runs that run or hang. Lost ones, of which a store may have any number, are not among them."""
    query = select(*rows.INFO_COLUMNS).where(RUNS.c.status.in_(("running", "stalled")), RUNS.c.deleted_ms.is_(None))
    return tuple(rows.run_info(row) for row in connection.execute(query).mappings())


def gauges(connection: Connection) -> Gauges:
    """The number of live runs and of waiting alerts."""
    live = (RUNS.c.status.in_(LIVE), RUNS.c.deleted_ms.is_(None))
    query = select(RUNS.c.status, RUNS.c.verdict, func.count()).where(*live).group_by(RUNS.c.status, RUNS.c.verdict)
    statuses, verdicts = Counter[str](), Counter[str]()
    for status, verdict, count in connection.execute(query):
        statuses[status] += count
        verdicts[verdict] += count
    waits = and_(OUTBOX.c.delivered_ms.is_(None), OUTBOX.c.next_ms < NEVER_MS)
    waiting = connection.execute(select(func.count()).select_from(OUTBOX).where(waits)).scalar_one()
    taken = select(func.count()).select_from(OUTBOX).where(OUTBOX.c.delivered_ms.is_not(None))
    delivered = connection.execute(taken).scalar_one()
    return Gauges(statuses=statuses, verdicts=verdicts, waiting=waiting, delivered=delivered)


def alerts(connection: Connection, run_id: str | None, limit: int, within: str | None) -> tuple[Delivery, ...]:
    """The newest messages, delivered or not. `within` limits them to one project."""
    query = select(OUTBOX).order_by(OUTBOX.c.created_ms.desc(), OUTBOX.c.run_id, OUTBOX.c.id.desc()).limit(limit)
    if run_id is not None:
        query = query.where(OUTBOX.c.run_id == run_id)
    if within is not None:
        query = query.join(RUNS, RUNS.c.run_id == OUTBOX.c.run_id).where(RUNS.c.project == within)
    return tuple(rows.delivery(row) for row in connection.execute(query).mappings())
