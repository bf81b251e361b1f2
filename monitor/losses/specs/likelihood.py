"""Negative log-likelihoods of further distributions, and the KL divergence."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, ClassVar

from monitor.errors import LossError
from monitor.losses.specs.parameters import checked, number, whole
from monitor.losses.specs.regression import MEAN_TRAP, target_array
from monitor.losses.specs.spec import LossSpec

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True, slots=True)
class PoissonNLL(LossSpec):
    """Poisson negative log-likelihood `rate - y ln(rate)`, without the term `ln y!`.

    The best constant rate is the targets' mean m and costs `m - m ln m`. A fresh network with log input has rate 1
    everywhere and costs 1. The floor is reached at rate y, `mean(y - y ln y)`, which can be negative.

    Args:
        target_mean: mean count, > 0.
        log_input: the network outputs the logarithm of the rate.
        full: torch's `full=True` adds Stirling's approximation of `ln y!` for y > 1; `from_targets` measures it.
        perfect_loss: loss at rate y, measured by `from_targets`.
        constant_loss: loss of the best constant, measured by `from_targets`.

    Source: torch.nn.PoissonNLLLoss' documentation; derivative in the rate set to zero.

    Example:
        >>> PoissonNLL(target_mean=1.0).chance_level
        1.0
        >>> round(PoissonNLL(4.0).chance_level, 3)
        -1.545
    """

    target_mean: float | None = checked(None, number, above=0)
    _: KW_ONLY
    log_input: bool = True
    full: bool = False
    perfect_loss: float | None = checked(None, number)
    constant_loss: float | None = checked(None, number)
    fresh_loss: float | None = None

    kind: ClassVar[str] = "poisson_nll"
    _chance_formula: ClassVar[str] = "m - m ln m for mean count m"
    _own_traps: ClassVar[tuple[str, ...]] = (
        "The loss can be negative: the term ln y! is left out.",
        "With log input, exp() overflows float32 above 88 and float16 above 11.",
    )

    @classmethod
    def from_targets(cls, targets: ArrayLike, *, log_input: bool = True, full: bool = False) -> PoissonNLL:
        """The specification with all levels measured on counts of any shape."""
        import numpy as np

        counts = target_array(cls.kind, targets)
        mean = float(counts.mean())
        if counts.min() < 0 or mean <= 0:
            raise LossError(cls.kind, "the targets are not counts", "give numbers of at least 0, not all 0")
        high = counts[counts > 1]
        stirling = (
            float((high * np.log(high) - high + 0.5 * np.log(2 * np.pi * high)).sum()) / counts.size if full else 0.0
        )
        safe = np.where(counts > 0, counts, 1.0)
        return cls(
            mean,
            log_input=log_input,
            full=full,
            perfect_loss=float((counts - counts * np.log(safe)).mean()) + stirling,
            constant_loss=mean - mean * math.log(mean) + stirling,
            fresh_loss=1.0 + stirling,
        )

    @property
    def chance_level(self) -> float | None:
        """The mean count as the rate."""
        if self.constant_loss is not None:
            return self.constant_loss
        if self.target_mean is None or self.full:
            return None
        return self.target_mean - self.target_mean * math.log(self.target_mean)

    @property
    def initial_level(self) -> float | None:
        """Rate 1 everywhere, for a network that outputs logarithms."""
        if self.fresh_loss is not None and self.log_input:
            return self.fresh_loss
        return 1.0 if self.log_input and not self.full else None

    @property
    def floor(self) -> float | None:
        """The exact rate of each example; None if the targets were not seen."""
        return self.perfect_loss


@dataclass(frozen=True, slots=True)
class GaussianNLL(LossSpec):
    """Gaussian negative log-likelihood with predicted variance, `(ln v + (y - f)**2 / v) / 2`, v clamped at eps.

    The best constants are the targets' mean and variance s and cost `(ln s + 1) / 2`. Mean 0 and variance 1 cost
    `(s + mean**2) / 2`. The floor is an exact mean at the smallest variance, `ln(eps) / 2`. `full` adds `ln(2 pi) / 2`.

    Args:
        target_variance: variance of the targets, > 0.
        target_mean: their mean; 0 by default.
        eps: torch's lower clamp of the variance, > 0.
        full: whether the constant is included.

    Source: Nix and Weigend 1994, doi:10.1109/ICNN.1994.374138; torch.nn.GaussianNLLLoss' documentation.

    Example:
        >>> GaussianNLL(1.0).chance_level
        0.5
        >>> round(GaussianNLL().floor, 3)
        -6.908
    """

    target_variance: float | None = checked(None, number, above=0)
    _: KW_ONLY
    target_mean: float | None = checked(None, number)
    eps: float = checked(1e-6, number, above=0)
    full: bool = False

    kind: ClassVar[str] = "gaussian_nll"
    _chance_formula: ClassVar[str] = "(ln s + 1) / 2 for target variance s"

    @classmethod
    def from_targets(cls, targets: ArrayLike, *, eps: float = 1e-6, full: bool = False) -> GaussianNLL:
        """The specification with mean and variance measured on targets of any shape."""
        values = target_array(cls.kind, targets)
        return cls(float(values.var()), target_mean=float(values.mean()), eps=eps, full=full)

    @property
    def _constant(self) -> float:
        return HALF_LOG_TAU if self.full else 0.0

    @property
    def chance_level(self) -> float | None:
        """The targets' own mean and variance."""
        if self.target_variance is None:
            return None
        return 0.5 * (math.log(self.target_variance) + 1) + self._constant

    @property
    def initial_level(self) -> float | None:
        """Mean 0 and variance 1."""
        if self.target_variance is None:
            return None
        return 0.5 * (self.target_variance + (self.target_mean or 0.0) ** 2) + self._constant

    @property
    def floor(self) -> float:
        """An exact mean at the smallest variance."""
        return 0.5 * math.log(self.eps) + self._constant

    def _traps(self) -> tuple[str, ...]:
        negative = "A negative loss is not a bug: densities exceed 1 where the predicted variance is small."
        collapse = "A loss falling towards ln(eps)/2 means that the variance collapses on memorised targets."
        return (negative, collapse) + (() if self.target_mean is not None else (MEAN_TRAP,))


