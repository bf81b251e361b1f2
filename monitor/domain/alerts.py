"""Alerts, and the health of the service's own jobs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final, Literal

from monitor.domain.plain import Row, whole
from monitor.domain.runs import RunInfo
from monitor.domain.verdicts import Severity
from monitor.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert(Row):
    """A message about a verdict or a run's status that changed.

    Attributes:
        kind: a rule's name, "lost", "stalled", "failed", "finished", "threshold", or "alert" for `run.alert()`.
        state: "firing" or "resolved".
        dedup_key: the same for every message about the same finding of the same run.
        judged: True for a threshold on series that the rules judge too, so that a rule may say more about it.
    """

    run_id: str
    project: str
    run_name: str
    kind: str
    state: str
    severity: Severity
    title: str
    body: str
    step: float | None
    created_ms: int
    dedup_key: str
    judged: bool = False

    @classmethod
    def of(
        cls,
        run: RunInfo,
        *,
        kind: str,
        state: str,
        severity: Severity,
        title: str,
        body: str,
        step: float | None,
        created_ms: int,
        dedup_key: str,
    ) -> Alert:
        """An alert about a run."""
        return cls(
            run_id=run.id, project=run.project, run_name=run.name, kind=kind, state=state, severity=severity,
            title=title, body=body, step=step, created_ms=created_ms, dedup_key=dedup_key,
        )  # fmt: skip

    @property
    def key(self) -> str:
        """Identifies an alert within its run: by rule, or individually for the loop's own alerts and thresholds."""
        return alert_key(self.dedup_key)

    def to_dict(self) -> dict[str, object]:
        """The alert as JSON data."""
        return {**Row.to_dict(self), "step": whole(self.step)}


def alert_key(dedup_key: str) -> str:
    """The part of a `dedup_key` that all messages about one alert of a run share.

    >>> alert_key("4f:overfitting:3"), alert_key("4f:alert:disk full: /data")
    ('overfitting', 'alert:disk full: /data')
    """
    kind, _, rest = dedup_key.partition(":")[2].partition(":")
    return f"{kind}:{rest}" if kind in ("alert", "threshold") else kind


