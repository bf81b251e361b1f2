"""What every loss specification answers: which number to expect, and which number cannot be.

Three levels are told apart, all for the mean over elements, in the loss's own unit:

- `floor`: no prediction scores below it, whatever the data. A perfect predictor reaches it.
- `chance_level`: what the best prediction scores that does not look at its input, so it knows the targets' distribution
  and nothing else. A training that is stuck sits here.
- `initial_level`: what a fresh network scores whose outputs are zero (all logits equal). It is the chance level where
  the classes are balanced, and lies above it where they are not.

A level is None where the parameters do not say it; it is never guessed.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import ClassVar, TypeVar

from monitor.errors import LossError
from monitor.losses.specs.parameters import one_of, plain

REDUCTIONS: tuple[str, ...] = ("mean", "sum", "none", "batchmean")
"""How a loss makes one number of many; "none" means that the loop does it itself."""

REGISTRY: dict[str, type[LossSpec]] = {}
"""Every specification by its kind; filled as the families are imported."""

_S = TypeVar("_S", bound="type[LossSpec]")


def register(cls: _S) -> _S:
    """Enter a specification under its kind, so that `from_dict` and `parse` find it."""
    REGISTRY[cls.kind] = cls
    return cls


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSpec:
    """A loss function as the monitor knows it.

    Attributes:
        reduction: how the logged number was made of the elements; the levels below are always those of the mean.
    """

    reduction: str = "mean"

    kind: ClassVar[str] = ""
    comparable: ClassVar[bool] = True
    """False where a lower loss does not mean a better model, as between two adversaries."""

    def __post_init__(self) -> None:
        one_of(self.kind, "reduction", self.reduction, REDUCTIONS)
        self._check()

    def _check(self) -> None:
        """Refuse parameters that cannot be used; each family overrides it.

        Raises:
            LossError: names the parameter and the fix.
        """

    @property
    def name(self) -> str:
        """What people read: the kind, or the name the user gave."""
        return self.kind

    @property
    def chance_level(self) -> float | None:
        """Mean loss of the best prediction that does not look at its input; None where it is not known."""
        return None

    @property
    def initial_level(self) -> float | None:
        """Mean loss of a fresh network whose outputs are zero; None where it is not known."""
        return self.chance_level

    @property
    def floor(self) -> float | None:
        """The lowest mean loss there can be; None where there is no bound, or it is not known."""
        return 0.0

    @property
    def lowest(self) -> float | None:
        """The lowest value that a batch can have: the floor, except where the floor is a mean over unequal labels."""
        return self.floor

    @property
    def ceiling(self) -> float:
        """The highest mean loss there can be; infinity where there is no bound."""
        return math.inf

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest value, infinite where there is no bound."""
        return (-math.inf if self.lowest is None else self.lowest, self.ceiling)

    def scaled(self, loss: float) -> float:
        """The loss on the scale that its family shares, in which skill is measured; it rises with the loss.

        Squared errors give their root, perplexity its logarithm, Huber's loss the spread of normal errors that cost as
        much, a focal loss the nats of a model that is equally sure everywhere. Other losses stay as they are.
        """
        return loss

    @property
    def unit(self) -> str:
        """What one unit of the loss is: "nats", "bits", "target units", "1" ..."""
        return "nats"

    @property
    def chance_formula(self) -> str:
        """The chance level as a person writes it, such as "ln 10"; empty where it is not known."""
        return ""

    @property
    def traps(self) -> tuple[str, ...]:
        """What misleads people about this loss's number, one sentence each."""
        return self._traps() + (SUM_TRAP if self.reduction == "sum" else ())

    def _traps(self) -> tuple[str, ...]:
        """The family's own traps; overridden by each."""
        return ()

    def skill(self, loss: float, *, elements: int | None = None) -> float | None:
        """How much of the way from chance to perfect the loss has gone: `1 - (x - floor) / (chance - floor)`.

        All three are taken on the family's own scale (`scaled`), so that a squared and an absolute error, or nats and
        perplexity, score alike. `losses.standing` says which of several losses is better, and when that cannot be told.

        Args:
            loss: a logged value.
            elements: how many elements a summed loss was summed over; needed where `reduction` is "sum".

        Returns:
            1 at the floor, 0 at chance, negative above chance; None where a level is not known, the loss is not finite,
            chance and floor coincide, or a lower loss does not mean a better model.

        Source: the skill score of forecasting with the climatological (constant) forecast as its reference;
        Murphy 1988, doi:10.1175/1520-0493(1988)116<2417:SSBOTM>2.0.CO;2.

        Example:
            >>> from monitor.losses import CrossEntropy
            >>> spec = CrossEntropy(classes=4)
            >>> spec.skill(spec.chance_level), spec.skill(0.0)
            (0.0, 1.0)
        """
        chance, floor = self.chance_level, self.floor
        if self.reduction == "sum":
            if not elements:
                return None
            loss = loss / elements
        if not self.comparable or chance is None or floor is None:
            return None
        if not math.isfinite(loss):
            return None
        return skill_between(self.scaled(loss), self.scaled(chance), self.scaled(floor))

    def params(self) -> dict[str, object]:
        """The parameters as strict JSON data."""
        return {item.name: plain(getattr(self, item.name)) for item in fields(self)}

    def to_dict(self) -> dict[str, object]:
        """What a run stores about its loss: strict JSON data, with every level worked out.

        `from_dict` reads `kind` and `params`; the rest is for readers that do not know losses.
        """
        low, high = self.range
        return {
            "kind": self.kind,
            "name": self.name,
            "params": self.params(),
            "reduction": self.reduction,
            "chance_level": self.chance_level,
            "chance_formula": self.chance_formula,
            "initial_level": self.initial_level,
            "floor": self.floor,
            "range": [plain(low), plain(high)],
            "unit": self.unit,
            "comparable": self.comparable,
            "traps": list(self.traps),
        }

    @staticmethod
    def from_dict(data: Mapping[str, object]) -> LossSpec:
        """The inverse of `to_dict`; a mapping without a kind is read as `Custom`.

        Raises:
            LossError: the kind or a parameter is unknown, or a parameter cannot be used.
        """
        kind = data.get("kind")
        if kind is None:
            known = ("name", "chance_level", "initial_level", "floor", "ceiling", "unit", "reduction")
            return make("custom", {key: data[key] for key in known if data.get(key) is not None})
        params = data.get("params", {})
        if not isinstance(params, Mapping):
            raise LossError(str(kind), "params is not a mapping", "give the parameters by name")
        return make(str(kind), {str(key): value for key, value in params.items()})


