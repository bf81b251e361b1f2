"""Takes in points of several series in bulk: at once, all points before the next boundary of any series.

A run logs training loss, validation loss, gradient norm and learning rate in turn, so the points of one series are
seldom adjacent. Between two boundaries no rule runs and the series are independent: each can take in its points on its
own. Only the number of training points before each validation point must be computed across series.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.rules.rule import Quiet
from monitor.rules.sketch.curve import LIMIT
from monitor.rules.sketch.patience import wait_many
from monitor.rules.sketch.segment import Segment
from monitor.rules.sketch.state import GRAD, LR, TRAIN, VAL, State

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
JUDGED: Final = (TRAIN, VAL, GRAD)
MANY: Final = 8
"""With at least this many points, bulk is faster."""
AHEAD: Final = 8192
"""Points processed at a time."""


class Lane:
    """The points of one series within a batch, and how many of them have been taken in.

    Attributes:
        rows, steps, values: positions in the batch, steps and values; (n,), n >= 1.
        low, high: lowest and highest value; NaN if any value is NaN.
        at: points taken in.
        until: number of points up to the next boundary; `event` is the row of the last of them.
        done: what the last point taken in completed.
    """

    __slots__ = (
        "at", "begin", "curve", "done", "event", "high", "low", "n", "role", "rows", "segment", "steps", "until",
        "values",
    )  # fmt: skip

    def __init__(self, role: int, rows: Rows, steps: Floats, values: Floats) -> None:
        self.role, self.rows, self.steps, self.values = role, rows, steps, values
        self.low, self.high = float(values.min()), float(values.max())
        self.n, self.at = len(rows), 0

    def enter(self, state: State) -> None:
        """Prepare to take in points."""
        self.curve = state.curve(self.role)
        if self.low < -LIMIT or self.high > LIMIT:
            self.values = np.minimum(np.maximum(self.values, -LIMIT), LIMIT)
        self._begin()

    def _begin(self) -> None:
        self.begin = self.at
        low = max(self.low, -LIMIT)
        self.segment = Segment(self.curve, self.values[self.at :], self.steps[self.at :], low)

    def next(self) -> Segment:
        """The current segment; a new one is begun if the last one is used up."""
        if self.segment.at == self.segment.n and self.at < self.n:
            self.segment.release()
            self._begin()
        return self.segment

    def aim(self, quiet: float, never: int) -> None:
        """Find the next boundary at which the rules run.

        Args:
            quiet: the level up to which quarters need no check.
            never: the row that stands for a boundary beyond these points.
        """
        self.until = self.begin + self.segment.stop(quiet)
        self.event = int(self.rows[self.until - 1]) if self.until <= self.n else never

    def before(self, row: int) -> int:
        """How many of the points come before a row."""
        if self.event == row - 1:
            return self.until
        if self.at == self.n or self.rows[self.at] >= row:
            return self.at
        return int(self.rows.searchsorted(row))

    def take(self, state: State, stop: int, waits: _Waits | None) -> None:
        """Take in and count the points before `stop`; there must be at least one."""
        if not self.at:
            finite(state, self.role)
        if self.role == TRAIN:
            state.train_seen += stop - self.at
        elif waits is not None and self.role == VAL:
            waits.until(state, stop)
        curve, before = self.curve, self.curve.quarters
        curve.seen_step = max(curve.seen_step, float(self.steps[stop - 1]))
        self.at = stop
        self.done = self.segment.take(stop - self.begin)
        if curve.quarters is not before:  # the headline holds the level, which has changed
            state.said = None


def lanes_of(roles: NDArray[np.uint8], steps: Floats, values: Floats) -> list[Lane]:
    """The points of each series that has any; roles above LR are ignored."""
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
    """How many of the first `n` points can be taken in bulk: all are finite, and no series' steps go back."""
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
    steps, first = lane.steps, float(lane.steps[0])
    if not (math.isfinite(lane.low) and math.isfinite(lane.high)):
        return False
    if lane.role == LR:
        return lane.low >= 0 and bool(np.isfinite(steps).all())
    if not (first >= state.curves[lane.role].seen_step and math.isfinite(first) and math.isfinite(steps[-1])):
        return False
    return bool((steps[1:] >= steps[:-1]).all())


