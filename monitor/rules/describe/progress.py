"""The progress of a run in numbers: the generalisation gap with its trend, and the rate at which the loss falls.

The gap is computed bucket by bucket: the validation loss of a bucket, minus the training loss at the same steps. Its
trend is a straight line through the last third of the buckets.

The half-life is ln 2 times the tau of `heading + height * exp(-step / tau)`. This curve is fitted by least squares to
the later half of the buckets; or to all of them if the half agrees, or does not determine a tau. If the loss has risen,
only the buckets up to its lowest level are used. The half-life is given only if the curve determines it: all time
constants that fit about as well (an F-test, three standard errors) lie within a factor of three. So a straight line and
pure noise have none.

The fit costs more than all rules of a check, and the run list shows a half-life of every run. So it is not made at each
bucket: it covers the first 8, 9, ..., 15, 16, 18, ..., 30, 32, 36, ... closed buckets, whichever is the most that there
are. This depends on the points alone, not on how they were batched, and it is the same in the list and on the page.

Source:
    Ratkowsky, Handbook of Nonlinear Regression Models (1990), for asymptotic regression; Seber, Wild, Nonlinear
    Regression (1989), 5.4, for the interval of one parameter by the sum of squares.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from monitor.domain.progress import SHARES, Gap, Milestone, Progress, Rate
from monitor.rules.describe.features import Features
from monitor.rules.describe.trend import straight, student
from monitor.rules.describe.view import View
from monitor.rules.sketch.lazy import lazy
from monitor.rules.sketch.noise import Floats, middle
from monitor.rules.sketch.state import State

LEAST: Final = 8
"""An exponential curve needs at least this many buckets."""
SURE: Final = 3.0
"""Standard errors at which a trend of the gap, or a rise from the low, is certain; they also bound the time
constant."""
WAY: Final = 6.0
"""The first bucket must lie above the lowest by this many times the noise of a bucket. Among some forty buckets, the
highest and the lowest may differ by four times the noise by chance."""
MATERIAL: Final = 0.02
"""A gap that changes by less than this over the last third, as a share of the validation loss, is steady."""
APART: Final = 3.0
"""If the time constants that fit about as well differ by more than this factor, none is given."""
_SOFT: Final = 0.005
"""The end is lowered by this share of the descent, so that what remains to it has a logarithm everywhere."""
STEP: Final = 1.15
"""Factor between the rates that are tried first."""
RATES: Final = np.geomspace(0.1, 0.1 * STEP**45, 46)
"""Rates that are tried first, from 0.1 to 54, in units of 1 / length of the curve."""
FINE: Final = np.geomspace(1 / STEP, STEP, 17)
"""Factors around the best of them that are tried next. A parabola then interpolates between these."""


def progress_of(run: Features) -> Progress:
    """The gap and the rate; neither for a game, whose losses do not say how good the model is."""
    if run.state.game:
        return Progress()
    return Progress(gap=_gap(run.train, run.val), rate=_rate(run), unit=run.state.unit)


def gap_of(run: Features) -> float | None:
    """The current gap; None for a game, or before there are three buckets of the validation loss."""
    found = None if run.state.game else _gaps(run.train, run.val, 3)
    return None if found is None else float(found[1].mean())


def half_life_of(run: Features) -> float | None:
    """The half-life of the judged loss; None for a game, or if the curve does not determine it."""
    decay = None if run.state.game or run.judged.closed < LEAST else _fit(_fitted(run.judged))
    return None if decay is None else decay.tau * math.log(2)


def fitted_to(state: State) -> tuple[float, float, int, list[float], list[float]]:
    """What the half-life depends on, apart from what the run says about its loss: the buckets that are fitted."""
    curve = state.curves[state.judged]
    some = _some(len(curve.x))
    return curve.first, curve.first_step, curve.size, curve.step[:some], curve.x[:some]


def middles(view: View) -> list[float]:
    """The step of the middle of each closed bucket's points."""
    ends, inner = view.step, (view.size - 1) / (2 * view.size)
    found = [end - (end - begin) * inner for begin, end in zip([view.curve.first_step, *ends], ends, strict=False)]
    if view.size > 1:  # the first bucket begins at a point, the others after one
        found[0] = (view.curve.first_step + ends[0]) / 2
    return found


def _gaps(train: View, val: View, last: int = 0) -> tuple[Floats, Floats, Floats] | None:
    """Step, gap and training loss for each bucket of the validation loss.

    Args:
        last: how many buckets to return, from the last one; 0 for all.
    """
    if train.closed < 1 or val.closed < 3:
        return None
    steps = np.array(middles(val)[-last:])
    under = np.interp(steps, middles(train), train.centres)
    return steps, val.x[-last:] - under, under


