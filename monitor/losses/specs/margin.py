"""Margin losses: a score must exceed another one, or zero, by a margin."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from monitor.losses.specs.parameters import checked, exponent, fraction, number, whole
from monitor.losses.specs.spec import LossSpec


@dataclass(frozen=True, slots=True)
class Hinge(LossSpec):
    """Hinge loss `max(0, m - y f)` of a score f and a label y of -1 or 1; squared on request.

    A zero score costs m (or `m**2`). With positive rate r the best constant is on a kink, f = m or -m, and costs
    `2 m min(r, 1 - r)`. Squared, `f = m (2r - 1)` costs `4 r (1 - r) m**2`.

    Args:
        margin: m, > 0.
        positive_rate: share of positives, strictly between 0 and 1; 1/2 by default.

    Source: Cortes and Vapnik 1995, doi:10.1007/BF00994018; minimised by hand over a constant.

    Example:
        >>> Hinge().chance_level, Hinge(positive_rate=0.1).chance_level, Hinge(positive_rate=0.1).initial_level
        (1.0, 0.2, 1.0)
    """

    margin: float = checked(1.0, number, above=0)
    _: KW_ONLY
    positive_rate: float | None = checked(None, fraction, open_ends=True)
    squared: bool = False

    kind: ClassVar[str] = "hinge"
    _unit: ClassVar[str] = "score units"
    _own_traps: ClassVar[tuple[str, ...]] = (
        "Labels of 0 and 1 instead of -1 and 1 make every negative cost the margin forever.",
        "The gradient is exactly zero beyond the margin: a loss of 0 trains no further.",
    )

    @property
    def chance_level(self) -> float:
        """The best constant score."""
        rate = 0.5 if self.positive_rate is None else self.positive_rate
        return 4 * rate * (1 - rate) * self.margin**2 if self.squared else 2 * self.margin * min(rate, 1 - rate)

    @property
    def initial_level(self) -> float:
        """Score 0."""
        return self.margin**2 if self.squared else self.margin

    @property
    def chance_formula(self) -> str:
        """In terms of the margin and the positive rate."""
        if self.positive_rate in (None, 0.5):
            return "margin^2" if self.squared else "margin"
        return "4 r (1 - r) margin^2" if self.squared else "2 margin min(r, 1 - r)"


@dataclass(frozen=True, slots=True)
class MultiMargin(LossSpec):
    """Multi-class hinge `sum over wrong classes of max(0, m - x_y + x_i)**p / C`.

    Equal scores cost `m**p (C - 1) / C`; for balanced classes no constant is better, by convexity and symmetry.

    Args:
        classes: C, >= 2.
        margin: m, > 0.
        p: exponent, 1 or 2.

    Source: Crammer and Singer 2001; torch.nn.MultiMarginLoss' documentation.

    Example:
        >>> MultiMargin(10).chance_level
        0.9
    """

    classes: int | None = checked(None, whole, at_least=2)
    _: KW_ONLY
    margin: float = checked(1.0, number, above=0)
    p: int = checked(1, exponent)

    kind: ClassVar[str] = "multi_margin"
    _unit: ClassVar[str] = "score units"
    _chance_formula: ClassVar[str] = "margin^{self.p} ({self.classes} - 1) / {self.classes}"
    _own_traps: ClassVar[tuple[str, ...]] = (
        "The sum is divided by the number of classes, so the loss shrinks as classes are added.",
    )

    @property
    def chance_level(self) -> float | None:
        """Equal scores."""
        return None if self.classes is None else self.margin**self.p * (self.classes - 1) / self.classes


@dataclass(frozen=True, slots=True)
class MultiLabelMargin(LossSpec):
    """Multi-label hinge `sum over right j, wrong i of max(0, 1 - (x_j - x_i)) / C`.

    Equal scores cost `k (C - k) / C` for k correct labels per example.

    Args:
        classes: C, >= 2.
        labels: correct labels per example, 1 to C - 1.

    Source: torch.nn.MultiLabelMarginLoss' documentation.

    Example:
        >>> MultiLabelMargin(4, labels=1).chance_level
        0.75
    """

    classes: int | None = checked(None, whole, at_least=2)
    _: KW_ONLY
    labels: int | None = checked(None, whole, at_least=1)

    kind: ClassVar[str] = "multilabel_margin"
    _unit: ClassVar[str] = "score units"

    @property
    def chance_level(self) -> float | None:
        """Equal scores."""
        if self.classes is None or self.labels is None:
            return None
        return self.labels * (self.classes - self.labels) / self.classes

    @property
    def chance_formula(self) -> str:
        """In terms of labels and classes."""
        if self.classes is None or self.labels is None:
            return ""
        return f"{self.labels} x {self.classes - self.labels} / {self.classes}"


@dataclass(frozen=True, slots=True)
class MarginRanking(LossSpec):
    """Ranking loss `max(0, m - y (x1 - x2))`; equal scores, and so every constant, cost the margin.

    Args:
        margin: m, >= 0. With torch's default of 0, equal scores cost nothing and there is no chance level to beat.

    Source: torch.nn.MarginRankingLoss' documentation.

    Example:
        >>> MarginRanking(0.5).chance_level
        0.5
    """

    margin: float = checked(0.0, number, at_least=0)

    kind: ClassVar[str] = "margin_ranking"
    _unit: ClassVar[str] = "score units"
    _chance_formula: ClassVar[str] = "margin"

    @property
    def chance_level(self) -> float:
        """Equal scores."""
        return self.margin

    def _traps(self) -> tuple[str, ...]:
        if self.margin == 0:
            return ("With margin 0 a network that gives one score for everything has a perfect loss of 0.",)
        return ()
