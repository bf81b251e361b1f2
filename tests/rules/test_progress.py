"""The generalisation gap and the rate: numbers that follow from the curve."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.domain import Progress
from monitor.domain.progress import Rate
from monitor.reader.decoding import decode
from monitor.rules import diagnose
from monitor.rules.describe.progress import _Part, _shapes


def seen(train: np.ndarray, val: np.ndarray | None = None, every: int = 50) -> Progress:
    rows = None if val is None else np.c_[np.arange(len(val))[::every], val[::every]]
    return diagnose(np.c_[np.arange(len(train)), train], rows).progress


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n)


@pytest.mark.parametrize(("n", "tau", "heading"), [(3000, 200, 0.3), (3000, 800, 0.0), (300, 100, 1.0), (50, 12, 0.3)])
def test_an_exponential_curve_gives_its_own_half_life_heading_and_milestones(n: int, tau: int, heading: float) -> None:
    rate = seen(heading + 2 * np.exp(-np.arange(n) / tau) + 1e-3 * noise(n)).rate
    assert rate is not None and rate.half_life is not None and rate.heading is not None
    assert rate.half_life == pytest.approx(tau * math.log(2), rel=0.03)
    assert rate.heading == pytest.approx(heading, abs=0.01)
    for milestone in rate.milestones:
        wanted = -tau * math.log(1 - milestone.share)
        assert milestone.step == pytest.approx(wanted, rel=0.06, abs=1.5 * rate.resolution)
        assert milestone.reached is (milestone.step < n)
    assert len(rate.milestones) == 3


def test_a_straight_line_has_no_half_life_and_noise_has_no_rate() -> None:
    line = seen(3 - np.arange(3000) / 2000 + 0.02 * noise(3000)).rate
    assert line is not None and line.half_life is None and line.heading is None
    assert [round(each.step, -2) for each in line.milestones] == [1400, 2500, 2700]
    assert all(seen(1 + 0.1 * noise(1000, seed)).rate is None for seed in range(20))


def test_a_loss_that_rises_again_heads_for_nothing() -> None:
    t = np.arange(3000)
    rate = seen(0.3 + 2 * np.exp(-t / 200) + np.maximum(0, t - 1000) * 2e-4).rate
    assert rate is not None and rate.heading is None and rate.end == pytest.approx(0.31, abs=0.02)


def test_the_gap_is_the_difference_and_its_trend_that_of_the_curves() -> None:
    t = np.arange(3000)
    train = 0.1 + 2 * np.exp(-t / 200) + 0.02 * noise(3000)
    val = 0.3 + 2 * np.exp(-t / 200) + 0.01 * noise(3000, 1)
    apart = seen(train, val + np.maximum(0, t - 1000) * 2e-4).gap
    assert apart is not None and apart.trend == "widening"
    assert apart.now == pytest.approx(apart.val - apart.train) == pytest.approx(0.58, abs=0.04)
    assert apart.before is not None and apart.since_step is not None
    assert apart.before == pytest.approx(0.2 + (apart.since_step - 1000) * 2e-4, abs=0.03)
    together = seen(train, val + np.minimum(1.0, 3000 / (t + 1)) - t / 3000).gap
    assert together is not None and together.trend == "narrowing"


def test_of_steady_gaps_hardly_one_is_called_widening() -> None:
    t = np.arange(1000)
    curve = 2 * np.exp(-t / 100)
    found = [
        seen(0.1 + curve + 0.02 * noise(1000, seed), 0.3 + curve + 0.03 * noise(1000, seed + 99), 20).gap
        for seed in range(60)
    ]
    assert sum(gap is not None and gap.trend != "steady" for gap in found) <= 1


@settings(max_examples=60)
@given(st.integers(0, 999), st.integers(8, 52), st.floats(0.1, 54), st.sampled_from([-math.inf, 0.0, 0.5]))
def test_the_squares_of_a_rate_are_those_of_a_plain_fit(seed: int, n: int, rate: float, floor: float) -> None:
    rng = np.random.default_rng(seed)
    t = np.sort(rng.uniform(size=n))
    t = (t - t[0]) / (t[-1] - t[0])
    levels = rng.uniform(0, 1) + np.exp(-rng.uniform(0.1, 20) * t) + 0.05 * rng.normal(size=n)
    (found,), (heading,) = _Part(t, levels, floor)._squares(_shapes(np.array([rate]), t), floor)
    shapes = np.c_[np.ones(n), np.exp(-rate * t)]
    plain = np.linalg.lstsq(shapes, levels, rcond=None)[0]
    if plain[1] < 0:
        plain = np.array([levels.mean(), 0.0])
    if plain[0] < floor:
        plain = np.array([floor, max(shapes[:, 1] @ (levels - floor) / (shapes[:, 1] @ shapes[:, 1]), 0.0)])
    assert heading == pytest.approx(plain[0], rel=1e-6, abs=1e-6)
    assert found == pytest.approx(float(((levels - shapes @ plain) ** 2).sum()), rel=1e-6, abs=1e-9)


def test_a_game_has_neither() -> None:
    t = np.arange(400)
    said = diagnose(2 * np.exp(-t / 50), 2 * np.exp(-t / 50), loss={"comparable": False}).progress
    assert said == Progress()


@settings(max_examples=80)
@given(st.lists(st.floats(-1e12, 1e12), max_size=120), st.lists(st.floats(-1e12, 1e12), max_size=60))
def test_any_two_curves_give_strict_json_that_reads_back(train: list[float], val: list[float]) -> None:
    said = diagnose(np.array(train, float), np.array(val, float)).progress
    assert decode(Progress, json.loads(json.dumps(said.to_dict(), allow_nan=False))) == said
    assert all(sentence.endswith(".") for sentence in said.sentences())


def test_sentences_count_what_the_run_counts() -> None:
    at = np.arange(60)
    found = diagnose(np.c_[at, np.exp(-at / 10)], np.c_[at, np.exp(-at / 10) + 0.01 * at], unit="epoch").progress
    said = " ".join(found.sentences())
    assert "epoch" in said and "step" not in said
    assert decode(Progress, json.loads(json.dumps(found.to_dict()))) == found


def test_a_gap_below_zero_that_shrinks_is_narrowing() -> None:
    t = np.arange(3000)
    train = 1.0 + 2 * np.exp(-t / 200)
    below = seen(train, train - 0.6 + np.maximum(0, t - 1000) * 2e-4).gap
    assert below is not None and below.now < 0 and below.trend == "narrowing"


def test_a_level_above_the_lowest_is_not_said_to_be_approached() -> None:
    above = Rate(series="training", start=2.0, end=1.5, half_life=3.0, heading=1.55)
    assert above.said("step").endswith("half-life 3 steps")
    assert replace(above, heading=1.5).said("step").endswith("half-life 3 steps, heading for 1.5")
