"""A finding is resolved after as many checks without its condition as its rule asks for, neither fewer nor more."""

from __future__ import annotations

import math

import pytest

from monitor.domain import FindingState
from monitor.rules import RulesConfig, State
from monitor.rules.describe.features import Features
from monitor.rules.lifecycle import move
from monitor.rules.registry import BUILT_IN
from monitor.rules.rule import Rule
from monitor.rules.sketch.state import FIRING, Slot


@pytest.mark.parametrize("rule", BUILT_IN, ids=lambda rule: rule.spec.name)
def test_a_finding_is_resolved_at_the_check_that_its_relief_names(rule: Rule) -> None:
    state, name = State("step", math.nan, math.nan), rule.spec.name
    state.first_step, state.last_step = 0.0, 500.0
    state.slots = {name: Slot(FIRING, 0, 1, 100.0, 90.0, 120.0)}
    settings, changes = RulesConfig().settings[name], []
    for check in range(1, rule.spec.relief + 1):
        changes.append(move(rule, settings, Features(state, 500.0 + check), state.slots[name], None, ""))
    assert changes[:-1] == [None] * (rule.spec.relief - 1)
    assert changes[-1] is not None and changes[-1].state is FindingState.RESOLVED
    assert name not in state.slots
