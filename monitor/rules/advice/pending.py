"""Pending findings: conditions that hold, but not yet for as long as their rule requires."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from monitor.domain import Pending, Severity
from monitor.domain.formats import position
from monitor.roles import Role
from monitor.rules.advice.verdict import title
from monitor.rules.describe.features import Features
from monitor.rules.lifecycle import terms
from monitor.rules.rule import Rule
from monitor.rules.sketch.points import ROLE_CODES
from monitor.rules.sketch.state import LIKELY, PENDING, Slot, State

if TYPE_CHECKING:
    from monitor.rules.config import RulesConfig

_RANK = {severity: rank for rank, severity in enumerate(Severity)}


def pending_of(state: State, config: RulesConfig) -> tuple[Pending, ...]:
    """The pending findings of a state as of the last check of each, the most important ones first."""
    slots = [(name, slot) for name, slot in state.slots.items() if slot.phase in (PENDING, LIKELY)]
    if not slots:
        return ()
    found = [_pending(state, config, config.named[name], slot) for name, slot in slots if name in config.named]
    return tuple(sorted(found, key=lambda one: (_RANK[one.severity], not one.likely, one.since_step, one.rule)))


def _pending(state: State, config: RulesConfig, rule: Rule, slot: Slot) -> Pending:
    name, settings = rule.spec.name, config.settings[rule.spec.name]
    asked = terms(rule, settings, Features(state, _checked(state, rule, slot)), slot)
    held, needed, unit = min(asked, key=lambda term: term[0] / term[1] if term[1] > 0 else math.inf)
    since = f"since {position(state.unit, slot.onset)}"
    if slot.phase == LIKELY:
        said = f"{title(name)} is likely {since}, but not certain."
    else:
        lasted = " and ".join(
            f"{min(held, math.ceil(needed)):.0f} of {math.ceil(needed):.0f} {unit}" for held, needed, unit in asked
        )
        said = f"{title(name)} is pending {since}: it has held for {lasted}."
    return Pending(
        rule=name,
        severity=settings.severity,
        onset_step=slot.onset,
        since_step=slot.since,
        held=float(f"{held:.6g}"),
        needed=float(f"{needed:.6g}"),
        unit=unit,
        likely=slot.phase == LIKELY,
        explanation=said,
    )


def _checked(state: State, rule: Rule, slot: Slot) -> float:
    """The step at which the rule last ran: where a bucket of what it reads closed."""
    steps = [slot.since]
    for role in rule.spec.reads:
        if role is Role.PART:
            steps += state.parts.step[-1:] if state.parts is not None else []
        elif role is Role.GOAL:
            steps += state.goal.curve.step[-1:] if state.goal is not None else []
        elif role is not Role.LR:
            steps += state.curves[ROLE_CODES[role]].step[-1:]
    return max(steps)
