"""The roles that a series can have."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What the engine takes a series for."""

    TRAIN = "train"
    VAL = "val"
    GRAD_NORM = "grad_norm"
    LR = "lr"
    PART = "part"
    """A term of a composite loss, `loss/<name>`."""
    GOAL = "goal"
    """The metric that the training is for, such as an accuracy; one of a run."""
    SYSTEM = "system"
    """A measurement of the machine, `system/<name>`."""
    UNMAPPED = "unmapped"
    """Stored and shown, not judged."""


JUDGED_PARTS: Final = 8
"""Parts of a composite loss that the engine judges, at most: those that were logged first."""
