"""The engine's input: points of the roles that it judges, in the order in which they were logged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.roles import Role

ROLE_CODES: Final[dict[Role, int]] = {
    Role.TRAIN: 0,
    Role.VAL: 1,
    Role.GRAD_NORM: 2,
    Role.LR: 3,
    Role.PART: 4,
    Role.GOAL: 6,
}
WEIGHT: Final = 5
"""The code of a weight: the value is a part's factor from there on."""


@dataclass(frozen=True, slots=True, eq=False)
class EnginePoints:
    """Points in arrival order; all arrays have shape (n,).

    Attributes:
        role: uint8, a code of `ROLE_CODES`, or `WEIGHT`.
        step: float64.
        value: float64; NaN and infinities as logged.
        part: uint16, the index in `names` for a part or a weight; arbitrary for other points. None if there are no
            parts or weights.
        names: names of the parts, without `loss/`.
        goal: the name of the goal's series, and whether higher is better; None if there are no points of a goal.
    """

    role: NDArray[np.uint8]
    step: NDArray[np.float64]
    value: NDArray[np.float64]
    part: NDArray[np.uint16] | None = None
    names: tuple[str, ...] = ()
    goal: tuple[str, bool] | None = None

    def __len__(self) -> int:
        return len(self.role)

    def at(self, which: NDArray[np.intp] | slice) -> EnginePoints:
        """A subset of the points."""
        part = None if self.part is None else self.part[which]
        return EnginePoints(self.role[which], self.step[which], self.value[which], part, self.names, self.goal)
