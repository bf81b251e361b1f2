"""The outbox of alerts: which channel has taken which message, what is due, and who sends.

A message is due to every channel that existed when it was created. It leaves the outbox once each of them took it or
gave it up. Only one worker at a time sends to a channel. If it dies, its lease expires.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import BigInteger, ColumnElement, Connection, Insert, and_, bindparam, cast, func, or_, select

from monitor.domain import DeadLetter, Delivery
from monitor.domain.clocks import DIFFER_MS, LEASE_MS
from monitor.store.runs import rows as from_rows
from monitor.store.sql.schema import CHANNEL_SETTINGS, CHANNELS, DELIVERIES, OUTBOX, RUNS
from monitor.store.sql.upsert import insert_into, insert_once, upsert

LONGEST_WAIT_MS: Final = 20 * 60_000
"""Longest wait of a message until its next attempt. A longer one comes from a clock that was set back since."""
NEVER_MS: Final = 2**62
"""`next_ms` of a delivery that was given up."""
_AT_ONCE: Final = 500
_CLOCKS: Final[Mapping[str, ColumnElement[int]]] = {
    "postgresql": cast(func.extract("epoch", func.clock_timestamp()) * 1000, BigInteger),
    "sqlite": cast((func.julianday("now") - 2_440_587.5) * 86_400_000, BigInteger),
}
"""Dialect -> milliseconds since the epoch by the database's clock."""

Place = tuple[str, int]
"""The key of an outbox row: the run, and the number within it."""
Told = tuple[str, int, str]
"""A message that a channel took: its `dedup_key`, when it was taken, and the alert state in it."""

_WAITS: Final = (OUTBOX.c.delivered_ms.is_(None), OUTBOX.c.next_ms < NEVER_MS)
_ROW: Final = and_(OUTBOX.c.run_id == bindparam("run"), OUTBOX.c.id == bindparam("number"))
_SAME: Final = and_(DELIVERIES.c.run_id == OUTBOX.c.run_id, DELIVERIES.c.id == OUTBOX.c.id)
_ONE: Final = and_(
    DELIVERIES.c.run_id == bindparam("run"),
    DELIVERIES.c.id == bindparam("number"),
    DELIVERIES.c.channel == bindparam("to"),
)


def register(connection: Connection, channels: Collection[str], now_ms: int) -> None:
    """Register channels. New ones get what happens from now on.

    A database of a version that had no channels, but has delivered messages, continues from there.
    """
    since = now_ms
    if connection.execute(select(func.count()).select_from(CHANNELS)).scalar_one() == 0:
        last = connection.execute(select(func.max(OUTBOX.c.delivered_ms))).scalar_one()
        since = now_ms if last is None else min(last, now_ms)
    for channel in sorted(channels):
        row = {"channel": channel, "since_ms": since, "holder": "", "held_ms": 0}
        connection.execute(insert_once(CHANNELS, connection.dialect.name), row)
    ahead = and_(CHANNELS.c.channel.in_(channels), CHANNELS.c.since_ms > now_ms + DIFFER_MS)
    # Registered in the future: the clock was set back. What happens now must still be due.
    connection.execute(CHANNELS.update().where(ahead).values(since_ms=now_ms - DIFFER_MS))
    ahead = and_(CHANNELS.c.channel.in_(channels), CHANNELS.c.digest_ms > now_ms + DIFFER_MS)
    connection.execute(CHANNELS.update().where(ahead).values(digest_ms=now_ms))
    first = connection.execute(select(func.min(CHANNELS.c.since_ms)).where(CHANNELS.c.channel.in_(channels))).scalar()
    if first is not None:
        told = {"next_ms": NEVER_MS, "error": "not sent: there was no channel then"}
        connection.execute(OUTBOX.update().where(*_WAITS, OUTBOX.c.created_ms < first).values(told))


def hold(connection: Connection, channel: str, holder: str) -> bool:
    """Take or renew the lease on sending to a channel. False if another worker holds it.

    The lease is measured by the database's clock, since the clocks of two servers may differ by more than a lease.
    """
    now = _CLOCKS[connection.dialect.name]
    over = or_(CHANNELS.c.held_ms <= now, CHANNELS.c.held_ms > now + LEASE_MS)  # in the future: the clock was set back
    mine = or_(over, CHANNELS.c.holder == holder)
    values = {"holder": holder, "held_ms": now + LEASE_MS}
    return connection.execute(CHANNELS.update().where(CHANNELS.c.channel == channel, mine).values(values)).rowcount == 1


def release(connection: Connection, channel: str, holder: str) -> None:
    """Give up the lease on a channel."""
    mine = and_(CHANNELS.c.channel == channel, CHANNELS.c.holder == holder)
    connection.execute(CHANNELS.update().where(mine), {"held_ms": 0})


