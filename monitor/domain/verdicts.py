"""What the engine says about a run: findings, a recommendation, and the diagnosis that holds both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Final, TypeVar, cast

from monitor.domain import formats
from monitor.domain.plain import Row, make, whole
from monitor.domain.progress import Progress, Regime

_T = TypeVar("_T")


class Action(StrEnum):
    """What the loop, or the person behind it, should do."""

    CONTINUE = "continue"
    STOP = "stop"
    INVESTIGATE = "investigate"


class Severity(StrEnum):
    """How much a finding matters. `critical` needs action now; `info` is good news or context."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class FindingState(StrEnum):
    """A finding is pending until its evidence has lasted, then firing, then perhaps resolved. It is never erased."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(Row):
    """One rule's verdict on one stretch of a run.

    Attributes:
        rule: name of the rule, one of `monitor.rules.RULE_NAMES` or a custom one.
        version: the rule's version, >= 1; it changes when the same curve would be judged differently.
        state: firing or resolved; pending findings have no number yet, and are `Recommendation.pending`.
        onset_step: step at which the condition began, as far as the curve shows; at or before `fired_step`.
        fired_step: step of the point that made the rule fire.
        resolved_step: step of the point that resolved it; None while it fires.
        evidence: the numbers against their thresholds; finite floats, ints, strings, bools or None.
        explanation: what was seen, with the numbers, for a person.
        advice: what to try next.
        rules_hash: hash of the effective rules configuration.
        number: the finding's number within the run, from 1; it keeps it through all its states.
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


LISTED: Final = 5
"""Fewest findings that a list shows before it folds resolved ones."""