def _gap(train: View, val: View) -> Gap | None:
    found_gaps = _gaps(train, val)
    if found_gaps is None:
        return None
    (steps, gaps, under), levels = found_gaps, val.x
    now, below = float(gaps[-3:].mean()), float(under[-3:].mean())
    found = Gap(now=now, train=below, val=float(levels[-3:].mean()), share=now / below if below > 0 else None)
    n = max(6, val.closed // 3)
    if val.closed < n:
        return found
    last, at = gaps[-n:], steps[-n:]
    slope, error = straight((at - at.mean()).tolist(), last.tolist(), least=1e-200)
    change = abs(slope) * float(at[-1] - at[0])
    sure = student(abs(slope) / error, n - 2) >= SURE
    trend = "steady"
    if sure and change >= MATERIAL * max(abs(found.val), 1e-300):
        trend = "widening" if (slope > 0) == (now > 0) else "narrowing"
    return Gap(
        now=now, train=below, val=found.val, share=found.share, before=float(last[:3].mean()),
        since_step=float(at[:3].mean()), trend=trend,
    )  # fmt: skip


def _some(closed: int) -> int:
    """How many of the closed buckets are fitted: their number, rounded down to four binary digits."""
    return closed - closed % (1 << max(closed.bit_length() - 4, 0))


def _fitted(view: View) -> View:
    """The buckets that are fitted."""
    some = _some(view.closed)
    return view if some == view.closed else View(view.curve.until(some), view.floor)


def _fit(view: View) -> _Decay | None:
    if not _descends(view):
        return None
    return _later_half(np.array(middles(view)), view.x, view.zero, view.low_at + 1 if _risen(view) else view.closed)


def _descends(view: View) -> bool:
    """Whether the loss has come down by more than noise."""
    if view.closed < 4 or view.range <= 0:
        return False
    return view.centres[0] - view.loss(view.low) > WAY * view.noise * max(_level(view) - view.base, 1e-300)


def _risen(view: View) -> bool:
    return view.log(_level(view)) - view.low > SURE * view.error(3)


def _level(view: View) -> float:
    """The current level by closed buckets alone, so that batching does not matter."""
    return middle(view.centres[-3:])


def _rate(run: Features) -> Rate | None:
    view, some = run.judged, _fitted(run.judged)
    if not _descends(some):
        return None
    low, fitted = view.loss(view.low), _fit(some)
    heading = None if fitted is None or _risen(view) else fitted.heading
    end = low if heading is None else min(heading, low)
    return Rate(
        series="training" if view is run.train else "validation",
        start=view.start,
        end=end,
        half_life=None if fitted is None else fitted.tau * math.log(2),
        heading=heading,
        milestones=tuple(_milestones(view, end, fitted if heading is not None else None)),
        resolution=float(view.step[-1] - view.curve.first_step) / view.closed,
    )


class _Decay:
    """The time constant and the asymptote of the best fit to a part."""

    def __init__(self, part: _Part, rate: float) -> None:
        self._part, self._rate, self.tau = part, rate, part.span / rate

    @lazy
    def heading(self) -> float:
        """The asymptote; the half-life does not need it."""
        return self._part.heading(self._rate)


def _milestones(view: View, end: float, fitted: _Decay | None) -> list[Milestone]:
    """When each share of the descent was reached, or will be if foreseen; interpolated on a log scale of the rest."""
    x = np.concatenate(([view.curve.first_step], middles(view)))
    y = np.minimum.accumulate([view.start, *map(view.loss, view.smooth)])
    way, found = view.start - end, []
    left = np.log(y - end + _SOFT * way)
    for share in SHARES:
        level = view.start - share * way
        at = int(np.argmax(y <= level + 1e-9 * way))
        if at:
            part = (left[at - 1] - math.log(level - end + _SOFT * way)) / max(left[at - 1] - left[at], 1e-300)
            found.append(Milestone(share=share, step=float(x[at - 1] + min(part, 1.0) * (x[at] - x[at - 1]))))
        elif fitted is not None and level > fitted.heading and y[-1] > fitted.heading:
            ahead = fitted.tau * math.log((y[-1] - fitted.heading) / (level - fitted.heading))
            found.append(Milestone(share=share, step=float(x[-1] + max(ahead, 0.0)), reached=False))
    return found


def _later_half(steps: Floats, levels: Floats, floor: float, stop: int) -> _Decay | None:
    """The fit to the later half; or that to all buckets, if they agree or if the half does not determine one."""
    half, whole = (
        _Part(steps[begin:stop], levels[begin:stop], floor) if stop - begin >= LEAST else None
        for begin in (stop // 2, 0)
    )
    if half is not None and not half.determined:
        half = None
    if whole is None or not whole.determined:
        return None if half is None else half.decay()
    found = whole.decay()
    return found if half is None or half.least <= found.tau <= half.most else half.decay()


class _Shapes(NamedTuple):
    """The curves `exp(-rate * t)` of some rates, and what depends on them alone: not on the levels.

    Attributes:
        shapes: (rates, n).
        mean, squares: over t, (rates,).
        size: sum of the squares around the mean, (rates,).
    """

    shapes: Floats
    mean: Floats
    squares: Floats
    size: Floats


def _shapes(rates: Floats, t: Floats) -> _Shapes:
    shapes = np.exp(np.multiply.outer(-rates, t))
    mean, squares = shapes.sum(axis=1) / len(t), np.einsum("ij,ij->i", shapes, shapes)
    return _Shapes(shapes, mean, squares, np.maximum(squares - len(t) * mean * mean, 1e-300))


# As shares of the length, the steps of all runs that log regularly are the same, bit for bit: a bucket's size is a
# power of two. So most fits find their shapes here. Together, both caches hold 4 MiB at most.
@lru_cache(maxsize=128)
def _tried(t: bytes) -> _Shapes:
    """The shapes of `RATES`."""
    return _shapes(RATES, np.frombuffer(t))


@lru_cache(maxsize=128)
def _tried_next(t: bytes, rate: float) -> _Shapes:
    """The shapes near one of `RATES`."""
    return _shapes(rate * FINE, np.frombuffer(t))


class _Part:
    """Buckets to which an exponential curve is fitted that does not end below the floor.

    Attributes:
        determined: whether the buckets determine the time constant; if not, the next three are not set.
        rate: the best of `RATES`.
        least, most: the range of the time constants that fit about as well.
    """

    def __init__(self, steps: Floats, levels: Floats, floor: float) -> None:
        self.levels, self.floor, self.span = levels, floor, float(steps[-1] - steps[0])
        self.mean = float(levels.sum()) / len(levels)
        self.around = levels - self.mean
        self.total = float(self.around @ self.around)
        self.determined = False
        if self.span > 0 and levels.max() > levels.min():
            self.t = (steps - steps[0]) / self.span
            self._determine()

    def _determine(self) -> None:
        tried = _tried(self.t.tobytes())
        rest, heading = self._squares(tried, -math.inf)
        at = int(rest.argmin())
        limit = max(float(rest[at]), 1e-12 * self.total) * (1 + SURE**2 / (len(self.t) - 3))
        good = np.flatnonzero(rest <= limit)
        least, most = float(RATES[good[0]]), float(RATES[good[-1]])
        if good[0] == 0 or good[-1] == len(RATES) - 1 or most > APART * least:
            return
        if heading[at] < self.floor:
            rest, heading = self._squares(tried, self.floor)
            at = int(rest.argmin())
            if rest[at] > limit:
                return
        self.determined = bool(rest[at] < self.total)
        self.rate, self.least, self.most = float(RATES[at]), self.span / most, self.span / least

    def decay(self) -> _Decay:
        """The best fit near `rate`."""
        fine = self.rate * FINE
        rest, _ = self._squares(_tried_next(self.t.tobytes(), self.rate), self.floor)
        at = min(max(int(rest.argmin()), 1), len(fine) - 2)
        rate = float(fine[at]) * float(FINE[1] / FINE[0]) ** _vertex(*rest[at - 1 : at + 2].tolist())
        return _Decay(self, rate)

    def heading(self, rate: float) -> float:
        """The asymptote of the best curve of one rate."""
        _, found = self._squares(_shapes(np.array([rate]), self.t), self.floor)
        return float(found[0])

    def _squares(self, of: _Shapes, floor: float) -> tuple[Floats, Floats]:
        """The residual sum of squares of each rate, and the asymptote of its curve; arrays of shape (rates,)."""
        shapes, mean, squares, size = of
        height = np.maximum(shapes @ self.around / size, 0.0)
        heading = self.mean - height * mean
        if heading.min() >= floor:  # by Pythagoras: the total minus what the curve explains
            return np.maximum(self.total - height**2 * size, 0.0), heading
        below = heading < floor  # these would end below the floor: fix their asymptote at it
        height = np.where(below, np.maximum(shapes @ (self.levels - floor) / squares, 0.0), height)
        heading = np.where(below, floor, heading)
        return ((self.levels - heading[:, None] - height[:, None] * shapes) ** 2).sum(axis=1), heading


def _vertex(before: float, least: float, after: float) -> float:
    """The minimum of the parabola through three values, of which the middle is lowest, in steps from the middle."""
    bend = before - 2 * least + after
    return min(max(0.5 * (before - after) / bend, -1.0), 1.0) if bend > 0 else 0.0
