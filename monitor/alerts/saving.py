"""What a stop now would save: the steps that are planned and not made yet, and the time that they take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from monitor.domain import Action, RunInfo
from monitor.domain.formats import duration, step

PLANNED: Final = ("max_steps", "total_steps", "num_steps", "max_iters", "num_training_steps", "steps", "train_steps")
"""Names under which a configuration says how many steps are planned."""


@dataclass(frozen=True, slots=True)
class Saving:
    """What a stop now saves.

    Attributes:
        steps: that would not be made.
        seconds: that these would take, at the mean speed so far; None before the second step.
        cost: of that time, in words, where a cost is set.
    """

    steps: int
    seconds: float | None
    cost: str | None = None

    def __str__(self) -> str:
        """The saving as part of a sentence.

        >>> str(Saving(3200, 4800.0))
        '3,200 steps, about 1 h 20 min'
        """
        parts = [
            f"{step(self.steps)} steps",
            *([] if self.seconds is None else [f"about {duration(1000 * self.seconds)}"]),
        ]
        return ", ".join([*parts, *([self.cost] if self.cost else [])])


def saving(run: RunInfo) -> Saving | None:
    """What a stop of a run saves; None where it is not advised, or the configuration names no number of steps."""
    if not run.status.live or run.recommendation.action is not Action.STOP or not run.last_step:
        return None
    given = (run.config.get(name) for name in PLANNED)
    planned = next((n for n in given if isinstance(n, int) and not isinstance(n, bool) and n > 0), None)
    if planned is None or planned <= run.last_step:
        return None
    left = planned - run.last_step
    took_ms = (run.last_point_ms or run.created_ms) - run.created_ms
    return Saving(left, took_ms / 1000 / run.last_step * left if took_ms > 0 else None)