def most_telling(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings in order of importance: firing first, then by severity, then newest first."""
    rank = list(Severity)
    return tuple(
        sorted(findings, key=lambda f: (f.state is FindingState.RESOLVED, rank.index(f.severity), -f.fired_step))
    )


def folded(findings: Iterable[Finding]) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """What a list shows, and what it folds.

    All firing findings are shown, resolved ones only up to `LISTED` in total.
    """
    ranked = most_telling(findings)
    shown = max(LISTED, sum(found.state is not FindingState.RESOLVED for found in ranked))
    return ranked[:shown], ranked[shown:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending(Row):
    """A rule whose condition holds, but not yet for as long as it must: a finding that may come.

    Attributes:
        rule: name of the rule, one of `monitor.rules.RULE_NAMES` or a custom one.
        severity: of the finding, if it fires.
        onset_step: step at which the condition began, as far as the curve shows.
        since_step: step since which every check of the rule has found it.
        held: how long it has held, in `unit`s.
        needed: how long it must hold, in `unit`s; more than `held`.
        unit: "checks", "steps", "evals" or "epochs".
        likely: True if the evidence is still short of what the rule requires, but a stop is already advised.
        explanation: the same in a sentence.
    """

    rule: str
    severity: Severity
    onset_step: float
    since_step: float
    held: float
    needed: float
    unit: str = "checks"
    likely: bool = False
    explanation: str = ""

    def to_dict(self) -> dict[str, object]:
        """The pending finding as strict JSON data; whole steps are ints."""
        steps = {"onset_step": whole(self.onset_step), "since_step": whole(self.since_step)}
        return {**Row.to_dict(self), **steps}


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The loss after half as many further steps as the run has made.

    Attributes:
        steps: how far ahead it looks, from `from_step`, the end of the last bucket.
        level: the smoothed loss at `from_step`.
        expected: the loss there; `low` to `high` is its 90% interval. None of them is below the loss' floor.
        gain: expected improvement over the best level so far, from `gain_low` to `gain_high`. Never below 0, because
            the best step can be kept.
        buckets_since_best: buckets of the curve's sketch that were closed since the lowest one.
    """

    steps: float
    from_step: float
    level: float
    expected: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float
    buckets_since_best: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """What early stopping with a fixed patience would have done, for comparison.

    Attributes:
        evals: evaluations in a row without a new best validation loss that it waits for.
        stop_step: step at which it would have stopped; None if it would still continue.
        best_loss: the best loss that it would have kept; None if it would still continue.
        missed: share of the improvement from the first to the best loss that it would have missed; None if it would
            still continue.
        explanation: the same in a sentence.
    """

    evals: int
    stop_step: float | None
    best_loss: float | None
    missed: float | None
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What to do now, and why.

    Attributes:
        action: continue, stop or investigate.
        rule: the rule whose finding advises the stop; None unless action is stop.
        first_stop_step: first step at which a stop was recommended, kept even if withdrawn later; None if never.
        stop_step: step since which a stop has been recommended continuously; None unless action is stop.
        best_step: step of the lowest finite validation loss (training loss if there is no validation).
        best_val_loss: the loss there.
        goal: the series of the metric that the training optimises; None if none was logged.
        best_goal, best_goal_step: its best value, and where.
        reason: one sentence with the numbers.
        confidence: 0 to 1, how sure the engine is of the action; None if it makes no claim.
        forecast: what continuing would gain; None if the engine cannot estimate it.
        patience: what simple patience would have done by now; None without a validation loss.
        pending: findings that may come, most important first.
        ended: True for a run that has ended and needs nothing: the reason says what it was worth.
    """

    action: Action = Action.CONTINUE
    rule: str | None = None
    first_stop_step: float | None = None
    stop_step: float | None = None
    best_step: float | None = None
    best_val_loss: float | None = None
    goal: str | None = None
    best_goal: float | None = None
    best_goal_step: float | None = None
    reason: str = "No loss or goal has been logged yet."
    confidence: float | None = None
    forecast: Forecast | None = None
    patience: Patience | None = None
    pending: tuple[Pending, ...] = ()
    ended: bool = False

    @property
    def best_at(self) -> float | None:
        """The step to go back to: the best step of the goal if there is one, else of the loss."""
        return self.best_step if self.best_goal_step is None else self.best_goal_step

    def of_run_over(self, how: str) -> Recommendation:
        """The summary of an ended run, if the action is to continue; other advice stays unchanged.

        Args:
            how: how it ended, such as "finished".
        """
        if self.action is not Action.CONTINUE:
            return self
        found = []
        if self.best_step is not None and self.best_val_loss is not None:
            found.append(
                f"the best loss was {formats.number(self.best_val_loss)} at step {formats.step(self.best_step)}"
            )
        if self.best_goal is not None and self.best_goal_step is not None:
            found.append(
                f"the best {self.goal} was {formats.number(self.best_goal)} at step {formats.step(self.best_goal_step)}"
            )
        if not found:
            return self
        reason = f"{how.capitalize()}: {', '.join(found)}."
        return replace(self, reason=reason, confidence=None, forecast=None, pending=(), ended=True)

    def to_dict(self) -> dict[str, object]:
        """The recommendation as strict JSON data; whole steps are ints."""
        return {
            "action": str(self.action),
            "rule": self.rule,
            "first_stop_step": whole(self.first_stop_step),
            "stop_step": whole(self.stop_step),
            "best_step": whole(self.best_step),
            "best_val_loss": self.best_val_loss,
            "goal": self.goal,
            "best_goal": self.best_goal,
            "best_goal_step": whole(self.best_goal_step),
            "reason": self.reason,
            "confidence": self.confidence,
            "forecast": {} if self.forecast is None else asdict(self.forecast),
            "patience": {} if self.patience is None else asdict(self.patience),
            "pending": [pending.to_dict() for pending in self.pending],
            "ended": self.ended,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Recommendation:
        """The inverse of `to_dict`, also for data of older versions."""
        rows = data.get("pending")
        pending = tuple(Pending.from_dict(row) for row in rows) if isinstance(rows, list | tuple) else ()
        return make(
            cls,
            data,
            action=Action(str(data["action"])),
            forecast=_nested(Forecast, data.get("forecast")),
            patience=_nested(Patience, data.get("patience")),
            pending=pending,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many points the engine has seen, and what it set aside.

    Attributes:
        train: points of the training loss.
        val: points of the validation loss.
        goal: points of the metric that the training optimises.
        non_finite: NaN and infinite losses among them.
        late: points whose step is below one already seen in the same series.
        beyond: points of loss parts that are not judged because only the first eight parts are.
        unmapped: keys that are stored but not judged.
    """

    train: int = 0
    val: int = 0
    goal: int = 0
    non_finite: int = 0
    late: int = 0
    beyond: int = 0
    unmapped: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """The counts as JSON data."""
        return {name: getattr(self, name) for name in self.__slots__} | {"unmapped": list(self.unmapped)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The complete diagnosis of a run. `to_dict` is the contract that `monitor diagnose --json` prints.

    Attributes:
        verdict: the most important finding, a rule's name, even if it is only probable but a stop is advised; "healthy"
            if there is none, "too_early" if there are too few points, "not_judged" if they do not measure the model's
            quality: the losses of a game, without a goal.
        headline: one sentence with the numbers.
        regimes: what the curves did, stretch by stretch; empty if there are too few points to tell.
        progress: the generalisation gap and the rate, in numbers.
    """

    verdict: str
    headline: str
    findings: tuple[Finding, ...]
    recommendation: Recommendation
    counts: Counts
    regimes: tuple[Regime, ...] = ()
    progress: Progress = field(default_factory=Progress)

    def _repr_html_(self) -> str:
        """The diagnosis as shown in a notebook."""
        from monitor.domain.notebook import diagnosis_html

        return diagnosis_html(self)

    def to_dict(self) -> dict[str, object]:
        """The diagnosis as strict JSON data, schema 1."""
        return {
            "schema": 1,
            "verdict": self.verdict,
            "headline": self.headline,
            "findings": [finding.to_dict() for finding in self.findings],
            "recommendation": self.recommendation.to_dict(),
            "counts": self.counts.to_dict(),
            "regimes": [regime.to_dict() for regime in self.regimes],
            "progress": self.progress.to_dict(),
        }


def _nested(cls: type[_T], value: object) -> _T | None:
    """A nested value from its JSON; None if absent, or from a version with other fields."""
    names = [field.name for field in fields(cast("Any", cls))]
    if not isinstance(value, Mapping) or not value.keys() >= set(names):
        return None
    return cls(**{name: value[name] for name in names})
