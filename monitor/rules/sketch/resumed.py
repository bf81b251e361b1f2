"""Steps that go back: the run was resumed from an earlier step, or the point is a straggler, counted and set aside."""

from __future__ import annotations

from typing import Final

from monitor.rules.sketch.curve import Curve
from monitor.rules.sketch.patience import resume
from monitor.rules.sketch.state import VAL, State

REWIND: Final = 3
"""This many consecutive points before the last step are a resumed run; fewer are stragglers."""


def in_turn(state: State, curve: Curve, step: float) -> bool:
    """Whether to take in a point: its step does not go back, or the run was resumed there."""
    back = step < curve.seen_step
    curve.seen_step = max(curve.seen_step, step)
    return not back or late(state, curve, step)


def late(state: State, curve: Curve, step: float) -> bool:
    """Whether a point before the last step belongs to a resumed run; a straggler is counted and set aside."""
    state.late += 1
    if not curve.late_n or step < curve.late_last:
        curve.late_first, curve.late_n = step, 0
    curve.late_n += 1
    curve.late_last = step
    if curve.late_n < REWIND:
        return False
    curve.rewind(curve.late_first)
    if curve is state.curves[VAL]:
        resume(state, curve.late_first)
    curve.seen_step, curve.late_n = step, 0
    return True
