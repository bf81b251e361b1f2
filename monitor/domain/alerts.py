"""Alerts, and the state of the service's own jobs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final, Literal

from monitor.domain.plain import make, whole
from monitor.domain.runs import RunInfo
from monitor.domain.verdicts import Severity
from monitor.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A verdict change, or a change of a run's status, that raises an alert.

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
        """What is one alert of its run: its rule; of the loop's own alerts and of thresholds, each by itself."""
        return alert_key(self.dedup_key)

    def to_dict(self) -> dict[str, object]:
        """The alert as JSON data."""
        return {**asdict(self), "severity": str(self.severity), "step": whole(self.step)}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Alert:
        """The inverse of `to_dict`."""
        return make(cls, data, severity=Severity(str(data["severity"])))


def alert_key(dedup_key: str) -> str:
    """The part of a `dedup_key` that all messages about one alert of a run share.

    >>> alert_key("4f:overfitting:3"), alert_key("4f:alert:disk full: /data")
    ('overfitting', 'alert:disk full: /data')
    """
    kind, _, rest = dedup_key.partition(":")[2].partition(":")
    return f"{kind}:{rest}" if kind in ("alert", "threshold") else kind


def alert_id(run_id: str, key: str) -> str:
    """The id of an alert: the same for as long as the run exists."""
    return hashlib.sha256(f"{run_id}:{key}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def headline(alert: Alert | AlertInfo) -> str:
    """The title of an alert with its run and project, which the loop's own titles do not name."""
    kind = alert.kind if isinstance(alert, Alert) else alert.rule
    return f"{alert.run_name}: {alert.title} ({alert.project})" if kind == "alert" else alert.title


class AlertState(StrEnum):
    """How an alert stands. Each but `PENDING` and `RESOLVED` is the one condition, looked at by what people did."""

    PENDING = "pending"
    """The condition holds, but not yet for as long as its rule asks."""
    FIRING = "firing"
    """The condition holds, and nobody has answered."""
    ACKNOWLEDGED = "acknowledged"
    """It holds, and somebody has taken it on: it is not repeated."""
    SILENCED = "silenced"
    """It holds, and a silence covers it: nothing is sent."""
    RESOLVED = "resolved"
    """It no longer holds."""


Mark = Literal["helpful", "false alarm"]
MARKS: Final[tuple[Mark, ...]] = ("helpful", "false alarm")


RUN_DELETED: Final = "the run was deleted"
"""Why the alerts of a deleted run are resolved; they hold again where it is restored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertInfo:
    """An alert: one rule on one run, however often it fires.

    Attributes:
        id: 16 hex digits.
        rule: a rule's name or another kind of alert, as `Alert.kind`.
        count: how often it fired.
        created_ms: when it was first seen.
        fired_ms: when it last fired; None while it is pending and never fired.
        changed_ms: when its condition last changed.
        resolution: why it was resolved, where that was not the rule's doing: "the run was deleted".
        acked_by, acked_note, acked_ms: who took it on; None where nobody has since it last fired.
        silenced_by: id of the silence that covers it.
        mark, mark_by: whether somebody found it helpful or a false alarm.
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

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> AlertInfo:
        """The inverse of `to_dict`."""
        severity, state = Severity(str(data["severity"])), AlertState(str(data["state"]))
        return make(cls, data, severity=severity, state=state)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertQuery:
    """Which alerts to list; what is None or empty is not asked for.

    Attributes:
        open: only those that are not resolved.
        run: a run's full id.
        search: part of the title, of the text or of the run's name, in any case of its letters.
        cursor: where the page before ended.
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
    """One page of alerts, those that changed last first.

    Attributes:
        cursor: gives the next page; None on the last.
        counts: alerts by state that the other filters leave, on all pages.
    """

    items: tuple[AlertInfo, ...]
    cursor: str | None
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Alerts that are sent to nobody until a time; each field that is not None is a glob that must match.

    Attributes:
        run: matches a run's name or its id.
        tag: matches `name=value` of one of the run's tags.
        until_ms: when it ends, milliseconds since the epoch.
        ended_ms: when somebody took it back; None if nobody has.
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
        """Whether each of its globs matches; letters match in their own case.

        >>> one = Silence(id="1", run="bad-*", tag="team=*", reason="", by="", created_ms=0, until_ms=1)
        >>> of = {"project": "p", "run_id": "4f", "rule": "nan", "severity": "critical", "tags": {"team": "vision"}}
        >>> one.covers(run_name="bad-otter", **of), one.covers(run_name="good-otter", **of)
        (True, False)
        """
        found = {"project": [project], "run": [run_name, run_id], "rule": [rule], "severity": [severity]}
        found["tag"] = [f"{name}={value}" for name, value in tags.items()]
        return all(any(fnmatchcase(text, glob) for text in found[name]) for name, glob in self.matcher.items())

    def to_dict(self) -> dict[str, object]:
        """The silence as JSON data."""
        return asdict(self)


MATCHED: Final = ("project", "run", "rule", "severity", "tag")
"""What a silence can match."""


_CHANNEL_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def check_channel_name(name: str) -> None:
    """See to it that a channel may be called so.

    Raises:
        SettingsError: it may not.
    """
    if not _CHANNEL_NAME.fullmatch(name):
        place = f"channels.{name}" if len(name) < 100 else f"channels.{name[:100]}…"
        raise SettingsError(place, "is not a name of a channel", "use up to 64 letters, digits, - and _")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that a channel never took.

    Attributes:
        id: of the message, `RUN-NUMBER`.
        channel: by which the store knows the channel.
        name: what the channel is called; empty where it is no longer configured.
        error: what the last try said.
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

    def to_dict(self) -> dict[str, object]:
        """The row as JSON data."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A row of the outbox: an alert on its way.

    Attributes:
        id: with the run's id, the row.
        attempts: how often delivery was tried.
        next_ms: not to be tried again before.
        delivered_ms: when a channel took it; None while it waits.
        error: what the last failed try said.
        retried_ms: since when its age counts, where that is not since its alert was made: when somebody asked for
            another try, or when a silence or quiet hours ended.
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
    """How many runs and alerts there are now.

    Attributes:
        statuses: runs that are not over, by status.
        verdicts: runs that are not over, by verdict.
        waiting: alerts that are still to be delivered.
        delivered: alerts that were, of the runs that are kept.
    """

    statuses: Mapping[str, int]
    verdicts: Mapping[str, int]
    waiting: int
    delivered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobHealth:
    """How a background job of the server is doing.

    Attributes:
        runs: times it ran.
        failures: times it raised, of these.
        failing: the last run raised.
        last_error: what the last failure said; kept after it recovered.
        last_run_ms: when it last ended, milliseconds since the epoch.
    """

    runs: int = 0
    failures: int = 0
    failing: bool = False
    last_error: str | None = None
    last_run_ms: int | None = None

    def to_dict(self) -> dict[str, object]:
        """The row as JSON data."""
        return asdict(self)
