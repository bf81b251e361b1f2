"""Losses of adversarial games, losses made of parts, and custom losses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from types import MappingProxyType
from typing import ClassVar

from monitor.errors import LossError
from monitor.losses.specs.parameters import checked, number, one_of
from monitor.losses.specs.spec import LossSpec

LN2 = math.log(2)

_EQUILIBRIUM: Mapping[tuple[str, str], tuple[float, float | None]] = MappingProxyType(
    {
        ("gan", "discriminator"): (2 * LN2, 0.0),
        ("gan", "generator"): (LN2, 0.0),
        ("minimax", "discriminator"): (2 * LN2, 0.0),
        ("minimax", "generator"): (-LN2, None),
        ("lsgan", "discriminator"): (0.25, 0.0),
        ("lsgan", "generator"): (0.125, 0.0),
        ("hinge", "discriminator"): (2.0, 0.0),
        ("hinge", "generator"): (0.0, None),
        ("wgan", "discriminator"): (0.0, None),
        ("wgan", "generator"): (0.0, None),
    }
)
"""Game and side to (loss when the discriminator cannot tell, floor)."""


@dataclass(frozen=True, slots=True)
class Adversarial(LossSpec):
    """One side of an adversarial game; the discriminator's loss is the sum over real and generated samples.

    At equilibrium the discriminator answers 1/2 to everything: `-ln 1/2 - ln 1/2 = 2 ln 2` for it, `-ln 1/2 = ln 2` for
    a non-saturating generator ("gan"), `ln(1 - 1/2)` for a minimax one. Least squares with labels 0 and 1 and halves:
    `(1/2)(1/4) + (1/2)(1/4) = 1/4` and 1/8. Hinge: `max(0, 1 - 0) + max(0, 1 + 0) = 2`. Wasserstein: 0.

    Args:
        game: "gan", "minimax", "lsgan", "hinge" or "wgan".
        side: "discriminator" or "generator".

    Source: Goodfellow et al. 2014, arXiv:1406.2661; Mao et al. 2017, arXiv:1611.04076; Miyato et al. 2018,
    arXiv:1802.05957; Arjovsky et al. 2017, arXiv:1701.07875.

    Example:
        >>> round(Adversarial().chance_level, 4)
        1.3863
        >>> Adversarial().skill(0.0) is None
        True
    """

    game: str = checked("gan", one_of, allowed=("gan", "minimax", "lsgan", "hinge", "wgan"))
    _: KW_ONLY
    side: str = checked("discriminator", one_of, allowed=("discriminator", "generator"))

    kind: ClassVar[str] = "adversarial"
    _chance_formula: ClassVar[str] = "equilibrium of the {self.game} game"
    _own_traps: ClassVar[tuple[str, ...]] = (
        "The loss measures the balance of two networks, not quality; there is no skill score.",
        "A discriminator near its floor has won: the generator's gradient vanishes.",
        "A loss at the equilibrium is the aim, not a plateau.",
    )

    @property
    def comparable(self) -> bool:
        """Never: the loss measures the balance of two networks."""
        return False

    @property
    def chance_level(self) -> float:
        """The discriminator cannot tell real from generated samples."""
        return _EQUILIBRIUM[self.game, self.side][0]

    @property
    def floor(self) -> float | None:
        """This side has won completely."""
        return _EQUILIBRIUM[self.game, self.side][1]

    @property
    def ceiling(self) -> float:
        """The loss of a minimax generator is at most 0."""
        return 0.0 if (self.game, self.side) == ("minimax", "generator") else math.inf

    @property
    def unit(self) -> str:
        """Nats for the logarithmic games."""
        return "nats" if self.game in ("gan", "minimax") else "score units"


@dataclass(frozen=True, slots=True)
class Composite(LossSpec):
    """A weighted sum of named parts.

    The chance level is the weighted sum of the parts' levels if all are known. The floor is the weighted sum of their
    floors: a lower bound, reached only if one prediction is perfect for all parts at once.

    Args:
        parts: specification by name; a penalty is a `Custom(floor=0)`.
        weights: factor by name, >= 0; 1 by default.

    Source: linearity of the mean; `min (f + g) >= min f + min g`.

    Example:
        >>> from monitor.losses import MSE, BinaryCrossEntropy
        >>> both = Composite({"depth": MSE(1.0), "lane": BinaryCrossEntropy()}, weights={"lane": 2.0})
        >>> round(both.chance_level, 4)
        2.3863
    """

    parts: Mapping[str, LossSpec] = field(hash=False)
    _: KW_ONLY
    weights: Mapping[str, float] = field(default_factory=dict, hash=False)

    kind: ClassVar[str] = "composite"

    def _check(self) -> None:
        if not isinstance(self.parts, Mapping) or not self.parts:
            raise LossError(self.kind, "it has no parts", 'give {"name": specification, ...}')
        for name, part in self.parts.items():
            if not isinstance(part, LossSpec):
                raise LossError(self.kind, f"part {name} is a {type(part).__name__}", "give a loss specification")
        for name, weight in self.weights.items():
            if name not in self.parts:
                raise LossError(self.kind, f"weights names {name}", f"its parts are {', '.join(self.parts)}")
            number(self.kind, f"weights[{name}]", weight, at_least=0)
        object.__setattr__(self, "parts", dict(self.parts))
        object.__setattr__(self, "weights", dict(self.weights))

    def weight(self, part: str) -> float:
        """The factor of one part."""
        return self.weights.get(part, 1.0)

    def _total(self, level: str) -> float | None:
        total = 0.0
        for name, part in self.parts.items():
            value: float | None = getattr(part, level)
            if value is None and self.weight(name):
                return None
            total += self.weight(name) * (value or 0.0)
        return total

    @property
    def chance_level(self) -> float | None:
        """Every part at chance."""
        return self._total("chance_level")

    @property
    def initial_level(self) -> float | None:
        """Every part at its initial level."""
        return self._total("initial_level")

    @property
    def floor(self) -> float | None:
        """Every part at its floor."""
        return self._total("floor")

    @property
    def ceiling(self) -> float:
        """Every part at its ceiling."""
        return sum(self.weight(name) * part.ceiling for name, part in self.parts.items() if self.weight(name))

    @property
    def unit(self) -> str:
        """The parts' unit, if they share one."""
        units = {part.unit for part in self.parts.values()}
        return units.pop() if len(units) == 1 else "mixed"

    @property
    def chance_formula(self) -> str:
        """The weighted sum, written out."""
        if self.chance_level is None:
            return ""
        return " + ".join(
            (f"{self.weight(name):g} " if self.weight(name) != 1 else "") + f"{name} ({part.chance_formula or '?'})"
            for name, part in self.parts.items()
        )

    def params(self) -> dict[str, object]:
        """The parameters, with parts as dictionaries."""
        return {
            "parts": {name: part.to_dict() for name, part in self.parts.items()},
            "weights": dict(self.weights),
            "reduction": self.reduction,
        }

    def _traps(self) -> tuple[str, ...]:
        inner = [f"{name}: {trap}" for name, part in self.parts.items() for trap in part.traps[:1]]
        scale = "A part with large values can hide the others; log the parts (loss/name) and look at their shares."
        return (scale, "Changing a weight during the run moves the loss without any learning.", *inner)


