"""What `Api` offers for alerts: listing and answering them, silences, deliveries and channels."""

from __future__ import annotations

from collections.abc import Mapping
from time import time_ns
from typing import TYPE_CHECKING, Final, Protocol

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
    RunInfo,
    Severity,
    Silence,
    check_channel_name,
)
from monitor.errors import AlertNotFound, WireError

if TYPE_CHECKING:
    from datetime import datetime

MAX_WHO: Final = 200
MAX_NOTE: Final = 2000
MAX_GLOB: Final = 250
MAX_FOR_S: Final = 1e9
"""Seconds that a silence may be asked for; the store refuses less already."""


class AlertSource(Protocol):
    """Where alerts are read and answered."""

    def run(self, ref: str) -> RunInfo:
        """One run."""
        ...

    def alert_page(self, wanted: AlertQuery) -> AlertPage:
        """One page of alerts."""
        ...

    def alert(self, alert_id: str) -> AlertInfo:
        """One alert."""
        ...

    def acknowledge(self, alert_id: str, by: str, note: str) -> AlertInfo:
        """Take an alert on."""
        ...

    def mark_alert(self, alert_id: str, mark: Mark | None, by: str) -> AlertInfo:
        """Say what an alert was."""
        ...

    def alert_marks(self, project: str | None) -> Mapping[str, Mapping[str, int]]:
        """How many alerts were marked as what, by rule."""
        ...

    def silence(self, silence: Silence, for_s: float | None) -> Silence:
        """Take up a silence; where `for_s` is given it ends so many seconds from now, by the clock that judges it."""
        ...

    def silences(self, over: bool) -> tuple[Silence, ...]:
        """The silences."""
        ...

    def unsilence(self, silence_id: str) -> Silence:
        """End a silence."""
        ...

    def deliveries(self, run: str | None, limit: int) -> tuple[Delivery, ...]:
        """Messages, the newest first."""
        ...

    def dead_letters(self, limit: int) -> tuple[DeadLetter, ...]:
        """Messages that a channel never took."""
        ...

    def retry(self, message: str | None, channel: str | None) -> int:
        """Send again what was given up."""
        ...

    def channels(self) -> tuple[Mapping[str, object], ...]:
        """Where alerts are sent."""
        ...

    def add_channel(self, name: str, table: Mapping[str, object]) -> Mapping[str, object]:
        """Add a channel."""
        ...

    def remove_channel(self, name: str) -> None:
        """Remove a channel."""
        ...

    def test_channel(self, name: str) -> None:
        """Send a channel a message."""
        ...


