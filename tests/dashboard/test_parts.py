from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import parts
from dashboard.charts import parts as pictures
from dashboard.parts import Parts, Weighting
from monitor import losses
from monitor.domain import Curve
from monitor.wire import Event

from .conftest import LOOK, checked, curve, trace

PLAIN = Weighting({}, (), "not weighted")
sizes = st.floats(0, 1e6, width=32)


def told(step: object, weights: object, kind: str = "weights") -> Event:
    """An event that tells weights."""
    return Event(kind=kind, record=0, time_ms=0, data={"step": step, "weights": weights})


def made(total: Curve | None = None, weights: Weighting = PLAIN, **values: list[float]) -> Parts:
    """Parts over steps 0, 1, 2…"""
    return parts.aligned({name: curve(v) for name, v in values.items()}, weights, total)


@given(st.lists(st.tuples(sizes, sizes, sizes), min_size=1, max_size=40))
def test_shares_of_parts_add_up_to_one_wherever_there_is_a_sum(rows: list[tuple[float, float, float]]) -> None:
    a, b, c = (list(column) for column in zip(*rows, strict=True))
    found = made(a=a, b=b, c=c)
    summed = np.sum(list(found.shares().values()), axis=0)
    for whole, share in zip(found.sum, summed, strict=True):
        assert math.isnan(share) if whole == 0 else share == pytest.approx(1)
    assert all(((v >= 0) & (v <= 1) | np.isnan(v)).all() for v in found.shares().values())


def test_a_weight_holds_from_its_step_on_until_the_next_one() -> None:
    weights = parts.weighting([told(4, {"l2": 0.1}), told(2, {"loss/l2": 10.0})], None)
    assert weights.at("l2", np.arange(6.0)).tolist() == [1, 1, 10, 10, 0.1, 0.1]
    assert weights.at("data", np.arange(2.0)).tolist() == [1, 1]
    assert weights.dynamic
    found = made(weights=weights, data=[1.0] * 6, l2=[1.0] * 6)
    assert found.shares()["l2"][2] == pytest.approx(10 / 11)
    assert any("before step 2 no weight was logged" in said for said in parts.captions(found, weights))


def test_the_weights_of_the_specification_hold_where_none_was_logged() -> None:
    spec = losses.Composite({"data": losses.MSE(1.0), "l2": losses.Custom(floor=0.0)}, weights={"l2": 0.01})
    weights = parts.weighting([], spec.to_dict())
    assert weights.at("l2", np.zeros(1)).tolist() == [0.01]
    assert weights.source == "weights of the loss' specification"
    assert not weights.dynamic


@pytest.mark.parametrize("event", [
    told(None, {"a": 1.0}), told(1, None), told(1, [1.0]), told(1, {"a": "much"}), told(1, {"a": math.nan}),
    told(1, {"a": True}), told(1, {"a": 2.0}, kind="alert"),
])  # fmt: skip
def test_weights_that_are_none_are_left_out(event: Event) -> None:
    assert parts.weighting([event], {"params": {"weights": "none"}}) == PLAIN


def test_parts_of_different_steps_are_read_between_their_points_and_count_nothing_before_them() -> None:
    late = curve([2.0, 4.0], x=[2, 4])
    found = parts.aligned({"data": curve([1.0] * 6), "late": late}, PLAIN, curve([1, 1, 3, 4, 5, 1]))
    assert found.values["late"].tolist() == [0, 0, 2, 3, 4, 0]
    assert "the parts add up to the total" in parts.captions(found, PLAIN)


def test_a_part_that_is_not_finite_leaves_a_gap_and_the_caption_counts_it() -> None:
    found = made(a=[1.0, math.nan, math.inf, 1.0], b=[1.0] * 4)
    assert np.isnan(found.shares()["b"]).tolist() == [False, True, True, False]
    assert "a gap at 2 steps where a part is not finite" in parts.captions(found, PLAIN)
    stacked = checked(pictures.shares_figure(found, LOOK))
    assert list(trace(stacked, "b").y) == [0.5, 0.0, 0.0, 0.5]


def test_a_total_that_is_not_the_sum_is_said() -> None:
    found = made(total=curve([4.0, 4.0]), a=[1.0, 1.0], b=[1.0, 1.0])
    assert any("add up to 0.5 times the total" in said for said in parts.captions(found, PLAIN))
    assert "no total was logged" in parts.captions(made(a=[1.0]), PLAIN)


def test_a_part_with_more_points_than_are_drawn_is_its_moving_average() -> None:
    dense = replace(curve([0.0, 10.0, 0.0], total=5000), smoothed=np.array([3.0, 4.0, 5.0]))
    found = parts.aligned({"data": dense}, PLAIN, None)
    assert found.values["data"].tolist() == [3, 4, 5]
    assert any("moving averages of data" in said for said in parts.captions(found, PLAIN))
    assert parts.average_weight(parts.GRID) == 0
    assert 0 < parts.average_weight(parts.GRID * 1000) < 1


def test_many_steps_are_compared_on_a_grid() -> None:
    steps = np.arange(5000.0)
    found = parts.aligned({"a": curve(steps.tolist())}, PLAIN, None)
    assert len(found.x) == parts.GRID
    assert found.values["a"] == pytest.approx(found.x)


def test_shares_are_stacked_with_the_total_below_them() -> None:
    found = made(total=curve([3.0, 2.0]), data=[2.0, 1.0], l2=[1.0, 1.0])
    figure = checked(pictures.shares_figure(found, LOOK))
    assert trace(figure, "data").stackgroup == trace(figure, "l2").stackgroup == "parts"
    assert list(trace(figure, "l2").y) == pytest.approx([1 / 3, 0.5])
    assert trace(figure, "total").yaxis == "y3"
    assert figure.layout.yaxis3.domain[1] < figure.layout.yaxis.domain[0]


def test_negative_parts_are_lines_and_never_stacked() -> None:
    found = made(total=curve([1.0, 0.5]), data=[2.0, 1.0], entropy=[-1.0, -0.5])
    assert found.negative == {"entropy": 2}
    figure = checked(pictures.values_figure(found, LOOK))
    assert all(t.stackgroup is None for t in figure.data)
    assert list(trace(figure, "entropy").y) == [-1.0, -0.5]
    positive = checked(pictures.values_figure(made(data=[2.0], l2=[1.0]), LOOK))
    assert all(t.stackgroup == "parts" for t in positive.data)


@given(st.integers(1, 20))
def test_of_many_parts_the_smallest_are_one_and_nothing_is_lost(n: int) -> None:
    values = {f"p{i}": np.array([float(i), 1.0]) for i in range(n)}
    shown = pictures.few(values)
    assert len(shown) <= pictures.MOST
    assert np.sum(list(shown.values()), axis=0) == pytest.approx(np.sum(list(values.values()), axis=0))


def test_weights_are_drawn_as_steps() -> None:
    found = made(weights=parts.weighting([told(1, {"a": 2.0})], None), a=[1.0, 1.0])
    figure = checked(pictures.weights_figure(found, LOOK))
    assert trace(figure, "a").line.shape == "hv"
    assert list(trace(figure, "a").y) == [1, 2]
    assert figure.layout.yaxis.type == "linear"


def test_weights_of_different_sizes_are_drawn_on_a_log_axis_unless_one_is_zero() -> None:
    for small, axis in ((0.01, "log"), (0.0, "linear")):
        found = made(weights=parts.weighting([told(0, {"a": 1.0, "b": small})], None), a=[1.0], b=[1.0])
        assert checked(pictures.weights_figure(found, LOOK)).layout.yaxis.type == axis
