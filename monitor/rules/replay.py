"""`diagnose`: runs the streaming engine over complete curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from monitor.domain import Diagnosis
from monitor.errors import LossError, RulesError
from monitor.roles import Role
from monitor.rules.config import RulesConfig
from monitor.rules.engine import Engine
from monitor.rules.sketch.noise import Floats
from monitor.rules.sketch.points import ROLE_CODES, WEIGHT, EnginePoints

Series = ArrayLike | Sequence[tuple[float, float]]


class LossSpec(Protocol):
    """A specification from `monitor.losses`, or any other object with `to_dict`."""

    def to_dict(self) -> Mapping[str, object]:
        """The specification as plain data."""


def diagnose(
    train: Series,
    val: Series | None = None,
    *,
    loss: LossSpec | Mapping[str, object] | None = None,
    unit: str = "step",
    grad_norm: Series | None = None,
    lr: Series | None = None,
    parts: Mapping[str, Series] | None = None,
    weights: Mapping[str, Series | float] | None = None,
    run_config: Mapping[str, object] | None = None,
    goal: Series | None = None,
    goal_name: str = "goal",
    goal_rises: bool = True,
    config: RulesConfig | None = None,
) -> Diagnosis:
    """Replay complete curves through the engine, as if they were logged now.

    Series are merged by step, training before validation at the same step. A step that goes back keeps its place within
    its series: the run was resumed there.

    Args:
        train, val, grad_norm, lr: (n, 2) arrays or sequences of (step, value). Or n values alone, whose steps are 0 to
            n - 1, or the index of a pandas Series. A DataFrame with one column is read as a Series, one with two as
            steps and values. NaN and infinities as logged.
        loss: the loss function: one of `monitor.losses`, or a mapping with `chance_level` and `floor`.
        parts: the parts of a composite loss by name, with or without `loss/`, as logged: before weighting.
        weights: the factor of each part in the total: a number, or (step, weight) at each change; 1 by default.
        run_config: the run's hyperparameters. The batch size and the like help to recognise a loss that is summed.
        goal: the metric that the training optimises for, (n, 2) as above. `goal_name` is its name in sentences,
            `goal_rises` is True if higher is better.
        unit: what steps count, "step" or "epoch".
        config: settings of the rules; None for the defaults.

    Raises:
        LossError: `loss` is neither a specification nor a mapping.
        RulesError: a series does not have the shape (n, 2), or contains something that is not a number.

    Example:
        >>> curve = [(step, 1 / (1 + step / 50)) for step in range(200)]
        >>> diagnose(curve).recommendation.action.value
        'continue'
    """
    engine = Engine(config)
    points = merge(
        {Role.LR: lr, Role.GRAD_NORM: grad_norm, Role.TRAIN: train, Role.VAL: val, Role.GOAL: goal}, parts, weights
    )
    if goal is not None:
        points = replace(points, goal=(goal_name, goal_rises))
    update = engine.update(engine.start(unit, known_loss(loss), run_config, aimed=goal is not None), points)
    return engine.diagnosis(update.state, update.changes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """A run to replay.

    Attributes:
        series: by role, float64 (n, 2), ordered by step or as in the file.
        unit: what steps count, "step" or "epoch".
        loss, config: what is known about the loss function, and the run's hyperparameters, as in `Engine.start`.
        parts, weights: of a composite loss, as `diagnose` takes them.
    """

    name: str
    series: Mapping[Role, Floats]
    unit: str = "step"
    loss: Mapping[str, object] | None = None
    config: Mapping[str, object] | None = None
    parts: Mapping[str, Floats] = field(default_factory=dict)
    weights: Mapping[str, Floats | float] = field(default_factory=dict)

    def diagnose(self, config: RulesConfig) -> Diagnosis:
        """The diagnosis of the curves.

        Raises:
            RulesError: a series cannot be read as points.
        """
        return diagnose(
            self.series.get(Role.TRAIN, ()),
            self.series.get(Role.VAL),
            loss=self.loss,
            unit=self.unit,
            grad_norm=self.series.get(Role.GRAD_NORM),
            lr=self.series.get(Role.LR),
            parts=self.parts,
            weights=self.weights,
            run_config=self.config,
            config=config,
        )


def known_loss(loss: object) -> Mapping[str, object] | None:
    """A loss function as the mapping that the engine reads.

    Raises:
        LossError: it is neither a specification nor a mapping.
    """
    data = loss.to_dict() if hasattr(loss, "to_dict") else loss
    if data is None or isinstance(data, Mapping):
        return data
    raise LossError(repr(loss), "it is no specification", "give one of monitor.losses, such as losses.parse('mse')")


def merge(
    series: Mapping[Role, Series | None],
    parts: Mapping[str, Series] | None = None,
    weights: Mapping[str, Series | float] | None = None,
) -> EnginePoints:
    """Merge all series into one stream: by attempt, then by the highest step so far; ties in the order of the mapping.

    At the same step, weights come before everything else, and parts after the curves.
    """
    told = {_short(name): _weight(name, data) for name, data in (weights or {}).items()}
    terms = {_short(name): _array(f"part {name}", data) for name, data in (parts or {}).items()}
    names = tuple(dict.fromkeys((*terms, *told)))
    # The order of `found` decides ties at a step, since lexsort is stable.
    found = [(WEIGHT, names.index(name), array) for name, array in told.items()]
    found += [(ROLE_CODES[role], 0, _array(role, data)) for role, data in series.items() if data is not None]
    found += [(ROLE_CODES[Role.PART], names.index(name), array) for name, array in terms.items()]
    found = [(code, part, array) for code, part, array in found if len(array)]
    if not found:
        return EnginePoints(np.empty(0, "u1"), np.empty(0), np.empty(0))
    role = np.concatenate([np.full(len(array), code, "u1") for code, _, array in found])
    part = np.concatenate([np.full(len(array), place, "u2") for _, place, array in found])
    rows = np.concatenate([array for _, _, array in found])
    keys = [_attempts(array[:, 0]) for _, _, array in found]
    attempt, reached = (np.concatenate([key[i] for key in keys]) for i in (0, 1))
    order = np.lexsort((reached, attempt))
    return EnginePoints(role[order], rows[order, 0], rows[order, 1], part[order] if names else None, names)


def _short(name: str) -> str:
    return name.removeprefix("loss/")


def _weight(name: str, data: Series | float) -> Floats:
    """The changes of a weight as (step, weight), (n, 2). A single number holds from the start."""
    if isinstance(data, int | float) and not isinstance(data, bool):
        return np.array([[-math.inf, float(data)]])
    return _array(f"weight {name}", data)


def _attempts(steps: Floats) -> tuple[Floats, Floats]:
    """For each point, the number of restarts before it, and the highest step since the last one; arrays (n,).

    A restart is a step that goes back and is followed by two more in ascending order, all below the highest step
    before. A single step back is a straggler, and so are the unordered steps of several workers.
    """
    top = np.fmax.accumulate(steps)
    late = np.concatenate(([False], steps[1:] < top[:-1]))
    back = np.concatenate(([False], steps[1:] < steps[:-1]))
    start = late & back
    start[:-1] &= late[1:] & ~back[1:]
    start[:-2] &= late[2:] & ~back[2:]
    start[-2:] = False
    attempt = np.cumsum(start).astype(float)
    reached = np.concatenate([np.fmax.accumulate(part) for part in np.split(steps, np.flatnonzero(start))])
    return attempt, reached


def _array(role: str, data: Series) -> Floats:
    fix = "give values, (step, value) pairs, or an (n, 2) array of both"
    try:
        array = np.asarray(data, dtype=float)
        if array.size == 0:
            return np.empty((0, 2))
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim == 1:
            return np.column_stack([_index(data, len(array)), array])
    except (TypeError, ValueError) as bad:
        raise RulesError(f"{role} series", f"cannot be read as numbers ({bad})", fix) from bad
    if array.ndim != 2 or array.shape[1] != 2:
        raise RulesError(f"{role} series", f"has shape {array.shape}", fix)
    return array


def _index(data: object, length: int) -> Floats:
    """The steps of values that have none: a numeric pandas index, else 0 to n - 1."""
    index = getattr(data, "index", None)
    if index is not None and not callable(index):
        labels = np.asarray(index)
        if labels.dtype.kind in "iuf" and labels.shape == (length,):
            return labels.astype(float)
    return np.arange(length, dtype=float)
