"""The goal as rules read it: how far it has improved, how far it is below its best, and how noisy it is.

Unlike a loss, a goal has no scale of its own: an accuracy ends at 1, a reward anywhere. So all changes are judged as
shares of its improvement since the start.
"""

from __future__ import annotations

import math

import numpy as np

from monitor.rules.describe.composition import smooth
from monitor.rules.sketch.goal import Goal
from monitor.rules.sketch.lazy import lazy
from monitor.rules.sketch.noise import around_mean, middle, second_differences

LEAST = 0.02
"""An improvement below this share of the goal's level counts as none."""


class GoalView:
    """The goal at a check; in `x` and everything derived from it, lower is better.

    Attributes:
        x: centres of the closed buckets.
        step: the last step of each.
        closed: number of closed buckets.
    """

    def __init__(self, goal: Goal) -> None:
        self.goal, self.curve = goal, goal.curve
        self.x, self.step, self.closed = goal.curve.x, goal.curve.step, len(goal.curve.x)

    @lazy
    def smooth(self) -> list[float]:
        """Running median of three."""
        found: list[float] = smooth(np.array(self.x)).tolist()
        if len(found) > 3:
            found[-1] = found[-2]
        return found

    @lazy
    def noise(self) -> float:
        """Noise of a bucket."""
        return max(second_differences(self.x), around_mean(self.x))

    @lazy
    def low(self) -> float:
        """The best smoothed level."""
        return min(self.smooth)

    @lazy
    def low_at(self) -> int:
        """Index of the best smoothed level."""
        return self.smooth.index(self.low)

    @lazy
    def way(self) -> float:
        """The improvement from the start to the best level; always a little more than zero."""
        began = max(self.smooth[0], self.curve.first) if self.closed else 0.0
        return max(began - self.low, LEAST * max(abs(self.low), abs(began)), 1e-12)

    @lazy
    def gained(self) -> bool:
        """Whether it has improved by more than noise."""
        return self.smooth[0] - self.low > max(4 * self.noise, LEAST * max(abs(self.low), abs(self.smooth[0])))

    @lazy
    def improves(self) -> bool:
        """Whether it is still improving: the last quarter has brought more than noise, and more than a little."""
        cut = self.closed - max(2, self.closed // 4)
        if cut < 2:
            return False
        gain = min(self.smooth[:cut]) - min(self.smooth[cut:])
        return gain > max(LEAST * self.way, self.noise) and self.fall <= max(LEAST * self.way, self.noise)

    @lazy
    def level(self) -> float:
        """The current level: the median of the last three levels."""
        return middle(self.x[-3:])

    @lazy
    def fall(self) -> float:
        """How much worse it is now than its best level."""
        return self.level - self.low

    @lazy
    def recovered(self) -> float:
        """The largest decline that was recovered."""
        worst, low, since = 0.0, math.inf, 0.0
        for value in self.smooth:
            if value <= low:
                worst, low, since = max(worst, since), value, 0.0
            else:
                since = max(since, value - low)
        return worst

    @lazy
    def swing(self) -> float:
        """The typical change from one point to the next, over the later half."""
        noise = self.curve.noise
        return middle(noise[len(noise) // 2 :])
