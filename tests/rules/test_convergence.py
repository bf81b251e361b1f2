"""When a loss counts as flat, and what decides."""

from __future__ import annotations

import numpy as np

from monitor.domain import FindingState
from monitor.rules import Engine, diagnose
from monitor.rules.points import EnginePoints


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n)


def steps(values: np.ndarray, every: int = 1) -> np.ndarray:
    return np.c_[np.arange(len(values)) * every, values]


def test_the_sentence_says_what_decided() -> None:
    fell = 0.3 + 2 * np.exp(-np.arange(60) / 3)
    assert "gained nothing (a gain up to" in diagnose(steps(fell), steps(fell), unit="epoch").headline
    hidden = diagnose(steps(fell), steps(fell + 0.1 * noise(60, 6)), unit="epoch").headline
    assert hidden.endswith("of the range of 2.19 (no more than the noise of 0.091, and without a trend).")


def test_a_training_loss_alone_is_not_called_flat_within_its_first_hundred_steps() -> None:
    train = steps(0.3 + 2 * np.exp(-np.arange(400) / 4) + 0.02 * noise(400))
    assert min(f.fired_step for f in diagnose(train).findings if f.rule == "convergence") == 99
    assert min(f.fired_step for f in diagnose(train, unit="epoch").findings if f.rule == "convergence") < 50


def test_a_run_that_makes_no_progress_has_not_converged() -> None:
    small = 2.303 * (1 - 0.03 * (1 - np.exp(-np.arange(600) / 20)))
    found = diagnose(steps(small + 0.02 * noise(600)), steps(small[::20], 20))
    assert found.verdict == "stagnation"
    assert "convergence" not in {f.rule for f in found.findings if f.state is FindingState.FIRING}


def test_validation_that_comes_after_all_of_training_ends_what_was_said_of_it_at_no_earlier_step() -> None:
    engine, values = Engine(), 0.3 + 2 * np.exp(-np.arange(2000) / 300)
    first = engine.update(engine.start(), EnginePoints(np.zeros(2000, "u1"), np.arange(2000.0), values))
    late = EnginePoints(np.ones(20, "u1"), np.arange(0.0, 2000.0, 100.0), values[::100])
    over = [f for f in engine.update(first.state, late).changes if f.rule == "metric_missing"]
    assert [(f.state, f.fired_step, f.resolved_step) for f in over] == [(FindingState.RESOLVED, 1023, 1023)]
