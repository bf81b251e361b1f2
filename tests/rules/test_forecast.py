from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.domain import Forecast
from monitor.rules import diagnose
from monitor.rules.advice.forecast import forecast
from monitor.rules.describe.view import View
from monitor.rules.sketch.curve import Curve


def view(values: np.ndarray) -> View:
    curve = Curve(40, 16)
    for step, value in enumerate(values):
        curve.push(float(value), float(step))
    return View(curve)


def foreseen(values: np.ndarray) -> Forecast:
    outlook = forecast(view(values))
    assert outlook is not None
    return outlook


@pytest.mark.parametrize("shape", ["power", "exponential", "flat"])
def test_the_interval_covers_where_the_curve_goes(shape: str) -> None:
    t = np.arange(900)
    clean = {"power": 1 + 3 * (t + 1) ** -0.5, "exponential": 1 + 3 * np.exp(-t / 200), "flat": 1 + 0 * t}[shape]
    hits = 0
    for seed in range(20):
        seen = clean[:600] + 0.02 * np.random.default_rng(seed).normal(size=600)
        outlook = foreseen(seen)
        hits += outlook.low <= clean[-1] <= outlook.high
        assert outlook.steps == pytest.approx(300, rel=0.1)
    assert hits >= 17


def test_a_curve_that_still_falls_is_expected_to_gain_and_a_flat_one_is_not() -> None:
    t = np.arange(400)
    falling, flat = foreseen(3 - t / 200), foreseen(1 + 2 * np.exp(-t / 10))
    assert falling.gain > 0.1
    assert flat.gain < 0.02


def test_too_few_points_give_no_forecast() -> None:
    assert forecast(view(np.arange(5))) is None


def test_it_looks_half_as_far_ahead_as_the_run_has_come_and_counts_since_its_best() -> None:
    curve = Curve(40, 16)
    for at in range(31):
        curve.push(max(abs(21.0 - at), 1.0), 1000.0 + at)
    outlook = forecast(View(curve))
    assert outlook is not None
    assert (outlook.from_step, outlook.steps) == (1030.0, 15.0)
    assert outlook.buckets_since_best == 10


def test_a_constant_curve_gives_a_finite_forecast() -> None:
    assert all(np.isfinite(value) for value in asdict(foreseen(np.full(50, 2.3))).values())


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-9, 6), st.floats(0.0, 1.5), st.sampled_from([12, 60, 700]), st.integers(0, 10**6), st.floats(0, 1)
)  # fmt: skip
def test_no_forecast_falls_through_the_floor(decade: float, noise: float, n: int, seed: int, floor: float) -> None:
    fall = np.exp(-6 * np.arange(n) / n) * 10**decade
    values = floor * 10**decade + fall * np.exp(noise * np.random.default_rng(seed).normal(size=n))
    curve = Curve(40, 16)
    for step, value in enumerate(values):
        curve.push(float(value), float(step))
    for known in (float("nan"), floor * 10**decade):
        least = 0.0 if np.isnan(known) else known
        outlook = forecast(View(curve, known))
        if outlook is not None:
            assert least <= outlook.low <= outlook.expected <= outlook.high
            assert least <= outlook.level and 0 <= outlook.gain_low <= outlook.gain <= outlook.gain_high


def test_a_loss_below_zero_may_be_expected_to_fall_further() -> None:
    falling = foreseen(-np.arange(400) / 200 - 1)
    assert falling.expected < falling.level < 0


@given(st.lists(st.floats(0, 1e6), min_size=50, max_size=120))
def test_the_interval_of_a_loss_that_is_never_negative_is_not_either(values: list[float]) -> None:
    outlook = foreseen(np.array(values))
    assert 0 <= outlook.low <= outlook.expected <= outlook.high
    assert 0 <= outlook.gain_low <= outlook.gain <= outlook.gain_high


def test_of_a_loss_of_exactly_zero_nothing_is_to_be_gained() -> None:
    outlook = diagnose(np.concatenate([np.exp(-np.arange(20.0)), np.zeros(200)])).recommendation
    assert outlook.forecast is not None and outlook.forecast.gain == 0
    assert "e-300" not in outlook.reason


@pytest.mark.parametrize("seed", range(4))
def test_an_open_bucket_does_not_change_the_forecast(seed: int) -> None:
    curve, rng = Curve(40, 16), np.random.default_rng(seed)
    while len(curve.x) != 30 or curve.size != 8:
        curve.push(2 + 0.3 * rng.normal(), float(curve.n))
    before = forecast(View(curve))
    while not curve.quarters:
        curve.push(9.0, float(curve.n))
    assert forecast(View(curve)) == before