class AlertsApi:
    """The part of `Api` that is about alerts."""

    _source: AlertSource

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
        """One page of alerts, those that changed last first.

        Args:
            state: pending, firing, acknowledged, silenced or resolved; None for all.
            open: only those that are not resolved.
            project: only of this project.
            rule: only of this rule, or kind of alert.
            severity: critical, warning or info.
            run: only of this run, by its id, a unique start of it, or its name.
            search: only those that contain this text in the title, the text or the run's name.
            limit: alerts, 1 to 1000.
            cursor: that of the page before.

        Raises:
            RunNotFound: there is no such run.
            WireError: a value that is not one; the message names the valid ones.
        """
        if not 1 <= limit <= 1000:
            raise WireError("limit", f"must be from 1 to 1000, got {limit}")
        return self._source.alert_page(
            AlertQuery(
                state=None if state is None else AlertState(_one_of("state", state, tuple(AlertState))),
                open=open,
                project=project,
                rule=rule,
                severity=None if severity is None else Severity(_one_of("severity", severity, tuple(Severity))),
                run=None if run is None else self._source.run(run).id,
                search=search,
                limit=limit,
                cursor=cursor,
            )
        )

    def alert(self, alert_id: str) -> AlertInfo:
        """One alert.

        Args:
            alert_id: its id, or a start of it that no other has.

        Raises:
            AlertNotFound: there is none, or several.
        """
        return self._source.alert(_ref(alert_id))

    def acknowledge(self, alert_id: str, by: str, note: str = "") -> AlertInfo:
        """Take a firing alert on: it is no longer repeated. It is open again once it fires anew.

        Args:
            alert_id: its id, or a start of it that no other has.
            by: who does.
            note: what is done about it.

        Raises:
            AlertNotFound: there is no such alert.
            WireError: it does not fire.
        """
        return self._source.acknowledge(
            _ref(alert_id), _text("by", by, MAX_WHO), _text("note", note, MAX_NOTE, least=0)
        )

    def mark(self, alert_id: str, mark: Mark | None, by: str) -> AlertInfo:
        """Say whether an alert was "helpful" or a "false alarm"; None takes it back.

        Raises:
            AlertNotFound: there is no such alert.
        """
        if mark is not None:
            _one_of("mark", mark, MARKS)
        return self._source.mark_alert(_ref(alert_id), mark, _text("by", by, MAX_WHO))

    def alert_marks(self, project: str | None = None) -> Mapping[str, Mapping[str, int]]:
        """By rule, how many alerts people marked as helpful and as false alarms."""
        return self._source.alert_marks(project)

    def silence(
        self,
        matcher: Mapping[str, str],
        *,
        reason: str,
        by: str,
        until: datetime | None = None,
        for_s: float | None = None,
    ) -> Silence:
        """Send nobody the alerts that match, until a time.

        Args:
            matcher: globs by `project`, `run` (name or id), `rule`, `severity` and `tag` (`name=value`); all match.
            reason: why.
            by: who silences.
            until: when it ends; one without a time zone is local time.
            for_s: seconds from now, in place of `until`.

        Raises:
            WireError: it matches everything, has no end, or one in the past.
        """
        for name, glob in matcher.items():
            _one_of("silence", name, MATCHED)
            _text(name, glob, MAX_GLOB)
        if (until is None) == (for_s is None):
            raise WireError("until", "give either until or for_s")
        now = time_ns() // 1_000_000
        until_ms = int(1000 * until.timestamp()) if until is not None else now + int(1000 * min(for_s or 0, MAX_FOR_S))
        why, who = _text("reason", reason, MAX_NOTE), _text("by", by, MAX_WHO)
        fixed = {"id": "", "reason": why, "by": who, "created_ms": now, "until_ms": until_ms}
        return self._source.silence(Silence(**matcher, **fixed), for_s)  # type: ignore[arg-type]  # the names were checked

    def silences(self, *, over: bool = False) -> tuple[Silence, ...]:
        """The silences in force, those that end last first; with `over` also those that ended."""
        return self._source.silences(over)

    def unsilence(self, silence_id: str) -> Silence:
        """End a silence now.

        Raises:
            AlertNotFound: there is no such silence.
        """
        return self._source.unsilence(_ref(silence_id, "silence"))

    def deliveries(self, run: str | None = None, limit: int = 100) -> tuple[Delivery, ...]:
        """Messages about alerts, the newest first, with where they are on their way.

        Args:
            run: only those of this run.
            limit: messages, at most.
        """
        return self._source.deliveries(run, limit)

    def dead_letters(self, limit: int = 100) -> tuple[DeadLetter, ...]:
        """Messages that a channel never took, the newest first."""
        return self._source.dead_letters(limit)

    def retry(self, message: str | None = None, channel: str | None = None) -> int:
        """Send again what was given up; how many messages.

        Args:
            message: the id of one message; None for all.
            channel: the name of one channel; None for all.

        Raises:
            AlertNotFound: there is no such channel.
        """
        return self._source.retry(message, channel)

    def channels(self) -> tuple[Mapping[str, object], ...]:
        """Where alerts are sent: name, settings without secrets, and the problem of one that cannot be used."""
        return self._source.channels()

    def alert_channels(self) -> int:
        """To how many places alerts are sent; with none they wait in the outbox."""
        return len(self._source.channels())

    def add_channel(self, name: str, **table: object) -> Mapping[str, object]:
        """Add a channel, or change one that was added.

        Args:
            name: letters, digits, - and _.
            **table: as in `monitor.toml`: `url`, `secret`, `projects`, `level`, ...; see `docs/alerts.md`.

        Raises:
            SettingsError: names the key that cannot be used.
        """
        check_channel_name(name)
        return self._source.add_channel(name, table)

    def remove_channel(self, name: str) -> None:
        """Remove a channel that was added.

        Raises:
            AlertNotFound: no channel that was added has this name.
        """
        self._source.remove_channel(_ref(name, "channel"))

    def test_channel(self, name: str) -> None:
        """Send a channel a message that says that it works.

        Raises:
            AlertNotFound: there is no such channel.
            DeliveryFailed: it did not take the message.
        """
        if not name.strip():
            raise AlertNotFound(name, what="channel")
        self._source.test_channel(name)


def _ref(given: str, what: str = "alert") -> str:
    """A reference that may be one; one that is blank or a path is not, and no address could hold it."""
    if not given.strip() or "/" in given:
        raise AlertNotFound(given, what=what)
    return given


def _one_of(field: str, value: str, valid: tuple[str, ...]) -> str:
    if value not in valid:
        raise WireError(field, f"{value!r:.60} is not one of {', '.join(map(str, valid))}")
    return value


def _text(field: str, value: object, most: int, least: int = 1) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise WireError(field, "is not a text")
    text = value.strip()
    if not least <= len(text) <= most:
        raise WireError(field, f"takes {least} to {most} characters, got {len(text)}")
    return text
