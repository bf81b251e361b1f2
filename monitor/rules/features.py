"""What the rules read: statistics of the sketches, each computed once a check and only where a rule asks.

Scale and offset do not matter to any of them: levels are compared as differences, against the noise of the series and
against the range that it has covered.

Source:
    Noise from second differences: Gasser, Sroka, Jennen-Steinmetz, "Residual variance and residual pattern in nonlinear
    regression" (Biometrika 1986), with the median for robustness. Trend: Mann (1945), Kendall (1975).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from operator import add
from typing import Final

import numpy as np

from monitor.rules.composition import Composition
from monitor.rules.curve import Curve
from monitor.rules.lazy import lazy
from monitor.rules.noise import Floats, around_mean, middle, second_differences
from monitor.rules.parts import Parts
from monitor.rules.state import FIRING, GRAD, LIKELY, TRAIN, VAL, VIEWS, State
from monitor.rules.way import Way

_OPEN: Final = ("xs", "level", "relative_gain")
"""What a view reads of the open bucket too."""


class View:
    """One series at a check.

    Attributes:
        n: finite points seen.
        k: entries of `x`: closed buckets, and a last one for the completed quarters of the open bucket, if any.
        x, step: (k,) centres and the last step of each.
    """

    def __init__(self, curve: Curve) -> None:
        self.curve = curve
        self.n, self.size = curve.n, curve.size
        self.centres, self.quarters = curve.x, curve.quarters
        self.closed = len(curve.x)
        self.k = self.closed

    @classmethod
    def of(cls, curve: Curve, last: View | None) -> View:
        """The view of a curve; what an earlier view of the same closed buckets, or of all but one, knows is kept."""
        view = cls(curve)
        if last is None:
            return view
        if last.centres is curve.x:
            kept = {name: value for name, value in vars(last).items() if name not in _OPEN}
            view.__dict__ = kept | vars(view)
        elif curve.x_before is last.centres and last.closed > 3:
            view._carry(last)
        return view

    def _carry(self, last: View) -> None:
        """Take over from the view of all buckets but the last what that bucket adds to."""
        known, curve = vars(last), self.curve
        if "lowest" in known:
            self.lowest = min(last.lowest, curve.x[-1])
        if "highest" in known:
            self.highest = max(last.highest, curve.x[-1] + curve.peak[-1])
        if "way" in known:
            self.way = last.way.grown(curve.x)
            if "calm" in vars(last) and self.low_at == last.low_at and 8 <= self.low_at + 2 <= last.closed:
                self.calm = last.calm

    def renew(self, curve: Curve) -> None:
        """Go on with a later curve that has the same closed buckets."""
        self.curve, self.n = curve, curve.n
        if self.quarters is not curve.quarters:
            self.quarters = curve.quarters
            for name in _OPEN:
                self.__dict__.pop(name, None)

    @lazy
    def lowest(self) -> float:
        """Lowest centre of a closed bucket, of which there is one."""
        return min(self.centres)

    @lazy
    def highest(self) -> float:
        """Highest value in a closed bucket; minus infinity where there is none."""
        return max(map(add, self.centres, self.curve.peak), default=-math.inf)

    @lazy
    def known(self) -> dict[tuple[object, ...], float]:
        """What rules have worked out of the closed buckets alone, by what it is and from which thresholds."""
        return {}

    def once(self, key: tuple[object, ...], work: Callable[[], float]) -> float:
        """What a rule works out of the closed buckets alone, worked out once for the same ones."""
        if key not in self.known:
            self.known[key] = work()
        return self.known[key]

    @lazy
    def xs(self) -> list[float]:
        """Centres of the closed buckets, and the mean of the completed quarters of the open one."""
        curve = self.curve
        if not curve.quarters:
            return curve.x
        return [*curve.x, sum(curve.quarters) / len(curve.quarters)]

    @lazy
    def x(self) -> Floats:
        """Centres of the closed buckets, (closed,)."""
        return np.array(self.curve.x)

    @lazy
    def step(self) -> list[float]:
        """Last step of each closed bucket."""
        return self.curve.step

    @lazy
    def way(self) -> Way:
        """The smoothed centres, and what was met on the way along them."""
        return Way.along(self.centres, self.start)

    @lazy
    def smooth(self) -> Floats:
        """Running median of three, (closed,), ends as they are."""
        return np.array(self.way.smooth)

    @lazy
    def sigma(self) -> float:
        """Noise of a bucket's centre, from second differences of the later half; 0 where it cannot be told."""
        return second_differences(self.centres)

    @lazy
    def wander(self) -> float:
        """Noise of a centre around the running mean of five, over the later half: also what differences miss."""
        return around_mean(self.centres)

    @lazy
    def noise(self) -> float:
        """The larger of `sigma` and `wander`."""
        return max(self.sigma, self.wander)

    @lazy
    def calm(self) -> float:
        """The noise that the series had on its way down to its low, before whatever came after."""
        x = self.centres[: self.low_at + 2]
        return max(second_differences(x), around_mean(x)) if len(x) >= 8 else self.noise

    @lazy
    def roughness(self) -> float:
        """Noise of a single point, from first differences inside the later buckets."""
        noise = self.curve.noise
        if not noise:
            return 0.0
        return middle(noise[len(noise) // 2 :]) / 0.954

    @property
    def low_at(self) -> int:
        """Index of the lowest smoothed centre."""
        return self.way.low_at

    @property
    def low(self) -> float:
        """Lowest smoothed centre."""
        return self.way.low

    @property
    def climbed(self) -> float:
        """The largest rise above the running minimum, before the lowest centre, that was made good again."""
        return self.way.climbed

    @property
    def travel(self) -> float:
        """Total variation on the way down to the low, clipped at the start so that spikes do not count."""
        return self.way.travel

    @lazy
    def learned(self) -> bool:
        """Whether the way down is a way: straight, or far longer than noise and not a wandering."""
        if self.range <= 0:
            return False
        straight = self.low_at >= 5 and self.range >= max(0.95 * self.travel, 0.3 * abs(self.start))
        if straight or self.range < 0.6 * self.travel:
            return straight
        return self.range >= (20 if self.range >= 0.15 * abs(self.start) else 40) * self.calm

    @lazy
    def level(self) -> float:
        """Where the series is now: the median of the last three entries, the open bucket's among them."""
        quarters = self.quarters
        return middle([*self.centres[-2:], sum(quarters) / len(quarters)] if quarters else self.centres[-3:])

    @lazy
    def start(self) -> float:
        """Where the series began: its first value, or the first bucket where that is higher."""
        return max(self.curve.first, self.curve.x[0]) if self.curve.x else self.curve.first

    @lazy
    def range(self) -> float:
        """How far the series has come down: start minus low."""
        return max(self.start - self.low, 0.0) if self.closed else 0.0

    @lazy
    def fifth(self) -> int:
        """Index of the bucket at which the last fifth begins."""
        return max(0, round(0.8 * (self.closed - 1)))

    @lazy
    def gain(self) -> float:
        """How much lower the series is now than when its last fifth began; negative where it is higher."""
        at = self.fifth
        x = self.curve.x
        return middle(x[max(0, at - 1) : at + 2]) - middle(x[-2:] if self.closed < 20 else x[-3:])

    @lazy
    def relative_gain(self) -> float:
        """The gain of the last fifth as a share of a positive loss: near zero it shows what the range hides."""
        before = self.level + self.gain
        return self.gain / before if self.level > 0 and before > 0 else 0.0

    def level_at(self, step: float) -> float:
        """The smoothed centre at a step."""
        return self.way.smooth[min(bisect_right(self.step, step), self.closed - 1)]


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
        view = View.of(curve, view)
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
