"""What counts as no progress: against noise, near zero, with few evaluations, and after progress that was lost."""

from __future__ import annotations

import math

import numpy as np
import pytest

from monitor.rules import diagnose
from monitor.rules.rule import Reading
from monitor.rules.rules.guessing import could_guess, guessing
from monitor.rules.rules.stagnation import Stagnation


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n)


def every(n: int, values: np.ndarray) -> np.ndarray:
    """Evaluations spread over n steps, rows of (step, value)."""
    return np.c_[np.linspace(n / len(values), n, len(values)) - 1, values]


def steps(values: np.ndarray) -> np.ndarray:
    return np.c_[np.arange(len(values)), values]


def stagnates(train: np.ndarray, val: np.ndarray) -> list[float]:
    """The steps at which stagnation fired."""
    return [f.fired_step for f in diagnose(train, val).findings if f.rule == "stagnation"]


def test_what_was_learned_and_lost_again_is_no_stagnation() -> None:
    t = np.arange(800)
    jump = np.where(t > 400, 1.4 + 4 * np.exp(-(t - 400) / 20), 0)
    train = 2.3 - 1.5 * (1 - np.exp(-t / 60)) + jump
    assert stagnates(steps(train + 0.02 * noise(800)), every(800, train[19::20])) == []


@pytest.mark.parametrize("spread", [0.2, 0.5, 0.9])
def test_a_loss_that_fell_in_its_first_steps_is_not_said_to_be_where_it_began(spread: float) -> None:
    train = np.where(np.arange(300) < 8, 2.34, 0.6 * np.exp(spread * noise(300)))
    found = diagnose(steps(train), every(300, np.r_[2.34, 0.6 * np.exp(spread * noise(14, 50))]))
    told = [found.headline, *(f.explanation for f in found.findings if f.rule == "stagnation")]
    assert not any("No progress: 2.34" in text for text in told)


def test_what_is_flat_after_a_fall_in_the_first_steps_is_said_so() -> None:
    evidence = {"first": 2.34, "level": 0.51, "limit": 0.05}
    text, _ = Stagnation().explain(Reading(0, evidence), "step")
    assert text.startswith("No progress after the first steps: 2.34 at the start, about 0.51 ever since")


def test_four_evaluations_do_beside_four_hundred_training_points() -> None:
    train, val = 2.3 + 0.05 * noise(700), 2.3 + 0.01 * noise(7, 1)
    assert diagnose(steps(train), every(700, val)).verdict == "stagnation"
    assert stagnates(steps(train[:350]), every(350, val)) == []


def test_a_first_evaluation_takes_nothing_back() -> None:
    found = diagnose(steps(2.3 + 0.05 * noise(1000)), np.array([[700, 2.3], [999, 2.3]]))
    assert [(f.fired_step, f.resolved_step) for f in found.findings if f.rule == "stagnation"] == [(447, None)]


def test_four_hundred_training_points_are_asked_for_without_an_evaluation() -> None:
    alone = steps(2.3 + 0.05 * noise(390))
    assert stagnates(alone, np.empty((0, 2))) == []
    assert stagnates(alone, every(390, np.full(39, 2.3))) == [111]


def test_what_noise_adds_to_a_small_drop_is_not_taken_for_progress_that_goes_on() -> None:
    fell = 2.303 * (1 - 0.02 * (1 - np.exp(-20 * np.arange(1500) / 1500)))

    def told(seed: int) -> int:
        val = fell[49::50] + 0.006 * noise(30, seed + 50)
        return len(stagnates(steps(fell + 0.003 * noise(1500, seed)), every(1500, val)))

    assert max(told(seed) for seed in range(12)) <= 2  # 33 findings in all where every half of a drop counts


def test_a_loss_that_has_not_come_down_is_not_said_to_have_come_down() -> None:
    found = diagnose(steps(2.3 + 0.01 * noise(300)), every(300, 2.4 + 0.002 * np.arange(30)))
    assert found.headline.startswith("No progress: 2.4 at the start, 2.4") and "-" not in found.headline


@pytest.mark.parametrize("classes", [2, 3, 10, 12, 16, 100, 1000, 50_257])
def test_a_level_names_the_number_of_classes_that_it_is_the_logarithm_of(classes: int) -> None:
    assert guessing(math.log(classes), math.nan) == {"classes": classes}


def test_a_level_between_two_large_numbers_of_classes_names_none() -> None:
    assert could_guess(4.5, math.nan) and guessing(4.5, math.nan) == {}


def test_swings_that_dwarf_the_start_are_not_taken_for_no_progress() -> None:
    t = np.arange(260)
    train = 1.3 + 0.3 * noise(260) + np.exp(-t / 10)
    val = np.array([2.34, 1.62, 0.7, 0.46, 0.72, 1.19, 0.58, 0.45, 1.28, 0.51, 0.61, 0.4, 0.41])
    assert stagnates(steps(train), np.c_[np.arange(13) * 20, val]) == []
