"""The outbox of alerts: which channel has taken which message, what is due, and who sends; and the channels.

A message is due to every channel that existed when it was created. It leaves the outbox once each of them took it or
gave it up. Only one worker at a time sends to a channel. If it dies, its lease expires.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, Insert, Select, and_, bindparam, cast, func, or_, select

from monitor.domain import Caller, DeadLetter, Delivery, Outgoing
from monitor.domain.clocks import DIFFER_MS, LEASE_MS
from monitor.store import alerts
from monitor.store.database import Database
from monitor.store.runs import rows as from_rows
from monitor.store.runs.audit import record
from monitor.store.sql.schema import CHANNEL_SETTINGS, CHANNELS, DELIVERIES, OUTBOX, RUNS
from monitor.store.sql.upsert import insert_into, insert_once, upsert

LONGEST_WAIT_MS: Final = 20 * 60_000
"""Longest wait of a message until its next attempt. A longer one comes from a clock that was set back since."""
NEVER_MS: Final = 2**62
"""`next_ms` of a delivery that was given up."""
_MOST: Final = 20_000
"""Most messages that are sent to a channel in one round."""
_AT_ONCE: Final = 500
_CLOCKS: Final[Mapping[str, ColumnElement[int]]] = {
    "postgresql": cast(func.extract("epoch", func.clock_timestamp()) * 1000, BigInteger),
    "sqlite": cast((func.julianday("now") - 2_440_587.5) * 86_400_000, BigInteger),
}
"""Dialect -> milliseconds since the epoch by the database's clock."""

Place = tuple[str, int]
"""The key of an outbox row: the run, and the number within it."""

WAITS: Final = (OUTBOX.c.delivered_ms.is_(None), OUTBOX.c.next_ms < NEVER_MS)
"""The conditions for messages that are neither delivered nor given up."""
_ROW: Final = and_(OUTBOX.c.run_id == bindparam("run"), OUTBOX.c.id == bindparam("number"))
_SAME: Final = and_(DELIVERIES.c.run_id == OUTBOX.c.run_id, DELIVERIES.c.id == OUTBOX.c.id)
_ONE: Final = and_(
    DELIVERIES.c.run_id == bindparam("run"),
    DELIVERIES.c.id == bindparam("number"),
    DELIVERIES.c.channel == bindparam("to"),
)
_GIVEN_UP: Final = (DELIVERIES.c.next_ms >= NEVER_MS, DELIVERIES.c.taken_ms.is_(None))