SUM_TRAP: tuple[str, ...] = (
    "The loss is summed, not averaged: the logged number grows with the batch, and so does the gradient.",
)


def skill_between(loss: float, chance: float, floor: float) -> float | None:
    """The skill score between two known levels; None where it is not defined."""
    if not math.isfinite(loss) or chance - floor <= 1e-12 * max(1.0, abs(chance)):
        return None
    return 1.0 - (loss - floor) / (chance - floor)


def make(kind: str, params: Mapping[str, object]) -> LossSpec:
    """Build the specification of this kind.

    Raises:
        LossError: an unknown kind or parameter, with the nearest known one; or a parameter that cannot be used.
    """
    cls = REGISTRY.get(kind)
    if cls is None:
        near = difflib.get_close_matches(kind, REGISTRY, 1)
        fix = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(REGISTRY))}"
        raise LossError(kind, "no loss of this name is known", fix)
    known = [item.name for item in fields(cls)]
    for key in params:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            fix = f"did you mean {near[0]}?" if near else f"it takes {', '.join(known)}"
            raise LossError(kind, f"it has no parameter {key}", fix)
    needed = [f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]
    missing = [name for name in needed if name not in params]
    if missing:
        raise LossError(kind, f"it needs {' and '.join(missing)}", f"it takes {', '.join(known)}")
    try:
        return cls(**{key: _restore(value) for key, value in params.items()})  # type: ignore[arg-type]  # checked by _check
    except LossError:
        raise
    except (TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        # Parameters of a kind that no check looks at: data from outside, which the types do not hold.
        problem = f"its parameters cannot be used ({type(error).__name__}: {str(error)[:100]})"
        raise LossError(kind, problem, f"it takes {', '.join(known)}") from error


def _restore(value: object) -> object:
    """JSON lists back to tuples, nested specifications back to themselves."""
    if isinstance(value, list):
        return tuple(_restore(item) for item in value)
    if isinstance(value, Mapping):
        if "kind" in value and "params" in value:
            return LossSpec.from_dict(value)
        return {str(key): _restore(item) for key, item in value.items()}
    return value
