"""Overlap losses for boxes, as used to train detectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from monitor.losses.specs.spec import LossSpec

_ABOVE_1 = "A value above 1 is normal at the start, while the boxes do not touch."
_UNTRAINED = "If it stays near its level without any overlap, check the order of the coordinates: x1, y1, x2, y2."


class BoxLoss(LossSpec):
    """One minus the overlap of a predicted box and its target, perhaps with a penalty, averaged over boxes."""

    _unit: ClassVar[str] = "1"  # the share of the overlap that is missed


@dataclass(frozen=True, slots=True)
class BoxIoU(BoxLoss):
    """`1 - IoU` of boxes, IoU being their intersection over their union.

    Source: Yu et al. 2016, arXiv:1608.01471, which takes its logarithm.

    Example:
        >>> BoxIoU().range
        (0.0, 1.0)
    """

    kind: ClassVar[str] = "box_iou"
    _ceiling: ClassVar[float] = 1.0
    _own_traps: ClassVar[tuple[str, ...]] = (
        "If the boxes do not touch, the gradient is zero and the loss stays at 1: training cannot start.",
        _UNTRAINED,
    )


@dataclass(frozen=True, slots=True)
class GIoU(BoxLoss):
    """Generalised IoU loss `1 - IoU + (C - U) / C`: U is the union, C the smallest box around both.

    Source: Rezatofighi et al. 2019, arXiv:1902.09630, algorithm 1.

    Example:
        >>> GIoU().range
        (0.0, 2.0)
    """

    kind: ClassVar[str] = "giou"
    _ceiling: ClassVar[float] = 2.0
    _own_traps: ClassVar[tuple[str, ...]] = (
        _ABOVE_1,
        "It equals `1 - IoU` as soon as one box lies within the other, and then does not depend on where.",
        _UNTRAINED,
    )


@dataclass(frozen=True, slots=True)
class DIoU(BoxLoss):
    """Distance IoU loss `1 - IoU + d**2 / c**2`: d is between the centres, c the diagonal of the box around both.

    Source: Zheng et al. 2020, arXiv:1911.08287, equation 7.

    Example:
        >>> DIoU().range
        (0.0, 2.0)
    """

    kind: ClassVar[str] = "diou"
    _ceiling: ClassVar[float] = 2.0
    _own_traps: ClassVar[tuple[str, ...]] = (_ABOVE_1, _UNTRAINED)


@dataclass(frozen=True, slots=True)
class CIoU(BoxLoss):
    """Complete IoU loss: distance IoU and a penalty `a v` for a different aspect ratio, `a = v / (1 - IoU + v)`.

    `v = 4 / pi**2 (atan(w / h) - atan(w' / h'))**2`, at most 1; `a` has no gradient.

    Source: Zheng et al. 2020, arXiv:1911.08287, equations 8 to 11.

    Example:
        >>> CIoU().range
        (0.0, 3.0)
    """

    kind: ClassVar[str] = "ciou"
    _ceiling: ClassVar[float] = 3.0
    _own_traps: ClassVar[tuple[str, ...]] = (_ABOVE_1, _UNTRAINED)


BOX_LOSSES: Final = (BoxIoU, GIoU, DIoU, CIoU)
BOX_KINDS: Final = tuple(spec.kind for spec in BOX_LOSSES)