class Outbox(Database):
    """The store's methods for messages, the channels that they go to, and their delivery."""

    def alerts(self, run_id: str | None = None, limit: int = 100, *, within: str | None = None) -> tuple[Delivery, ...]:
        """The newest messages, delivered or not, of one run or all."""
        query = select(OUTBOX).order_by(OUTBOX.c.created_ms.desc(), OUTBOX.c.run_id, OUTBOX.c.id.desc()).limit(limit)
        if run_id is not None:
            query = query.where(OUTBOX.c.run_id == run_id)
        if within is not None:
            query = query.join(RUNS, RUNS.c.run_id == OUTBOX.c.run_id).where(RUNS.c.project == within)
        with self._read() as connection:
            return tuple(from_rows.delivery(row) for row in connection.execute(query).mappings())

    def register_channels(self, channels: Collection[str], now_ms: int) -> None:
        """Register channels that alerts are sent to. A new one gets what happens from now on.

        A database of a version that had no channels, but has delivered messages, continues from there.
        """
        with self._change() as connection:
            _register(connection, channels, now_ms)
        self.settle_deliveries(channels, now_ms)

    def hold_channel(self, channel: str, holder: str) -> bool:
        """Take or renew the lease on sending to a channel, for `LEASE_MS`. False if another process holds it.

        The lease is measured by the database's clock, since the clocks of two servers may differ by more than a lease.
        """
        with self._single() as connection:
            now = _CLOCKS[connection.dialect.name]
            # in the future: the clock was set back
            over = or_(CHANNELS.c.held_ms <= now, CHANNELS.c.held_ms > now + LEASE_MS)
            mine = and_(CHANNELS.c.channel == channel, or_(over, CHANNELS.c.holder == holder))
            values = {"holder": holder, "held_ms": now + LEASE_MS}
            return connection.execute(CHANNELS.update().where(mine).values(values)).rowcount == 1

    def release_channel(self, channel: str, holder: str) -> None:
        """Give up the lease on a channel."""
        mine = and_(CHANNELS.c.channel == channel, CHANNELS.c.holder == holder)
        with self._single() as connection:
            connection.execute(CHANNELS.update().where(mine), {"held_ms": 0})

    def is_due(self, channel: str, now_ms: int) -> bool:
        """Whether there is anything to send to a channel now."""
        with self._single(reads=True) as connection:
            return bool(_due(connection, channel, now_ms, 1))

    def outgoing(self, channel: str, now_ms: int, since_ms: int) -> Outgoing:
        """What decides which messages a channel is sent, at one moment.

        Args:
            since_ms: how far back to look for what it was sent.
        """
        with self._read() as connection:
            due = _due(connection, channel, now_ms, _MOST)
            runs = {row.alert.run_id for row in due}
            told, standing = _told(connection, channel, runs, since_ms), alerts.standing(connection, runs)
            return Outgoing(due=due, told=told, standing=standing, silences=alerts.silences(connection, now_ms))

    def delivered(self, channel: str, rows: Sequence[Place], now_ms: int) -> None:
        """Record that a channel took messages, by run and id."""
        with self._single() if len(rows) == 1 else self._change() as connection:
            _note(connection, channel, rows, {"taken_ms": now_ms, "note": None})

    def skipped(self, channel: str, rows: Sequence[Place], note: str, now_ms: int) -> None:
        """Record that messages are not sent to a channel, and why."""
        with self._change() as connection:
            _note(connection, channel, rows, {"taken_ms": now_ms, "note": note})

    def postponed(self, channel: str, rows: Sequence[Place], next_ms: int) -> None:
        """Hold messages back until a time. This is not a failed attempt; their age counts from then."""
        with self._change() as connection:
            _note(connection, channel, rows, {"next_ms": next_ms, "retried_ms": next_ms}, tries=0)

    def failed(self, channel: str, rows: Sequence[Place], next_ms: int, error: str) -> None:
        """Record that a channel did not take messages, and when to retry; `NEVER_MS` for never.

        People see it in the outbox rows.
        """
        values: dict[str, object] = {"error": error, "attempts": OUTBOX.c.attempts + 1}
        if next_ms < NEVER_MS:  # otherwise leave the row: other channels may still take it
            values["next_ms"] = next_ms
        with self._change() as connection:
            _note(connection, channel, rows, {"next_ms": next_ms, "error": error})
            places = [{"run": run, "number": number} for run, number in sorted(rows)]
            connection.execute(OUTBOX.update().where(_ROW).values(values), places)

    def settle_deliveries(self, channels: Collection[str], now_ms: int) -> None:
        """Remove messages that are done with all these channels, as far as the channels existed when it was created.

        Runs in its own transaction after `delivered`: if two channels take a message at once, the later one sees both.
        """
        with self._change() as connection:
            for row in connection.execute(_ready(channels)).all():
                if row.sent:
                    values: dict[str, object] = {
                        "delivered_ms": now_ms, "error": None, "attempts": OUTBOX.c.attempts + 1
                    }  # fmt: skip
                else:
                    values = {"next_ms": NEVER_MS, "error": row.error or f"not sent: {row.why}"}
                place = {"run": row.run_id, "number": row.id}
                connection.execute(OUTBOX.update().where(_ROW).values(values), place)

    def dead_letters(self, limit: int = 100, *, within: str | None = None) -> tuple[DeadLetter, ...]:
        """The newest messages whose delivery was given up."""
        mine = {"channel": DELIVERIES.c.channel, "tries": DELIVERIES.c.attempts, "problem": DELIVERIES.c.error}
        query = (
            select(OUTBOX, *(column.label(name) for name, column in mine.items()))
            .select_from(OUTBOX.join(DELIVERIES, _SAME))
            .join(RUNS, and_(RUNS.c.run_id == OUTBOX.c.run_id, RUNS.c.deleted_ms.is_(None)))
            .where(*_GIVEN_UP)
            .order_by(OUTBOX.c.created_ms.desc(), OUTBOX.c.run_id, OUTBOX.c.id)
            .limit(limit)
        )
        if within is not None:
            query = query.where(RUNS.c.project == within)
        with self._read() as connection:
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

    def retry_deliveries(self, message: str | None, channel: str | None, *, now_ms: int, by: Caller) -> int:
        """Retry deliveries that were given up. Returns the number of messages.

        Args:
            message: a message's id, `RUN-NUMBER`; None for all.
            channel: only to this channel, by the name that the store knows it by; None for all.
        """
        wanted = select(DELIVERIES.c.run_id, DELIVERIES.c.id, DELIVERIES.c.channel).where(*_GIVEN_UP)
        if message is not None:
            run, _, number = message.rpartition("-")
            at = int(number) if number.isdecimal() else -1
            wanted = wanted.where(DELIVERIES.c.run_id == run, DELIVERIES.c.id == at)
        if channel is not None:
            wanted = wanted.where(DELIVERIES.c.channel == channel)
        again = {"next_ms": 0, "attempts": 0, "retried_ms": now_ms}
        with self._change() as connection:
            rows = sorted(tuple(row) for row in connection.execute(wanted))
            for run_id, n, to in rows:
                place = {"run": run_id, "number": n}
                connection.execute(DELIVERIES.update().where(_ONE).values(again), {**place, "to": to})
                connection.execute(OUTBOX.update().where(_ROW).values(next_ms=0, delivered_ms=None), place)
            if rows:
                target = message or channel or "all"
                record(connection, "delivery.retry", target, by, now_ms, project=None, detail=f"messages: {len(rows)}")
        return len(rows)

    def channel_settings(self) -> tuple[tuple[str, Mapping[str, object], bytes], ...]:
        """The channels added through the API: name, settings and encrypted secrets."""
        query = select(CHANNEL_SETTINGS).order_by(CHANNEL_SETTINGS.c.name)
        with self._read() as connection:
            return tuple((row.name, row.settings, bytes(row.secrets)) for row in connection.execute(query))

    def save_channel(
        self, name: str, settings: Mapping[str, object], sealed: bytes, *, now_ms: int, by: Caller
    ) -> None:
        """Add a channel or change it."""
        row = {"name": name, "settings": dict(settings), "secrets": sealed, "created_ms": now_ms}
        with self._change() as connection:
            connection.execute(upsert(CHANNEL_SETTINGS, connection.dialect.name), row)
            record(connection, "channel.save", name, by, now_ms, project=None)

    def remove_channel(self, name: str, key: str | None, *, now_ms: int, by: Caller) -> bool:
        """Remove a channel. False if there was none.

        Args:
            name: the channel's name.
            key: the name that the store knows it by, so that it counts as new if it is added again; None if unknown.
        """
        with self._change() as connection:
            connection.execute(CHANNELS.delete().where(CHANNELS.c.channel == key))
            mine = CHANNEL_SETTINGS.c.name == name
            removed = connection.execute(CHANNEL_SETTINGS.delete().where(mine)).rowcount == 1
            if removed:
                record(connection, "channel.remove", name, by, now_ms, project=None)
            return removed

    def note_channel_test(self, name: str, *, now_ms: int, by: Caller) -> None:
        """Record who sent a test message to a channel."""
        with self._change() as connection:
            record(connection, "channel.test", name, by, now_ms, project=None)

    def digest_sent(self, channel: str) -> int:
        """When the last digest that a channel took was due, or when the channel was added; ms since the epoch."""
        sent = func.coalesce(CHANNELS.c.digest_ms, CHANNELS.c.since_ms)
        with self._read() as connection:
            return int(connection.execute(select(sent).where(CHANNELS.c.channel == channel)).scalar_one())

    def note_digest(self, channel: str, due_ms: int) -> None:
        """Record that a channel took the digest that was due at a time."""
        with self._change() as connection:
            connection.execute(CHANNELS.update().where(CHANNELS.c.channel == channel), {"digest_ms": due_ms})


