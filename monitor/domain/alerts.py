"""Alerts, and the state of the service's own jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from monitor.domain.plain import make, whole
from monitor.domain.verdicts import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A verdict change, or a change of a run's status, that raises an alert.

    Attributes:
        kind: a rule's name, "lost", "stalled" or "stop".
        state: "firing" or "resolved".
        dedup_key: the same for every message about the same finding of the same run.
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

    def to_dict(self) -> dict[str, object]:
        """The alert as JSON data."""
        return {**asdict(self), "severity": str(self.severity), "step": whole(self.step)}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Alert:
        """The inverse of `to_dict`."""
        return make(cls, data, severity=Severity(str(data["severity"])))


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A row of the outbox: an alert on its way.

    Attributes:
        id: with the run's id, the row.
        attempts: how often delivery was tried.
        next_ms: not to be tried again before.
        delivered_ms: when a channel took it; None while it waits.
        error: what the last failed try said.
    """

    id: int
    alert: Alert
    attempts: int = 0
    next_ms: int = 0
    delivered_ms: int | None = None
    error: str | None = None


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
