"""The store's methods for alerts, silences and their delivery."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from monitor.domain import (
    AlertInfo,
    AlertPage,
    AlertQuery,
    AlertState,
    Caller,
    DeadLetter,
    Delivery,
    Mark,
    Outgoing,
    Severity,
    Silence,
)
from monitor.errors import AlertNotFound, WireError
from monitor.store.database import Database
from monitor.store.runs import alerts, outbox, work
from monitor.store.runs.audit import record

LONGEST_SILENCE_MS: Final = 3653 * 86_400_000
MAX_NOTE: Final = 2000
"""Most characters in the note of an acknowledgement."""


class Alerting(Database):
    """The alerts of a store, its silences, and the outbox."""

    def alert_page(self, wanted: AlertQuery, now_ms: int, *, within: str | None = None) -> AlertPage:
        """One page of alerts, most recently changed first. `within` limits it to one project."""
        with self._read() as connection:
            return alerts.page(connection, wanted, now_ms, within)

    def alert(self, alert_id: str, now_ms: int, *, within: str | None = None) -> AlertInfo:
        """One alert.

        Args:
            alert_id: its id, or a unique prefix.
            within: only an alert of this project.
        """
        with self._read() as connection:
            return alerts.find(connection, alert_id, now_ms, within)

    def acknowledge(
        self, alert_id: str, who: str, note: str, *, now_ms: int, by: Caller, within: str | None = None
    ) -> AlertInfo:
        """Acknowledge a firing alert: it is no longer repeated. Taking it over from somebody else is added to the note.

        Args:
            alert_id: its id, or a unique prefix.
            who: the name that is shown with it.
            by: who asks, for the audit log, as in all methods here.
            within: only an alert of this project.
        """
        found = self.alert(alert_id, now_ms, within=within)

        def change(row: Mapping[str, object]) -> Mapping[str, object]:
            if row["state"] != "firing":
                raise WireError("alert", f"{found.id} is {row['state']}; only one that fires can be acknowledged")
            before, said = row["acked_by"], row["acked_note"]
            if before in (None, who):
                return {"acked_by": who, "acked_note": note, "acked_ms": now_ms}
            taken = f"taken over from {before}" + (f": {said}" if said else "")
            return {
                "acked_by": who,
                "acked_note": (f"{note} ({taken})" if note else taken)[:MAX_NOTE],
                "acked_ms": now_ms,
            }

        return self._changed_alert(found, now_ms, change, "alert.acknowledge", by, f"acknowledged as {who}")

    def mark_alert(
        self, alert_id: str, mark: Mark | None, who: str, *, now_ms: int, by: Caller, within: str | None = None
    ) -> AlertInfo:
        """Mark an alert as helpful or as a false alarm; None removes the mark."""
        found = self.alert(alert_id, now_ms, within=within)

        def change(_: Mapping[str, object]) -> Mapping[str, object]:
            return {"mark": mark, "mark_by": None if mark is None else who}

        detail = "mark taken back" if mark is None else f"marked as {mark}"
        return self._changed_alert(found, now_ms, change, "alert.mark", by, f"{detail} as {who}")

    def _changed_alert(
        self, found: AlertInfo, now_ms: int, change: alerts.Change, action: str, by: Caller, detail: str
    ) -> AlertInfo:
        with self.write(found.run_id, now_ms) as tx:
            if not tx.exists or not tx.change_alert(found.id, change):
                raise AlertNotFound(found.id)
            tx.audit(action, by, f"{found.rule}, {detail}", target=found.id)
        return self.alert(found.id, now_ms)

    def alert_marks(self, project: str | None = None) -> dict[str, dict[str, int]]:
        """Rule -> mark -> number of alerts."""
        with self._read() as connection:
            return alerts.marks(connection, project)

    def silence(self, silence: Silence, *, by: Caller) -> Silence:
        """Add a silence. Its id is created here.

        Raises:
            WireError: it matches everything, has already ended, or lasts for more than ten years.
        """
        if not silence.matcher:
            raise WireError("silence", "matches every alert; give at least one of project, run, rule, severity, tag")
        if silence.until_ms <= silence.created_ms:
            raise WireError("until", "is in the past; a silence ends in the future")
        if silence.until_ms - silence.created_ms > LONGEST_SILENCE_MS:
            raise WireError("until", "is more than ten years ahead; change the rule or the channel's level instead")
        made = replace(silence, id=secrets.token_hex(4))
        with self._change() as connection:
            alerts.add_silence(connection, made)
            _audit_silence(connection, "silence.create", made, by, made.created_ms)
        return made

    def silences(self, now_ms: int | None = None) -> tuple[Silence, ...]:
        """The silences, those that end last first.

        Args:
            now_ms: only those in force at this time; None for all there ever were.
        """
        with self._read() as connection:
            return alerts.silences(connection, now_ms)

    def unsilence(self, silence_id: str, *, now_ms: int, by: Caller, within: str | None = None) -> Silence:
        """End a silence now. One that has ended stays as it is.

        Args:
            within: only a silence for exactly this project.
        """
        with self._change() as connection:
            found, ended = alerts.end_silence(connection, silence_id, now_ms, within)
            if ended:
                _audit_silence(connection, "silence.end", found, by, now_ms)
            return found

    def alerts_of(self, run_id: str, now_ms: int) -> tuple[AlertInfo, ...]:
        """All alerts of a run that ever fired, with the silences in force, most recently changed first."""
        with self._read() as connection:
            return alerts.of_runs(connection, [run_id], now_ms).get(run_id, ())

    def repeat_alerts(self, before_ms: int, severities: Collection[Severity], *, now_ms: int) -> int:
        """Send again the alerts that fire unanswered and were last sent before a time. Returns how many.

        One that is silenced then is not sent: its wait begins again.
        """
        with self._read() as connection:
            due = alerts.unanswered(connection, before_ms, severities, now_ms)
        done = 0
        for info in due:
            with self.write(info.run_id, now_ms) as tx:
                if info.state is AlertState.SILENCED:
                    tx.rest_alert(info.id)
                else:
                    done += tx.exists and tx.repeat_alert(info.id, before_ms)
        return done

    def sweep_alerts(self, before_ms: int, *, now_ms: int) -> int:
        """Resolve alerts of ended and deleted runs, and those unanswered since a time. Returns how many."""
        with self._read() as connection:
            over = alerts.over(connection, before_ms)
        done = 0
        for info, why in over:
            with self.write(info.run_id, now_ms) as tx:
                done += tx.resolve_alert(info.id, why)
        return done

    def dead_letters(self, limit: int = 100, *, within: str | None = None) -> tuple[DeadLetter, ...]:
        """The newest messages whose delivery was given up. `within` limits them to one project."""
        with self._read() as connection:
            return outbox.dead(connection, limit, within)

    def retry_deliveries(self, message: str | None, channel: str | None, *, now_ms: int, by: Caller) -> int:
        """Retry deliveries that were given up. Returns the number of messages.

        Args:
            message: a message's id, `RUN-NUMBER`; None for all.
            channel: only to this channel, by the name that the store knows it by; None for all.
        """
        with self._change() as connection:
            retried = outbox.retry(connection, message, channel, now_ms)
            if retried:
                target = message or channel or "all"
                record(connection, "delivery.retry", target, by, now_ms, project=None, detail=f"messages: {retried}")
            return retried

    def register_channels(self, channels: Collection[str], now_ms: int) -> None:
        """Register channels that alerts are sent to. A new one gets what happens from now on."""
        with self._change() as connection:
            outbox.register(connection, channels, now_ms)
        self.settle_deliveries(channels, now_ms)

    def hold_channel(self, channel: str, holder: str) -> bool:
        """Take or renew the lease on sending to a channel, for `outbox.LEASE_MS`. False if another process holds it."""
        with self._single() as connection:
            return outbox.hold(connection, channel, holder)

    def release_channel(self, channel: str, holder: str) -> None:
        """Give up the lease on a channel."""
        with self._single() as connection:
            outbox.release(connection, channel, holder)

    def is_due(self, channel: str, now_ms: int) -> bool:
        """Whether there is anything to send to a channel now."""
        with self._single(reads=True) as connection:
            return bool(outbox.due(connection, channel, now_ms, 1))

    def outgoing(self, channel: str, now_ms: int, since_ms: int, limit: int = 20_000) -> Outgoing:
        """What decides which messages a channel is sent, at one moment.

        Args:
            since_ms: how far back to look for what it was sent.
            limit: messages, at most.
        """
        with self._read() as connection:
            due = outbox.due(connection, channel, now_ms, limit)
            runs = {row.alert.run_id for row in due}
            told, standing = outbox.told(connection, channel, runs, since_ms), alerts.standing(connection, runs)
            return Outgoing(due=due, told=told, standing=standing, silences=alerts.silences(connection, now_ms))

    def delivered(self, channel: str, rows: Sequence[tuple[str, int]], now_ms: int) -> None:
        """Record that a channel took messages, by run and id."""
        with self._single() if len(rows) == 1 else self._change() as connection:
            outbox.taken(connection, channel, rows, now_ms)

    def skipped(self, channel: str, rows: Sequence[tuple[str, int]], note: str, now_ms: int) -> None:
        """Record that messages are not sent to a channel, and why."""
        with self._change() as connection:
            outbox.taken(connection, channel, rows, now_ms, note)

    def postponed(self, channel: str, rows: Sequence[tuple[str, int]], next_ms: int) -> None:
        """Hold messages back until a time."""
        with self._change() as connection:
            outbox.postpone(connection, channel, rows, next_ms)

    def settle_deliveries(self, channels: Collection[str], now_ms: int) -> None:
        """Remove messages from the outbox that all these channels have taken."""
        with self._change() as connection:
            outbox.settle(connection, channels, now_ms)

    def failed(self, channel: str, rows: Sequence[tuple[str, int]], next_ms: int, error: str) -> None:
        """Record that a channel did not take messages, and when to retry; `outbox.NEVER_MS` for never."""
        with self._change() as connection:
            outbox.failed(connection, channel, rows, next_ms, error)

    def alerts(self, run_id: str | None = None, limit: int = 100, *, within: str | None = None) -> tuple[Delivery, ...]:
        """The newest messages, of one run or all. `within` limits them to one project."""
        with self._read() as connection:
            return work.alerts(connection, run_id, limit, within)

    def channel_settings(self) -> tuple[tuple[str, Mapping[str, object], bytes], ...]:
        """The channels added through the API: name, settings and encrypted secrets."""
        with self._read() as connection:
            return outbox.channel_settings(connection)

    def save_channel(
        self, name: str, settings: Mapping[str, object], sealed: bytes, *, now_ms: int, by: Caller
    ) -> None:
        """Add a channel or change it."""
        with self._change() as connection:
            outbox.save_channel(connection, name, settings, sealed, now_ms)
            record(connection, "channel.save", name, by, now_ms, project=None)

    def remove_channel(self, name: str, key: str | None, *, now_ms: int, by: Caller) -> bool:
        """Remove a channel. False if there was none.

        Args:
            name: the channel's name.
            key: the name that the store knows it by, so that it counts as new if it is added again; None if unknown.
        """
        with self._change() as connection:
            removed = outbox.remove_channel(connection, name, key)
            if removed:
                record(connection, "channel.remove", name, by, now_ms, project=None)
            return removed

    def note_channel_test(self, name: str, *, now_ms: int, by: Caller) -> None:
        """Record who sent a test message to a channel."""
        with self._change() as connection:
            record(connection, "channel.test", name, by, now_ms, project=None)

    def digest_sent(self, channel: str) -> int:
        """When the last digest that a channel took was due, or when the channel was added; ms since the epoch."""
        with self._read() as connection:
            return outbox.digest_sent(connection, channel)

    def note_digest(self, channel: str, due_ms: int) -> None:
        """Record that a channel took the digest that was due at a time."""
        with self._change() as connection:
            outbox.note_digest(connection, channel, due_ms)


def _audit_silence(connection: Connection, action: str, silence: Silence, by: Caller, now_ms: int) -> None:
    matcher = ", ".join(f"{name} {pattern}" for name, pattern in silence.matcher.items())
    project = alerts.literal(silence.project)
    record(connection, action, silence.id, by, now_ms, project=project, detail=f"{matcher}: as {silence.by}")
