"""Points of several series in bulk: all that come before the next boundary of any of them, at once.

A run logs training, validation, gradient norm and learning rate in turn, so that the points of one series are seldom
neighbours. Between two boundaries nothing is asked and the series do not know of each other: each may take in its
points on its own, and only how many training points came before each validation point has to be worked out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.rules.patience import wait_many
from monitor.rules.state import GRAD, LR, TRAIN, VAL, State

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
JUDGED: Final = (TRAIN, VAL, GRAD)
MANY: Final = 8
"""Points from which on bulk pays."""


def in_order(state: State, roles: NDArray[np.uint8], steps: Floats, values: Floats) -> int:
    """How many of the first points can be taken in bulk: finite, and no series goes back in step.

    Args:
        roles, steps, values: (n,), at least one point.
    """
    fine = np.isfinite(values) & np.isfinite(steps) & (roles <= LR)
    for role in JUDGED:
        rows = np.flatnonzero(roles == role)
        if len(rows):
            own = steps[rows]
            fine[rows[0]] &= bool(own[0] >= state.curves[role].seen_step)
            fine[rows[1:]] &= own[1:] >= own[:-1]
    fine[(roles == LR) & (values < 0)] = False
    return len(fine) if fine.all() else int(fine.argmin())


def take_in_order(
    state: State, roles: NDArray[np.uint8], steps: Floats, values: Floats, closed: Callable[[int, int, float], None]
) -> None:
    """Take in points that are `in_order`.

    Args:
        state: changed in place.
        roles, steps, values: (n,).
        closed: called at every boundary, when all points up to it are in, with the role, what was completed (QUARTER
            or BUCKET) and the step of the point that completed it.
    """
    rows = [np.flatnonzero(roles == role) for role in JUDGED]
    series = [(steps[own], values[own]) for own in rows]
    rates = np.flatnonzero(roles == LR)
    at = [0, 0, 0]
    rated = 0
    while True:
        event, stops = _next(state, rows, at)
        last = len(roles) if event < 0 else int(rows[event][stops[event] - 1]) + 1
        if event >= 0:
            stops = [int(own.searchsorted(last)) if len(own) else 0 for own in rows]
        if len(rates):
            stop = int(rates.searchsorted(last))
            learning_rates(state, steps[rates[rated:stop]], values[rates[rated:stop]])
            rated = stop
        _count(state, rows, series, at, stops)
        done = 0
        for role in JUDGED:
            a, b = at[role], stops[role]
            if b > a:
                own = series[role]
                completed = state.curve(role).take(own[1][a:b], own[0][a:b])
                if role == VAL:
                    wait_many(state, own[1][a:b], own[0][a:b])
                done = completed if role == event else done
        at = stops
        if event < 0:
            return
        closed(event, done, state.last_step)


def _next(state: State, rows: list[Rows], at: list[int]) -> tuple[int, list[int]]:
    """The role that completes something first, -1 for none, and where each series then ends as if it were alone."""
    first, event = math.inf, -1
    stops = [len(own) for own in rows]
    for role in JUDGED:
        until = at[role] + state.curves[role].until
        if until <= stops[role] and rows[role][until - 1] < first:
            first, event, stops[role] = float(rows[role][until - 1]), role, until
    return event, stops


def _count(
    state: State, rows: list[Rows], series: list[tuple[Floats, Floats]], at: list[int], stops: list[int]
) -> None:
    """Count the points of a span, and remember where it ends."""
    last, first = -1, math.inf
    for role in JUDGED:
        a, b = at[role], stops[role]
        if b <= a:
            continue
        finite(state, role)
        curve = state.curve(role)
        curve.seen_step = max(curve.seen_step, float(series[role][0][b - 1]))
        if rows[role][a] < first and math.isnan(state.first_step):
            first = float(rows[role][a])
            begin = float(series[role][0][a])
        if rows[role][b - 1] > last:
            last, state.last_step = int(rows[role][b - 1]), float(series[role][0][b - 1])
    if first < math.inf:
        state.first_step = begin
    a, b = at[VAL], stops[VAL]
    if b > a:
        before = state.train_seen - at[TRAIN] + np.searchsorted(rows[TRAIN], rows[VAL][a:b])
        if state.val_seen:
            state.val_gap = max(state.val_gap, float(before[0]) - state.val_at)
        if b - a > 1:
            state.val_gap = max(state.val_gap, float((before[1:] - before[:-1]).max()))
        state.val_at, state.val_step = float(before[-1]), float(series[VAL][0][b - 1])
        state.val_seen += b - a
    state.train_seen += stops[TRAIN] - at[TRAIN]


def finite(state: State, role: int) -> None:
    """A finite point ends a row of non-finite ones, and what was said because of them."""
    if (state.nan_train and role == TRAIN) or (state.nan_val and role == VAL):
        state.said = state.advice = None
    if role == TRAIN:
        state.nan_train = 0.0
    elif role == VAL:
        state.nan_val = 0.0


def learning_rate(state: State, step: float, value: float) -> None:
    """Remember the last change of the learning rate by more than a fifth within one point."""
    if not math.isfinite(value) or value < 0:
        return
    if value != state.lr and not abs(value - state.lr) <= 0.2 * state.lr:
        state.lr_before, state.lr_after, state.lr_changed = state.lr, value, step
        state.said = None
    state.lr = value


def learning_rates(state: State, steps: Floats, values: Floats) -> None:
    """`learning_rate` for many points; (n,), finite, >= 0."""
    if not len(values):
        return
    before = np.concatenate(((state.lr,), values[:-1]))
    changed = np.flatnonzero((values != before) & ~(np.abs(values - before) <= 0.2 * before))
    if len(changed):
        last = changed[-1]
        state.lr_before, state.lr_after, state.lr_changed = float(before[last]), float(values[last]), float(steps[last])
        state.said = None
    state.lr = float(values[-1])