def _register(connection: Connection, channels: Collection[str], now_ms: int) -> None:
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
        connection.execute(OUTBOX.update().where(*WAITS, OUTBOX.c.created_ms < first).values(told))


def _due(connection: Connection, channel: str, now_ms: int, limit: int) -> tuple[Delivery, ...]:
    """Messages to send to a channel now, oldest first."""
    since = select(CHANNELS.c.since_ms).where(CHANNELS.c.channel == channel).scalar_subquery()
    next_ms = func.coalesce(DELIVERIES.c.next_ms, 0)
    over = or_(next_ms <= now_ms, next_ms.between(now_ms + LONGEST_WAIT_MS, NEVER_MS - 1))
    mine = {"tries": DELIVERIES.c.attempts, "problem": DELIVERIES.c.error, "again": DELIVERIES.c.retried_ms}
    query = (
        select(OUTBOX, *(column.label(name) for name, column in mine.items()))
        .select_from(OUTBOX.outerjoin(DELIVERIES, and_(_SAME, DELIVERIES.c.channel == channel)))
        .where(*WAITS, OUTBOX.c.created_ms >= since, DELIVERIES.c.taken_ms.is_(None))
        .where(over)
        .order_by(OUTBOX.c.created_ms, OUTBOX.c.run_id, OUTBOX.c.id)
        .limit(limit)
    )
    return tuple(
        replace(from_rows.delivery(row), attempts=row["tries"] or 0, error=row["problem"], retried_ms=row["again"])
        for row in connection.execute(query).mappings()
    )


