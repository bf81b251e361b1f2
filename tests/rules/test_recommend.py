"""The advice names what the verdict names."""

from __future__ import annotations

import math
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from monitor.domain import Action
from monitor.rules import RulesConfig
from monitor.rules.advice.recommend import recommend
from monitor.rules.advice.verdict import verdict_of
from monitor.rules.registry import BUILT_IN
from monitor.rules.sketch.state import FIRING, Slot, State

LOOKS = sorted(rule.spec.name for rule in BUILT_IN if rule.spec.action is Action.INVESTIGATE)


@given(st.sets(st.sampled_from(LOOKS), min_size=1), st.randoms(use_true_random=False))
def test_a_look_is_asked_for_on_account_of_the_finding_that_the_verdict_names(names: set[str], random: Random) -> None:
    state = State("step", math.nan, math.nan)
    order = sorted(names)
    random.shuffle(order)
    state.slots = {name: Slot(FIRING, 0, at, 10.0, 10.0, 20.0) for at, name in enumerate(order, 1)}
    advice = recommend(state, RulesConfig())
    assert advice.action == "investigate"
    assert advice.reason.lower().startswith(verdict_of(state).replace("_", " "))
