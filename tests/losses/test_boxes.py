"""Overlap losses of boxes: known values, what holds for all boxes, and a training that they win."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import losses
from monitor.errors import LossError
from monitor.losses.comparison.boxes import decoded, encoded, numpy_loss, overlap

KINDS = ("box_iou", "giou", "diou", "ciou")
LEFT = np.array([[0.0, 0.0, 2.0, 2.0]])
PLACE = st.floats(-5, 5).map(lambda value: round(value, 3))
SIZE = st.floats(0.05, 5).map(lambda value: round(value, 3))


@st.composite
def box(draw: st.DrawFn) -> np.ndarray:
    x, y, width, height = draw(PLACE), draw(PLACE), draw(SIZE), draw(SIZE)
    return np.array([[x, y, x + width, y + height]])


def value(kind: str, boxes: np.ndarray, targets: np.ndarray) -> float:
    return float(str(numpy_loss(losses.parse(kind))(boxes, targets)))


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ([0, 0, 2, 2], (0, 0, 0, 0)),
        ([1, 0, 3, 2], (2 / 3, 2 / 3, 2 / 3 + 1 / 13, 2 / 3 + 1 / 13)),  # of 6, 2 are shared; centres 1 apart
        ([0.5, 0.5, 1.5, 1.5], (3 / 4, 3 / 4, 3 / 4, 3 / 4)),  # within, about the same centre
        ([4, 0, 6, 2], (1, 1 + 4 / 12, 1 + 16 / 40, 1 + 16 / 40)),  # apart: the hull is 6 by 2
    ],
)
def test_known_values(other: list[float], expected: tuple[float, ...]) -> None:
    found = [value(kind, LEFT, np.array([other], float)) for kind in KINDS]
    assert found == pytest.approx(expected, abs=1e-9)


def test_another_shape_about_the_same_centre_costs_ciou_more() -> None:
    wide = np.array([[0.0, 0.5, 2.0, 1.5]])
    v = 4 / math.pi**2 * (math.pi / 4 - math.atan(2)) ** 2
    assert value("ciou", LEFT, wide) == pytest.approx(0.5 + v * v / (0.5 + v))


@given(box(), box())
def test_every_loss_is_the_overlap_and_a_penalty_within_its_range(first: np.ndarray, second: np.ndarray) -> None:
    missed = 1 - float(overlap(np, first, second)[0])
    for kind in KINDS:
        found = value(kind, first, second)
        low, high = losses.parse(kind).range
        assert low - 1e-9 <= missed - 1e-9 <= found <= high + 1e-9
        assert found == pytest.approx(value(kind, second, first), abs=1e-9)
        bounds = losses.bounds(losses.parse(kind), found)
        assert bounds is not None and bounds.low - 1e-9 <= missed <= bounds.high + 1e-9


@given(box())
def test_outputs_and_boxes_are_turned_into_each_other(one: np.ndarray) -> None:
    assert decoded(np, encoded(np, one)) == pytest.approx(one)


@given(box(), box())
def test_torch_gives_the_same_and_a_finite_gradient(first: np.ndarray, second: np.ndarray) -> None:
    torch = pytest.importorskip("torch")
    for kind in KINDS:
        boxes = torch.tensor(first, requires_grad=True)
        found = losses.load(kind)(boxes, torch.tensor(second))
        found.backward()
        assert float(found.detach()) == pytest.approx(value(kind, first, second), abs=1e-9)
        assert torch.isfinite(boxes.grad).all()


def test_boxes_are_trained_and_judged_by_their_overlap() -> None:
    pytest.importorskip("torch")

    def boxes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = rng.normal(0, 1, (600, 4))
        half = 20 * np.exp(0.8 * x[:, 2:] + 0.2 * rng.normal(size=(600, 2)))
        return x, np.hstack([100 + 30 * x[:, :2] - half, 100 + 30 * x[:, :2] + half])

    found = losses.compare(["giou", "smooth_l1", "mse"], boxes, 3, outliers=0.15, epochs=15)
    assert (found.task, found.metric, found.entries[0].loss) == ("boxes", "mean_iou", "giou")
    assert found.entries[0].mean > 0.3


def test_targets_that_are_no_boxes_are_told_so() -> None:
    pytest.importorskip("torch")
    x = np.zeros((50, 2))
    for targets in (np.zeros((50, 3)), np.zeros((50, 4)), np.zeros(50)):
        with pytest.raises(LossError, match="are not boxes; give x1 < x2, y1 < y2"):
            losses.compare(["giou"], (x, targets), 2)


def test_advice_for_detection_ranks_by_overlap_and_speaks_of_the_class_part() -> None:
    found = losses.advise("detection", outliers=True)
    names = [item.loss for item in found.candidates]
    assert names.index("diou") < names.index("mae") < names.index("mse")
    assert any('"binary"' in remark for remark in found.remarks)