def due(connection: Connection, channel: str, now_ms: int, limit: int) -> tuple[Delivery, ...]:
    """Messages to send to a channel now, oldest first."""
    since = select(CHANNELS.c.since_ms).where(CHANNELS.c.channel == channel).scalar_subquery()
    next_ms = func.coalesce(DELIVERIES.c.next_ms, 0)
    over = or_(next_ms <= now_ms, next_ms.between(now_ms + LONGEST_WAIT_MS, NEVER_MS - 1))
    mine = {"tries": DELIVERIES.c.attempts, "problem": DELIVERIES.c.error, "again": DELIVERIES.c.retried_ms}
    query = (
        select(OUTBOX, *(column.label(name) for name, column in mine.items()))
        .select_from(OUTBOX.outerjoin(DELIVERIES, and_(_SAME, DELIVERIES.c.channel == channel)))
        .where(*_WAITS, OUTBOX.c.created_ms >= since, DELIVERIES.c.taken_ms.is_(None))
        .where(over)
        .order_by(OUTBOX.c.created_ms, OUTBOX.c.run_id, OUTBOX.c.id)
        .limit(limit)
    )
    return tuple(
        replace(from_rows.delivery(row), attempts=row["tries"] or 0, error=row["problem"], retried_ms=row["again"])
        for row in connection.execute(query).mappings()
    )


def told(connection: Connection, channel: str, run_ids: Collection[str], since_ms: int) -> tuple[Told, ...]:
    """What a channel was sent about some runs since a time."""
    query = select(OUTBOX.c.dedup_key, DELIVERIES.c.taken_ms, OUTBOX.c.alert)
    query = query.select_from(OUTBOX.join(DELIVERIES, _SAME)).where(DELIVERIES.c.note.is_(None))
    query = query.where(DELIVERIES.c.channel == channel, DELIVERIES.c.taken_ms > since_ms)
    wanted, found = sorted(run_ids), list[Told]()
    for i in range(0, len(wanted), _AT_ONCE):
        some = connection.execute(query.where(DELIVERIES.c.run_id.in_(wanted[i : i + _AT_ONCE])))
        found += [(key, taken_ms, str(alert["state"])) for key, taken_ms, alert in some]
    return tuple(sorted(found, key=lambda each: each[1]))


def taken(connection: Connection, channel: str, rows: Sequence[Place], now_ms: int, note: str | None = None) -> None:
    """Record that a channel is done with messages: it took them, or they were not sent for the reason in `note`."""
    _note(connection, channel, rows, {"taken_ms": now_ms, "note": note})


def failed(connection: Connection, channel: str, rows: Sequence[Place], next_ms: int, error: str) -> None:
    """Record that a channel did not take messages, here and in the outbox rows, which people see."""
    _note(connection, channel, rows, {"next_ms": next_ms, "error": error})
    values: dict[str, object] = {"error": error, "attempts": OUTBOX.c.attempts + 1}
    if next_ms < NEVER_MS:  # otherwise leave the row: other channels may still take it
        values["next_ms"] = next_ms
    places = [{"run": run, "number": number} for run, number in sorted(rows)]
    connection.execute(OUTBOX.update().where(_ROW).values(values), places)


def postpone(connection: Connection, channel: str, rows: Sequence[Place], next_ms: int) -> None:
    """Hold messages back until a time. This is not a failed attempt; their age counts from then."""
    _note(connection, channel, rows, {"next_ms": next_ms, "retried_ms": next_ms}, tries=0)


def settle(connection: Connection, channels: Collection[str], now_ms: int) -> None:
    """Remove messages that are done with all these channels, as far as the channels existed when it was created.

    Runs in its own transaction after `taken`: if two channels take a message at once, the later one sees both.
    """
    ended = or_(DELIVERIES.c.taken_ms.is_not(None), DELIVERIES.c.next_ms >= NEVER_MS)
    here = select(DELIVERIES.c.id).where(_SAME, ended)
    done = here.where(DELIVERIES.c.channel == CHANNELS.c.channel).correlate(OUTBOX, CHANNELS).exists()
    due_to = and_(CHANNELS.c.channel.in_(channels), CHANNELS.c.since_ms <= OUTBOX.c.created_ms)
    missing = select(CHANNELS.c.channel).where(due_to, ~done).correlate(OUTBOX).exists()
    sent = here.where(DELIVERIES.c.taken_ms.is_not(None), DELIVERIES.c.note.is_(None)).correlate(OUTBOX).exists()
    why = select(func.min(DELIVERIES.c.note)).where(_SAME).correlate(OUTBOX).scalar_subquery()
    ready = select(OUTBOX.c.run_id, OUTBOX.c.id, sent.label("sent"), why.label("why"), OUTBOX.c.error)
    ready = ready.where(*_WAITS, here.correlate(OUTBOX).exists(), ~missing)
    for row in connection.execute(ready.order_by(OUTBOX.c.run_id, OUTBOX.c.id)).all():
        place = {"run": row.run_id, "number": row.id}
        if row.sent:
            values: dict[str, object] = {"delivered_ms": now_ms, "error": None, "attempts": OUTBOX.c.attempts + 1}
        else:
            values = {"next_ms": NEVER_MS, "error": row.error or f"not sent: {row.why}"}
        connection.execute(OUTBOX.update().where(_ROW).values(values), place)


