"""The part of `Api` for alerts: list, acknowledge and mark them, silences, deliveries, channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final

from monitor.domain import (
    MARKS,
    MATCHED,
    AlertInfo,
    AlertPage,
    AlertQuery,
    AlertState,
    DeadLetter,
    Delivery,
    Mark,
    Severity,
    Silence,
    check_channel_name,
)
from monitor.errors import AlertNotFound, WireError
from monitor.reader.decoding import one_of
from monitor.reader.server import segment
from monitor.reader.source import Source, now_ms

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.alerts import Book

MAX_WHO: Final = 200  # characters, as in the API and the store
MAX_NOTE: Final = 2000
MAX_GLOB: Final = 250
MAX_FOR_S: Final = 1e9
"""The longest silence that the API accepts, in seconds; the store's own limit is lower."""


class AlertsApi:
    """The part of `Api` for alerts."""

    _source: Source

    def alerts(
        self,
        state: str | None = None,
        *,
        open: bool = False,
        project: str | None = None,
        rule: str | None = None,
        severity: str | None = None,
        run: str | None = None,
        search: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> AlertPage:
        """One page of alerts, most recently changed first.

        Args:
            state: pending, firing, acknowledged, silenced or resolved; None: all.
            open: True: only alerts that are not resolved.
            rule: only this rule, or kind of alert.
            severity: critical, warning or info.
            run: only this run, by id, unique prefix of it, or name.
            search: only alerts with this text in the title, the body or the run's name.
            limit: page size, 1 to 1000.

        Raises:
            WireError: an argument is invalid; the message lists the valid values.
        """
        if not 1 <= limit <= 1000:
            raise WireError("limit", f"must be from 1 to 1000, got {limit}")
        wanted = AlertQuery(
            state=None if state is None else AlertState(one_of("state", state, tuple(AlertState))),
            open=open,
            project=project,
            rule=rule,
            severity=None if severity is None else Severity(one_of("severity", severity, tuple(Severity))),
            run=None if run is None else self._source.run(run).id,
            search=search,
            limit=limit,
            cursor=cursor,
        )
        if server := self._source.server:
            return server.ask(AlertPage, "/alerts", asdict(wanted), items="alerts")
        return self._source.store.alert_page(wanted, now_ms())

    def alert(self, alert_id: str) -> AlertInfo:
        """One alert.

        Args:
            alert_id: its id, or a unique prefix of it.
        """
        if server := self._source.server:
            return server.ask(AlertInfo, f"/alerts/{segment(_ref(alert_id))}")
        return self._source.store.alert(_ref(alert_id), now_ms())

    def acknowledge(self, alert_id: str, by: str, note: str = "") -> AlertInfo:
        """Acknowledge a firing alert: reminders stop until it fires again.

        Args:
            alert_id: its id, or a unique prefix of it.
            note: what is being done about it.
        """
        ref, who, text = _ref(alert_id), _text("by", by, MAX_WHO), _text("note", note, MAX_NOTE, least=0)
        if server := self._source.server:
            body = {"by": who, "note": text}
            return server.ask(AlertInfo, f"/alerts/{segment(ref)}/acknowledge", method="POST", body=body)
        return self._source.store.acknowledge(ref, who, text, **self._source.stamp())

    def mark(self, alert_id: str, mark: Mark | None, by: str) -> AlertInfo:
        """Mark an alert as "helpful" or as a "false alarm"; None removes the mark."""
        if mark is not None:
            one_of("mark", mark, MARKS)
        ref, who = _ref(alert_id), _text("by", by, MAX_WHO)
        if server := self._source.server:
            body = {"mark": mark, "by": who}
            return server.ask(AlertInfo, f"/alerts/{segment(ref)}/mark", method="POST", body=body)
        return self._source.store.mark_alert(ref, mark, who, **self._source.stamp())

    def alert_marks(self, project: str | None = None) -> Mapping[str, Mapping[str, int]]:
        """For each rule, how many alerts were marked as helpful and how many as false alarms."""
        if server := self._source.server:
            return server.ask(dict[str, dict[str, int]], "/alerts/marks", {"project": project}, part="marks")
        return self._source.store.alert_marks(project)

    def silence(
        self,
        matcher: Mapping[str, str],
        *,
        reason: str,
        by: str,
        until: datetime | None = None,
        for_s: float | None = None,
    ) -> Silence:
        """Send no messages about matching alerts until a given time.

        Args:
            matcher: globs for `project`, `run` (name or id), `rule`, `severity` and `tag` (`name=value`); all must
                match.
            until: when it ends; without a time zone, local time.
            for_s: seconds from now, instead of `until`.

        Raises:
            WireError: it would match everything, has no end, or ends in the past.
        """
        for name, glob in matcher.items():
            one_of("silence", name, MATCHED)
            _text(name, glob, MAX_GLOB)
        if (until is None) == (for_s is None):
            raise WireError("until", "give either until or for_s")
        now = now_ms()
        until_ms = int(1000 * until.timestamp()) if until is not None else now + int(1000 * min(for_s or 0, MAX_FOR_S))
        why, who = _text("reason", reason, MAX_NOTE), _text("by", by, MAX_WHO)
        if server := self._source.server:
            # Its own clock decides when a duration ends, unless it would refuse the number.
            end = {"until_ms": until_ms} if for_s is None or not 0 < for_s <= MAX_FOR_S else {"for_s": for_s}
            body = {**matcher, "reason": why, "by": who, **end}
            return server.ask(Silence, "/silences", method="POST", body=body)
        fixed = {"id": "", "reason": why, "by": who, "created_ms": now, "until_ms": until_ms}
        return self._source.made.silence(Silence(**matcher, **fixed), by=self._source.me())  # type: ignore[arg-type]  # the names were checked

    def silences(self, *, over: bool = False) -> tuple[Silence, ...]:
        """Active silences, latest end first; with `over`, those that have ended as well."""
        if server := self._source.server:
            return server.ask(tuple[Silence, ...], "/silences", {"over": over}, part="silences")
        return self._source.store.silences(None if over else now_ms())

    def unsilence(self, silence_id: str) -> Silence:
        """End a silence now."""
        ref = _ref(silence_id, "silence")
        if server := self._source.server:
            return server.ask(Silence, f"/silences/{segment(ref)}", method="DELETE")
        return self._source.store.unsilence(ref, **self._source.stamp())

    def deliveries(self, run: str | None = None, limit: int = 100) -> tuple[Delivery, ...]:
        """Messages about alerts, newest first, with the state of their delivery.

        Args:
            run: only messages of this run.
        """
        if server := self._source.server:
            query = {"run": run, "limit": limit}
            return server.ask(tuple[Delivery, ...], "/deliveries", query, part="deliveries")
        return self._source.store.alerts(None if run is None else self._source.run(run).id, limit)

    def dead_letters(self, limit: int = 100) -> tuple[DeadLetter, ...]:
        """Messages that a channel never accepted, newest first."""
        if server := self._source.server:
            return server.ask(tuple[DeadLetter, ...], "/deliveries/dead", {"limit": limit})
        names = {str(channel["key"]): str(channel["name"]) for channel in self.channels()}
        rows = self._source.store.dead_letters(limit)
        return tuple(replace(row, name=names.get(row.channel, "")) for row in rows)

    def retry(self, message: str | None = None, channel: str | None = None) -> int:
        """Send undelivered messages again, and return how many.

        Args:
            message: the id of one message; None: all.
            channel: the name of one channel; None: all.
        """
        if server := self._source.server:
            body = {"message": message, "channel": channel}
            return server.ask(int, "/deliveries/retry", part="retried", method="POST", body=body)
        key = None if channel is None else self._book().key_of(channel)
        return self._source.store.retry_deliveries(message, key, **self._source.stamp())

    def channels(self) -> tuple[Mapping[str, object], ...]:
        """The channels: name, settings without secrets, and what is wrong with an unusable one."""
        if server := self._source.server:
            return server.ask(tuple[dict[str, object], ...], "/channels", part="channels")
        return tuple(entry.to_dict() for entry in self._book().all())

    def alert_channels(self) -> int:
        """The number of channels. Without any, alerts wait in the outbox."""
        return len(self.channels())

    def add_channel(self, name: str, **table: object) -> Mapping[str, object]:
        """Add a channel, or change one that was added this way.

        Args:
            name: letters, digits, - and _.
            **table: settings as in `monitor.toml`: `url`, `secret`, `projects`, `level`, ...; see `docs/alerts.md`.
        """
        check_channel_name(name)
        if server := self._source.server:
            return server.ask(dict[str, object], f"/channels/{segment(name)}", method="PUT", body=table)
        return self._book(made=True).add(name, table, **self._source.stamp()).to_dict()

    def remove_channel(self, name: str) -> None:
        """Remove a channel that `add_channel` added."""
        ref = _ref(name, "channel")
        if server := self._source.server:
            server.ask(dict[str, object], f"/channels/{segment(ref)}", method="DELETE")
        else:
            self._book().remove(ref, **self._source.stamp())

    def test_channel(self, name: str) -> None:
        """Send a test message to a channel."""
        if not name.strip():
            raise AlertNotFound(name, what="channel")
        if server := self._source.server:
            server.ask(dict[str, object], f"/channels/{segment(name)}/test", method="POST")
        else:
            known = any(entry.name == name for entry in self._book().all())
            self._book(made=known).test(name, **self._source.stamp())  # an unknown name must not create a store

    def _book(self, *, made: bool = False) -> Book:
        """The channels of the embedded store, which is created first if that is asked for."""
        from monitor.alerts import Book

        return Book(self._source.made if made else self._source.store, self._source.settings)


def _ref(given: str, what: str = "alert") -> str:
    """A reference that fits into a URL path; a blank one, or one with a slash, cannot exist."""
    if not given.strip() or "/" in given:
        raise AlertNotFound(given, what=what)
    return given


def _text(field: str, value: object, most: int, least: int = 1) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise WireError(field, "is not a text")
    text = value.strip()
    if not least <= len(text) <= most:
        raise WireError(field, f"takes {least} to {most} characters, got {len(text)}")
    return text
