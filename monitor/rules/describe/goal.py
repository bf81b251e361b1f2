"""What the rules read of the goal: how far it has come, how far it is below its best, and how noisy it is.

Unlike a loss, a goal has no scale of its own: an accuracy ends at 1, a reward anywhere. So all sizes are shares of the
way that it has come since it began.
"""

from __future__ import annotations

import math

import numpy as np

from monitor.rules.describe.composition import smooth
from monitor.rules.sketch.goal import Goal
from monitor.rules.sketch.lazy import lazy
from monitor.rules.sketch.noise import around_mean, middle, second_differences

LEAST = 0.02
"""Share of its level that a goal has come at least: below it nothing was gained."""


class GoalView:
    """The goal at a check; lower is better in `x` and in all that comes of it.

    Attributes:
        x: centres of the closed buckets.
        step: the last step of each.
        closed: how many there are.
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
        """Its index."""
        return self.smooth.index(self.low)

    @lazy
    def way(self) -> float:
        """How far it has come from where it began to its best level, and a little at least."""
        began = max(self.smooth[0], self.curve.first) if self.closed else 0.0
        return max(began - self.low, LEAST * max(abs(self.low), abs(began)), 1e-12)

    @lazy
    def gained(self) -> bool:
        """Whether it has come further than noise goes."""
        return self.smooth[0] - self.low > max(4 * self.noise, LEAST * max(abs(self.low), abs(self.smooth[0])))

    @lazy
    def improves(self) -> bool:
        """Whether it still becomes better: its last quarter has brought more than noise, and more than a little."""
        cut = self.closed - max(2, self.closed // 4)
        if cut < 2:
            return False
        gain = min(self.smooth[:cut]) - min(self.smooth[cut:])
        return gain > max(LEAST * self.way, self.noise) and self.fall <= max(LEAST * self.way, self.noise)

    @lazy
    def level(self) -> float:
        """Where it is now: the median of the last three levels."""
        return middle(self.x[-3:])

    @lazy
    def fall(self) -> float:
        """How much worse it is than its best level."""
        return self.level - self.low

    @lazy
    def recovered(self) -> float:
        """The largest loss of ground that was made up for."""
        worst, low, since = 0.0, math.inf, 0.0
        for value in self.smooth:
            if value <= low:
                worst, low, since = max(worst, since), value, 0.0
            else:
                since = max(since, value - low)
        return worst

    @lazy
    def swing(self) -> float:
        """The usual change from one point to the next, over the later half."""
        noise = self.curve.noise
        return middle(noise[len(noise) // 2 :])
