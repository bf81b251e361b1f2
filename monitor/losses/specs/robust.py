"""Losses without a torch module: RMSE, log-cosh, Cauchy, Barron, and a robust loss for classes."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from types import ModuleType
from typing import ClassVar

from monitor.losses.specs.parameters import checked, fraction, number, whole
from monitor.losses.specs.regression import Array, Residual
from monitor.losses.specs.spec import LossSpec


@dataclass(frozen=True, slots=True)
class RMSE(LossSpec):
    """Root of the mean squared error: the best constant is the targets' mean and costs their standard deviation.

    Args:
        target_std: standard deviation of the targets, > 0.
        target_mean: their mean; 0 by default.

    Source: the square root of `MSE`'s levels.

    Example:
        >>> RMSE(4.0, target_mean=3.0).initial_level
        5.0
    """

    target_std: float | None = checked(None, number, above=0)
    _: KW_ONLY
    target_mean: float | None = checked(None, number)

    kind: ClassVar[str] = "rmse"
    _unit: ClassVar[str] = "target units"
    _chance_formula: ClassVar[str] = "standard deviation of the targets"
    _own_traps: ClassVar[tuple[str, ...]] = (
        "The mean over batches of the root is not the root over all examples; take the root last.",
        "At an error of exactly 0 the root has no gradient: add a small constant under it.",
    )

    @property
    def chance_level(self) -> float | None:
        """The standard deviation of the targets."""
        return self.target_std

    @property
    def initial_level(self) -> float | None:
        """Predicting 0 everywhere."""
        return None if self.target_std is None else math.hypot(self.target_std, self.target_mean or 0.0)


@dataclass(frozen=True, slots=True)
class LogCosh(Residual):
    """`ln cosh r`: half the square for small errors, `|r| - ln 2` for large ones.

    Source: log-cosh as in Keras' LogCosh; the level for normal targets by quadrature.

    Example:
        >>> round(LogCosh(target_std=1.0).chance_level, 3)
        0.375
    """

    kind: ClassVar[str] = "log_cosh"

    def element_in(self, xp: ModuleType, residual: Array) -> Array:
        """Computed without overflow of the exponential."""
        size = xp.abs(residual)
        return size + xp.log1p(xp.exp(-2 * size)) - math.log(2)


@dataclass(frozen=True, slots=True)
class Cauchy(Residual):
    """`c**2 / 2 ln(1 + (r / c)**2)`, the likelihood of a Cauchy distribution: distant outliers hardly count.

    Args:
        scale: c, the size of an ordinary error, in target units, > 0.

    Source: Black and Anandan 1996, doi:10.1006/cviu.1996.0006.

    Example:
        >>> round(Cauchy(1.0, target_std=1.0).chance_level, 3)
        0.267
    """

    scale: float = checked(1.0, number, above=0)

    kind: ClassVar[str] = "cauchy"

    def element_in(self, xp: ModuleType, residual: Array) -> Array:
        """Logarithmic for large errors."""
        return self.scale**2 / 2 * xp.log1p((residual / self.scale) ** 2)


@dataclass(frozen=True, slots=True)
class Barron(Residual):
    """Barron's general loss: one shape parameter leads from the square (2) via Cauchy's (0) to Welsch's (-inf).

    `|a - 2| / a ((x**2 / |a - 2| + 1)**(a / 2) - 1)` of `x = r / c`.

    Args:
        alpha: shape, -inf to 2; 1 is a smooth absolute error, -2 Geman and McClure's.
        scale: c, the size of an ordinary error, in target units, > 0.

    Source: Barron, A General and Adaptive Robust Loss Function (CVPR 2019), arXiv:1701.03077, equation 1.

    Example:
        >>> round(Barron(2.0, target_std=1.0).chance_level, 3)
        0.5
    """

    alpha: float = checked(1.0, number)
    scale: float = checked(1.0, number, above=0)

    kind: ClassVar[str] = "barron"

    def element_in(self, xp: ModuleType, residual: Array) -> Array:
        """The general form, and its limits at 2 and 0."""
        squared = (residual / self.scale) ** 2
        if abs(self.alpha - 2) < 1e-6:
            return squared / 2
        if abs(self.alpha) < 1e-6:
            return xp.log1p(squared / 2)
        away = abs(self.alpha - 2)
        return away / self.alpha * ((squared / away + 1) ** (self.alpha / 2) - 1)


@dataclass(frozen=True, slots=True)
class GeneralisedCrossEntropy(LossSpec):
    """`(1 - p**q) / q` of the true class's probability: between cross-entropy (q to 0) and the absolute error (1).

    Args:
        q: 0 to 1; higher is more robust to wrong labels.
        classes: number of classes, >= 2.

    Source: Zhang and Sabuncu 2018, arXiv:1805.07836, equation 6.

    Example:
        >>> round(GeneralisedCrossEntropy(classes=10).chance_level, 4)
        1.1435
    """

    q: float = checked(0.7, fraction, open_ends=True)
    _: KW_ONLY
    classes: int | None = checked(None, whole, at_least=2)

    kind: ClassVar[str] = "generalised_cross_entropy"
    _unit: ClassVar[str] = "1"
    _chance_formula: ClassVar[str] = "(1 - {self.classes}^-{self.q:g}) / {self.q:g}"
    _own_traps: ClassVar[tuple[str, ...]] = (
        "With many classes it starts slowly: the gradient is small where the true class is improbable.",
    )

    @property
    def chance_level(self) -> float | None:
        """Equal probabilities; no constant is better for balanced classes, because `-p**q` is convex in p."""
        return None if self.classes is None else self.ceiling - self.classes**-self.q / self.q

    @property
    def ceiling(self) -> float:
        """The true class with probability 0."""
        return 1 / self.q

    def scaled(self, loss: float) -> float:
        """The nats of a model that is equally confident about every example."""
        return -math.log1p(-self.q * loss) / self.q if loss < self.ceiling else math.inf
