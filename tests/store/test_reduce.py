"""Curves reduced to pixels, and smoothed."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monitor.store.points.reduce import reduce_curve

curves = arrays(
    np.float64,
    st.integers(1, 400),
    elements=st.one_of(st.floats(-100, 100), st.sampled_from([math.nan, math.inf, -math.inf])),
)


@given(curves, st.integers(1, 40), st.data())
def test_extremes_gaps_and_ends_are_kept_within_the_budget(y: np.ndarray, width: int, data: st.DataObject) -> None:
    steps = data.draw(arrays(np.int64, len(y), elements=st.integers(0, 50)))
    x = np.sort(steps).astype(float)
    index = reduce_curve(x, y, width)
    assert (np.diff(index) > 0).all()
    assert (index[0], index[-1]) == (0, len(y) - 1)
    assert len(index) <= max(5 * width + 2, 2 * width)
    shown, finite = y[index], y[np.isfinite(y)]
    if len(finite):
        kept = shown[np.isfinite(shown)]
        assert (kept.min(), kept.max()) == (finite.min(), finite.max())
    for bad in (np.isnan, np.isposinf, np.isneginf):
        assert bad(shown).any() == bad(y).any()


@given(st.integers(2_000, 20_000), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_every_pixel_shows_its_lowest_and_highest_point(n: int, width: int, seed: int) -> None:
    y = np.random.default_rng(seed).normal(size=n)
    x = np.arange(n, dtype=float)
    index = reduce_curve(x, y, width)
    pixel = np.minimum((x / x[-1] * width).astype(int), width - 1)
    kept = np.zeros(n, bool)
    kept[index] = True
    highest = [y[pixel == p].max() for p in range(width)]
    # A point exactly on the border of two pixels may be counted to either.
    shown = [y[kept & (np.abs(x / x[-1] * width - p - 0.5) <= 0.5 + 1e-9)].max() for p in range(width)]
    assert all(s >= h for s, h in zip(shown, highest, strict=True))


def test_alternating_gaps_stay_within_the_budget() -> None:
    y = np.where(np.arange(100_000) % 2, math.nan, 1.0)
    index = reduce_curve(np.arange(100_000.0), y, 100)
    assert len(index) <= 402
    assert np.isnan(y[index]).sum() >= 100


def test_a_single_gap_between_many_points_is_kept_as_one() -> None:
    y = np.ones(10_000)
    y[5_000:5_100] = math.nan
    index = reduce_curve(np.arange(10_000.0), y, 50)
    assert np.isnan(y[index]).sum() == 1
