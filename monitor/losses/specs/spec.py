"""The interface of loss specifications: which value to expect, and which values are impossible.

There are three levels, all for the mean over elements, in the loss's own unit:

- `floor`: a lower bound for any prediction, whatever the data. A perfect predictor reaches it.
- `chance_level`: the score of the best prediction that ignores its input and knows only the distribution of the
  targets. A training that does not learn stays here.
- `initial_level`: the score of a fresh network with zero outputs (equal logits). It equals the chance level for
  balanced classes, and is higher otherwise.

A level is None if the parameters do not determine it; it is never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import ClassVar, Final

from monitor.errors import LossError, suggestion
from monitor.losses.specs.parameters import checked, one_of, plain

REDUCTIONS: tuple[str, ...] = ("mean", "sum", "none", "batchmean")
"""How a loss combines its elements; "none" means that the loop does it."""

_OURS: Final = f"{__package__}."
REGISTRY: dict[str, type[LossSpec]] = {}
"""Every specification by its kind; each class enters itself when its family is imported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSpec:
    """A loss function as the monitor knows it.

    Attributes:
        reduction: how the logged number was made from the elements; the levels are always those of the mean.
    """

    reduction: str = checked("mean", one_of, allowed=REDUCTIONS)

    kind: ClassVar[str] = ""

    # What most families say by a constant; one that computes it overrides the property.
    _unit: ClassVar[str] = "nats"
    _ceiling: ClassVar[float] = math.inf
    _chance_formula: ClassVar[str] = ""  # a template over `self`
    _own_traps: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **options: object) -> None:
        super(LossSpec, cls).__init_subclass__(**options)  # with slots, a bare `super()` means the class before
        if "kind" in vars(cls) and cls.__module__.startswith(_OURS):  # a user's class must not read what is stored
            REGISTRY[cls.kind] = cls  # with slots, `dataclass` makes the class again: the second one stays

    def __post_init__(self) -> None:
        for item in fields(self):
            if check := item.metadata.get("check"):
                check(self.kind, item.name, getattr(self, item.name))
        self._check()

    def _check(self) -> None:
        """Validate what the checks of single parameters (`checked`) cannot say.

        Raises:
            LossError: names the parameter and the fix.
        """

    @property
    def name(self) -> str:
        """The displayed name: the kind, or the user's name."""
        return self.kind

    @property
    def chance_level(self) -> float | None:
        """Mean loss of the best prediction that ignores its input; None if unknown."""
        return None

    @property
    def initial_level(self) -> float | None:
        """Mean loss of a fresh network with zero outputs; None if unknown."""
        return self.chance_level

    @property
    def floor(self) -> float | None:
        """The lowest possible mean loss; None if unbounded or unknown."""
        return 0.0

    @property
    def lowest(self) -> float | None:
        """The lowest value of a batch: the floor, unless that is a mean over labels of different cost."""
        return self.floor

    @property
    def ceiling(self) -> float:
        """The highest possible mean loss; infinity if unbounded."""
        return self._ceiling

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest value; infinite if unbounded."""
        return (-math.inf if self.lowest is None else self.lowest, self.ceiling)

    def scaled(self, loss: float) -> float:
        """The loss on the scale shared by its family, on which skill is measured; increases with the loss.

        A squared error becomes its root, perplexity its logarithm, Huber's loss the spread of normal errors of the same
        cost, a focal loss the nats of a model with equal confidence everywhere. Other losses stay as they are.
        """
        return loss

    @property
    def unit(self) -> str:
        """The unit of the loss: "nats", "bits", "target units", "1" ..."""
        return self._unit

    @property
    def comparable(self) -> bool:
        """False if a lower loss does not mean a better model, as between two adversaries."""
        return True

    @property
    def chance_formula(self) -> str:
        """The chance level as people write it, such as "ln 10"; "" if unknown."""
        return "" if self.chance_level is None else self._chance_formula.format(self=self)

    @property
    def traps(self) -> tuple[str, ...]:
        """What people misread about this loss's number, one sentence each."""
        return self._traps() + (SUM_TRAP if self.reduction == "sum" else ())

    def _traps(self) -> tuple[str, ...]:
        """The family's own traps; overridden where they depend on its parameters."""
        return self._own_traps

    def skill(self, loss: float, *, elements: int | None = None) -> float | None:
        """How far the loss is on the way from chance to perfect: `1 - (x - floor) / (chance - floor)`.

        All three are on the family's scale (`scaled`), so that a squared and an absolute error, or nats and
        perplexity, get the same score. `losses.standing` tells which of several losses is better, if that is possible.

        Args:
            loss: a logged value.
            elements: number of elements of a summed loss; needed if `reduction` is "sum".

        Returns:
            1 at the floor, 0 at chance, negative above chance; None if a level is unknown, the loss is not finite,
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
        """What a run stores about its loss: strict JSON data, with all levels computed.

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
        """The inverse of `to_dict`; a mapping without a kind becomes a `Custom`.

        Raises:
            LossError: the kind or a parameter is unknown or invalid.
        """
        kind = data.get("kind")
        if kind is None:
            known = ("name", "chance_level", "initial_level", "floor", "ceiling", "unit", "reduction")
            return make("custom", {key: data[key] for key in known if data.get(key) is not None})
        params = data.get("params", {})
        if not isinstance(params, Mapping):
            raise LossError(str(kind), "params is not a mapping", "give the parameters by name")
        return make(str(kind), {str(key): value for key, value in params.items()})


