"""The advice names what the verdict names, one best, and a confidence that was measured."""

from __future__ import annotations

import math
import re
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor._resources import ROOT
from monitor.domain import Action, FindingState
from monitor.rules import RulesConfig, diagnose
from monitor.rules.advice.recommend import CONFIDENCE, recommend
from monitor.rules.advice.verdict import verdict_of
from monitor.rules.engine import Engine
from monitor.rules.registry import BUILT_IN
from monitor.rules.sketch.points import EnginePoints
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


def test_the_confidence_of_each_advice_is_what_was_measured_and_no_more() -> None:
    text = (ROOT / "docs" / "diagnosis.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [^|]+ \(`(\w+)`\) \| \d+ \| ([\d.]+) \| [^|]+ \| ([\d.]+) \|", text, re.M)
    assert {name: float(told) for name, _, told in rows} == {k: v for k, v in CONFIDENCE.items() if k != "likely"}
    assert all(0 <= float(right) - float(told) < 0.1 for _, right, told in rows)


def test_a_stop_is_less_certain_where_validation_has_risen_above_where_it_began() -> None:
    step = np.arange(0.0, 90)
    train = np.c_[step, 0.05 + np.exp(-step / 35)]
    above = diagnose(train, np.c_[step, 1.06 + 0.0028 * step])
    below = diagnose(train, np.c_[step, 0.5 + np.exp(-step / 8) + 0.006 * np.maximum(step - 30, 0)])
    assert above.verdict == below.verdict == "overfitting"
    assert above.recommendation.confidence == CONFIDENCE["risen"]
    assert below.recommendation.confidence == CONFIDENCE["overfitting"]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(8, 150), st.sampled_from([0.0, 0.02, 0.1]), st.integers(1, 7))
def test_headline_reason_and_best_step_name_one_best(seed: int, n: int, noise: float, batch: int) -> None:
    """After every batch, whatever buckets are open."""
    rng, t = np.random.default_rng(seed), np.arange(n)
    train = 2 * np.exp(-4 * t / n) * np.exp(noise * rng.normal(size=n))
    val = (0.5 + np.exp(-9 * t / n) + rng.choice([0.0, 1.5]) * np.maximum(t / n - 0.3, 0)) * np.exp(
        noise * rng.normal(size=n)
    )
    role = np.tile(np.array([0, 1], "u1"), n)
    points = EnginePoints(role, np.repeat(t, 2).astype(float), np.c_[train, val].ravel())
    engine, at = Engine(), 0
    state = engine.start()
    while at < 2 * n:
        update = engine.update(state, points.at(slice(at, at + batch)))
        state, at = update.state, at + batch
        best = update.recommendation.best_step
        for text in (update.headline, update.recommendation.reason):
            named = re.search(r"(?:best of \S+ at|was lowest at \S+|best loss was \S+ at) ?step ([\d.]+\d)", text)
            assert named is None or float(named[1]) == best, text


@given(st.integers(0, 2**32 - 1), st.floats(-8, 8))
@settings(max_examples=40, deadline=None)
def test_no_sentence_has_an_absurd_figure_and_no_advice_contradicts_the_action(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(8, 200))
    curves = [10**scale * np.abs(np.cumsum(rng.normal(size=n)) * rng.choice([0.01, 1]) + 5) for _ in range(2)]
    found = diagnose(*curves)
    firing = {f.rule for f in found.findings if f.state is FindingState.FIRING}
    assert not {"convergence", "improving"} <= firing
    for text in (found.headline, found.recommendation.reason, *(f.explanation + f.advice for f in found.findings)):
        assert all(float(percent) <= 1000 for percent in re.findall(r"(-?[\d.]+) ?%", text)), text
        assert not re.search(r"-[\d.]+ ?%|standard errors|it may be passing|\bnan\b|\binf\b", text), text
    if found.recommendation.action is Action.CONTINUE:
        told = " ".join(f.advice for f in found.findings if f.state is FindingState.FIRING)
        assert not re.search(r"\bfinish\b|\bend here\b|\bstop\b", told), told
