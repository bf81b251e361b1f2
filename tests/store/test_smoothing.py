"""Averages over a series that comes in pieces."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monitor.store.points.smoothing import Average, reach

series = arrays(
    np.float64,
    st.integers(1, 400),
    elements=st.one_of(st.floats(-100, 100), st.sampled_from([math.nan, math.inf, -math.inf])),
)
weights = st.one_of(st.floats(0, 0.9999), st.sampled_from([0.0, 1e-300, 0.5, 0.99]))


def smooth(y: np.ndarray, weight: float) -> np.ndarray:
    return Average(weight).extend(y, np.arange(len(y)))


@given(series, weights, st.lists(st.integers(0, 400), max_size=5))
def test_in_pieces_it_is_the_debiased_average_of_what_is_finite(y: np.ndarray, weight: float, cuts: list[int]) -> None:
    total = mass = 0.0
    wanted = []
    for value in y:
        if math.isfinite(value):
            total, mass = weight * total + value, weight * mass + 1
        wanted.append(total / mass if mass > 0 else math.nan)
    average = Average(weight)
    found = [average.extend(part, np.arange(len(part))) for part in np.split(y, sorted(cuts))]
    np.testing.assert_allclose(np.concatenate(found), wanted, rtol=1e-9, atol=1e-9)


@given(series, weights, st.data())
def test_what_is_asked_for_changes_nothing(y: np.ndarray, weight: float, data: st.DataObject) -> None:
    at = np.array(data.draw(st.lists(st.integers(0, len(y) - 1))), np.intp)
    np.testing.assert_array_equal(Average(weight).extend(y, at), smooth(y, weight)[at])


@pytest.mark.parametrize("weight", [0.5, 0.99, 0.9999])
def test_of_a_long_constant_it_is_the_constant(weight: float) -> None:
    np.testing.assert_allclose(smooth(np.full(100_000, 3.7), weight), 3.7, rtol=1e-9)


def test_it_goes_on_after_a_gap_however_long() -> None:
    found = smooth(np.concatenate([[1.0, 3.0], np.full(10_000, math.nan), [3.0]]), 0.5)
    np.testing.assert_allclose(found[[0, 1, 5000, -1]], [1.0, 7 / 3, 7 / 3, (0.25 * 1 + 0.5 * 3 + 3) / 1.75])


def test_the_largest_numbers_do_not_overflow() -> None:
    np.testing.assert_allclose(smooth(np.full(1000, 1e308), 0.9), 1e308, rtol=1e-9)


@pytest.mark.parametrize("weight", [0.0, 0.5, 0.9, 0.999])
def test_values_out_of_its_reach_change_no_bit(weight: float) -> None:
    y = np.random.default_rng(0).normal(size=60_000) + 1
    far = y.copy()
    far[: len(y) - reach(weight)] = 0.0
    assert smooth(y, weight)[-1] == pytest.approx(smooth(far, weight)[-1], rel=1e-15)
