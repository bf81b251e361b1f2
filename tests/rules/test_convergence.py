"""When a loss counts as flat, and what decides."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.domain import FindingState
from monitor.rules import Engine, diagnose
from monitor.rules.sketch.points import EnginePoints


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n)


def steps(values: np.ndarray, every: int = 1) -> np.ndarray:
    return np.c_[np.arange(len(values)) * every, values]


def test_the_sentence_says_what_decided() -> None:
    fell = 0.3 + 2 * np.exp(-np.arange(60) / 3)
    headline = diagnose(steps(fell), steps(fell), unit="epoch").headline
    assert headline == "The loss is flat: about 0.3 now, 0.3 around epoch 47."


def test_a_loss_that_falls_by_a_third_of_its_level_has_not_converged_however_far_it_came() -> None:
    epoch = np.arange(1.0, 301.0)
    level = 5e4 * np.exp(-epoch / 3) + 1000 * np.exp(-epoch / 70)
    assert diagnose(np.c_[epoch, level], np.c_[epoch, level], unit="epoch").verdict == "improving"


def test_a_training_loss_alone_is_not_called_flat_within_its_first_hundred_steps() -> None:
    train = steps(0.3 + 2 * np.exp(-np.arange(400) / 4) + 0.02 * noise(400))
    assert min(f.fired_step for f in diagnose(train).findings if f.rule == "convergence") == 99


def test_a_run_that_makes_no_progress_has_not_converged() -> None:
    small = 2.303 * (1 - 0.03 * (1 - np.exp(-np.arange(600) / 20)))
    found = diagnose(steps(small + 0.02 * noise(600)), steps(small[::20], 20))
    assert found.verdict == "stagnation"
    assert "convergence" not in {f.rule for f in found.findings if f.state is FindingState.FIRING}


def test_validation_that_comes_after_all_of_training_ends_what_was_said_of_it_at_no_earlier_step() -> None:
    values = 0.3 + 2 * np.exp(-np.arange(2000) / 300)
    early = EnginePoints(
        np.r_[0, 1, 0, 1, np.zeros(1998)].astype("u1"),
        np.r_[0, 0, 1, 1, 2:2000.0],
        values[[0, 0, *range(1, 1999), 1999, 1999]][:2002],
    )
    engine = Engine()
    first = engine.update(engine.start(), early)
    late = EnginePoints(np.ones(20, "u1"), np.arange(2.0, 22.0), values[::100])
    over = [f for f in engine.update(first.state, late).changes if f.rule == "metric_missing"]
    assert [(f.state, f.fired_step, f.resolved_step) for f in over] == [(FindingState.RESOLVED, 22, 22)]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(9, 120), noisy=st.floats(0.001, 0.1), pace=st.floats(0.5, 20))
def test_the_numbers_of_a_sentence_are_the_curves(seed: int, n: int, noisy: float, pace: float) -> None:
    curve = (0.3 + 2 * np.exp(-pace * np.arange(n) / n)) * np.exp(noisy * noise(n, seed))
    found = diagnose(steps(curve), steps(curve), unit="epoch")
    told = re.fullmatch(r"The loss is .*: about (\S+) now, (\S+) around epoch (\d+)[.,].*", found.headline)
    if told is None:
        return
    now, before, since = float(told[1]), float(told[2]), int(told[3])
    assert curve[-12:].min() * 0.999 <= now <= curve[-12:].max() * 1.001
    near = curve[max(0, since - 6) : since + 7]
    assert near.min() * 0.999 <= before <= near.max() * 1.001


@pytest.mark.parametrize("seed", range(4))
def test_a_slow_steady_fall_in_noise_is_never_called_flat(seed: int) -> None:
    fall = np.exp(-1.5 * np.arange(100) / 100 + 0.03 * noise(100, seed))
    found = diagnose(steps(fall), steps(fall), unit="epoch")
    assert "convergence" not in {f.rule for f in found.findings}


def test_what_comes_back_from_a_rise_is_not_improving() -> None:
    back = np.concatenate([np.linspace(1.2, 2.2, 10), np.linspace(2.1, 1.7, 20)])
    assert "improving" not in {f.rule for f in diagnose(steps(back), steps(back), unit="epoch").findings}


def test_a_validation_loss_that_shows_little_of_what_training_learned_is_flat_all_the_same() -> None:
    epoch = np.arange(24)
    train = 2.48 + 0.35 * np.exp(-epoch / 3) + 0.003 * noise(24, 1)
    val = 2.49 + 0.1 * np.exp(-epoch / 4) + 0.003 * noise(24, 2)
    assert diagnose(steps(train), steps(val), unit="epoch").verdict == "convergence"
    untrained = diagnose(steps(2.5 + 0.003 * noise(24, 1)), steps(val), unit="epoch")
    assert untrained.verdict != "convergence"
