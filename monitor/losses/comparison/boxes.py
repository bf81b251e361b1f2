"""Overlap of boxes, for numpy and torch alike, and the conversion of a network's outputs to boxes."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import numpy as np

from monitor.losses.specs.boxes import CIoU, DIoU, GIoU
from monitor.losses.specs.spec import LossSpec

# Arrays are numpy's or torch's: each function takes the module that they belong to.
Array = Any
SPAN: Final = 6.0
"""Sizes stay within `exp(-SPAN)` and `exp(SPAN)` of the anchor's, so that no step overflows."""


def decoded(xp: ModuleType, out: Array) -> Array:
    """Boxes (n, 4) as x1, y1, x2, y2 from outputs (n, 4): the centre, and the logarithms of width and height.

    Positions and sizes are in units of an anchor box centred at the origin, as in detectors; Girshick et al. 2014,
    arXiv:1311.2524, appendix C.
    """
    half = xp.exp(xp.clip(out[:, 2:], -SPAN, SPAN)) / 2
    return xp.hstack((out[:, :2] - half, out[:, :2] + half))


def encoded(xp: ModuleType, boxes: Array) -> Array:
    """The outputs that `decoded` turns into these boxes."""
    return xp.hstack(((boxes[:, :2] + boxes[:, 2:]) / 2, xp.log(_size(boxes))))


def overlap(xp: ModuleType, boxes: Array, targets: Array) -> Array:
    """Intersection over union of each box and its target, (n,)."""
    both, union = _areas(xp, boxes, targets)
    return both / union


def distance(xp: ModuleType, spec: LossSpec, boxes: Array, targets: Array, still: Callable[[Array], Array]) -> Array:
    """The loss of this specification for each box, (n,).

    Args:
        xp: numpy or torch.
        spec: one of `specs.boxes`.
        boxes, targets: (n, 4) as x1, y1, x2, y2.
        still: returns its argument without a gradient.
    """
    both, union = _areas(xp, boxes, targets)
    missed = 1 - both / union
    outer = xp.maximum(boxes[:, 2:], targets[:, 2:]) - xp.minimum(boxes[:, :2], targets[:, :2])
    if isinstance(spec, GIoU):
        hull = outer[:, 0] * outer[:, 1]
        return missed + (hull - union) / hull
    if not isinstance(spec, (DIoU, CIoU)):
        return missed
    apart = (boxes[:, :2] + boxes[:, 2:] - targets[:, :2] - targets[:, 2:]) / 2
    found = missed + (apart**2).sum(1) / (outer**2).sum(1)
    if isinstance(spec, CIoU):
        other = 4 / math.pi**2 * (_angle(xp, boxes) - _angle(xp, targets)) ** 2
        found = found + still(other / (missed + other + 1e-12)) * other
    return found


def numpy_loss(spec: LossSpec) -> Callable[[Array, Array], object]:
    """The mean loss of boxes and targets, for `profile`."""
    return lambda boxes, targets: distance(np, spec, boxes, targets, lambda value: value).mean()


def deltas_loss(loss: Callable[[Array, Array], object]) -> Callable[[Array, Array], object]:
    """A regression loss of the encoded boxes and targets."""
    return lambda boxes, targets: loss(encoded(np, boxes), encoded(np, targets))


def _areas(xp: ModuleType, boxes: Array, targets: Array) -> tuple[Array, Array]:
    """Intersection and union."""
    shared = xp.minimum(boxes[:, 2:], targets[:, 2:]) - xp.maximum(boxes[:, :2], targets[:, :2])
    both = xp.clip(shared[:, 0], 0, None) * xp.clip(shared[:, 1], 0, None)
    own, true = (_size(each)[:, 0] * _size(each)[:, 1] for each in (boxes, targets))
    return both, own + true - both


def _size(boxes: Array) -> Array:
    """Width and height, (n, 2)."""
    return boxes[:, 2:] - boxes[:, :2]


def _angle(xp: ModuleType, boxes: Array) -> Array:
    size = _size(boxes)
    return xp.arctan(size[:, 0] / size[:, 1])
