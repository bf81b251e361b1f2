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
    step = np.arange(0.0, 90)
    found = diagnose(np.c_[step, 0.05 + np.exp(-step / 35)], np.c_[step, 1.06 + 0.0028 * step])
    assert found.verdict == "overfitting" and found.recommendation.first_stop_step == 9
    floor = diagnose(np.c_[step, 0.05 + np.exp(-step / 4)], np.c_[step, 1.06 + 0.0028 * step])
    assert floor.verdict == "stagnation" and floor.recommendation.first_stop_step is None


def test_two_classes_are_not_memorised_before_they_are_generalised() -> None:
    step = np.arange(0.0, 90)
    floor = diagnose(np.c_[step, 0.05 + 0.63 * np.exp(-step / 4)], np.c_[step, 0.69 + 0.0018 * step])
    assert floor.verdict == "overfitting"


def test_a_rise_that_comes_down_again_is_not_stopped() -> None:
    """Training blew up in its third epoch and is back; validation is on its way back."""
    train = series(np.array([19.4, 4.5, 1117.9, 11.7, 6.2, 4.9, 4.2, 3.8, 3.0, 2.9]))
    val = series(np.array([3.66, 3.65, 5.72, 5.79, 5.69, 5.45, 5.24, 5.01, 4.95, 4.83]))
    assert diagnose(train, val, unit="epoch").recommendation.first_stop_step is None


def test_training_at_zero_that_zig_zags_hides_no_overfitting() -> None:
    train = series(np.array([0.087, 0.09, 0.056, 0.121, 0.007, 0.06, 0.015, 0.091, 0.063, 0.068]))
    val = series(np.array([0.748, 0.556, 0.566, 0.654, 0.651, 0.761, 0.802, 0.932, 0.896, 0.985]))
    assert diagnose(train, val, unit="epoch").verdict == "overfitting"


def test_one_jump_of_a_noisy_validation_loss_is_no_rise() -> None:
    train = series(np.array([0.0089, 0.0057, 0.0051, 0.0048, 0.0046, 0.0043]))
    val = series(np.array([0.0136, 0.013, 0.0137, 0.0146, 0.0144, 0.025]))
    assert diagnose(train, val, unit="epoch").recommendation.first_stop_step is None


def test_most_short_runs_that_overfit_are_told_so() -> None:
    told, u = 0, np.arange(6) / 5
    for seed in range(40):
        rng = np.random.default_rng(seed)
        train, shape = 0.7 * np.exp(-3 * u), np.where(u < 0.3, 0.72 - 0.73 * u, 0.5 + 0.28 * (u - 0.3))
        found = diagnose(*(series(x * (1 + 0.03 * rng.normal(size=6))) for x in (train, shape)), unit="epoch")
        told += found.verdict == "overfitting"
    assert told >= 38  # 32 where the fall of training does not count


def series(values: np.ndarray) -> np.ndarray:
    return np.c_[np.arange(1.0, len(values) + 1), values]


@pytest.mark.parametrize("step", [np.arange(30.0), np.arange(1.0, 31.0)], ids=["from 0", "from 1"])
def test_a_log_of_epochs_that_calls_them_steps_overfits_as_one_that_calls_them_epochs(step: np.ndarray) -> None:
    t = np.arange(30)
    train, val = np.c_[step, 0.2 + 1.8 * 0.9**t], np.c_[step, 0.8 + 0.9 * 0.8**t + 0.02 * t]
    steps, epochs = (diagnose(train, val, unit=unit) for unit in ("step", "epoch"))
    assert steps.verdict == epochs.verdict == "overfitting"
    assert [f.fired_step for f in steps.findings] == [f.fired_step for f in epochs.findings]


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


def test_a_sure_rise_is_told_though_the_batches_are_too_noisy_to_show_a_fall() -> None:
    rng = np.random.default_rng(3)
    n = np.arange(40)
    val = 0.18 * (1 + 0.22 * np.clip((n - 4) / 35, 0, 1)) * np.exp(0.015 * rng.normal(size=40))
    val[0] = 0.32
    train = 0.5 * np.exp(0.8 * rng.normal(size=800))
    found = diagnose(np.c_[np.arange(800), train], np.c_[n * 20, val])
    assert found.verdict == "overfitting"


@pytest.mark.parametrize("first", [0.85, 0.95, 1.3])
def test_one_easy_first_batch_does_not_make_a_fine_tuning_memorise(first: float) -> None:
    t, at = np.arange(900), np.arange(75, 901, 75) - 1
    train = np.where(t < 300, 1.1, np.where(t < 600, 0.7, 0.35)) * np.exp(
        0.05 * np.random.default_rng(0).normal(size=900)
    )
    train[0] = first
    val = np.array([1.05, 0.98, 0.97, 0.96, 0.99, 1.03, 1.07, 1.12, 1.17, 1.22, 1.27, 1.3])
    found = diagnose(np.c_[t, train], np.c_[at, val])
    assert found.verdict == "overfitting" and found.recommendation.first_stop_step is not None


def test_a_leap_of_two_evaluations_is_no_overfitting_yet() -> None:
    stopped = 0
    for seed in range(40):
        rng, e = np.random.default_rng(seed), np.arange(1, 61)
        calm = 2.2 * np.exp(-e / 30) * np.exp(0.08 * rng.normal(size=60))
        val = calm * np.where(rng.random(60) < 0.15, np.exp(rng.uniform(0.3, 2, 60)), 1)
        found = diagnose(np.c_[e, 2 * np.exp(-e / 30)], np.c_[e, val], unit="epoch")
        stopped += found.recommendation.first_stop_step is not None
    assert stopped <= 3


def test_a_rise_by_half_is_material_however_high_the_loss_began() -> None:
    """A regression on raw targets begins a thousand times above the level at which it overfits."""
    epoch = np.arange(1.0, 31.0)
    train = 400 * np.exp(-epoch / 1.3) + 0.4 * np.exp(-epoch / 7)
    val = 220 * np.exp(-epoch / 1.4) + 0.2 + 0.012 * np.maximum(epoch - 17, 0)
    wiggle = np.exp(0.03 * np.random.default_rng(0).normal(size=30))
    assert diagnose(np.c_[epoch, train], np.c_[epoch, val * wiggle], unit="epoch").verdict == "overfitting"
