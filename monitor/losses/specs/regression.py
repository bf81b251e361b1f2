"""Losses for real-valued targets: squared, absolute, Huber and quantile loss."""

from __future__ import annotations

import functools
import math
from dataclasses import KW_ONLY, dataclass, replace
from statistics import NormalDist
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from monitor.errors import LossError
from monitor.losses.specs.parameters import checked, fraction, number
from monitor.losses.specs.search import golden, normal_nodes
from monitor.losses.specs.spec import LossSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

Array = Any
"""An array of numpy or a tensor of torch."""
_R = TypeVar("_R", bound="Residual")

MEAN_TRAP = "Targets whose mean is far from 0 start a fresh network far above chance; centre them."
SCALE_TRAP = "The number is in the targets' unit: rescaling them rescales the loss; compare runs by skill."


def target_array(kind: str, targets: ArrayLike) -> NDArray[np.float64]:
    """Targets as a flat float64 array. Refuses empty and non-finite ones."""
    import numpy as np

    values = np.asarray(targets, dtype=np.float64).ravel()
    if values.size == 0 or not np.isfinite(values).all():
        raise LossError(kind, "the targets are empty or not finite", "give finite numbers, NaN rows taken out")
    return values


@dataclass(frozen=True, slots=True)
class MSE(LossSpec):
    """Mean squared error. The best constant is the targets' mean and costs their variance; zero costs `var + mean**2`.

    Args:
        target_variance: variance of the targets as the network sees them, > 0 (1 if they are standardised).
        target_mean: their mean; 0 by default.

    Source: bias-variance decomposition, `E(y - c)^2 = var(y) + (E y - c)^2`.

    Example:
        >>> MSE(target_variance=4.0, target_mean=3.0).chance_level, MSE(4.0, target_mean=3.0).initial_level
        (4.0, 13.0)
    """

    target_variance: float | None = checked(None, number, above=0)
    _: KW_ONLY
    target_mean: float | None = checked(None, number)

    kind: ClassVar[str] = "mse"
    _unit: ClassVar[str] = "squared target units"
    _chance_formula: ClassVar[str] = "variance of the targets"

    @classmethod
    def from_targets(cls, targets: ArrayLike) -> MSE:
        """The specification with variance and mean measured on targets of any shape; each column has its own mean."""
        import numpy as np

        target_array(cls.kind, targets)
        values = np.asarray(targets, dtype=np.float64)
        mean_square = float((values**2).mean())
        variance = float(values.var(axis=0).mean())
        return cls(variance, target_mean=math.sqrt(max(0.0, mean_square - variance)))

    @property
    def chance_level(self) -> float | None:
        """The variance of the targets."""
        return self.target_variance

    @property
    def initial_level(self) -> float | None:
        """Predicting 0 everywhere."""
        return None if self.target_variance is None else self.target_variance + (self.target_mean or 0.0) ** 2

    def scaled(self, loss: float) -> float:
        """Its square root."""
        return math.copysign(math.sqrt(abs(loss)), loss)

    def _traps(self) -> tuple[str, ...]:
        outliers = "One target 10 times too large weighs as much as 100 ordinary ones."
        return (SCALE_TRAP, outliers) + (() if self.target_mean is not None else (MEAN_TRAP,))


