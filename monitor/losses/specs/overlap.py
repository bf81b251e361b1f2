"""Losses for rare classes: focal loss, and overlap losses for segmentation."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from monitor.losses.specs.parameters import checked, fraction, number, whole
from monitor.losses.specs.search import golden
from monitor.losses.specs.spec import LossSpec


@dataclass(frozen=True, slots=True)
class Focal(LossSpec):
    """Focal loss `-a (1 - p)**gamma ln p` of the true class's probability p.

    Two classes (one logit): a zero logit costs `2**-gamma ln 2` times the mean alpha; the best constant is found by
    golden-section search over q. More classes: equal logits cost `(1 - 1/C)**gamma ln C`, which no constant beats where
    the classes are balanced, because the loss is symmetric and convex in p.

    Args:
        gamma: how much easy examples are down-weighted, >= 0; 0 is cross-entropy.
        alpha: weight of a positive, `1 - alpha` of a negative; None for no weights. Two classes only.
        classes: 2 for one logit, more for a softmax.
        positive_rate: share of positives, strictly between 0 and 1; 1/2 by default.

    Source: Lin et al. 2017, arXiv:1708.02002, equations 4 and 5.

    Example:
        >>> round(Focal(2.0).chance_level, 4)
        0.1733
        >>> Focal(0.0).chance_level == math.log(2)
        True
    """

    gamma: float = checked(2.0, number, at_least=0)
    _: KW_ONLY
    alpha: float | None = checked(None, fraction)
    classes: int = checked(2, whole, at_least=2)
    positive_rate: float | None = checked(None, fraction, open_ends=True)

    kind: ClassVar[str] = "focal"
    _own_traps: ClassVar[tuple[str, ...]] = (
        "The loss is much smaller than cross-entropy at the same quality; do not compare the two numbers.",
        "A detector whose output bias starts at a rare class's rate starts far below the zero-logit level.",
    )

    def _term(self, p: float) -> float:
        return -math.pow(1 - p, self.gamma) * math.log(p)

    def _masses(self) -> tuple[float, float]:
        rate = self.positive_rate if self.positive_rate is not None else 0.5
        weight = (1.0, 1.0) if self.alpha is None else (self.alpha, 1 - self.alpha)
        return weight[0] * rate, weight[1] * (1 - rate)

    @property
    def chance_level(self) -> float:
        """The best constant probability."""
        if self.classes > 2:
            return self._term(1 / self.classes)
        positive, negative = self._masses()
        if positive == negative:
            return (positive + negative) * self._term(0.5)

        def cost(q: float) -> float:
            return positive * self._term(q) + negative * self._term(1 - q)

        return cost(golden(cost, 1e-12, 1 - 1e-12))

    @property
    def initial_level(self) -> float:
        """Equal logits."""
        return self._term(1 / self.classes) * (sum(self._masses()) if self.classes == 2 else 1.0)

    def scaled(self, loss: float) -> float:
        """The nats of a model that is equally confident about every example."""
        share = loss / (sum(self._masses()) if self.classes == 2 else 1.0)
        if share <= 0:
            return share
        low, high = 0.0, share + 40.0  # -ln p, which the focal loss does not exceed
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self._nats(middle) < share else (low, middle)
        return (low + high) / 2

    def _nats(self, nats: float) -> float:
        return math.pow(-math.expm1(-nats), self.gamma) * nats

    @property
    def chance_formula(self) -> str:
        """For balanced classes, `(1 - 1/C)**gamma ln C`."""
        plain = self.classes > 2 or (self.positive_rate in (None, 0.5) and self.alpha in (None, 0.5))
        if not plain:
            return "best constant probability"
        half = " / 2" if self.classes == 2 and self.alpha == 0.5 else ""
        return f"(1 - 1/{self.classes})^{self.gamma:g} ln {self.classes}{half}"


def jaccard(loss: float, weight: float) -> float:
    """The intersection-over-union loss that corresponds to a Tversky loss with equal weights; weight 1/2 is Dice.

    Example:
        >>> round(jaccard(1 / 3, 0.5), 6)
        0.5
    """
    if not 0 < loss < 1:
        return loss
    wrong = loss / (1 - loss) / weight  # pixels in only one of the masks, over those in both
    return wrong / (1 + wrong)


@dataclass(frozen=True, slots=True)
class Dice(LossSpec):
    """Soft Dice loss `1 - 2 sum(pq) / (sum p + sum q)` of one foreground class over many pixels.

    With positive rate r, a constant p costs `1 - 2pr / (p + r)`, so the best constant is 1 everywhere and costs
    `(1 - r) / (1 + r)`; a fresh network's p = 1/2 costs `1 - r / (1/2 + r)`. With squared sums (V-Net's form) a
    constant costs `1 - 2pr / (p**2 + r)`, best at `p = sqrt(r)` with `1 - sqrt(r)`.

    Args:
        positive_rate: share of foreground, strictly between 0 and 1.
        squared: the denominator sums squares.

    Source: Milletari et al. 2016, arXiv:1606.04797; derivatives in p by hand.

    Example:
        >>> round(Dice(0.25).chance_level, 2)
        0.6
        >>> Dice(0.25, squared=True).chance_level
        0.5
    """

    positive_rate: float | None = checked(None, fraction, open_ends=True)
    _: KW_ONLY
    squared: bool = False

    kind: ClassVar[str] = "dice"
    _ceiling: ClassVar[float] = 1.0
    _unit: ClassVar[str] = "1"
    _own_traps: ClassVar[tuple[str, ...]] = (
        "Images without foreground make the loss jump to 1 or 0, whatever the smoothing term decides.",
        "It is not a mean over pixels: the loss of a batch is not the mean of its images' losses.",
        "A value above 1 or below 0 comes from logits passed where probabilities belong.",
    )

    @property
    def chance_level(self) -> float | None:
        """Everything foreground (with squared sums, the square root of its rate)."""
        rate = self.positive_rate
        if rate is None:
            return None
        return 1 - math.sqrt(rate) if self.squared else (1 - rate) / (1 + rate)

    @property
    def initial_level(self) -> float | None:
        """Probability 1/2 everywhere."""
        rate = self.positive_rate
        if rate is None:
            return None
        return 1 - rate / ((0.25 if self.squared else 0.5) + rate)

    def scaled(self, loss: float) -> float:
        """As intersection over union."""
        return jaccard(loss, 0.5)

    @property
    def chance_formula(self) -> str:
        """For foreground rate r."""
        if self.positive_rate is None:
            return ""
        return "1 - sqrt(r) for foreground rate r" if self.squared else "(1 - r) / (1 + r) for foreground rate r"


@dataclass(frozen=True, slots=True)
class IoU(LossSpec):
    """Soft intersection-over-union loss `1 - sum(pq) / (sum p + sum q - sum pq)`, also called Jaccard loss.

    A constant p costs `1 - pr / (p + r - pr)`: best at p = 1 with `1 - r`; p = 1/2 costs `1 / (1 + r)`.

    Args:
        positive_rate: share of foreground r, strictly between 0 and 1.

    Source: Rahman and Wang 2016, doi:10.1007/978-3-319-50835-1_22.

    Example:
        >>> IoU(0.25).chance_level, IoU(0.25).initial_level
        (0.75, 0.8)
    """

    positive_rate: float | None = checked(None, fraction, open_ends=True)

    kind: ClassVar[str] = "iou"
    _ceiling: ClassVar[float] = 1.0
    _unit: ClassVar[str] = "1"
    _chance_formula: ClassVar[str] = "1 - r for foreground rate r"
    _own_traps: ClassVar[tuple[str, ...]] = (
        *Dice._own_traps,
        "On boxes (not masks) the gradient is zero where they do not touch, and the loss stays at 1.",
    )

    @property
    def chance_level(self) -> float | None:
        """Everything foreground."""
        return None if self.positive_rate is None else 1 - self.positive_rate

    @property
    def initial_level(self) -> float | None:
        """Probability 1/2 everywhere."""
        return None if self.positive_rate is None else 1 / (1 + self.positive_rate)


@dataclass(frozen=True, slots=True)
class Tversky(LossSpec):
    """Tversky loss `1 - I / (I + a FP + b FN)` with `I = sum pq`: false alarms and misses have separate weights.

    With foreground rate r, a constant p costs `1 - pr / (pr + a p (1 - r) + b r (1 - p))`: the share of overlap rises
    with p, so the best constant is 1 everywhere and costs `a (1 - r) / (r + a (1 - r))`. `a = b = 1/2` is Dice.

    Args:
        positive_rate: share of foreground r, strictly between 0 and 1.
        alpha: weight a of a false alarm, > 0.
        beta: weight b of a miss, > 0; above alpha it favours recall.

    Source: Salehi et al. 2017, arXiv:1706.05721, equation 3; the derivative in p by hand.

    Example:
        >>> Tversky(0.25, alpha=0.5, beta=0.5).chance_level == Dice(0.25).chance_level
        True
    """

    positive_rate: float | None = checked(None, fraction, open_ends=True)
    _: KW_ONLY
    alpha: float = checked(0.3, number, above=0)
    beta: float = checked(0.7, number, above=0)

    kind: ClassVar[str] = "tversky"
    _ceiling: ClassVar[float] = 1.0
    _unit: ClassVar[str] = "1"
    _chance_formula: ClassVar[str] = "a (1 - r) / (r + a (1 - r)) for foreground rate r"
    _own_traps: ClassVar[tuple[str, ...]] = Dice._own_traps

    def _constant(self, p: float) -> float | None:
        rate = self.positive_rate
        if rate is None:
            return None
        overlap = p * rate
        return 1 - overlap / (overlap + self.alpha * p * (1 - rate) + self.beta * rate * (1 - p))

    @property
    def chance_level(self) -> float | None:
        """Everything foreground."""
        return self._constant(1.0)

    @property
    def initial_level(self) -> float | None:
        """Probability 1/2 everywhere."""
        return self._constant(0.5)

    def scaled(self, loss: float) -> float:
        """As intersection over union, with false alarms and misses weighted equally."""
        return jaccard(loss, (self.alpha + self.beta) / 2)