def known(spec: LossSpec | Mapping[str, object]) -> LossSpec | None:
    """A specification, also from its dictionary; None if it cannot be read, as one stored by another version."""
    try:
        return spec if isinstance(spec, LossSpec) else LossSpec.from_dict(spec)
    except LossError:
        return None


SUM_TRAP: tuple[str, ...] = (
    "The loss is summed, not averaged: the logged number grows with the batch, and so does the gradient.",
)


def skill_between(loss: float, chance: float, floor: float) -> float | None:
    """The skill score between two known levels; None if undefined."""
    if not math.isfinite(loss) or chance - floor <= 1e-12 * max(1.0, abs(chance)):
        return None
    return 1.0 - (loss - floor) / (chance - floor)


def make(kind: str, params: Mapping[str, object]) -> LossSpec:
    """Create a specification of this kind.

    Raises:
        LossError: unknown kind or parameter (suggests the nearest), or an invalid parameter.
    """
    cls = REGISTRY.get(kind)
    if cls is None:
        raise LossError(kind, "no loss of this name is known", suggestion(kind, sorted(REGISTRY)))
    known = [item.name for item in fields(cls)]
    for key in params:
        if key not in known:
            raise LossError(kind, f"it has no parameter {key}", suggestion(key, known, f"it takes {', '.join(known)}"))
    needed = [f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]
    missing = [name for name in needed if name not in params]
    if missing:
        raise LossError(kind, f"it needs {' and '.join(missing)}", f"it takes {', '.join(known)}")
    try:
        return cls(**{key: _restore(value) for key, value in params.items()})  # type: ignore[arg-type]  # checked by _check
    except LossError:
        raise
    except (TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        # Parameters come from outside, and not every kind checks all of their types.
        problem = f"its parameters cannot be used ({type(error).__name__}: {str(error)[:100]})"
        raise LossError(kind, problem, f"it takes {', '.join(known)}") from error


def _restore(value: object) -> object:
    """Convert JSON lists back to tuples, and nested specifications back to objects."""
    if isinstance(value, list):
        return tuple(_restore(item) for item in value)
    if isinstance(value, Mapping):
        if "kind" in value and "params" in value:
            return LossSpec.from_dict(value)
        return {str(key): _restore(item) for key, item in value.items()}
    return value
