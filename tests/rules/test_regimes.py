"""A curve told in regimes: what it did, stretch by stretch."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.domain import Regime
from monitor.rules import diagnose


def told(values: np.ndarray) -> list[Regime]:
    return list(diagnose(np.c_[np.arange(len(values)), values], unit="epoch").regimes)


def test_a_curve_is_told_as_a_person_would() -> None:
    t = np.arange(400)
    noise = 0.01 * np.random.default_rng(0).normal(size=400)
    level = np.where(t < 100, 2.3 * np.exp(-t / 60), np.where(t < 300, 0.43, 0.43 * np.exp((t - 300) / 100)))
    found = told(level * (1 + noise))
    assert [regime.kind for regime in found] == ["fall", "flat", "rise"]
    assert found[1].begin == pytest.approx(100, abs=24) and found[1].end == pytest.approx(300, abs=24)
    assert str(found[1]) == f"flat at {found[1].stop:.3g} until {found[1].end:g}"


def test_noise_alone_buys_no_regime() -> None:
    counts = [len(told(1 + 0.05 * np.random.default_rng(seed).normal(size=500))) for seed in range(40)]
    assert sum(count > 1 for count in counts) <= 2


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(-1e12, 1e12), max_size=150))
def test_regimes_follow_each_other_from_the_first_step_on_and_are_finite(values: list[float]) -> None:
    found = told(np.array(values, float))
    assert bool(found) == (len(values) >= 4)
    for before, after in pairwise(found):
        assert before.end == after.begin and before.kind != after.kind
    assert all(math.isfinite(level) for regime in found for level in (regime.start, regime.stop))


def test_a_loss_that_swings_is_not_told_as_flat() -> None:
    t = np.arange(300)
    noise = np.exp(0.02 * np.random.default_rng(1).normal(size=300))
    calm, swinging = np.exp(-t[:150] / 30) + 0.2, 0.2 * np.exp(np.where(t[150:] // 12 % 2, 1.2, 0.0))
    found = told(np.concatenate((calm, swinging)) * noise)
    assert found[-1].kind == "swing" and found[-1].start == pytest.approx(0.2, rel=0.1)
    assert str(found[-1]).startswith("swings between 0.")


@pytest.mark.parametrize("first", [35, 44, 100])
@pytest.mark.parametrize("count", [60, 126, 250])
def test_a_steep_descent_is_no_swing(first: float, count: int) -> None:
    turns = [0, 1, 2, 5, 11, 23, 51, 125]
    loss = np.c_[np.arange(count), np.interp(np.arange(count), turns, [first, 33, 28.3, 26.6, 21.3, 18.9, 28, 27.2])]
    kinds = [regime.kind for regime in diagnose(loss, loss, unit="epoch").regimes]
    assert "swing" not in kinds and kinds[0] in ("fall", "slow fall")


@pytest.mark.parametrize("period", [2, 6, 16])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e6])
def test_what_is_read_out_agrees_with_oscillation(period: int, scale: float) -> None:
    t = np.arange(240)
    noise = np.exp(0.05 * np.random.default_rng(period).normal(size=240))
    loss = scale * noise * np.exp(np.where(t // (period // 2) % 2, 1.5, 0.0))
    found = diagnose(np.c_[t, loss], np.c_[t, loss], unit="epoch")
    assert any(finding.rule == "oscillation" for finding in found.findings)
    assert {regime.kind for regime in found.regimes} == {"swing"}


def test_a_step_between_two_flat_stretches_is_told() -> None:
    level = np.where(np.arange(24) < 9, 1.0, 1.3)
    found = told(level * np.exp(0.1 * np.random.default_rng(3).normal(size=24)))
    assert [regime.kind for regime in found] != ["flat"]
