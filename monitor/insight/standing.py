"""The best of several runs, whose loss functions may differ; or why none is best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from monitor import losses
from monitor.directions import rises
from monitor.domain import RunInfo, RunSnapshot, repeats
from monitor.domain.formats import number
from monitor.errors import LossError
from monitor.roles import Role

_SHARED: Final = 3
"""Metrics to suggest if the losses cannot distinguish runs."""


def standing(seen: Sequence[RunSnapshot]) -> losses.Standing:
    """The id of the best of several runs: by the loss if all have the same, else by what can be compared.

    Losses of one family are put on one scale. If that does not distinguish the runs, or no scale is common, a goal
    that all of them log decides.
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
    """The loss of a run; if only its configuration names one, by that name."""
    name = repeats.named_loss(run)
    if run.loss is not None or not name:
        return run.loss or {}
    try:
        return losses.parse(name).to_dict()
    except LossError:
        return losses.Custom(name).to_dict()


def _by_goal(seen: Sequence[RunSnapshot], found: losses.Standing) -> losses.Standing:
    """The best run by a goal that all runs log under one name, else the given result."""
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
    """The result with the best runs by metrics that all runs log and whose names say which way is better."""
    if found.best is not None:
        return found
    judged = {series.key for s in seen for role in (Role.TRAIN, Role.VAL, Role.PART) for series in s.of_role(role)}
    logged = set.intersection(*({series.key for series in s.series} for s in seen))
    # A slice of a loss is no more comparable than the loss, and what is measured of its examples is no goal.
    shared = {key for key in logged if key.partition("{")[0] not in judged and not key.startswith("examples/")}
    leaders = [leader for key in sorted(shared) if (leader := _leader(seen, key))][:_SHARED]
    if not leaders:
        return found
    why = found.why.partition(f": {losses.HINT}")[0].removesuffix(".")
    return replace(found, why=f"{why}; by what all of them log: {'; '.join(leaders)}.")


def _leader(seen: Sequence[RunSnapshot], key: str) -> str:
    """The best run by a metric; "" if its name does not say which way is better, or a run has no value for it."""
    up = rises(key)
    series = [next(each for each in s.series if each.key == key) for s in seen]
    values = {s.info.id: each.max if up else each.min for s, each in zip(seen, series, strict=True)}
    known = {name: value for name, value in values.items() if value is not None and math.isfinite(value)}
    if up is None or len(known) < len(seen):
        return ""
    best = (max if up else min)(known.values())
    first = [name for name, value in known.items() if value == best]
    return f"{key} is best in {' and '.join(first)} ({number(best, 4)})"
