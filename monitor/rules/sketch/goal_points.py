"""Takes in the points of the goal: in bulk while they are finite and in order, else one at a time, with one result."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from monitor.rules.sketch.curve import BUCKET, LIMIT, Curve
from monitor.rules.sketch.goal import Goal
from monitor.rules.sketch.noise import Floats
from monitor.rules.sketch.resumed import in_turn
from monitor.rules.sketch.segment import Segment
from monitor.rules.sketch.state import State


def take_goal(state: State, goal: Goal, steps: Floats, values: Floats) -> Iterator[tuple[int, bool]]:
    """Take in points of the goal, step by step as the results are asked for.

    Args:
        state: counts stragglers.
        goal: changed in place.
        steps, values: (n,), as logged.

    Yields:
        How many of the points have been taken in, each time one changes the buckets, and whether it closed one
        (else the run was resumed there).
    """
    shown = -values if goal.rises else values
    before = np.concatenate(((goal.curve.seen_step,), steps[:-1]))
    if len(steps) and (steps >= before).all() and np.isfinite(values).all() and np.isfinite(steps).all():
        yield from _in_bulk(goal.curve, np.minimum(np.maximum(shown, -LIMIT), LIMIT), steps)
        return
    for at, (step, value) in enumerate(zip(steps.tolist(), shown.tolist(), strict=True)):
        if not (math.isfinite(step) and math.isfinite(value)):
            continue
        back = step < goal.curve.seen_step
        if not in_turn(state, goal.curve, step):
            continue
        closed = goal.curve.push(value, step) == BUCKET
        if closed or back:
            yield at + 1, closed


def _in_bulk(curve: Curve, values: Floats, steps: Floats) -> Iterator[tuple[int, bool]]:
    taken, low = 0, float(values.min())
    while taken < len(values):
        segment = Segment(curve, values[taken:], steps[taken:], low)
        while segment.at < segment.n:
            stop = min(segment.stop(math.inf), segment.n)
            closed = segment.take(stop) == BUCKET
            curve.seen_step = float(steps[taken + stop - 1])
            if closed:
                yield taken + stop, True
        segment.release()
        taken += segment.n
