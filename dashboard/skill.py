"""The skill score of runs and curves, `1 - (loss - floor) / (chance - floor)`: different losses on one scale.

It is known where the run said what its loss is and that specification has both levels; `monitor.losses.skill` decides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard.charts.axes import finite
from dashboard.charts.figure import Figure
from dashboard.charts.loss import Story
from monitor import losses
from monitor.domain import Curve, RunInfo
from monitor.domain.formats import count

FORMULA: Final = "1 - (loss - floor) / (chance - floor)"
MEANING: Final = f"{FORMULA}: 0 is a model that does not look at its input, 1 a perfect one, below 0 worse than chance"
"""What a reader learns about the score."""
LOWEST: Final = -1.0
"""The axis ends here, so that a loss far above chance does not flatten what is learned."""
REFERENCES: Final = {"chance level": 0.0, "floor": 1.0}
"""Where the two levels of the loss stand on an axis of skill."""


def comparable(run: RunInfo) -> bool:
    """True where the run's loss has a skill score: both levels are known, and a lower loss is a better model."""
    return run.loss is not None and losses.skill(run.loss, 0.0) is not None


def of_run(run: RunInfo) -> float | None:
    """Skill of the best validation loss, of the best training loss where there is no validation.

    Returns:
        None where the loss has no skill score, or no finite loss was logged.
    """
    best = run.recommendation.best_val_loss
    return None if run.loss is None or best is None else losses.skill(run.loss, best)


def of_curve(curve: Curve, run: RunInfo) -> Curve:
    """A loss curve with its values as skill; NaN stays NaN, and an infinite loss is infinitely bad.

    Args:
        curve: of one of the run's losses.
        run: one that is `comparable`.
    """
    smoothed = None if curve.smoothed is None else _scaled(curve.smoothed, run)
    return replace(curve, y=_scaled(curve.y, run), smoothed=smoothed)


def _scaled(values: NDArray[np.float64], run: RunInfo) -> NDArray[np.float64]:
    chance, floor = levels(run)
    scaler = losses.scaler(run.loss or {})
    top, low = scaler(chance), scaler(floor)
    moved = np.array([scaler(value) if math.isfinite(value) else value for value in values.tolist()], float)
    return 1.0 - (moved - low) / (top - low)


def of_story(story: Story, run: RunInfo) -> Story:
    """The marks of a chart of losses for one of skill: the best step's value, and the levels at 0 and 1."""
    rec = story.recommendation
    return replace(story, recommendation=replace(rec, best_val_loss=of_run(run), forecast=None), references=REFERENCES)


def levels(run: RunInfo) -> tuple[float, float]:
    """Chance level and floor of a run that is `comparable`."""
    known = run.loss or {}
    return float(str(known["chance_level"])), float(str(known["floor"]))


def limit(figure: Figure, curves: Sequence[Curve]) -> tuple[str, ...]:
    """End the skill axis at `LOWEST` where a curve goes below it.

    Args:
        curves: drawn on it, already as skill.

    Returns:
        What a caption has to say of it.
    """
    values = finite(curves)
    below = int((values < LOWEST).sum())
    said = f"skill is {FORMULA}, on a linear axis"
    if not below:
        return (said,)
    top = max(float(values.max()), 0.0)
    figure.update(yaxis={"range": [LOWEST - 0.02, top + 0.05 * (top - LOWEST)]})
    return said, f"{count(below, 'point')} below a skill of {LOWEST:g} lie off the axis; a drag on it shows them"


def without(runs: Mapping[str, RunInfo]) -> tuple[str, ...]:
    """The labels of the runs whose loss has no skill score."""
    return tuple(label for label, run in runs.items() if not comparable(run))