def _told(
    connection: Connection, channel: str, run_ids: Collection[str], since_ms: int
) -> tuple[tuple[str, int, str], ...]:
    """What a channel was sent about some runs since a time: `dedup_key`, when it took it, and the alert state in it."""
    query = select(OUTBOX.c.dedup_key, DELIVERIES.c.taken_ms, OUTBOX.c.alert)
    query = query.select_from(OUTBOX.join(DELIVERIES, _SAME)).where(DELIVERIES.c.note.is_(None))
    query = query.where(DELIVERIES.c.channel == channel, DELIVERIES.c.taken_ms > since_ms)
    wanted, found = sorted(run_ids), list[tuple[str, int, str]]()
    for i in range(0, len(wanted), _AT_ONCE):
        some = connection.execute(query.where(DELIVERIES.c.run_id.in_(wanted[i : i + _AT_ONCE])))
        found += [(key, taken_ms, str(alert["state"])) for key, taken_ms, alert in some]
    return tuple(sorted(found, key=lambda each: each[1]))


def _ready(channels: Collection[str]) -> Select[Any]:
    """Messages that are done with all these channels."""
    ended = or_(DELIVERIES.c.taken_ms.is_not(None), DELIVERIES.c.next_ms >= NEVER_MS)
    here = select(DELIVERIES.c.id).where(_SAME, ended)
    done = here.where(DELIVERIES.c.channel == CHANNELS.c.channel).correlate(OUTBOX, CHANNELS).exists()
    due_to = and_(CHANNELS.c.channel.in_(channels), CHANNELS.c.since_ms <= OUTBOX.c.created_ms)
    missing = select(CHANNELS.c.channel).where(due_to, ~done).correlate(OUTBOX).exists()
    sent = here.where(DELIVERIES.c.taken_ms.is_not(None), DELIVERIES.c.note.is_(None)).correlate(OUTBOX).exists()
    why = select(func.min(DELIVERIES.c.note)).where(_SAME).correlate(OUTBOX).scalar_subquery()
    ready = select(OUTBOX.c.run_id, OUTBOX.c.id, sent.label("sent"), why.label("why"), OUTBOX.c.error)
    return ready.where(*WAITS, here.correlate(OUTBOX).exists(), ~missing).order_by(OUTBOX.c.run_id, OUTBOX.c.id)


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