@dataclass(frozen=True, slots=True)
class KLDivergence(LossSpec):
    """Divergence of the predicted distribution from the target distribution, per example.

    Equal probabilities over C classes cost `ln C - H`, H the mean entropy of the targets; an exact prediction costs 0.
    torch's `reduction="mean"` divides by the number of classes as well; set `per_element` for it.

    Args:
        classes: number of classes, >= 2.
        target_entropy: mean entropy of the target distributions, nats, >= 0; 0 for one-hot targets; None if unknown.
        per_element: the mean is over elements, not over examples, as torch does with `reduction="mean"`.

    Source: Kullback and Leibler 1951, doi:10.1214/aoms/1177729694; torch.nn.KLDivLoss' documentation.

    Example:
        >>> round(KLDivergence(8, target_entropy=0.0).chance_level, 4)
        2.0794
    """

    classes: int | None = checked(None, whole, at_least=2)
    _: KW_ONLY
    target_entropy: float | None = checked(None, number, at_least=0)
    per_element: bool = False

    kind: ClassVar[str] = "kl_divergence"

    def _check(self) -> None:
        if self.classes is not None and (self.target_entropy or 0) > math.log(self.classes) * (1 + 1e-9):
            problem = f"target_entropy {self.target_entropy:g} is above ln {self.classes}"
            raise LossError(self.kind, problem, "give it in nats")

    @property
    def chance_level(self) -> float | None:
        """Equal probabilities."""
        if self.classes is None or self.target_entropy is None:
            return None
        return (math.log(self.classes) - self.target_entropy) / (self.classes if self.per_element else 1)

    @property
    def chance_formula(self) -> str:
        """`ln C - H`."""
        if self.chance_level is None:
            return ""
        return f"ln {self.classes} - H(targets)" + (f", over {self.classes}" if self.per_element else "")

    def _traps(self) -> tuple[str, ...]:
        found = ["As a penalty (a variational autoencoder's), 0 means that the posterior has collapsed, not success."]
        if self.per_element:
            found.append('torch\'s reduction="mean" also divides by the classes; "batchmean" is the divergence itself.')
        return tuple(found)