@dataclass(frozen=True, slots=True)
class Residual(LossSpec):
    """A loss of the residual alone. Its levels come from data (`with_targets`) or from the spread of normal targets.

    Args:
        target_std: standard deviation of targets that are roughly normal around 0, > 0.
        constant_loss: measured loss of the best constant; takes precedence over `target_std`.
        zero_loss: measured loss of predicting 0 everywhere.
    """

    _: KW_ONLY
    target_std: float | None = checked(None, number, above=0)
    constant_loss: float | None = checked(None, number, at_least=0)
    zero_loss: float | None = checked(None, number, at_least=0)

    _unit: ClassVar[str] = "target units"

    def element(self, residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """The loss of each residual, prediction minus target; shape (n,) to (n,)."""
        import numpy as np

        found: NDArray[np.float64] = self.element_in(np, residual)
        return found

    def element_in(self, xp: ModuleType, residual: Array) -> Array:
        """`element` for arrays of numpy or torch, whichever is given as `xp`."""
        raise NotImplementedError

    def _normal(self, std: float) -> float:
        """Loss of the best constant for normal targets of this spread; by quadrature unless a family has a formula."""
        nodes, masses = normal_nodes()
        return float((self.element(std * nodes) * masses).sum())

    def with_targets(self: _R, targets: ArrayLike) -> _R:
        """The same specification with levels measured on these targets.

        Example:
            >>> MAE().with_targets([0.0, 0.0, 3.0, 9.0]).chance_level
            3.0
        """
        import numpy as np

        values = target_array(self.kind, targets)

        def cost(constant: float) -> float:
            return float(self.element(constant - values).mean())

        grid = np.unique(np.quantile(values, np.linspace(0, 1, 33)))  # a redescending loss has several minima
        near = int(np.argmin([cost(float(item)) for item in grid]))
        best = golden(cost, float(grid[max(near - 1, 0)]), float(grid[min(near + 1, len(grid) - 1)]))
        spread = float(values.std())
        return replace(self, constant_loss=cost(best), zero_loss=cost(0.0), target_std=spread or self.target_std)

    @property
    def chance_level(self) -> float | None:
        """Loss of the best constant, measured or for normal targets."""
        if self.constant_loss is not None:
            return self.constant_loss
        return None if self.target_std is None else self._normal(self.target_std)

    @property
    def initial_level(self) -> float | None:
        """Loss of predicting 0, measured or for normal targets around 0."""
        return self.zero_loss if self.zero_loss is not None else self._at_zero()

    def _at_zero(self) -> float | None:
        """For normal targets around 0 and a symmetric loss, the best constant is 0."""
        return self.chance_level

    def scaled(self, loss: float) -> float:
        """The standard deviation of normal errors with the same loss."""
        return loss if loss <= 0 else _spread(self, loss)

    @property
    def chance_formula(self) -> str:
        """The source of the level, in words."""
        if self.constant_loss is not None:
            return "best constant on the targets"
        return "" if self.target_std is None else "best constant for normal targets"

    def _traps(self) -> tuple[str, ...]:
        return (SCALE_TRAP,) + (() if self.zero_loss is not None else (MEAN_TRAP,))


@functools.lru_cache(maxsize=64)
def _spreads(spec: Residual) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Losses of the best constant for normal errors of many spreads, as logarithms, and the logarithms of the spreads.

    Both are ascending.
    """
    import numpy as np

    logs = math.log(spec.target_std or 1.0) + np.linspace(-14, 14, 561)
    costs = np.maximum.accumulate([spec._normal(float(std)) for std in np.exp(logs)])
    return np.log(np.maximum(costs, 1e-300)), logs


def _spread(spec: Residual, loss: float) -> float:
    """The spread of normal errors with this loss, interpolated linearly in the logarithms."""
    import numpy as np

    costs, logs = _spreads(spec)
    at = min(max(int(np.searchsorted(costs, math.log(loss))), 1), len(costs) - 1)
    low, high = float(costs[at - 1]), float(costs[at])
    share = (math.log(loss) - low) / (high - low) if high > low else 0.0
    return math.exp(min(float(logs[at - 1]) + share * float(logs[at] - logs[at - 1]), 700.0))


@dataclass(frozen=True, slots=True)
class MAE(Residual):
    """Mean absolute error. The best constant is the median; for normal targets it costs `std * sqrt(2 / pi)`.

    Source: the mean of a half-normal distribution.

    Example:
        >>> round(MAE(target_std=1.0).chance_level, 4)
        0.7979
    """

    kind: ClassVar[str] = "mae"

    def element_in(self, xp: ModuleType, residual: Array) -> Array:
        """`|r|`."""
        return xp.abs(residual)

    def _normal(self, std: float) -> float:
        return std * math.sqrt(2 / math.pi)

    def scaled(self, loss: float) -> float:
        """Proportional to the spread."""
        return loss * math.sqrt(math.pi / 2)


@dataclass(frozen=True, slots=True)
class Huber(Residual):
    """Huber's loss: `r**2 / 2` up to delta, `delta * (|r| - delta / 2)` beyond.

    For normal targets with `a = delta / std`, P and p the normal distribution and density, the best constant costs
    `std**2 (P(a) - 1/2 - a p(a)) + 2 delta std p(a) - delta**2 (1 - P(a))`, by integrating the two pieces.

    Args:
        delta: error at which the square becomes a line, in target units, > 0.

    Source: Huber 1964, doi:10.1214/aoms/1177703732.

    Example:
        >>> round(Huber(1.0, target_std=1.0).chance_level, 4)
        0.4247
        >>> round(Huber(100.0, target_std=1.0).chance_level, 4)
        0.5
    """

    delta: float = checked(1.0, number, above=0)

    kind: ClassVar[str] = "huber"

    def element_in(self, xp: ModuleType, residual: Array) -> Array:
        """Quadratic within delta, linear beyond; the square of a large error would overflow float16."""
        size = xp.abs(residual)
        inside = size * xp.clip(size, None, self.delta) / 2
        return xp.where(size <= self.delta, inside, self.delta * (size - 0.5 * self.delta))

    def _normal(self, std: float) -> float:
        normal, ratio = NormalDist(), self.delta / std
        inside = std**2 * (normal.cdf(ratio) - 0.5 - ratio * normal.pdf(ratio))
        tail = 1 - normal.cdf(ratio)
        return inside + 2 * self.delta * std * normal.pdf(ratio) - self.delta**2 * tail

    def _traps(self) -> tuple[str, ...]:
        scale = f"delta is in target units: errors below {self.delta:g} count squared, larger ones count linearly."
        return (scale, *Residual._traps(self))


@dataclass(frozen=True, slots=True)
class SmoothL1(Residual):
    """torch's smooth L1: Huber's loss divided by its delta, here called beta; beta 0 is the absolute error.

    Args:
        beta: error at which the square becomes a line, in target units, >= 0.

    Source: Girshick 2015, arXiv:1504.08083; torch.nn.SmoothL1Loss.

    Example:
        >>> SmoothL1(2.0, target_std=1.0).chance_level == Huber(2.0, target_std=1.0).chance_level / 2
        True
    """

    beta: float = checked(1.0, number, at_least=0)

    kind: ClassVar[str] = "smooth_l1"

    def element_in(self, xp: ModuleType, residual: Array) -> Array:
        """Huber's loss over beta."""
        if self.beta == 0:
            return MAE().element_in(xp, residual)
        return Huber(self.beta).element_in(xp, residual) / self.beta

    def _normal(self, std: float) -> float:
        return MAE(target_std=std)._normal(std) if self.beta == 0 else Huber(self.beta)._normal(std) / self.beta


@dataclass(frozen=True, slots=True)
class Quantile(Residual):
    """The pinball loss: `q * (y - f)` if the prediction is too low, `(1 - q) * (f - y)` if it is too high.

    The best constant is the q-quantile; for normal targets it costs `std * p(P^-1(q))`, and 0 costs `std * p(0)`.

    Args:
        q: the quantile to predict, strictly between 0 and 1.

    Source: Koenker and Bassett 1978, doi:10.2307/1913643.

    Example:
        >>> round(Quantile(0.5, target_std=1.0).chance_level, 4)
        0.3989
        >>> round(Quantile(0.9, target_std=1.0).chance_level, 4)
        0.1755
    """

    q: float = checked(0.5, fraction, open_ends=True)

    kind: ClassVar[str] = "quantile"

    def element_in(self, xp: ModuleType, residual: Array) -> Array:
        """The residual is prediction minus target."""
        return xp.maximum(-self.q * residual, (1 - self.q) * residual)

    def _normal(self, std: float) -> float:
        normal = NormalDist()
        return std * normal.pdf(normal.inv_cdf(self.q))

    def scaled(self, loss: float) -> float:
        """Proportional to the spread."""
        return loss / self._normal(1.0)

    def _at_zero(self) -> float | None:
        if self.constant_loss is not None or self.target_std is None:
            return self.chance_level
        return self.target_std * NormalDist().pdf(0.0)

    def _traps(self) -> tuple[str, ...]:
        median = "At q = 0.5 the loss is half the mean absolute error."
        return (median, *Residual._traps(self))
