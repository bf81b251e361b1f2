"""Swings within the buckets: told from noise, whatever the length of a run."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.rules import diagnose
from monitor.rules.describe import swings
from monitor.rules.describe.view import View
from monitor.rules.sketch.curve import Curve


def firing(train: np.ndarray, val: np.ndarray, unit: str) -> set[str]:
    return {finding.rule for finding in diagnose(train, val, unit=unit).findings if finding.state == "firing"}


@pytest.mark.parametrize(("n", "noise"), [(2_000, 0.3), (60_000, 0.3), (100_000, 0.15), (400_000, 0.15)])
def test_noise_of_batches_is_no_oscillation_however_many_points_a_bucket_has(n: int, noise: float) -> None:
    for seed in range(3):
        rng, t = np.random.default_rng(seed), np.arange(n)
        train = (2 * (1 + 200 * t / n) ** -0.35 + 0.3) * np.exp(noise * rng.normal(size=n))
        at = t[n // 40 - 1 :: n // 40]
        val = (2 * (1 + 200 * at / n) ** -0.35 + 0.3) * np.exp(0.01 * rng.normal(size=len(at)))
        assert "oscillation" not in firing(np.c_[t, train], np.c_[at, val], "step")


def test_noise_of_epochs_is_no_oscillation_however_many_there_are() -> None:
    n = 20_000
    for seed in range(4):
        rng, t = np.random.default_rng(seed), np.arange(n)
        level = 0.4 + 3 * np.exp(-10 * t / n)
        train, val = (level * np.exp(0.2 * rng.normal(size=n)) for _ in range(2))
        assert "oscillation" not in firing(np.c_[t, train], np.c_[t, val], "epoch")


@pytest.mark.parametrize("cycles", [20, 80])
def test_saw_teeth_within_the_buckets_are_an_oscillation(cycles: int) -> None:
    t = np.arange(20_000)
    train = (
        0.01 * 10 ** (2 * (1 - (t * cycles / len(t)) % 1)) * np.exp(0.05 * np.random.default_rng(0).normal(size=len(t)))
    )
    at = t[499::500]
    assert "oscillation" in firing(np.c_[t, train], np.c_[at, train[499::500]], "step")


@settings(max_examples=200)
@given(st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=200), st.floats(0.001, 1), st.sampled_from([-1e6, np.nan]))
def test_what_is_told_without_a_logarithm_is_what_the_logarithm_tells(
    values: list[float], swing: float, floor: float
) -> None:
    curve = Curve(40, 16)
    for step, value in enumerate(values):
        curve.push(value, float(step))
    view = View(curve, floor)
    half = view.closed // 2
    if view.closed and swings._level(view, swing, half, view.closed):
        height, span = view.extent(half, view.closed)
        assert span < swings._DECADE and not view.reaches(height, span, swing)
