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
from typing import Final

import numpy as np

from monitor.rules.composition import Composition
from monitor.rules.curve import Curve
from monitor.rules.lazy import lazy
from monitor.rules.noise import Floats, middle, second_differences
from monitor.rules.parts import Parts
from monitor.rules.state import FIRING, GRAD, TRAIN, VAL, State


def _around_mean(x: Floats) -> float:
    k = len(x)
    if k < 7:
        return 0.0
    total = np.concatenate(((0.0,), np.cumsum(x - x[0])))
    rest = (x[2 : k - 2] - x[0]) - (total[5:] - total[:-5]) / 5
    return 1.4826 / math.sqrt(0.8) * middle(np.abs(rest[-max(10, len(rest) // 2) :]).tolist())


_OPEN: Final = frozenset({"xs", "level", "relative_gain"})
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
        self.centres = curve.x
        self.closed = len(curve.x)
        self.k = self.closed

    @classmethod
    def of(cls, curve: Curve, last: View | None) -> View:
        """The view of a curve; what an earlier view of the same closed buckets worked out is kept."""
        view = cls(curve)
        if last is not None and last.centres is curve.x:
            kept = {name: value for name, value in vars(last).items() if name not in _OPEN}
            view.__dict__ = kept | vars(view)
        return view

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
    def smooth(self) -> Floats:
        """Running median of three, ends as they are."""
        x = self.x
        if len(x) < 3:
            return x
        a, b, c = x[:-2], x[1:-1], x[2:]
        out = x.copy()
        out[1:-1] = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
        if len(x) > 3:
            out[-1] = max(min(x[-3], x[-2]), min(max(x[-3], x[-2]), x[-1]))
        return out

    @lazy
    def sigma(self) -> float:
        """Noise of a bucket's centre, from second differences of the later half; 0 where it cannot be told."""
        return second_differences(self.x)

    @lazy
    def wander(self) -> float:
        """Noise of a centre around the running mean of five, over the later half: also what differences miss."""
        return _around_mean(self.x)

    @lazy
    def noise(self) -> float:
        """The larger of `sigma` and `wander`."""
        return max(self.sigma, self.wander)

    @lazy
    def calm(self) -> float:
        """The noise that the series had on its way down to its low, before whatever came after."""
        x = self.x[: self.low_at + 2]
        return max(second_differences(x), _around_mean(x)) if len(x) >= 8 else self.noise

    @lazy
    def roughness(self) -> float:
        """Noise of a single point, from first differences inside the later buckets."""
        noise = self.curve.noise
        if not noise:
            return 0.0
        return middle(noise[len(noise) // 2 :]) / 0.954

    @lazy
    def low_at(self) -> int:
        """Index of the lowest smoothed centre."""
        return int(self.smooth.argmin()) if self.closed else 0

    @lazy
    def low(self) -> float:
        """Lowest smoothed centre."""
        return float(self.smooth[self.low_at]) if self.closed else math.nan

    @lazy
    def climbed(self) -> float:
        """The largest rise above the running minimum, before the lowest centre, that was made good again."""
        before = self.smooth[: self.low_at + 1]
        return float((before - np.minimum.accumulate(before)).max())

    @lazy
    def travel(self) -> float:
        """Total variation on the way down to the low, clipped at the start so that spikes do not count."""
        kept = np.minimum(self.smooth[: self.low_at + 1], self.start)
        return float(np.abs(kept[1:] - kept[:-1]).sum())

    @lazy
    def learned(self) -> bool:
        """Whether the way down is a way: straight, or far longer than noise and not a wandering."""
        if self.range <= 0:
            return False
        straight = self.low_at >= 5 and self.range >= max(0.95 * self.travel, 0.3 * abs(self.start))
        far = self.range >= (20 if self.range >= 0.15 * abs(self.start) else 40) * self.calm
        return straight or (far and self.range >= 0.6 * self.travel)

    @lazy
    def level(self) -> float:
        """Where the series is now: the median of the last three entries, the open bucket's among them."""
        return middle(self.xs[-3:])

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
        at = min(bisect_right(self.step, step), self.closed - 1)
        return float(self.smooth[at])


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
        view = View.of(state.curves[role], state.views.get(role))
        state.views = {**state.views, role: view}
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

    @lazy
    def judged(self) -> View:
        """The validation loss, or the training loss where none was logged."""
        return self.val if self.state.val_seen or not self.state.train_seen else self.train

    @lazy
    def descent(self) -> View:
        """The training loss, or the validation loss where none was logged."""
        return self.train if self.state.train_seen or not self.state.val_seen else self.val
