"""What the rooms of the house hand each other: frozen values, no behaviour beyond reading themselves.

Steps are counted by the user (batches or epochs) and may be fractional in a file; the store keeps them as int64.
Times are milliseconds since the epoch, UTC, as int. A number that is missing is None, never 0 and never NaN; a NaN is a
value that was measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from monitor.roles import Role

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_T = TypeVar("_T")

Json = Mapping[str, object]
"""Plain data as `json.loads` gives it, once `wire.jsonable` has made it strict."""


class RunStatus(StrEnum):
    """Where a run is in its life."""

    RUNNING = "running"
    """The client's heartbeat arrives and its steps go on."""
    STALLED = "stalled"
    """The heartbeat goes on, but no new step has come for a long while."""
    LOST = "lost"
    """The heartbeat stopped without a finish: killed, crashed, or cut off. It runs again once points arrive."""
    FINISHED = "finished"
    """The loop said that it is done."""
    STOPPED = "stopped"
    """The loop ended early because the recommendation, or a person, told it to."""
    FAILED = "failed"
    """The loop ended with an exception."""

    @property
    def live(self) -> bool:
        """True while more points may be expected."""
        return self in (RunStatus.RUNNING, RunStatus.STALLED, RunStatus.LOST)


class Action(StrEnum):
    """What the loop, or the person behind it, is told to do."""

    CONTINUE = "continue"
    STOP = "stop"
    INVESTIGATE = "investigate"


class Severity(StrEnum):
    """How much a finding matters: `critical` asks for an action now, `info` is good news or context."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class FindingState(StrEnum):
    """A finding is pending until its evidence has lasted, then firing, then perhaps resolved; never erased."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


