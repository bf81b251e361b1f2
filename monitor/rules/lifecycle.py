"""The life cycle of a finding: pending until its evidence has lasted, firing, resolved when the evidence stays away.

A finding that resolves is returned again with the same number. A condition that returns opens a new finding.

Source:
    Prometheus `rules/alerting.go`: `for`, `keep_firing_for`, and the state that restores after a restart.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final

from monitor.domain import Finding, FindingState, Severity
from monitor.domain.formats import position
from monitor.rules.config import RulesConfig, RuleSettings
from monitor.rules.describe.features import Features
from monitor.rules.describe.schedule import told
from monitor.rules.registry import spec_of
from monitor.rules.rule import Reading, Rule, Spec
from monitor.rules.sketch.state import FIRING, LIKELY, PENDING, Slot, State

MOST: Final = 8
"""Most findings that are pending or firing at a time, not counting those over parts: it bounds the size of the
state."""


def warming(settings: RuleSettings, run: Features) -> bool:
    """Whether a rule is still in its warm-up."""
    return _elapsed(settings.unit, run, math.nan, run.train.closed + run.val.closed) < settings.warmup


def move(
    rule: Rule, settings: RuleSettings, run: Features, slot: Slot | None, reading: Reading | None, rules_hash: str,
    *, ended: bool = False,
) -> Finding | None:  # fmt: skip
    """Advance a rule's finding by its answer; the slots of the run's state are replaced if it changes.

    Args:
        ended: True if a finding that does not hold resolves at once, because another one supersedes it.

    Returns:
        The finding that fired or resolved at this check, or None.
    """
    name, state = rule.spec.name, run.state
    if reading is None or (reading.likely and settings.patience is not None):
        if slot is None or not _relieved(state, name, slot, 1 if ended else rule.spec.relief):
            return None
        at = max(run.step, slot.fired)  # the step may be lower if it is that of a series that lags behind
        said = (f"Over by {position(state.unit, at)}.", "Nothing to do now: it has passed.")
        return _resolved(name, rule.spec.version, settings.severity, slot, at, said, rules_hash)
    if slot is not None and slot.phase == FIRING:
        if slot.checks:
            _put(state, name, slot._replace(checks=0))
        return None
    fired = _held(rule, settings, run, slot, reading)
    return None if fired is None else _fired(rule, settings, reading, fired, run, rules_hash)


def _held(rule: Rule, settings: RuleSettings, run: Features, slot: Slot | None, reading: Reading) -> Slot | None:
    """Advance a finding that is not firing yet: to likely, pending, or firing. Its slot if it fires."""
    name, state = rule.spec.name, run.state
    if slot is None:
        if not room(state, rule.spec):
            return None
        slot = Slot(PENDING, 0, 0, run.step, reading.onset, math.nan)
    if reading.likely:
        _put(state, name, Slot(LIKELY, 0, 0, slot.since, min(slot.onset, reading.onset), math.nan))
        return None
    checks = 1 if slot.phase == LIKELY else slot.checks + 1
    slot = slot._replace(phase=PENDING, checks=checks, onset=min(slot.onset, reading.onset))
    fires = reading.sure or not any(held < needed for held, needed, _ in terms(rule, settings, run, slot))
    if fires:
        state.numbered += 1
        slot = Slot(FIRING, 0, int(state.numbered), slot.since, min(slot.onset, run.step), run.step)
    _put(state, name, slot)
    return slot if fires else None


def _relieved(state: State, name: str, slot: Slot, relief: int) -> bool:
    """Whether a finding that does not hold resolves; one that is not firing yet is dropped."""
    slot = slot._replace(checks=slot.checks + 1)
    if slot.phase != PENDING and slot.checks < relief:
        _put(state, name, slot)
        return False
    state.slots = {key: value for key, value in state.slots.items() if key != name}
    return slot.phase == FIRING


def _fired(rule: Rule, settings: RuleSettings, reading: Reading, slot: Slot, run: Features, rules_hash: str) -> Finding:
    """The finding of a slot, with the evidence of this reading."""
    explanation, advice = rule.explain(Reading(slot.onset, reading.evidence, reading.sure), run.state.unit)
    schedule, sentence = told(rule.spec.explained_by, slot.onset, run)
    return Finding(
        rule=rule.spec.name,
        version=rule.spec.version,
        state=FindingState.FIRING,
        severity=settings.severity,
        onset_step=slot.onset,
        fired_step=slot.fired,
        resolved_step=None,
        evidence={key: _plain(value) for key, value in (dict(reading.evidence) | schedule).items()},
        explanation=explanation + sentence,
        advice=advice,
        rules_hash=rules_hash,
        number=slot.number,
    )


def _resolved(
    name: str, version: int, severity: Severity, slot: Slot, step: float, said: tuple[str, str], rules_hash: str
) -> Finding:
    """The resolved finding of a slot, with an explanation and an advice."""
    return Finding(
        rule=name,
        version=version,
        state=FindingState.RESOLVED,
        severity=severity,
        onset_step=slot.onset,
        fired_step=slot.fired,
        resolved_step=step,
        evidence={"lasted": step - slot.onset},
        explanation=said[0],
        advice=said[1],
        rules_hash=rules_hash,
        number=slot.number,
    )


def retold(unit: str, changes: Iterable[Finding], known: Iterable[Finding] = ()) -> tuple[Finding, ...]:
    """The changes; those that resolve a finding keep the explanation and the evidence from when it fired.

    Args:
        unit: what steps count, "step" or "epoch".
        changes: in the order in which the engine returned them.
        known: findings returned earlier, the latest one of each number.
    """
    latest, found = {finding.number: finding for finding in known}, []
    for change in changes:
        told = _retold(unit, latest.get(change.number), change)
        latest[change.number] = told
        found.append(told)
    return tuple(found)


def _retold(unit: str, fired: Finding | None, change: Finding) -> Finding:
    if fired is None or fired.resolved_step is not None or change.resolved_step is None:
        return change
    at = position(unit, fired.fired_step)
    said = f"Reported at {at}: {fired.explanation} {change.explanation}"  # its "now" refers to that step
    return replace(change, evidence={**fired.evidence, **change.evidence}, explanation=said)


def without(state: State, names: Collection[str], config: RulesConfig) -> list[Finding]:
    """Remove the findings of rules that are no longer among `names` from a state; return those that fired, resolved."""
    gone = {name: slot for name, slot in state.slots.items() if name not in names}
    state.slots = {name: slot for name, slot in state.slots.items() if name in names}
    said = (
        f"The rule was switched off at {position(state.unit, state.last_step)}; nothing is said of the curve.",
        "Switch the rule on again to have the run judged by it.",
    )
    found = []
    for name, slot in gone.items():
        if slot.phase == FIRING:
            known, spec = config.settings.get(name), spec_of(name)
            severity = known.severity if known else Severity.WARNING
            version = spec.version if spec else 1
            found.append(_resolved(name, version, severity, slot, state.last_step, said, config.hash))
    return found


def room(state: State, spec: Spec) -> bool:
    """Whether there is room for a finding of this rule. Findings over parts do not count towards the limit."""
    if spec.of_parts:
        return True
    others = [spec_of(name) for name in state.slots]
    return sum(other is None or not other.of_parts for other in others) < MOST


def _put(state: State, name: str, slot: Slot) -> None:
    state.slots = {**state.slots, name: slot}


def terms(rule: Rule, settings: RuleSettings, run: Features, slot: Slot) -> tuple[tuple[float, float, str], ...]:
    """For each requirement: how long the condition of a pending finding has held, how long it must, and the unit."""
    if settings.patience is None:
        checks = (float(slot.checks), float(rule.spec.patience), "checks")
        if not rule.spec.hold:
            return (checks,)
        return checks, (run.step - slot.since, rule.spec.hold * (run.step - run.state.first_step), f"{run.state.unit}s")
    return ((_elapsed(settings.unit, run, slot.since, slot.checks), settings.patience, settings.unit),)


def _elapsed(unit: str, run: Features, since: float, checks: float) -> float:
    """How much has passed since `since` (NaN: since the start of the run), in the given unit."""
    if unit == "checks":
        return checks
    start = run.state.first_step if math.isnan(since) else since
    if unit == "evals":
        curve = run.state.curves[1]
        after = sum(1 for step in curve.step if step > since) if not math.isnan(since) else len(curve.step)
        return float(after * curve.size)
    return run.step - start


def _plain(value: float | int | str | bool | None) -> float | int | str | bool | None:
    """Evidence as strict JSON allows it: non-finite numbers become words."""
    if isinstance(value, float):
        value = float(value)
        if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return float(f"{value:.6g}")
    return value
