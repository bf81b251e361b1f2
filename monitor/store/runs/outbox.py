"""The outbox of alerts: what each channel has taken of it, what it is due, and who sends to it.

An alert is due to every channel that was there when it was made. It leaves the outbox when each of them took it, or
when it is given up. One worker at a time sends to a channel; the hold of a worker that dies expires.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, and_, bindparam, func, or_, select

from monitor.domain import Delivery
from monitor.store.runs import rows as from_rows
from monitor.store.sql.schema import CHANNELS, DELIVERIES, OUTBOX
from monitor.store.sql.upsert import insert_once

LEASE_MS: Final = 60_000
"""How long a worker that sends to a channel keeps it from the others, unless it says again that it is there."""
NEVER_MS: Final = 2**62
_AT_ONCE: Final = 500

_WAITS: Final = (OUTBOX.c.delivered_ms.is_(None), OUTBOX.c.next_ms < NEVER_MS)
_ROW: Final = and_(OUTBOX.c.run_id == bindparam("run"), OUTBOX.c.id == bindparam("number"))
_SAME: Final = and_(DELIVERIES.c.run_id == OUTBOX.c.run_id, DELIVERIES.c.id == OUTBOX.c.id)
_ONE: Final = and_(
    DELIVERIES.c.run_id == bindparam("run"),
    DELIVERIES.c.id == bindparam("number"),
    DELIVERIES.c.channel == bindparam("to"),
)


def register(connection: Connection, channels: Collection[str], now_ms: int) -> None:
    """Take up channels; those that are new get what happens from now on.

    A database of a version that knew no channels, but has delivered, continues from there.
    """
    since = now_ms
    if connection.execute(select(func.count()).select_from(CHANNELS)).scalar_one() == 0:
        last = connection.execute(select(func.max(OUTBOX.c.delivered_ms))).scalar_one()
        since = now_ms if last is None else min(last, now_ms)
    for channel in sorted(channels):
        row = {"channel": channel, "since_ms": since, "holder": "", "held_ms": 0}
        connection.execute(insert_once(CHANNELS, connection.dialect.name), row)
    first = connection.execute(select(func.min(CHANNELS.c.since_ms)).where(CHANNELS.c.channel.in_(channels))).scalar()
    if first is not None:
        told = {"next_ms": NEVER_MS, "error": "not sent: there was no channel then"}
        connection.execute(OUTBOX.update().where(*_WAITS, OUTBOX.c.created_ms < first).values(told))


def hold(connection: Connection, channel: str, holder: str, now_ms: int) -> bool:
    """Become the one who sends to a channel, or stay it; False where another is."""
    mine = or_(CHANNELS.c.held_ms <= now_ms, CHANNELS.c.holder == holder)
    values = {"holder": holder, "held_ms": now_ms + LEASE_MS}
    return connection.execute(CHANNELS.update().where(CHANNELS.c.channel == channel, mine), values).rowcount == 1


def release(connection: Connection, channel: str, holder: str) -> None:
    """Let others send to the channel."""
    mine = and_(CHANNELS.c.channel == channel, CHANNELS.c.holder == holder)
    connection.execute(CHANNELS.update().where(mine), {"held_ms": 0})


def due(connection: Connection, channel: str, now_ms: int, limit: int) -> tuple[Delivery, ...]:
    """Alerts to send to a channel now, the oldest first."""
    since = select(CHANNELS.c.since_ms).where(CHANNELS.c.channel == channel).scalar_subquery()
    query = (
        select(OUTBOX, DELIVERIES.c.attempts.label("tries"))
        .select_from(OUTBOX.outerjoin(DELIVERIES, and_(_SAME, DELIVERIES.c.channel == channel)))
        .where(*_WAITS, OUTBOX.c.created_ms >= since, DELIVERIES.c.taken_ms.is_(None))
        .where(func.coalesce(DELIVERIES.c.next_ms, 0) <= now_ms)
        .order_by(OUTBOX.c.created_ms, OUTBOX.c.run_id, OUTBOX.c.id)
        .limit(limit)
    )
    found = connection.execute(query).mappings()
    return tuple(replace(from_rows.delivery(row), attempts=row["tries"] or 0) for row in found)


def told(connection: Connection, channel: str, run_ids: Collection[str], since_ms: int) -> tuple[tuple[str, int], ...]:
    """What a channel has taken of some runs since a time."""
    query = select(OUTBOX.c.dedup_key, DELIVERIES.c.taken_ms).select_from(OUTBOX.join(DELIVERIES, _SAME))
    query = query.where(DELIVERIES.c.channel == channel, DELIVERIES.c.taken_ms > since_ms)
    wanted, found = sorted(run_ids), list[tuple[str, int]]()
    for i in range(0, len(wanted), _AT_ONCE):
        some = connection.execute(query.where(DELIVERIES.c.run_id.in_(wanted[i : i + _AT_ONCE])))
        found += [(key, taken_ms) for key, taken_ms in some]
    return tuple(found)


def taken(connection: Connection, channel: str, rows: Sequence[tuple[str, int]], now_ms: int) -> None:
    """Note that a channel took alerts."""
    _note(connection, channel, rows, {"taken_ms": now_ms})


def failed(connection: Connection, channel: str, rows: Sequence[tuple[str, int]], next_ms: int, error: str) -> None:
    """Note that a channel did not take alerts, here and in the row of the outbox, which people see."""
    _note(connection, channel, rows, {"next_ms": next_ms})
    values = {"next_ms": next_ms, "error": error, "attempts": OUTBOX.c.attempts + 1}
    places = [{"run": run, "number": number} for run, number in sorted(rows)]
    connection.execute(OUTBOX.update().where(_ROW).values(values), places)


def settle(connection: Connection, channels: Collection[str], now_ms: int) -> None:
    """Take out of the outbox what each of these channels has taken that was there when it was made.

    In a transaction of its own after `taken`: of two channels that take an alert at once the later one sees both.
    """
    done = (
        select(DELIVERIES.c.id)
        .where(_SAME, DELIVERIES.c.channel == CHANNELS.c.channel, DELIVERIES.c.taken_ms.is_not(None))
        .correlate(OUTBOX, CHANNELS)
        .exists()
    )
    due_to = and_(CHANNELS.c.channel.in_(channels), CHANNELS.c.since_ms <= OUTBOX.c.created_ms)
    begun = select(DELIVERIES.c.id).where(_SAME, DELIVERIES.c.taken_ms.is_not(None)).correlate(OUTBOX).exists()
    missing = select(CHANNELS.c.channel).where(due_to, ~done).correlate(OUTBOX).exists()
    ready = select(OUTBOX.c.run_id, OUTBOX.c.id).where(*_WAITS, begun, ~missing)
    places = [{"run": run, "number": number} for run, number in sorted(tuple(row) for row in connection.execute(ready))]
    if places:
        values = {"delivered_ms": now_ms, "error": None, "attempts": OUTBOX.c.attempts + 1}
        connection.execute(OUTBOX.update().where(_ROW).values(values), places)


def _note(connection: Connection, channel: str, rows: Sequence[tuple[str, int]], values: dict[str, int]) -> None:
    places = [{"run": run, "number": number, "to": channel} for run, number in sorted(rows)]
    new = [
        {"run_id": run, "id": number, "channel": channel, "attempts": 0, "next_ms": 0} for run, number in sorted(rows)
    ]
    if rows:
        connection.execute(insert_once(DELIVERIES, connection.dialect.name), new)
        changed = {**values, "attempts": DELIVERIES.c.attempts + 1}
        connection.execute(DELIVERIES.update().where(_ONE).values(changed), places)
