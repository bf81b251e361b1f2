"""Whether the pieces of a piecewise loss meet."""

from __future__ import annotations

import numpy as np

from monitor.domain.formats import number
from monitor.losses.lint.batches import AROUND_TARGETS
from monitor.losses.lint.report import Problem
from monitor.losses.profiles.layout import Slice
from monitor.losses.profiles.subject import Subject


def kink(subject: Subject) -> Problem | None:
    """Pieces that do not meet: the value jumps, or the slope jumps although it is not zero on either side."""
    if subject.kind.name not in AROUND_TARGETS:
        return None
    line = subject.kind.slices[0]
    grid = np.concatenate([np.linspace(-6, -0.04, 300), np.linspace(0.04, 6, 300)])
    values = subject.along(line, grid)
    if not np.isfinite(values).all():
        return None
    for k in range(1, len(grid) - 2):
        if grid[k] * grid[k + 1] < 0:
            continue
        place = _join(subject, line, float(grid[k]), float(grid[k + 1]))
        if place is None:
            continue
        at, jump, left, right = place
        said = (
            f"the value jumps by {number(jump, 3)}"
            if abs(jump) > 1e-6
            else f"the slope goes from {number(left, 3)} to {number(right, 3)}"
        )
        return Problem(
            check="kink",
            evidence=f"Two pieces do not meet at error {number(at, 3)}: {said}.",
            mend="Choose the constants so that value and slope agree there (Huber: delta * (|r| - delta / 2)).",
        )
    return None


def _join(subject: Subject, line: Slice, low: float, high: float) -> tuple[float, float, float, float] | None:
    """Where two pieces meet badly between two errors: the place, the jump, and the slopes before and after."""
    step = 1e-4
    before = (subject.at(line, low) - subject.at(line, low - step)) / step
    after = (subject.at(line, high + step) - subject.at(line, high)) / step
    small, large = sorted((abs(before), abs(after)))
    expected = (before + after) / 2 * (high - low)
    jumps = abs(subject.at(line, high) - subject.at(line, low) - expected) > 0.5 * (high - low) * (large + 1e-6)
    if not jumps and (small < 1e-6 or large < 1.3 * small):
        return None
    for _ in range(20):  # keep the half in which more happens than a smooth loss would do
        middle = (low + high) / 2
        lower, upper = (_bend(subject, line, a, b) for a, b in ((low, middle), (middle, high)))
        low, high = (low, middle) if lower > upper else (middle, high)
    width = max(high - low, 1e-9)
    jump = subject.at(line, high + width) - subject.at(line, low - width)
    step = 1e-4
    left = (subject.at(line, low - width) - subject.at(line, low - width - step)) / step
    right = (subject.at(line, high + width + step) - subject.at(line, high + width)) / step
    if abs(jump) > 1e-4 * max(abs(subject.at(line, low)), 1e-3) and abs(jump) > 10 * width * max(abs(left), abs(right)):
        return (low + high) / 2, jump, left, right
    small, large = sorted((abs(left), abs(right)))
    if small > 1e-3 and large > 1.5 * small:
        return (low + high) / 2, 0.0, left, right
    return None


def _bend(subject: Subject, line: Slice, low: float, high: float) -> float:
    """How far the loss between two errors is from a straight line: the second difference."""
    ends = subject.at(line, low) + subject.at(line, high)
    return abs(ends - 2 * subject.at(line, (low + high) / 2))
