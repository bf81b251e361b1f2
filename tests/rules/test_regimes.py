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
