"""The stops of runs: rows of `monitor_stops`, a few per run."""

from __future__ import annotations

from sqlalchemy import Connection, select

from monitor.domain import Stop
from monitor.store.sql.schema import STOPS

_COLUMNS = [STOPS.c[name] for name in Stop.__slots__]


def read(connection: Connection, run_id: str) -> tuple[Stop, ...]:
    """The stops of a run, by number."""
    query = select(*_COLUMNS).where(STOPS.c.run_id == run_id).order_by(STOPS.c.id)
    return tuple(Stop(**row) for row in connection.execute(query).mappings())


def insert(connection: Connection, run_id: str, stop: Stop) -> None:
    """Store a stop."""
    connection.execute(STOPS.insert().values(run_id=run_id, **{name: getattr(stop, name) for name in Stop.__slots__}))


def change(connection: Connection, run_id: str, number: int, **columns: object) -> None:
    """Change columns of a stop."""
    connection.execute(STOPS.update().where(STOPS.c.run_id == run_id, STOPS.c.id == number).values(**columns))


def stopped(connection: Connection, since_ms: int, until_ms: int) -> tuple[tuple[str, Stop], ...]:
    """The stops that ended a run within a time span, with the run's id, oldest first."""
    ended = STOPS.c.stopped_step.is_not(None) & STOPS.c.finished_ms.between(since_ms, until_ms - 1)
    query = select(STOPS.c.run_id, *_COLUMNS).where(ended).order_by(STOPS.c.finished_ms, STOPS.c.run_id)
    rows = (dict(row) for row in connection.execute(query).mappings())
    return tuple((str(row.pop("run_id")), Stop(**row)) for row in rows)
