from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.rules.describe.trend import mann_kendall, turns
from monitor.rules.sketch.curve import BUCKET, LIMIT, QUARTER, Curve
from monitor.rules.sketch.segment import Segment


def pushed(values: list[float], capacity: int = 8, micro: int = 4) -> Curve:
    curve = Curve(capacity, micro)
    for step, value in enumerate(values):
        curve.push(value, float(step))
    return curve


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=300),
    st.lists(st.integers(1, 60)),
    st.sampled_from([-np.inf, 0.0, np.inf]),
)
def test_in_bulk_or_one_by_one_the_sketch_has_the_same_bits(values: list[float], cuts: list[int], level: float) -> None:
    bulk, at, array, steps = Curve(8, 4), 0, np.clip(np.array(values), -LIMIT, LIMIT), np.arange(float(len(values)))
    for cut in [*cuts, len(values)]:
        end = min(at + cut, len(values))
        while at < end:
            segment = Segment(bulk, array[at:end], steps[at:end], float(array.min()))
            at += segment.n
            while segment.at < segment.n:
                segment.take(min(segment.stop(level), segment.n))
            segment.release()
    assert bulk.to_bytes() == pushed(values).to_bytes()
    restored, length = Curve.from_bytes(bulk.to_bytes(), 0, bulk.capacity, bulk.micro_limit)
    assert restored.to_bytes() == bulk.to_bytes() and length == len(bulk.to_bytes())


@pytest.mark.parametrize("n", [7, 8, 9, 100, 10_000])
def test_the_whole_run_is_covered_by_a_bounded_number_of_buckets(n: int) -> None:
    curve = pushed([float(i) for i in range(n)])
    assert len(curve.x) < 8 and n - len(curve.x) * curve.size < curve.size
    assert curve.x == pytest.approx([(i + 0.5) * curve.size - 0.5 for i in range(len(curve.x))])
    assert (curve.best, curve.best_step, curve.n) == (0.0, 0.0, n)


def test_a_segment_stops_where_a_quarter_lies_above_the_level_and_otherwise_where_the_bucket_ends() -> None:
    curve = pushed([1.0] * 64)  # seven buckets at most: 4 of 16 points, a quarter of which is one block of 4
    values = np.ones(32)
    values[4:8] = 3.0
    segment = Segment(curve, values, np.arange(64.0, 96.0), 1.0)
    assert (curve.size, curve.m, segment.n) == (16, 4, 32)
    assert [segment.stop(level) for level in (-np.inf, 1.0, 2.0, 3.0, np.inf)] == [4, 8, 8, 16, 16]
    assert (segment.take(8), curve.quarters) == (QUARTER, [1.0, 3.0])
    assert segment.take(16) == BUCKET


def test_one_wild_value_does_not_move_the_centre_of_its_bucket() -> None:
    values = [1.0] * 64
    values[40] = 1e6
    curve = pushed(values)
    assert curve.x == [1.0] * len(curve.x)
    assert max(curve.peak) == pytest.approx(1e6, rel=1e-3)


def test_buckets_close_a_logarithmic_number_of_times() -> None:
    curve = Curve(8, 4)
    closed = sum(curve.push(1.0, float(i)) == BUCKET for i in range(100_000))
    assert closed < 4 * np.log2(100_000) + 8


def test_huge_values_are_clipped_and_stay_finite() -> None:
    curve = pushed([1e308, -1e308] * 50)
    assert max(abs(x) for x in curve.x) <= LIMIT and all(np.isfinite(curve.peak))


def test_a_rewind_forgets_what_reaches_the_step() -> None:
    curve = pushed([5.0, 4.0, 3.0, 2.0, 1.0])
    curve.rewind(3.0)
    assert (curve.x, curve.step, curve.best, curve.best_step) == ([5, 4, 3], [0, 1, 2], 3.0, 2.0)


@pytest.mark.parametrize(("x", "tau"), [([3, 2, 1], -1.0), ([1, 1, 1], 0.0), ([1, 3, 2, 4], 4 / 6), ([1, 2], 0.0)])
def test_kendall_counts_pairs(x: list[float], tau: float) -> None:
    assert mann_kendall(np.array(x, float))[0] == pytest.approx(tau)


def test_small_wiggles_are_no_turns() -> None:
    assert turns([0, 1, 0.5, 1, 0.5, 1], 0.8) == 1