class _Waits:
    """Waits for validation: the number of training points before each validation point."""

    def __init__(self, state: State, val: Lane, train: Rows | None) -> None:
        seen = np.full(val.n, state.train_seen)
        if train is not None:
            seen += np.searchsorted(train, val.rows)
        waits = np.empty(val.n)
        waits[0] = seen[0] - state.val_at
        np.subtract(seen[1:], seen[:-1], out=waits[1:])
        self.seen, self.steps, self.counted = seen, val.steps, state.val_seen
        self.longest = np.maximum.accumulate(np.maximum(waits, state.val_gap))

    def until(self, state: State, stop: int) -> None:
        """Count the first `stop` validation points into the state."""
        last = stop - 1
        state.val_seen = self.counted + stop
        state.val_gap, state.val_at = float(self.longest[last]), float(self.seen[last])
        state.val_step = float(self.steps[last])


class _Rates:
    """Learning rates of a batch; as in `learning_rate`, only the last large change is kept."""

    def __init__(self, state: State, lane: Lane) -> None:
        self.lane, self.at = lane, 0
        self.before = np.concatenate(((state.lr,), lane.values[:-1]))
        apart = np.abs(lane.values - self.before)
        self.changed = np.flatnonzero((lane.values != self.before) & ~(apart <= 0.2 * self.before)).tolist()
        state.lr = float(lane.values[-1])

    def until(self, state: State, row: int) -> None:
        """Take in the changes before a row."""
        lane = self.lane
        while self.at < len(self.changed) and lane.rows[self.changed[self.at]] < row:
            at = self.changed[self.at]
            state.lr_before, state.lr_after = float(self.before[at]), float(lane.values[at])
            state.lr_changed, state.said = float(lane.steps[at]), None
            self.at += 1


def take_in_order(
    state: State, lanes: list[Lane], n: int, closed: Callable[[int, int, float], None], quiet: Callable[[int], Quiet]
) -> None:
    """Take in points that are `in_order`.

    Args:
        state: changed in place.
        lanes: of these points, at least one; the learning rate's is last.
        n: number of points.
        closed: called at every boundary at which the rules run, once all points up to it are taken in. Its arguments
            are the role, what was completed (QUARTER or BUCKET), and the step of the point that completed it.
        quiet: returns the bounds within which quarters of a role's open bucket need no check.
    """
    rates = _Rates(state, lanes[-1]) if lanes[-1].role == LR else None
    lanes = lanes if rates is None else lanes[:-1]
    if not lanes:
        return
    if math.isnan(state.first_step):
        state.first_step = float(min(lanes, key=_begin).steps[0])
    train, val = (next((lane for lane in lanes if lane.role == role), None) for role in (TRAIN, VAL))
    waits = None if val is None else _Waits(state, val, None if train is None else train.rows)
    known = state.curves[: VAL + 1]  # includes what arrived since the last check
    low = min([curve.best for curve in known] + [lane.low for lane in (train, val) if lane is not None])
    high = max([curve.top for curve in known] + [lane.high for lane in (train, val) if lane is not None])

    def aim(lane: Lane) -> None:
        if not lane.next().quarters:
            lane.aim(math.inf, n)
            return
        asked = quiet(lane.role)
        lane.aim(asked.level if asked.low <= low and high <= asked.high else -math.inf, n)

    if val is not None:
        wait_many(state, val.values, val.steps)
    for lane in lanes:
        lane.enter(state)
        aim(lane)
    while True:
        lead = lanes[0] if len(lanes) == 1 else min(lanes, key=_event)
        event, slots = lead.event, state.slots
        if rates is not None:
            rates.until(state, event + 1)
        for lane in lanes:
            stop = lane.n if event == n else lane.before(event + 1)
            if stop > lane.at:
                lane.take(state, stop, waits)
        if event == n:
            break
        state.last_step = float(lead.steps[lead.at - 1])
        closed(lead.role, lead.done, state.last_step)
        for lane in (lead,) if state.slots is slots else lanes:
            aim(lane)
    for lane in lanes:
        lane.segment.release()
    state.last_step = float(max(lanes, key=_end).steps[-1])


def _event(lane: Lane) -> int:
    return lane.event


def _begin(lane: Lane) -> int:
    return int(lane.rows[0])


def _end(lane: Lane) -> int:
    return int(lane.rows[-1])


def finite(state: State, role: int) -> None:
    """End a streak of non-finite losses, and discard the headline and the advice that it caused."""
    if (state.nan_train and role == TRAIN) or (state.nan_val and role == VAL):
        state.said = state.advice = None
    if role == TRAIN:
        state.nan_train = 0.0
    elif role == VAL:
        state.nan_val = 0.0


def learning_rate(state: State, step: float, value: float) -> None:
    """Remember the last change of the learning rate by more than a fifth from one point to the next."""
    if not math.isfinite(value) or value < 0:
        return
    if value != state.lr and not abs(value - state.lr) <= 0.2 * state.lr:
        state.lr_before, state.lr_after, state.lr_changed = state.lr, value, step
        state.said = None
    state.lr = value
