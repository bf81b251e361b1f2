"""What the engine is fed: points of the roles that it judges, in the order in which they were logged."""

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
"""The code of a weight: the value is what a part is multiplied with from there on."""


@dataclass(frozen=True, slots=True, eq=False)
class EnginePoints:
    """Points in arrival order; all arrays have shape (n,).

    Attributes:
        role: uint8, from `ROLE_CODES`, or `WEIGHT`.
        step: float64.
        value: float64; NaN and infinities as they were logged.
        part: uint16, the place in `names` of a part or of a weight; anything for other points. None: there are none.
        names: of the parts, without `loss/`.
        goal: the name of the goal's series, and whether it rises when things go well; None: there are no points of it.
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
        """Some of the points."""
        part = None if self.part is None else self.part[which]
        return EnginePoints(self.role[which], self.step[which], self.value[which], part, self.names, self.goal)