RULE_NAMES: tuple[str, ...] = (
    "nan",
    "divergence",
    "spike",
    "oscillation",
    "convergence",
    "stagnation",
    "underfitting",
    "overfitting",
    "improving",
    "gradient_explosion",
    "gradient_vanishing",
    "initial_loss",
    "low_start",
    "impossible_loss",
    "metric_missing",
    "dominant_part",
    "vanishing_part",
    "rising_part",
    "conflicting_parts",
    "growing_penalty",
    "parts_sum",
)
"""The built-in rules, in the order of `monitor.rules`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule's verdict on one stretch of a run.

    Attributes:
        rule: one of `RULE_NAMES`, or a custom rule's name.
        version: the rule's version, >= 1; it changes when the same curve would be judged otherwise.
        state: pending findings stay inside the engine; what is handed out is firing or resolved.
        onset_step: step at which the condition began, as far as the curve tells; before or at `fired_step`.
        fired_step: step of the point that made the rule fire.
        resolved_step: step of the point that resolved it, None while it fires.
        evidence: the numbers against their thresholds; finite floats, ints, strings, bools or None.
        explanation: what was seen, with the numbers, for a person.
        advice: what to try next.
        rules_hash: hash of the effective rules configuration.
        number: which finding of the run this is, from 1; a finding keeps it through all its states.
    """

    rule: str
    version: int
    state: FindingState
    severity: Severity
    onset_step: float
    fired_step: float
    resolved_step: float | None
    evidence: Mapping[str, float | int | str | bool | None]
    explanation: str
    advice: str
    rules_hash: str = ""
    number: int = 1

    def to_dict(self) -> dict[str, object]:
        """The finding as strict JSON data; whole steps are ints."""
        return {
            "rule": self.rule,
            "version": self.version,
            "state": str(self.state),
            "severity": str(self.severity),
            "onset_step": whole(self.onset_step),
            "fired_step": whole(self.fired_step),
            "resolved_step": whole(self.resolved_step),
            "evidence": dict(self.evidence),
            "explanation": self.explanation,
            "advice": self.advice,
            "rules_hash": self.rules_hash,
            "number": self.number,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Finding:
        """The inverse of `to_dict`."""
        return _make(cls, data, state=FindingState(str(data["state"])), severity=Severity(str(data["severity"])))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What to do now, and what it rests on.

    Attributes:
        action: continue, stop or investigate.
        first_stop_step: first step at which a stop was recommended, kept where it was withdrawn later; None if never.
        stop_step: step since which a stop is recommended without a break; None unless action is stop.
        best_step: step of the lowest finite validation loss (training loss where there is no validation).
        best_val_loss: the loss there.
        reason: one sentence with the numbers.
        confidence: 0 to 1, how sure the engine is of the action; None where it makes no claim.
        forecast: what continuing would gain, as the engine forecasts it; empty where it cannot tell.
    """

    action: Action = Action.CONTINUE
    first_stop_step: float | None = None
    stop_step: float | None = None
    best_step: float | None = None
    best_val_loss: float | None = None
    reason: str = "Nothing has been logged yet."
    confidence: float | None = None
    forecast: Mapping[str, float | int | str | None] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """The recommendation as strict JSON data; whole steps are ints."""
        return {
            "action": str(self.action),
            "first_stop_step": whole(self.first_stop_step),
            "stop_step": whole(self.stop_step),
            "best_step": whole(self.best_step),
            "best_val_loss": self.best_val_loss,
            "reason": self.reason,
            "confidence": self.confidence,
            "forecast": dict(self.forecast),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Recommendation:
        """The inverse of `to_dict`."""
        return _make(cls, data, action=Action(str(data["action"])))


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many points the engine saw, and what it set aside.

    Attributes:
        train: points of the training loss.
        val: points of the validation loss.
        non_finite: NaN and infinite losses among them.
        late: points whose step lies before one already seen of the same series.
        beyond: points of a composite loss's parts that are not judged, since they are of parts beyond the first eight.
        unmapped: keys that are stored but not judged.
    """

    train: int = 0
    val: int = 0
    non_finite: int = 0
    late: int = 0
    beyond: int = 0
    unmapped: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """The counts as JSON data."""
        return {**asdict(self), "unmapped": list(self.unmapped)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The whole judgement on a run; `to_dict` is the contract that `monitor diagnose --json` prints.

    Attributes:
        verdict: the finding that matters most, a rule's name, also where it is only likely and a stop is advised;
            "healthy" where there is none, "too_early" where there are too few points to tell.
        headline: one sentence with the numbers.
    """

    verdict: str
    headline: str
    findings: tuple[Finding, ...]
    recommendation: Recommendation
    counts: Counts

    def to_dict(self) -> dict[str, object]:
        """The diagnosis as strict JSON data, schema 1."""
        return {
            "schema": 1,
            "verdict": self.verdict,
            "headline": self.headline,
            "findings": [finding.to_dict() for finding in self.findings],
            "recommendation": self.recommendation.to_dict(),
            "counts": self.counts.to_dict(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """The points of one series, in the order of their steps; all arrays have shape (n,).

    Attributes:
        steps: int64.
        values: float64; NaN and infinities as they were logged.
        times: int64, milliseconds since the epoch.
        epochs: float64, NaN where none was logged; None where none ever was.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    times: NDArray[np.int64]
    epochs: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.steps)

    @classmethod
    def join(cls, parts: Sequence[Points]) -> Points:
        """Points one after the other; where only some have epochs, the others' are NaN."""
        import numpy as np

        if len(parts) == 1:
            return parts[0]
        epochs = None
        if any(part.epochs is not None for part in parts):
            epochs = np.concatenate([np.full(len(p), np.nan) if p.epochs is None else p.epochs for p in parts])
        return cls(
            np.concatenate([np.empty(0, np.int64), *(part.steps for part in parts)]),
            np.concatenate([np.empty(0, np.float64), *(part.values for part in parts)]),
            np.concatenate([np.empty(0, np.int64), *(part.times for part in parts)]),
            epochs,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A series reduced to what a screen shows.

    Attributes:
        x: float64 (m,), steps, epochs, milliseconds since the epoch, or seconds since the run's start.
        y: float64 (m,); every extreme, every NaN (as one NaN a gap) and both ends are kept.
        shown: m.
        total: points of the series in the window.
        smoothed: float64 (m,) or None, the debiased moving average over all points, read at the shown ones.
    """

    key: str
    x_axis: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    shown: int
    total: int
    smoothed: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesInfo:
    """One series of a run, as the list of series shows it; `last` and the extremes are over finite values.

    A run whose steps were logged again in a later attempt counts the newest attempt's points.
    """

    key: str
    role: Role
    count: int
    first_step: int | None = None
    last_step: int | None = None
    last: float | None = None
    min: float | None = None
    min_step: int | None = None
    max: float | None = None
    max_step: int | None = None
    nan_count: int = 0
    inf_count: int = 0
    last_time_ms: int | None = None

    def to_dict(self) -> dict[str, object]:
        """The row as strict JSON data."""
        return {**asdict(self), "role": str(self.role)}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> SeriesInfo:
        """The inverse of `to_dict`."""
        return _make(cls, data, role=Role(str(data["role"])))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """One run as the list of runs shows it.

    Attributes:
        id: 32 hex digits.
        verdict: as in `Diagnosis`.
        attempt: 1, and one more each time a loop resumed the run.
        heartbeat_s: seconds between the heartbeats that its client promised; None where it did not say.
        warnings: counter by name of what was set aside: late, duplicate, dropped, converted, unmapped.
        stop_requested: who asked the loop to stop, None if nobody did.
        error: the last line of the traceback, for a failed run.
    """

    id: str
    project: str
    name: str
    status: RunStatus
    created_ms: int
    group: str | None = None
    config: Json = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    loss: Json | None = None
    attempt: int = 1
    heartbeat_s: float | None = None
    heartbeat_ms: int | None = None
    last_point_ms: int | None = None
    last_step: int | None = None
    finished_ms: int | None = None
    verdict: str = "too_early"
    headline: str = ""
    recommendation: Recommendation = field(default_factory=Recommendation)
    warnings: Mapping[str, int] = field(default_factory=dict)
    stop_requested: str | None = None
    error: str | None = None
    version: int = 0

    def to_dict(self) -> dict[str, object]:
        """The row as strict JSON data."""
        d = {name: getattr(self, name) for name in self.__slots__}
        return {
            **d,
            "status": str(self.status),
            "config": dict(self.config),
            "tags": dict(self.tags),
            "loss": dict(self.loss) if self.loss is not None else None,
            "warnings": dict(self.warnings),
            "recommendation": self.recommendation.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> RunInfo:
        """The inverse of `to_dict`."""
        rec = data["recommendation"]
        return _make(
            cls,
            data,
            status=RunStatus(str(data["status"])),
            recommendation=Recommendation.from_dict(rec) if isinstance(rec, Mapping) else Recommendation(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A file that the loop saved, so that the best step can be gone back to."""

    step: int
    path: str
    time_ms: int

    def to_dict(self) -> dict[str, object]:
        """The row as JSON data."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A verdict change, or a change of a run's status, that somebody is to hear of.

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
        return _make(cls, data, severity=Severity(str(data["severity"])))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """One page of the list of runs.

    Attributes:
        total: runs that the filters leave, on all pages.
        sparklines: by run id and role ("train", "val"), a few dozen values of the curve; empty unless asked for.
    """

    items: tuple[RunInfo, ...]
    total: int
    sparklines: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What `ingest` answers a batch with.

    Attributes:
        acked: number of the writer's records that are stored for good; the next batch starts there.
        recommendation: the engine's, after this batch.
        stop_requested: who asked the loop to stop, None if nobody did.
        duplicate: True where the batch was already stored and nothing was done.
    """

    acked: int
    recommendation: Recommendation
    stop_requested: str | None = None
    duplicate: bool = False

    def to_dict(self) -> dict[str, object]:
        """The reply as strict JSON data."""
        return {
            "acked": self.acked,
            "recommendation": self.recommendation.to_dict(),
            "stop_requested": self.stop_requested,
            "duplicate": self.duplicate,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Reply:
        """The inverse of `to_dict`."""
        rec, stop = data["recommendation"], data.get("stop_requested")
        return cls(
            acked=int(str(data["acked"])),
            duplicate=bool(data.get("duplicate")),
            stop_requested=None if stop is None else str(stop),
            recommendation=Recommendation.from_dict(rec) if isinstance(rec, Mapping) else Recommendation(),
        )


def _make(cls: type[_T], data: Mapping[str, Any], **converted: object) -> _T:
    return cls(**{**data, **converted})


def whole(step: float | None) -> int | float | None:
    """The step as an int where it is whole, so that JSON says 900 and not 900.0.

    >>> whole(900.0), whole(1.5), whole(None)
    (900, 1.5, None)
    """
    if step is None or not math.isfinite(step) or step != int(step):
        return step
    return int(step)
