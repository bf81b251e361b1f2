"""The points of one series up to the next merge of its sketch: blocks are computed at once and taken in piece by piece.

Between two merges, all micro-blocks have the same size, so those of a batch can be sorted together. What remains at
each boundary is to add up a few numbers in order of arrival, and to update the extremes.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from monitor.rules.sketch.curve import Curve, running

Floats = NDArray[np.float64]


class Segment:
    """Points on their way into a sketch. Until `release`, the sketch is up to date except for its buffer.

    Args:
        curve: the sketch, changed in place.
        values, steps: (n,), finite, n >= 1, within +-LIMIT; steps do not decrease. Points after the next merge are left
            out.
        low: a lower bound of the values.

    Attributes:
        n: points of this segment.
        at: points taken in so far.
        blocks: complete blocks taken in so far, of `m` points each.
        low: a lower bound of the values.
    """

    __slots__ = ("at", "block", "blocks", "curve", "gaps", "held", "low", "m", "medians", "n", "steps", "values")

    def __init__(self, curve: Curve, values: Floats, steps: Floats, low: float) -> None:
        self.curve, self.m = curve, curve.m
        m, self.n = self.m, min(len(values), curve.until_merge)
        self.at, self.blocks, self.held = 0, 0, len(curve.buffer)
        self.low, self.values, self.steps = low, values[: self.n], steps
        values = self.values
        if not curve.n:
            curve.first, curve.first_step, curve.last = float(values[0]), float(steps[0]), float(values[0])
        self.block = np.concatenate((curve.buffer, values)) if self.held else values
        self.medians, self.gaps = _medians(self.block[: len(self.block) // m * m], curve.last, m)

    @property
    def quarters(self) -> bool:
        """Whether one of the first three quarters of the open bucket ends within this segment."""
        curve, m = self.curve, self.m
        if curve.size < 4:
            return False
        quarter = curve.size // (4 * m)
        left = quarter - int(curve.micros) % quarter
        return len(curve.quarters) < 3 and self.blocks + left <= len(self.medians)

    def stop(self, level: float = -math.inf) -> int:
        """Number of points up to the next boundary.

        The boundary is the end of the bucket, which may lie beyond this segment, or of a quarter whose centre is above
        `level`.
        """
        curve, m, medians = self.curve, self.m, self.medians
        if curve.size < 4:
            return self.at + curve.size - int(curve.micros)
        quarter, micros, i = curve.size // (4 * m), int(curve.micros), self.blocks
        end = i + 4 * quarter - micros
        if level < math.inf:
            total, j = curve.sum, i + quarter - micros % quarter
            while j < end:
                if j > len(medians):
                    return (j if level == -math.inf else end) * m - self.held
                if running(total, medians[i:j]) / quarter > level:
                    return j * m - self.held
                total, i, j = 0.0, j, j + quarter
        return end * m - self.held

    def take(self, stop: int) -> int:
        """Take in the points before `stop`, at most to the end of the bucket. Returns what the last one completed."""
        curve, a = self.curve, self.at
        values, steps = self.values[a:stop], self.steps
        curve.n += stop - a
        curve.last_step = float(steps[stop - 1])
        if self.low < curve.best:
            i = int(values.argmin())
            if values[i] < curve.best:
                curve.best, curve.best_step = float(values[i]), float(steps[a + i])
        i = int(values.argmax())
        if values[i] > curve.top:
            curve.top, curve.top_step = float(values[i]), float(steps[a + i])
        self.at = stop
        done, blocks = self.blocks, (self.held + stop) // self.m
        if blocks == done:
            return 0
        self.blocks = blocks
        curve.last = float(self.block[blocks * self.m - 1])
        return curve.add(self.medians[done:blocks], self.gaps[done:blocks])

    def release(self) -> None:
        """Hand the points that are in no complete block yet over to the sketch."""
        self.curve.buffer = self.block[self.blocks * self.m : self.held + self.at].tolist()


def _medians(block: Floats, last: float, m: int) -> tuple[list[float], list[float]]:
    """Medians of every `m` values, and of the absolute differences to their predecessors; exact for any length."""
    if not len(block):
        return [], []
    both = np.empty((2, len(block)))
    both[0] = block
    both[1, 0] = block[0] - last
    np.subtract(block[1:], block[:-1], out=both[1, 1:])
    np.abs(both[1], out=both[1])
    if m == 1:
        return both[0].tolist(), both[1].tolist()
    rows = both.reshape(-1, m)
    rows.sort(axis=1)
    medians = (0.5 * rows[:, m // 2 - 1] + 0.5 * rows[:, m // 2]).reshape(2, -1).tolist()
    return medians[0], medians[1]