def alert_id(run_id: str, key: str) -> str:
    """The id of an alert. It never changes while the run exists."""
    return hashlib.sha256(f"{run_id}:{key}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def headline(alert: Alert | AlertInfo) -> str:
    """The title of an alert. Adds run and project to the loop's own alerts, whose titles lack them."""
    kind = alert.kind if isinstance(alert, Alert) else alert.rule
    return f"{alert.run_name}: {alert.title} ({alert.project})" if kind == "alert" else alert.title


class AlertState(StrEnum):
    """The state of an alert.

    `FIRING`, `ACKNOWLEDGED` and `SILENCED` share one condition and differ in what people did.
    """

    PENDING = "pending"
    """The condition holds, but not yet for as long as its rule requires."""
    FIRING = "firing"
    """The condition holds, and nobody has answered."""
    ACKNOWLEDGED = "acknowledged"
    """It holds, and somebody is taking care of it: it is not repeated."""
    SILENCED = "silenced"
    """It holds, and a silence covers it: nothing is sent."""
    RESOLVED = "resolved"
    """It no longer holds."""


Mark = Literal["helpful", "false alarm"]
MARKS: Final[tuple[Mark, ...]] = ("helpful", "false alarm")


RUN_DELETED: Final = "the run was deleted"
"""The resolution of a deleted run's alerts. They fire again if the run is restored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertInfo(Row):
    """An alert: one rule on one run, however often it fires.

    Attributes:
        id: 16 hex digits.
        rule: a rule's name or another kind of alert, as in `Alert.kind`.
        count: how often it has fired.
        created_ms: when it was first seen.
        fired_ms: when it last fired; None if it never has.
        changed_ms: when its condition last changed.
        resolution: why it was resolved, if not by its rule: "the run was deleted".
        acked_by, acked_note, acked_ms: who acknowledged it; None if nobody has since it last fired.
        silenced_by: id of the silence that covers it.
        mark, mark_by: whether somebody marked it as helpful or as a false alarm.
    """

    id: str
    run_id: str
    project: str
    run_name: str
    rule: str
    severity: Severity
    state: AlertState
    count: int
    title: str
    body: str
    step: float | None
    created_ms: int
    fired_ms: int | None
    changed_ms: int
    resolved_ms: int | None = None
    resolution: str | None = None
    acked_by: str | None = None
    acked_note: str | None = None
    acked_ms: int | None = None
    silenced_by: str | None = None
    silenced_until_ms: int | None = None
    mark: str | None = None
    mark_by: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """The alert as JSON data."""
        data = {each.name: getattr(self, each.name) for each in fields(self)}
        plain = {"severity": str(self.severity), "state": str(self.state), "step": whole(self.step)}
        return {**data, **plain, "tags": dict(self.tags)}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertQuery:
    """Which alerts to list. What is None or empty does not filter.

    Attributes:
        open: only those that are not resolved.
        run: a run's full id.
        search: part of the title, the text or the run's name, ignoring case.
        cursor: where the previous page ended.
    """

    state: AlertState | None = None
    open: bool = False
    project: str | None = None
    rule: str | None = None
    severity: Severity | None = None
    run: str | None = None
    search: str | None = None
    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertPage:
    """One page of alerts, most recently changed first.

    Attributes:
        cursor: for the next page; None on the last.
        counts: state -> number of alerts that match the other filters, over all pages.
    """

    items: tuple[AlertInfo, ...]
    cursor: str | None
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence(Row):
    """Alerts for which nothing is sent until a time. Each field that is not None is a glob that must match.

    Attributes:
        run: matches a run's name or its id.
        tag: matches `name=value` of one of the run's tags.
        until_ms: when it ends, milliseconds since the epoch.
        ended_ms: when somebody ended it early; None if nobody has.
    """

    id: str
    project: str | None = None
    run: str | None = None
    rule: str | None = None
    severity: str | None = None
    tag: str | None = None
    reason: str
    by: str
    created_ms: int
    until_ms: int
    ended_ms: int | None = None

    @property
    def matcher(self) -> dict[str, str]:
        """The fields that must match."""
        return {name: value for name in MATCHED if (value := getattr(self, name)) is not None}

    def covers(
        self, *, project: str, run_id: str, run_name: str, rule: str, severity: str, tags: Mapping[str, str]
    ) -> bool:
        """True if each of its globs matches. Matching is case-sensitive.

        >>> one = Silence(id="1", run="bad-*", tag="team=*", reason="", by="", created_ms=0, until_ms=1)
        >>> of = {"project": "p", "run_id": "4f", "rule": "nan", "severity": "critical", "tags": {"team": "vision"}}
        >>> one.covers(run_name="bad-otter", **of), one.covers(run_name="good-otter", **of)
        (True, False)
        """
        found = {"project": [project], "run": [run_name, run_id], "rule": [rule], "severity": [severity]}
        found["tag"] = [f"{name}={value}" for name, value in tags.items()]
        return all(any(fnmatchcase(text, glob) for text in found[name]) for name, glob in self.matcher.items())


MATCHED: Final = ("project", "run", "rule", "severity", "tag")
"""What a silence can match."""


_CHANNEL_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def check_channel_name(name: str) -> None:
    """Check that a channel's name is valid."""
    if not _CHANNEL_NAME.fullmatch(name):
        place = f"channels.{name}" if len(name) < 100 else f"channels.{name[:100]}…"
        raise SettingsError(place, "is not a name of a channel", "use up to 64 letters, digits, - and _")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter(Row):
    """A message whose delivery was given up.

    Attributes:
        id: of the message, `RUN-NUMBER`.
        channel: the name that the store knows the channel by.
        name: the channel's configured name; empty if it is no longer configured.
        error: the error of the last attempt.
    """

    id: str
    channel: str
    name: str
    title: str
    project: str
    run_id: str
    created_ms: int
    attempts: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A row of the outbox: an alert to be delivered.

    Attributes:
        id: identifies the row together with the run's id.
        attempts: how often delivery was tried.
        next_ms: earliest time of the next attempt.
        delivered_ms: when a channel took it; None while it waits.
        error: the error of the last failed attempt.
        retried_ms: from when its age counts, if not from when its alert was created: when somebody asked for a retry,
            or when a silence or quiet hours ended.
    """

    id: int
    alert: Alert
    attempts: int = 0
    next_ms: int = 0
    delivered_ms: int | None = None
    error: str | None = None
    retried_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What decides which messages a channel is sent.

    Attributes:
        due: messages that the channel has not taken, oldest first.
        told: what it was sent lately about the same runs, oldest first: `dedup_key`, time, state.
        standing: the current alerts of these runs; silences are not applied.
        silences: those in force.
    """

    due: tuple[Delivery, ...] = ()
    told: tuple[tuple[str, int, str], ...] = ()
    standing: tuple[AlertInfo, ...] = ()
    silences: tuple[Silence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """The current number of runs and alerts.

    Attributes:
        statuses: runs that have not ended, by status.
        verdicts: runs that have not ended, by verdict.
        waiting: alerts waiting for delivery.
        delivered: alerts that were delivered, of the runs that are still stored.
    """

    statuses: Mapping[str, int]
    verdicts: Mapping[str, int]
    waiting: int
    delivered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobHealth(Row):
    """The health of one of the server's background jobs.

    Attributes:
        runs: how often it has run.
        failures: how often it raised.
        failing: True if its last run raised.
        last_error: its last error, kept after it recovered.
        last_run_ms: when it last ended, milliseconds since the epoch.
    """

    runs: int = 0
    failures: int = 0
    failing: bool = False
    last_error: str | None = None
    last_run_ms: int | None = None
