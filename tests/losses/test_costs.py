"""Thresholds by costs: what they cost is the least that any threshold costs."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import losses
from monitor.errors import LossError

COST = st.floats(0.01, 1000)
ROWS = st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 1)), min_size=1, max_size=12)


@given(COST, COST, ROWS)
def test_no_threshold_costs_less_than_the_one_from_data(
    alarm: float, miss: float, rows: list[tuple[float, int]]
) -> None:
    scores, labels = zip(*rows, strict=True)
    found = losses.cost_threshold(alarm, miss, scores, labels)
    cost = losses.expected_cost(scores, labels, alarm, miss, threshold=found)
    for other in (-math.inf, *scores):
        assert cost <= losses.expected_cost(scores, labels, alarm, miss, threshold=other) * (1 + 1e-9)


def test_honest_probabilities_cost_least_at_the_threshold_of_the_costs() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(200_000)
    labels = (rng.random(len(p)) < p).astype(int)
    at = {t: losses.expected_cost(p, labels, 1, 10, threshold=t) for t in (0.03, 1 / 11, 0.2, 0.5)}
    assert min(at, key=lambda t: at[t]) == 1 / 11 == losses.cost_threshold(1, 10)
    assert losses.expected_cost(p, labels, 1, 10) == at[1 / 11]
    assert losses.cost_threshold(1, 10, p, labels) == pytest.approx(1 / 11, abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((0.0, 1.0), "cost of a false alarm is 0.0"),
        ((1.0, math.inf), "cost of a miss is inf"),
        ((1.0, 1.0, [0.1], [0, 1]), "as many finite scores as labels"),
        ((1.0, 1.0, [math.nan], [0]), "as many finite scores as labels"),
        ((1.0, 1.0, [0.1], [2]), "neither 0 nor 1"),
        ((1.0, 1.0, [], []), "as many finite scores as labels"),
    ],
)
def test_what_cannot_be_used_is_said(arguments: tuple[object, ...], said: str) -> None:
    with pytest.raises(LossError, match=said):
        losses.cost_threshold(*arguments)  # type: ignore[arg-type]  # wrong on purpose


def test_a_threshold_lies_between_neighbouring_floats_too() -> None:
    one = math.nextafter(1.0, 2)
    for low, high in itertools.pairwise([1.0, one, math.nextafter(one, 2)]):
        assert low <= losses.cost_threshold(1, 1, [low, high], [0, 1]) < high
