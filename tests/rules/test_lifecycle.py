"""When a finding fires and when it is resolved: at the check that its rule asks for, neither sooner nor later."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from monitor.domain import Finding, FindingState
from monitor.rules import RulesConfig, State, diagnose
from monitor.rules.describe.features import Features
from monitor.rules.lifecycle import MOST, move, room, warming
from monitor.rules.registry import BUILT_IN, spec_of
from monitor.rules.rule import Reading, Rule
from monitor.rules.sketch.state import FIRING, LIKELY, PENDING, Slot

NAME = "stagnation"
SETTINGS = RulesConfig().settings[NAME]


class Asked:
    """A rule with a patience of three checks and a relief of three, whose answers the test gives."""

    spec = replace(next(rule.spec for rule in BUILT_IN if rule.spec.name == NAME), patience=3, relief=3, hold=0.0)

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        raise NotImplementedError

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        return "It stands still.", "Raise the learning rate."


def begun(slot: Slot | None = None) -> State:
    state = State("step", math.nan, math.nan)
    state.first_step, state.last_step = 0.0, 500.0
    state.slots = {} if slot is None else {NAME: slot}
    return state


def answered(state: State, readings: Sequence[Reading | None]) -> list[Finding | None]:
    """What changes at each check, ten steps apart."""
    return [
        move(Asked(), SETTINGS, Features(state, 500.0 + 10 * at), state.slots.get(NAME), reading, "")
        for at, reading in enumerate(readings, 1)
    ]


def holds(onset: float = 480.0, **more: bool) -> Reading:
    return Reading(onset, {}, **more)


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


def test_a_finding_fires_at_the_check_that_its_patience_names_since_it_was_first_seen() -> None:
    state = begun()
    *before, fired = answered(state, [holds(480.0), holds(470.0), holds(490.0)])
    assert before == [None, None] and fired is not None
    assert (fired.state, fired.onset_step, fired.fired_step) == (FindingState.FIRING, 470.0, 530.0)


def test_what_was_only_likely_does_not_count_towards_the_patience() -> None:
    *before, fired = answered(begun(), [holds(likely=True), holds(likely=True), holds(), holds(), holds()])
    assert before == [None] * 4 and fired is not None


def test_a_sure_reading_fires_at_once_and_one_that_ends_before_its_patience_never() -> None:
    assert answered(begun(), [holds(sure=True)])[0] is not None
    state = begun()
    assert answered(state, [holds(), holds(), None, holds(), holds()]) == [None] * 5
    assert state.slots[NAME].phase == PENDING


def test_a_condition_that_comes_back_in_time_starts_the_relief_anew() -> None:
    state = begun(Slot(FIRING, 0, 1, 100.0, 90.0, 120.0))
    *before, resolved = answered(state, [None, None, holds(), None, None, None])
    assert before == [None] * 5 and resolved is not None
    assert resolved.state is FindingState.RESOLVED and resolved.resolved_step == 560.0
    assert resolved.evidence["lasted"] == 470.0
    assert resolved.explanation == "Over by step 560."


def test_a_likely_finding_is_dropped_after_its_relief_without_a_word() -> None:
    state = begun(Slot(LIKELY, 0, 0, 100.0, 90.0, math.nan))
    assert answered(state, [None, None]) == [None, None] and NAME in state.slots
    assert answered(state, [None]) == [None] and NAME not in state.slots


def test_a_finding_is_not_over_before_it_fired_though_another_series_lags_behind() -> None:
    state = begun(Slot(FIRING, 2, 1, 590.0, 580.0, 600.0))
    (resolved,) = answered(state, [None])
    assert resolved is not None and resolved.resolved_step == 600.0


def test_a_run_has_room_for_so_many_findings_and_for_any_number_over_parts() -> None:
    specs = [rule.spec for rule in BUILT_IN if rule.spec.name != NAME]
    whole = [spec.name for spec in specs if not spec.of_parts][:MOST]
    parts = [spec.name for spec in specs if spec.of_parts]
    state, spec = begun(), spec_of(NAME)
    assert spec is not None and len(whole) == MOST and parts
    slot = Slot(FIRING, 0, 1, 100.0, 90.0, 120.0)
    state.slots = dict.fromkeys([*whole[1:], *parts], slot)
    assert room(state, spec)
    state.slots = dict.fromkeys(whole, slot)
    assert not room(state, spec)
    assert answered(state, [holds(sure=True)]) == [None]


def test_a_rule_warms_up_until_so_much_has_passed() -> None:
    settings = replace(SETTINGS, unit="steps", warmup=100)
    state = begun()
    assert warming(settings, Features(state, 99.0))
    assert not warming(settings, Features(state, 100.0))


def test_a_divergence_stays_at_a_level_at_which_it_would_not_have_begun() -> None:
    t = np.arange(200.0)

    def states(*rises: float) -> list[str]:
        levels = [np.full(400 // len(rises), 0.5 * (1 + rise)) for rise in rises]
        train = np.concatenate([0.5 + 2 * np.exp(-t / 40), *levels]) * np.exp(
            0.003 * np.random.default_rng(0).normal(size=600)
        )
        return [finding.state for finding in diagnose(train).findings if finding.rule == "divergence"]

    assert states(0.27) == []
    assert states(0.4, 0.27) == ["firing"]


def test_overfitting_stays_at_a_level_at_which_it_would_not_have_begun() -> None:
    steps = np.arange(600.0)
    at = steps[::10]

    def states(peak: float, now: float) -> list[str]:
        val = 0.5 + 2 * np.exp(-at / 30) + np.interp(at, [200, 400, 401], [0, peak, now])
        found = diagnose(0.1 + 2 * np.exp(-steps / 100), np.c_[at, val]).findings
        return [finding.state for finding in found if finding.rule == "overfitting"]

    assert states(0.008, 0.008) == []
    assert states(0.016, 0.008) == ["firing"]