def dead(connection: Connection, limit: int, within: str | None = None) -> tuple[DeadLetter, ...]:
    """The newest messages whose delivery was given up. `within` limits them to one project."""
    query = (
        select(OUTBOX, DELIVERIES.c.channel, DELIVERIES.c.attempts.label("tries"), DELIVERIES.c.error.label("problem"))
        .select_from(OUTBOX.join(DELIVERIES, _SAME))
        .join(RUNS, and_(RUNS.c.run_id == OUTBOX.c.run_id, RUNS.c.deleted_ms.is_(None)))
        .where(DELIVERIES.c.next_ms >= NEVER_MS, DELIVERIES.c.taken_ms.is_(None))
        .order_by(OUTBOX.c.created_ms.desc(), OUTBOX.c.run_id, OUTBOX.c.id)
        .limit(limit)
    )
    if within is not None:
        query = query.where(RUNS.c.project == within)
    return tuple(
        DeadLetter(
            id=f"{row['run_id']}-{row['id']}",
            channel=row["channel"],
            name="",
            title=row["alert"]["title"],
            project=row["alert"]["project"],
            run_id=row["run_id"],
            created_ms=row["created_ms"],
            attempts=row["tries"],
            error=row["problem"] or "",
        )
        for row in connection.execute(query).mappings()
    )


def retry(connection: Connection, message: str | None, channel: str | None, now_ms: int) -> int:
    """Retry deliveries that were given up. Returns the number of messages."""
    given_up = [DELIVERIES.c.next_ms >= NEVER_MS, DELIVERIES.c.taken_ms.is_(None)]
    if message is not None:
        run, _, number = message.rpartition("-")
        given_up += [DELIVERIES.c.run_id == run, DELIVERIES.c.id == (int(number) if number.isdecimal() else -1)]
    if channel is not None:
        given_up.append(DELIVERIES.c.channel == channel)
    rows = connection.execute(select(DELIVERIES.c.run_id, DELIVERIES.c.id, DELIVERIES.c.channel).where(*given_up)).all()
    for run_id, number, to in sorted(tuple(row) for row in rows):
        values = {"next_ms": 0, "attempts": 0, "retried_ms": now_ms}
        connection.execute(DELIVERIES.update().where(_ONE).values(values), {"run": run_id, "number": number, "to": to})
        place = {"run": run_id, "number": number}
        connection.execute(OUTBOX.update().where(_ROW).values(next_ms=0, delivered_ms=None), place)
    return len(rows)


def channel_settings(connection: Connection) -> tuple[tuple[str, Mapping[str, object], bytes], ...]:
    """The channels added through the API, by name."""
    query = select(CHANNEL_SETTINGS).order_by(CHANNEL_SETTINGS.c.name)
    return tuple((row.name, row.settings, bytes(row.secrets)) for row in connection.execute(query))


def save_channel(connection: Connection, name: str, settings: Mapping[str, object], sealed: bytes, now_ms: int) -> None:
    """Add a channel or change it."""
    row = {"name": name, "settings": dict(settings), "secrets": sealed, "created_ms": now_ms}
    connection.execute(upsert(CHANNEL_SETTINGS, connection.dialect.name), row)


def remove_channel(connection: Connection, name: str, key: str | None) -> bool:
    """Remove a channel and its registration. False if there was none."""
    connection.execute(CHANNELS.delete().where(CHANNELS.c.channel == key))
    return connection.execute(CHANNEL_SETTINGS.delete().where(CHANNEL_SETTINGS.c.name == name)).rowcount == 1


def digest_sent(connection: Connection, channel: str) -> int:
    """When the last digest that a channel took was due; if it has taken none, when the channel was registered."""
    sent = func.coalesce(CHANNELS.c.digest_ms, CHANNELS.c.since_ms)
    return int(connection.execute(select(sent).where(CHANNELS.c.channel == channel)).scalar_one())


def note_digest(connection: Connection, channel: str, due_ms: int) -> None:
    """Record that a channel took the digest that was due at a time."""
    connection.execute(CHANNELS.update().where(CHANNELS.c.channel == channel), {"digest_ms": due_ms})


def _note(
    connection: Connection, channel: str, rows: Sequence[Place], values: Mapping[str, object], tries: int = 1
) -> None:
    # Sorted, so that two servers lock the rows in the same order.
    new = [
        {"run_id": run, "id": number, "channel": channel, "attempts": tries, "next_ms": 0, **values}
        for run, number in sorted(rows)
    ]
    if new:
        noting = _noting(connection.dialect.name, tuple(values), tries)
        connection.execute(noting, new[0] if len(new) == 1 else new)


@functools.lru_cache(maxsize=16)
def _noting(dialect: str, names: tuple[str, ...], tries: int) -> Insert:
    """The statement that notes something of messages that a channel may or may not have been tried with before."""
    insert = insert_into(DELIVERIES, dialect)
    changed = {name: insert.excluded[name] for name in names}
    again = {**changed, "attempts": DELIVERIES.c.attempts + tries}
    return insert.on_conflict_do_update(index_elements=list(DELIVERIES.primary_key), set_=again)
