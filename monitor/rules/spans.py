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

from monitor.rules.curve import Curve
from monitor.rules.patience import wait_many
from monitor.rules.state import GRAD, LR, TRAIN, VAL, State

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
JUDGED: Final = (TRAIN, VAL, GRAD)
MANY: Final = 8
"""Points from which on bulk pays."""
AHEAD: Final = 8192
"""Points that are looked at at a time."""


class Lane:
    """The points of one series among those of all, and how many of them were taken in.

    Attributes:
        rows, steps, values: where they stand among all, and what they say; (n,), n >= 1.
        at: points taken in; with `until` more something is completed, by the point that stands at `event`.
    """

    __slots__ = ("at", "curve", "event", "n", "role", "rows", "steps", "until", "values")

    def __init__(self, role: int, rows: Rows, steps: Floats, values: Floats) -> None:
        self.role, self.rows, self.steps, self.values = role, rows, steps, values
        self.n, self.at = len(rows), 0

    def aim(self, curve: Curve, never: int) -> None:
        """Look for the next boundary of the series; `never` is its place where it lies beyond these points."""
        self.curve, self.until = curve, curve.until
        stop = self.at + self.until
        self.event = int(self.rows[stop - 1]) if stop <= self.n else never

    def before(self, row: int) -> int:
        """How many of the points stand before a row."""
        if self.event == row - 1:
            return self.at + self.until
        if self.at == self.n or self.rows[self.at] >= row:
            return self.at
        return int(self.rows.searchsorted(row))

    def take(self, state: State, stop: int) -> int:
        """Take in the points before `stop`, of which there is at least one; what they complete."""
        a, curve = self.at, self.curve
        if not a:
            finite(state, self.role)
        curve.seen_step = max(curve.seen_step, float(self.steps[stop - 1]))
        self.at = stop
        self.until -= stop - a
        return curve.take(self.values[a:stop], self.steps[a:stop])


def lanes_of(roles: NDArray[np.uint8], steps: Floats, values: Floats) -> list[Lane]:
    """The points of each series that has any; those of roles above LR are in none."""
    counts = np.bincount(roles, minlength=LR + 1).tolist()
    if max(counts) == len(roles):
        role = counts.index(len(roles))
        return [Lane(role, np.arange(len(roles)), steps, values)] if role <= LR else []
    lanes = []
    for role in (*JUDGED, LR):
        if counts[role]:
            rows = np.flatnonzero(roles == role)
            lanes.append(Lane(role, rows, steps[rows], values[rows]))
    return lanes


def in_order(state: State, lanes: list[Lane], n: int) -> int:
    """How many of the first of `n` points can be taken in bulk: finite, and no series goes back in step."""
    if sum(lane.n for lane in lanes) == n and all(_lane_in_order(state, lane) for lane in lanes):
        return n
    fine = np.zeros(n, bool)
    for lane in lanes:
        own = np.isfinite(lane.values) & np.isfinite(lane.steps)
        if lane.role == LR:
            own &= lane.values >= 0
        else:
            own[0] &= bool(lane.steps[0] >= state.curves[lane.role].seen_step)
            own[1:] &= lane.steps[1:] >= lane.steps[:-1]
        fine[lane.rows] = own
    return n if fine.all() else int(fine.argmin())


def _lane_in_order(state: State, lane: Lane) -> bool:
    steps, values = lane.steps, lane.values
    if not (np.isfinite(values).all() and np.isfinite(steps).all()):
        return False
    if lane.role == LR:
        return bool(values.min() >= 0)
    return bool(steps[0] >= state.curves[lane.role].seen_step and (steps[1:] >= steps[:-1]).all())


class _Waits:
    """How long validation was waited for: training points that came before each validation point."""

    def __init__(self, state: State, val: Lane, train: Rows | None) -> None:
        seen = np.full(val.n, state.train_seen)
        if train is not None:
            seen += np.searchsorted(train, val.rows)
        waits = np.empty(val.n)
        waits[0] = seen[0] - state.val_at if state.val_seen else 0.0
        np.subtract(seen[1:], seen[:-1], out=waits[1:])
        self.seen, self.steps, self.counted = seen, val.steps, state.val_seen
        self.longest = np.maximum.accumulate(np.maximum(waits, state.val_gap))

    def until(self, state: State, stop: int) -> None:
        """Count the first `stop` validation points."""
        last = stop - 1
        state.val_seen = self.counted + stop
        state.val_gap, state.val_at = float(self.longest[last]), float(self.seen[last])
        state.val_step = float(self.steps[last])


class _Rates:
    """Learning rates, of which the last large change counts, as in `learning_rate`."""

    def __init__(self, state: State, lane: Lane) -> None:
        self.lane, self.at = lane, 0
        self.before = np.concatenate(((state.lr,), lane.values[:-1]))
        apart = np.abs(lane.values - self.before)
        self.changed = np.flatnonzero((lane.values != self.before) & ~(apart <= 0.2 * self.before)).tolist()
        state.lr = float(lane.values[-1])

    def until(self, state: State, row: int) -> None:
        """Take in what stands before a row."""
        lane = self.lane
        while self.at < len(self.changed) and lane.rows[self.changed[self.at]] < row:
            at = self.changed[self.at]
            state.lr_before, state.lr_after = float(self.before[at]), float(lane.values[at])
            state.lr_changed, state.said = float(lane.steps[at]), None
            self.at += 1


def take_in_order(state: State, lanes: list[Lane], n: int, closed: Callable[[int, int, float], None]) -> None:
    """Take in points that are `in_order`.

    Args:
        state: changed in place.
        lanes: of these points, one at least; with the learning rate's last.
        n: how many points there are.
        closed: called at every boundary, when all points up to it are in, with the role, what was completed (QUARTER
            or BUCKET) and the step of the point that completed it.
    """
    rates = _Rates(state, lanes[-1]) if lanes[-1].role == LR else None
    lanes = lanes if rates is None else lanes[:-1]
    if not lanes:
        return
    if math.isnan(state.first_step):
        state.first_step = float(min(lanes, key=_begin).steps[0])
    train, val = (next((lane for lane in lanes if lane.role == role), None) for role in (TRAIN, VAL))
    waits = None if val is None else _Waits(state, val, None if train is None else train.rows)
    for lane in lanes:
        lane.aim(state.curve(lane.role), n)
    while True:
        lead = lanes[0] if len(lanes) == 1 else min(lanes, key=_event)
        event, done = lead.event, 0
        if rates is not None:
            rates.until(state, event + 1)
        for lane in lanes:
            stop = lane.n if event == n else lane.before(event + 1)
            if stop == lane.at:
                continue
            if lane is train:
                state.train_seen += stop - lane.at
            elif waits is not None and lane is val:
                waits.until(state, stop)
                wait_many(state, lane.values[lane.at : stop], lane.steps[lane.at : stop])
            completed = lane.take(state, stop)
            if lane is lead:
                done = completed
        if event == n:
            state.last_step = float(max(lanes, key=_end).steps[-1])
            return
        state.last_step = float(lead.steps[lead.at - 1])
        closed(lead.role, done, state.last_step)
        lead.aim(lead.curve, n)


def _event(lane: Lane) -> int:
    return lane.event


def _begin(lane: Lane) -> int:
    return int(lane.rows[0])


def _end(lane: Lane) -> int:
    return int(lane.rows[-1])


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