@dataclass(frozen=True, slots=True)
class Custom(LossSpec):
    """A custom loss, with whatever levels are known.

    Args:
        name: its name.
        chance_level, initial_level, floor, ceiling: levels in the loss's unit; None if unknown.
        unit: what one unit of the loss is.
        game: True if a lower loss does not mean a better model, as with the value loss of reinforcement learning;
            then the loss is only checked for being finite.

    Example:
        >>> Custom("lddt", chance_level=0.8, floor=0.0).skill(0.2)
        0.75
        >>> Custom("value", game=True).to_dict()["comparable"]
        False
    """

    name: str = "custom"
    _: KW_ONLY
    chance_level: float | None = None
    initial_level: float | None = None
    floor: float | None = None
    ceiling: float | None = None  # type: ignore[assignment]  # None is read as no ceiling
    unit: str = ""
    game: bool = False

    kind: ClassVar[str] = "custom"

    @property
    def comparable(self) -> bool:
        """Unless it belongs to a game."""
        return not self.game

    def _check(self) -> None:
        for name in ("name", "unit"):
            if not isinstance(getattr(self, name), str):
                raise LossError(self.kind, f"{name} is {getattr(self, name)!r}", f"give {name} as text")
        for name in ("chance_level", "initial_level", "floor"):
            number(self.name, name, getattr(self, name))
        if self.ceiling is None:
            object.__setattr__(self, "ceiling", math.inf)
        if self.initial_level is None and self.chance_level is not None:
            object.__setattr__(self, "initial_level", self.chance_level)
        if self.chance_level is not None and self.floor is not None and self.chance_level < self.floor:
            problem = f"chance_level {self.chance_level:g} is below floor {self.floor:g}"
            raise LossError(self.name, problem, "give the floor as the lowest loss there can be")
