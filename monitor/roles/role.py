"""The roles of series."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What a series means to the engine."""

    TRAIN = "train"
    VAL = "val"
    GRAD_NORM = "grad_norm"
    LR = "lr"
    PART = "part"
    """A term of a composite loss, `loss/<name>`."""
    GOAL = "goal"
    """The metric to improve, such as an accuracy; one per run."""
    SYSTEM = "system"
    """A measurement of the machine, `system/<name>`."""
    UNMAPPED = "unmapped"
    """Stored and plotted, not diagnosed."""


JUDGED_PARTS: Final = 8
"""Parts of a composite loss that are diagnosed, at most: the first ones logged."""
