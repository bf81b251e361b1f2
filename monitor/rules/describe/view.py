"""A view of a series: described once per check, as a practitioner reads it.

A loss is read on a relative scale: `y` is the logarithm of its height above its floor (zero if no floor is known). So
the scale of a loss does not matter, but its floor does. One hundredth of what the loss has come down by is added first,
so that differences between levels that are tiny compared to the whole descent count as tiny. If a loss goes below zero
and its floor is unknown, it is measured from further below: its lowest value minus its range, or minus its size if that
is larger. This costs sensitivity, not correctness.

Every change is judged by two measures. Is it certain? It is compared with the noise of the buckets (`error`) and with
rises that have recovered before (`seen_before`). Is it material (`share`)? That is the geometric mean of its share of
the level and its share of the descent so far (the `way` in thresholds), so that neither a chance first value nor a
level close to zero decides.

Source:
    Noise from second differences: Gasser, Sroka, Jennen-Steinmetz, "Residual variance and residual pattern in nonlinear
    regression" (Biometrika 1986), with the median for robustness. Humps as in rainflow counting (ASTM E1049).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from itertools import pairwise
from operator import add
from typing import Final

import numpy as np

from monitor.rules.describe.composition import smooth
from monitor.rules.describe.trend import around_zero, straight
from monitor.rules.sketch.curve import Curve
from monitor.rules.sketch.lazy import lazy
from monitor.rules.sketch.noise import Floats, around_mean, middle, second_differences, wandering

SOFT: Final = 0.01
"""Close to the floor, within this share of what the loss has come down by, the scale is linear."""
WAY: Final = 0.9
"""`reach` is measured from this quantile of the levels up to the lowest one, which leaves out the first transient."""
WANDERS: Final = 16
"""With at least this many buckets, noise that second differences miss can be told from the curve itself."""
LEARNED: Final = 0.5
"""A fall by this much, as a logarithm, is more than a random walk."""
_LONGER: Final = 8
"""A rise that has lasted this many times as long as an earlier, recovered hump is not just another such hump."""
_log: Final = math.log
_OPEN: Final = ("xs", "level", "now", "height")
"""Attributes of a view that also depend on the open bucket."""


class View:
    """One series at a check. `x` holds losses, `y` their logarithms, one entry for each closed bucket.

    Attributes:
        n: finite points seen.
        size: points of a bucket.
        closed: number of closed buckets.
        step: last step of each closed bucket.
        before: the `levels` of all buckets but the last, if `last` is the view of these and they were worked out.
        swings: what the rule `oscillation` has found in the closed buckets, by what it asked.
    """

    def __init__(self, curve: Curve, floor: float = math.nan, last: View | None = None) -> None:
        self.curve, self.floor = curve, floor
        self.n, self.size = curve.n, curve.size
        self.centres: list[float] = curve.x
        self.step, self.quarters = curve.step, curve.quarters
        self.closed = len(curve.x)
        grown = last is not None and last.centres == self.centres[:-1]
        self.before: list[float] | None = vars(last).get("levels") if grown else None
        self.swings: dict[tuple[float, float, bool], int | None] = {}

    def renew(self, curve: Curve) -> None:
        """Switch to a later curve that has the same closed buckets."""
        self.curve, self.n = curve, curve.n
        if self.quarters is not curve.quarters:
            self.quarters = curve.quarters
            for name in _OPEN:
                self.__dict__.pop(name, None)

    @lazy
    def x(self) -> Floats:
        """Centres of the closed buckets."""
        return np.array(self.centres)

    @lazy
    def xs(self) -> list[float]:
        """The centres, then the mean of the completed quarters of the open bucket, if any."""
        quarters = self.quarters
        return [*self.centres, sum(quarters) / len(quarters)] if quarters else self.centres

    @lazy
    def lowest(self) -> float:
        """Lowest centre of a closed bucket; there must be one."""
        return min(self.centres)

    @lazy
    def highest(self) -> float:
        """Highest value in a closed bucket; minus infinity if there is none."""
        return max(map(add, self.centres, self.curve.peak), default=-math.inf)

    @lazy
    def start(self) -> float:
        """Where the series began: its first value, or its first bucket if that is higher."""
        return max(self.curve.first, self.centres[0]) if self.centres else self.curve.first

    @lazy
    def range(self) -> float:
        """How far the series has come down in all, including its first transient."""
        return max(self.start - self.lowest, 0.0) if self.closed else 0.0

    @lazy
    def reach(self) -> float:
        """How far the series has come down from the level that a tenth of the buckets up to its lowest lie above."""
        if not self.closed:
            return 0.0
        at = self.centres.index(self.lowest)
        return sorted(self.centres[: at + 1])[int(WAY * at)] - self.lowest

    def share(self, low: float, high: float) -> float:
        """How much a rise between two losses matters: geometric mean of its shares of the level and of the descent.

        Each share is at most 1. The share of the level is 1 for a factor of e or more. The share of the descent is 1
        for a rise as large as all that the loss has come down by, or, if more, as high as `low` is above `base`. 0 if
        `high` is not above `low`.
        """
        gap, height = high - low, max(low - self.base, 1e-300)
        if gap <= 0:
            return 0.0
        return math.sqrt(min(math.log1p(gap / height), 1.0) * min(gap / max(self.range, height), 1.0))

    def reaches(self, height: float, rise: float, share: float) -> bool:
        """Whether a rise from a height, as a logarithm, has at least this share."""
        way = max(self.range, height)
        return min(rise, 1.0) * min(height * math.expm1(rise) / way, 1.0) >= share**2

    def move(self, height: float, share: float) -> float:
        """The rise from a height, as a logarithm, that has this share: the inverse of `share`."""
        least, most = 0.0, math.log1p(max(self.range, height) / height) + 1.0
        for _ in range(24):
            half = (least + most) / 2
            least, most = (least, half) if self.reaches(height, half, share) else (half, most)
        return most

    @lazy
    def zero(self) -> float:
        """What levels are measured from: the floor; if unknown, zero, or a level well below a loss that is negative."""
        low = min(self.lowest, self.curve.first)
        if low >= self.floor:
            return self.floor
        return 0.0 if low >= 0 else low - max(self.start - low, -low)

    @lazy
    def base(self) -> float:
        """What `log` measures from: `zero`, lowered so that the scale is linear close to it."""
        return self.zero - SOFT * self.reach

    def log(self, loss: float) -> float:
        """A loss on the scale of `y`."""
        height = loss - self.base
        return _log(1e-300 if height < 1e-300 else height)  # asked some twenty times per check, so without `max`

    def loss(self, y: float) -> float:
        """The inverse of `log`. A result that is only rounding error is zero."""
        found = math.exp(y) + self.base
        return found if abs(found) > max(1e-15 * abs(self.base), 1e-299) else 0.0

    @lazy
    def logs(self) -> Floats:
        """The centres on a logarithmic scale."""
        found: Floats = np.log(np.maximum(self.x - self.base, 1e-300))
        return found

    @lazy
    def y(self) -> list[float]:
        """The same as `logs`, as a list: cheaper value by value."""
        found: list[float] = self.logs.tolist()
        return found

    @lazy
    def levels(self) -> list[float]:
        """Running median of three of the centres; the last two entries are the median of the last three."""
        if self.before is not None and len(self.before) > 3:  # one more bucket does not change those before it
            level = middle(self.centres[-3:])
            return [*self.before[:-1], level, level]
        found: list[float] = smooth(self.x).tolist()
        if len(found) > 3:
            found[-1] = found[-2]
        return found

    @lazy
    def lowest_level(self) -> float:
        """Lowest of `levels`."""
        return min(self.levels)

    @lazy
    def smooth(self) -> list[float]:
        """The same on the scale of `y`; a logarithm does not change which of three is the median."""
        found: list[float] = np.log(np.maximum(np.array(self.levels) - self.base, 1e-300)).tolist()
        return found

    @lazy
    def noise(self) -> float:
        """Noise of a bucket on the scale of `y`, from the later half."""
        wander = around_mean(self.y) if self.closed >= WANDERS else 0.0
        return max(second_differences(self.y), wander)

    @lazy
    def wander(self) -> float:
        """How much of the noise wanders: 0 if it is independent in each bucket, 1 if it is a random walk."""
        return wandering(self.y) if self.closed >= WANDERS else 0.0

    def error(self, h: int) -> float:
        """Standard error of the difference between a mean of `h` buckets and a median of three."""
        return self.noise * math.sqrt(1 / max(h, 1) + 1 / 3)

    @lazy
    def roughness(self) -> float:
        """Noise of a single point, as a loss, from first differences within the later buckets."""
        # 0.954 = 0.6745 * sqrt(2): the median absolute difference of two values with noise of standard deviation 1.
        noise = self.curve.noise
        return middle(noise[len(noise) // 2 :]) / 0.954 if noise else 0.0

    @lazy
    def low(self) -> float:
        """Lowest smoothed level, on the scale of `y`."""
        return self.log(self.lowest_level)

    @lazy
    def low_at(self) -> int:
        """Index of the lowest smoothed level."""
        return self.levels.index(self.lowest_level)

    @lazy
    def came(self) -> float:
        """How far the series has come down from its start, as a logarithm; 0 before a bucket has closed."""
        return self.log(self.start) - self.low if self.closed else 0.0

    @lazy
    def fall(self) -> float:
        """How far the smoothed level has come down from the first one to the lowest, as a logarithm."""
        return self.log(self.levels[0]) - self.low

    @lazy
    def level(self) -> float:
        """The current level: the median of the last three levels, including the open bucket's if it has one."""
        quarters = self.quarters
        return middle([*self.centres[-2:], sum(quarters) / len(quarters)] if quarters else self.centres[-3:])

    @lazy
    def now(self) -> float:
        """The current level on the scale of `y`."""
        return self.log(self.level)

    @lazy
    def height(self) -> float:
        """The current level above `base`; shares of the level are shares of this."""
        return max(self.level - self.base, 1e-300)

    @property
    def rise(self) -> float:
        """How far the series is above its low, as a logarithm."""
        return self.now - self.low

    def extent(self, begin: int, end: int) -> tuple[float, float]:
        """The median height above `base`, and the range as a logarithm, of the buckets from one to before another."""
        ordered = sorted(self.centres[begin:end])
        n = len(ordered)
        span = self.log(ordered[-1]) - self.log(ordered[0])
        below = self.log(ordered[(n - 1) // 2])
        return math.exp(below if n % 2 else 0.5 * below + 0.5 * self.log(ordered[n // 2])), span

    @lazy
    def usual(self) -> float:
        """The median of the centres since the first twelfth."""
        return middle(self.centres[self.closed // 12 :])

    @lazy
    def fifth(self) -> int:
        """Index of the bucket at which the last fifth begins."""
        return max(0, round(0.8 * (self.closed - 1)))

    @lazy
    def gain(self) -> float:
        """How much lower the series is now than when its last fifth began, as a loss; negative if it is higher."""
        at, x = self.fifth, self.centres
        if self.closed < 12:
            return (x[-3] - x[-1]) / 2 * (self.closed - 1 - at) if self.closed > 3 else 0.0
        return middle(x[max(0, at - 1) : at + 2]) - middle(x[-3:])

    @lazy
    def lately(self) -> Mapping[str, float]:
        """Evidence about the last fifth: the level now, the level at an earlier step, and the gain as a share of that.

        With few buckets a fifth is too short to show anything; then the last three buckets are reported.
        """
        x = self.centres
        few = self.closed < 12
        at = self.closed - 3 if few else self.fifth
        before, now = (x[at], x[-1]) if few else (middle(x[at - 1 : at + 2]), middle(x[-3:]))
        return {
            "level": now,
            "before": before,
            "since": self.step[at],
            "gain": (before - now) / max(abs(before), 1e-300),
        }

    @lazy
    def line(self) -> tuple[float, float]:
        """The fall over the last fifth, by a straight line through the last third of `y`, and its standard error."""
        n = min(self.closed, max(5, self.closed // 3 + 1))
        if n < 3:
            return 0.0, 0.0
        slope, error = straight(around_zero(n), [self.log(centre) for centre in self.centres[-n:]])
        span = self.closed - 1 - self.fifth
        return -slope * span, error * span

    def level_at(self, step: float) -> float:
        """The smoothed level at a step, on the scale of `y`."""
        return self.log(self.levels[min(bisect_right(self.step, step), self.closed - 1)])

    def reached(self, step: float) -> float:
        """The level at a step, or the smoothed one if that is lower: where the series had come down to by then."""
        at = min(bisect_right(self.step, step), self.closed - 1)
        return self.log(min(self.levels[at], self.centres[at]))

    def seen_before(self, rise: float, share: float = 0.75) -> bool:
        """Whether a hump of at least this share of a rise from the low has recovered before, at similar levels.

        Such a rise says little, unless it has lasted several times as long as the hump.
        """
        low, begin, enough, lasts = math.inf, -1, share * rise, (self.closed - self.low_at) / _LONGER
        for i, value in enumerate(self.smooth):
            if begin < 0:
                low = min(low, value)
                begin = i if value >= low + enough else -1
            elif value <= low + 0.3 * enough:
                if low <= self.low + rise and i - begin >= lasts:
                    return True
                low, begin = value, -1
        # A median of three hides single levels that jumped as high and recovered; more than one of them counts too.
        y = self.y
        return lasts <= 1 and sum(b - max(a, c) >= enough for a, b, c in zip(y, y[1:], y[2:], strict=False)) > 1

    @lazy
    def learned(self) -> bool:
        """Whether the series has truly come down: by over a third of its level, or straighter than noise wanders."""
        fall = self.fall
        if fall >= LEARNED:
            return True
        if fall < 3 * self.noise * math.sqrt(3 * self.wander * self.closed):
            return False  # a random walk may come as far
        path = sum(abs(b - a) for a, b in pairwise(self.smooth[: self.low_at + 1]))
        return fall >= max(0.1, 10 * self.noise) and fall >= (0.7 + 1 / max(self.low_at, 4)) * path
