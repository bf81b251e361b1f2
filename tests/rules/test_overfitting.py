"""Rule `overfitting` where validation has hardly come down: delayed generalisation against memorising."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.domain import Diagnosis
from monitor.rules import diagnose
from tests.rules.test_null import wandering

STEP = np.arange(0.0, 2000.0, 5)
EVAL = np.arange(20.0, 2000.0, 20)
WANDERED = (243,)
"""Runs of `benchmarks/null_curves.py` on which a rise like earlier ones was taken for overfitting."""


def memorised(back: float, offset: float = 0.0, evals: np.ndarray = EVAL) -> Diagnosis:
    """Training is at its floor at once; validation, first seen after 20 steps, doubles, and comes `back` or goes on."""
    train = 0.02 + 3.4 * np.exp(-STEP / 20)
    val = 5 + 6 * (1 - np.exp(-(evals - 20) / 15)) + 1e-4 * evals - back * np.maximum(evals - 60, 0) / 1000
    return diagnose(np.c_[STEP, train + offset], np.c_[evals, val + offset], loss={"comparable": True})


def test_validation_that_comes_down_from_a_peak_above_the_untrained_level_is_never_stopped() -> None:
    found = memorised(back=8.0)
    assert "overfitting" not in {f.rule for f in found.findings}
    assert found.recommendation.first_stop_step is None


def test_validation_that_stays_above_the_untrained_level_is_looked_at_for_long_before_it_is_overfitting() -> None:
    found = memorised(back=0.0)
    assert found.recommendation.action == "investigate" and found.recommendation.first_stop_step is None
    assert "look for a validation loss that begins to fall" in found.recommendation.reason
    assert memorised(back=0.0, evals=np.arange(20.0, 2000.0, 10)).verdict == "overfitting"


def test_four_evaluations_say_little_of_a_run_that_has_not_generalised_yet() -> None:
    train = 0.1 + 2 * np.exp(-STEP / 60)
    val = 2.0 + np.where(EVAL <= 100, 0.1 * (EVAL - 20) / 20, 0.4 * np.exp(-(EVAL - 100) / 50) - 1)
    found = diagnose(np.c_[STEP, train], np.c_[EVAL, val])
    assert "overfitting" not in {f.rule for f in found.findings}
    assert found.recommendation.first_stop_step is None


def test_memorising_on_against_a_rising_validation_loss_is_overfitting_and_not_delayed_generalisation() -> None:
    step = np.arange(0.0, 150)
    found = diagnose(np.c_[step, 0.05 + 0.63 * np.exp(-step / 35)], np.c_[step, 0.69 + 0.0018 * step])
    assert found.verdict == "overfitting" and found.recommendation.first_stop_step == 24
    floor = diagnose(np.c_[step, 0.05 + 0.63 * np.exp(-step / 4)], np.c_[step, 0.69 + 0.0018 * step])
    assert floor.verdict == "stagnation" and floor.recommendation.first_stop_step is None


@pytest.mark.parametrize("seed", WANDERED)
def test_a_rise_that_is_little_larger_than_one_that_was_made_good_is_another_one(seed: int) -> None:
    rng, step = np.random.default_rng([seed, 97, 1]), np.arange(5000)
    base = 1 + 2 * np.exp(-step / 500)
    train, val = (np.c_[step, base + 0.05 * wandering(rng, 5000, 0.97)][:400] for _ in range(2))
    assert "overfitting" not in {f.rule for f in diagnose(train, val).findings}


@pytest.mark.parametrize("unit", ["step", "epoch"])
def test_steps_that_are_each_validated_are_judged_as_epochs(unit: str) -> None:
    step = np.arange(40.0)
    train = np.c_[step, 1.9 * np.exp(-step / 14)]
    val = np.c_[step, 1.6 * np.exp(-step / 14) + 0.3 + 0.05 * np.maximum(0, step - 10)]
    assert diagnose(train, val, unit=unit).verdict == "overfitting"
