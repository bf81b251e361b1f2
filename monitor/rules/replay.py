"""`diagnose`: the streaming engine over curves that are already there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
    """A specification of `monitor.losses`, or anything else that describes itself."""

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
    """Replay the engine over whole curves, as if they were logged now.

    Series are merged in the order of their steps, training before validation at the same step. A step that goes back
    keeps its place in its own series: the curve was resumed there.

    Args:
        train, val, grad_norm, lr: (n, 2) arrays or sequences of (step, value); or n values alone, whose steps are
            their places from 0 on, or the index of a pandas Series. A DataFrame of one column is its Series, one of two
            is steps and values. NaN and infinities as logged.
        loss: the loss function, one of `monitor.losses` or a mapping with `chance_level` and `floor`.
        parts: of a composite loss, by their names with or without `loss/`, as logged: before their weights.
        weights: what each part is multiplied with in the total: a number, or (step, weight) wherever it changes;
            1 where nothing is said.
        run_config: the run's hyperparameters, of which the batch size and the like name a loss that is summed.
        goal: the metric that the training is for, (n, 2) as the others; `goal_name` is what it is called in sentences,
            `goal_rises` whether it rises when things go well.
        unit: what steps count, "step" or "epoch".
        config: rules; the defaults where None.

    Raises:
        LossError: `loss` is neither a specification nor a mapping.
        RulesError: a series does not have the shape (n, 2), or holds something that is no number.

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


def known_loss(loss: object) -> Mapping[str, object] | None:
    """A loss function as the engine takes it.

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
    """All series in one stream: attempt by attempt, by the highest step so far; ties in the order of the mapping.

    A weight comes before all else that is logged at its step, a part after the curves.
    """
    told = {_short(name): _weight(name, data) for name, data in (weights or {}).items()}
    terms = {_short(name): _array(f"part {name}", data) for name, data in (parts or {}).items()}
    names = tuple(dict.fromkeys((*terms, *told)))
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
    """When a weight changes; one number holds from the start."""
    if isinstance(data, int | float) and not isinstance(data, bool):
        return np.array([[-math.inf, float(data)]])
    return _array(f"weight {name}", data)


def _attempts(steps: Floats) -> tuple[Floats, Floats]:
    """The number of restarts before each point, and the highest step so far since the last; arrays of shape (n,).

    A restart is a step that goes back and is followed by two more below the highest before, in their order: one alone
    is a straggler, and so are steps of several workers that come in any order.
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
    """The steps of values that come without: a numeric index of pandas, else their places."""
    index = getattr(data, "index", None)
    if index is not None and not callable(index):
        labels = np.asarray(index)
        if labels.dtype.kind in "iuf" and labels.shape == (length,):
            return labels.astype(float)
    return np.arange(length, dtype=float)
