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

from dashboard.charts.figure import Figure
from dashboard.charts.loss import Story
from monitor import losses
from monitor.directions import rises
from monitor.domain import Curve, RunInfo, RunSnapshot, repeats
from monitor.domain.formats import count, number
from monitor.errors import LossError
from monitor.roles import Role

FORMULA: Final = "1 - (loss - floor) / (chance - floor)"
MEANING: Final = f"{FORMULA}: 0 is a model that does not look at its input, 1 a perfect one, below 0 worse than chance"
"""What a reader is told of the score."""
_SHARED: Final = 3
"""Metrics that are named where the losses cannot tell runs apart."""
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


def standing(seen: Sequence[RunSnapshot]) -> losses.Standing:
    """The id of the best run of several: by its loss where it is the same for all, else by what can be said of them.

    Losses of one family are put on one scale. Where that does not tell the runs apart, or there is no such scale, a
    goal that all of them log decides.
    """
    values = {s.info.id: s.info.recommendation.best_val_loss for s in seen}
    known = {name: value for name, value in values.items() if value is not None}
    if len(seen) < 2 or not known:
        return losses.Standing(best=None)
    if len({repeats.loss_of(s.info) for s in seen}) == 1:
        return losses.Standing(best=min(known, key=known.__getitem__))
    found = losses.standing({s.info.id: (_spec(s.info), known[s.info.id]) for s in seen if s.info.id in known})
    return found if found.best is not None else _by_metric(seen, _by_goal(seen, found))


def _spec(run: RunInfo) -> Mapping[str, object]:
    """The loss of a run; one that only its configuration names, by that name."""
    name = repeats.named_loss(run)
    if run.loss is not None or not name:
        return run.loss or {}
    try:
        return losses.parse(name).to_dict()
    except LossError:
        return losses.Custom(name).to_dict()


def _by_goal(seen: Sequence[RunSnapshot], found: losses.Standing) -> losses.Standing:
    """The best run by a goal that all log under one name, or what was found without one."""
    goals = {(str((s.info.reading or {}).get("goal")), (s.info.reading or {}).get("rises") is True) for s in seen}
    values = {s.info.id: s.info.goal_best for s in seen}
    known = {name: value for name, value in values.items() if value is not None}
    if len(goals) != 1 or len(known) < len(seen):
        return found
    goal, rises = goals.pop()
    best = (max if rises else min)(known, key=known.__getitem__)
    if sum(value == known[best] for value in known.values()) > 1:
        return found
    return losses.Standing(best=best, why=f"best by {goal}, since the losses differ.")


def _by_metric(seen: Sequence[RunSnapshot], found: losses.Standing) -> losses.Standing:
    """What was found, with the best runs by metrics that all log and whose names say which way is better."""
    if found.best is not None:
        return found
    judged = {series.key for s in seen for role in (Role.TRAIN, Role.VAL, Role.PART) for series in s.of_role(role)}
    shared = set.intersection(*({series.key for series in s.series} for s in seen)) - judged
    leaders = [leader for key in sorted(shared) if (leader := _leader(seen, key))][:_SHARED]
    if not leaders:
        return found
    why = found.why.partition(f": {losses.HINT}")[0].removesuffix(".")
    return replace(found, why=f"{why}; by what all of them log: {'; '.join(leaders)}.")


def _leader(seen: Sequence[RunSnapshot], key: str) -> str:
    """The best run by a metric; "" where its name does not say which way is better, or a run has no value of it."""
    up = rises(key)
    series = [next(each for each in s.series if each.key == key) for s in seen]
    values = {s.info.id: each.max if up else each.min for s, each in zip(seen, series, strict=True)}
    known = {name: value for name, value in values.items() if value is not None and math.isfinite(value)}
    if up is None or len(known) < len(seen):
        return ""
    best = (max if up else min)(known.values())
    first = [name for name, value in known.items() if value == best]
    return f"{key} is best in {' and '.join(first)} ({number(best, 4)})"


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
        figure: changed in place.
        curves: drawn on it, already as skill.

    Returns:
        What a caption has to say of it.
    """
    values = np.concatenate([c.y[np.isfinite(c.y)] for c in curves]) if curves else np.empty(0)
    below = int((values < LOWEST).sum())
    said = f"skill is {FORMULA}, on a linear axis"
    if not below:
        return (said,)
    top = max(float(values.max()), 0.0)
    figure.update(yaxis={"range": [LOWEST - 0.02, top + 0.05 * (top - LOWEST)]})
    return said, f"{count(below, 'point')} below a skill of {LOWEST:g} lie off the axis; a drag on it shows them"


def without(runs: Mapping[str, RunInfo]) -> tuple[str, ...]:
    """The labels of the runs whose loss has no skill score.

    Args:
        runs: by their labels.
    """
    return tuple(label for label, run in runs.items() if not comparable(run))
