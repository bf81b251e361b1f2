"""What the rules read: each series as a practitioner reads it, described once a check.

A loss is read as shares of itself: on a logarithmic scale above its floor (zero, where no other is known). So the scale
of a loss does not matter, its floor does. A hundredth of what the loss has come down by is added, so that what is next
to nothing beside the whole is next to nothing: the scale is linear down there. A loss that goes below zero with an
unknown floor is measured from as far below its lowest level as it has come down: some power is lost, no truth.

Two yardsticks go with every judgement of size: `material`, how much it is as a share of the level and of what the loss
has covered, and `surely`, how far it lies beyond the noise of the buckets and beyond what has come back before.

Source:
    Noise from second differences: Gasser, Sroka, Jennen-Steinmetz, "Residual variance and residual pattern in nonlinear
    regression" (Biometrika 1986), with the median for robustness.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Final

import numpy as np

from monitor.rules.composition import Composition
from monitor.rules.curve import Curve
from monitor.rules.lazy import lazy
from monitor.rules.noise import Floats, around_mean, middle, second_differences
from monitor.rules.parts import Parts
from monitor.rules.state import FIRING, GRAD, LIKELY, TRAIN, VAL, VIEWS, State

SOFT: Final = 0.01
"""Share of what a loss has covered below which its scale is linear."""
FALL: Final = 0.9
"""Quantile of the levels from which a loss is said to have come down: its first transient is left out."""


WANDERS: Final = 16
"""Buckets from which noise that differences miss can be told from the curve."""


class View:
    """One series at a check; `x` are losses, `y` their logarithms as the module says.

    Attributes:
        n: finite points seen.
        closed: buckets that are complete.
        x, step: centre and last step of each.
    """

    def __init__(self, curve: Curve, floor: float = math.nan) -> None:
        self.curve, self.known_floor = curve, floor
        self.n, self.size = curve.n, curve.size
        self.centres, self.step, self.quarters = curve.x, curve.step, curve.quarters
        self.closed = len(curve.x)

    def renew(self, curve: Curve) -> None:
        """Go on with a later curve that has the same closed buckets."""
        self.curve, self.n = curve, curve.n
        if self.quarters is not curve.quarters:
            self.quarters = curve.quarters
            for name in ("xs", "level", "now", "height"):
                self.__dict__.pop(name, None)

    @lazy
    def x(self) -> Floats:
        return np.array(self.centres)

    @lazy
    def xs(self) -> list[float]:
        """Centres of the closed buckets, and the mean of the completed quarters of the open one."""
        quarters = self.quarters
        return [*self.centres, sum(quarters) / len(quarters)] if quarters else self.centres

    @lazy
    def lowest(self) -> float:
        return min(self.centres)

    @lazy
    def highest(self) -> float:
        """Highest value in a closed bucket; minus infinity where there is none."""
        return max((x + p for x, p in zip(self.centres, self.curve.peak, strict=True)), default=-math.inf)

    @lazy
    def reach(self) -> float:
        """What the loss has come down by: to its lowest level from the one that a tenth of the way there lay above."""
        if not self.centres:
            return 0.0
        at = min(range(self.closed), key=self.centres.__getitem__)
        ordered = sorted(self.centres[: at + 1])
        return ordered[int(FALL * at)] - ordered[0]

    @lazy
    def base(self) -> float:
        """What levels are measured from."""
        low = min(self.lowest, self.curve.first)
        if not math.isnan(self.known_floor) and low >= self.known_floor:
            return self.known_floor
        return 0.0 if low >= 0 else low - max(self.start - low, -low)

    def log(self, value: float) -> float:
        """A loss on the scale of `y`."""
        return math.log(max(value - self.base + SOFT * self.reach, 1e-300))

    @lazy
    def y(self) -> list[float]:
        """The centres on a logarithmic scale."""
        return np.log(np.maximum(self.x - (self.base - SOFT * self.reach), 1e-300)).tolist()

    @lazy
    def smooth(self) -> list[float]:
        """Running median of three of `y`; the last is that of the last three."""
        y = self.y
        if len(y) < 3:
            return y
        inner = [sorted(y[i : i + 3])[1] for i in range(len(y) - 2)]
        return [y[0], *inner, inner[-1] if len(y) > 3 else y[-1]]

    @lazy
    def noise(self) -> float:
        """Noise of a bucket on the scale of `y`, over the later half."""
        return max(second_differences(self.y), around_mean(self.y) if self.closed >= WANDERS else 0.0)

    @lazy
    def roughness(self) -> float:
        """Noise of a single point, as a loss, from first differences inside the later buckets."""
        noise = self.curve.noise
        return middle(noise[len(noise) // 2 :]) / 0.954 if noise else 0.0

    @lazy
    def low_at(self) -> int:
        """Index of the lowest smoothed level."""
        return min(range(len(self.smooth)), key=self.smooth.__getitem__) if self.closed else 0

    @lazy
    def low(self) -> float:
        return self.smooth[self.low_at]

    @lazy
    def now(self) -> float:
        """Where the series is now on the scale of `y`: the median of its last three levels."""
        return self.log(self.level)

    @lazy
    def level(self) -> float:
        """The same as a loss."""
        quarters = self.quarters
        return middle([*self.centres[-2:], sum(quarters) / len(quarters)] if quarters else self.centres[-3:])

    @lazy
    def start(self) -> float:
        """Where the series began: its first value, or the first bucket where that is higher."""
        return max(self.curve.first, self.centres[0]) if self.centres else self.curve.first

    @lazy
    def range(self) -> float:
        """How far the series has come down: start minus low."""
        return max(self.start - self.loss(self.low), 0.0) if self.closed else 0.0

    def loss(self, y: float) -> float:
        """The inverse of `log`."""
        return math.exp(y) + self.base - SOFT * self.reach

    @property
    def rise(self) -> float:
        """How far it lies above its low, as a logarithm."""
        return self.now - self.low

    def error(self, h: int) -> float:
        """Standard error of a difference between the mean of h buckets and a median of three."""
        return self.noise * math.sqrt(1 / max(h, 1) + 1 / 3)

    @lazy
    def fifth(self) -> int:
        """Index of the bucket at which the last fifth begins."""
        return max(0, round(0.8 * (self.closed - 1)))

    @lazy
    def line(self) -> tuple[float, float, float]:
        """Of a straight line through the last third: its fall over the last fifth, the error of that, its scatter."""
        y = np.array(self.y[-max(5, self.closed // 3 + 1) :])
        n = len(y)
        t = np.arange(n) - (n - 1) / 2
        slope = float(t @ y) / float(t @ t)
        rest = y - y.mean() - slope * t
        scatter = max(math.sqrt(float(rest @ rest) / max(n - 2, 1)), 1e-9)
        span = self.closed - 1 - self.fifth
        return -slope * span, scatter / math.sqrt(float(t @ t)) * span, scatter

    @lazy
    def gain(self) -> float:
        """How much lower the series is now than when its last fifth began, as a loss; negative where it is higher."""
        at, x = self.fifth, self.centres
        if self.closed < 12:
            return (x[-3] - x[-1]) / 2 * (self.closed - 1 - at) if self.closed > 3 else 0.0
        return middle(x[max(0, at - 1) : at + 2]) - middle(x[-3:])

    @lazy
    def height(self) -> float:
        """The level above what it is measured from: what a share of it is a share of."""
        return math.exp(self.now)

    def level_at(self, step: float) -> float:
        """The smoothed level at a step, on the scale of `y`."""
        return self.smooth[min(bisect_right(self.step, step), self.closed - 1)]

    def came_back(self, height: float) -> int:
        """For how many buckets the longest hump lasted that was as high and came back; 0 where there was none."""
        low, up, longest = math.inf, -1, 0
        for i, value in enumerate(self.smooth):
            if up < 0:
                low = min(low, value)
                if value >= low + height:
                    up = i
            elif value <= low + 0.3 * height:
                longest, up, low = max(longest, i - up), -1, value
        return longest


class Features:
    """A run at a check: its views, and the facts of its state.

    Attributes:
        state: counters and what is known of the loss function; not to be changed.
        step: step of the point that closed the bucket.
    """

    def __init__(self, state: State, step: float) -> None:
        self.state, self.step = state, step

    @lazy
    def train(self) -> View:
        """The training loss."""
        return self._view(TRAIN)

    @lazy
    def val(self) -> View:
        """The validation loss."""
        return self._view(VAL)

    @lazy
    def grad(self) -> View:
        """The gradient norm."""
        return self._view(GRAD)

    def _view(self, role: int) -> View:
        state = self.state
        curve, view = state.curves[role], state.views.get(role)
        if view is not None and view.centres is curve.x and state.owned & VIEWS << role:
            view.renew(curve)
            return view
        view = View(curve, state.floor if role != GRAD else 0.0)
        state.views = {**state.views, role: view}
        state.owned |= VIEWS << role
        return view

    @lazy
    def parts(self) -> Composition:
        """The parts of a composite loss; none where none were logged."""
        return Composition(self.state.parts or Parts())

    @property
    def diverging(self) -> bool:
        """Whether divergence is out, or the loss is not finite now: what else could be said would mislead."""
        return self.fires("divergence") or self.state.nan_train > 0

    def fires(self, name: str) -> bool:
        """Whether a rule's finding is out."""
        slot = self.state.slots.get(name)
        return slot is not None and slot.phase == FIRING

    def told(self, name: str) -> bool:
        """Whether a rule's finding is out, or likely."""
        slot = self.state.slots.get(name)
        return slot is not None and slot.phase in (FIRING, LIKELY)

    @lazy
    def judged(self) -> View:
        """The validation loss, or the training loss where none was logged."""
        return self.val if self.state.val_seen or not self.state.train_seen else self.train

    @lazy
    def descent(self) -> View:
        """The training loss, or the validation loss where none was logged."""
        return self.train if self.state.train_seen or not self.state.val_seen else self.val
