"""How a run gets on, in numbers: the generalisation gap with its trend, and the rate at which the loss comes down.

The gap is read bucket by bucket: the validation loss of a bucket, minus the training loss at the same steps. Its trend
is a straight line through the last third of them.

The half-life is that of `heading + height * exp(-step / tau)`, ln 2 times tau, fitted by least squares to the later
half of the buckets up to the lowest level; to all of them where the half agrees or does not tell. It is given only
where the curve determines it: the time constants that fit about as well (an F-test, three standard errors) lie within
a factor of three. So a straight line and noise have none.

Source:
    Ratkowsky, Handbook of Nonlinear Regression Models (1990), for asymptotic regression; Seber, Wild, Nonlinear
    Regression (1989), 5.4, for the interval of one parameter by the sum of squares.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from monitor.domain.progress import SHARES, Gap, Milestone, Progress, Rate
from monitor.rules.describe.features import Features, View
from monitor.rules.describe.trend import student
from monitor.rules.sketch.noise import Floats, middle

LEAST: Final = 8
"""Buckets that an exponential curve is fitted to, at least."""
SURE: Final = 3.0
"""Standard errors from which on a gap changes, and by which the time constant is bounded."""
WAY: Final = 6.0
"""Noises of a bucket that the first one must lie above the lowest: of some forty, the highest and lowest may be four
apart by chance."""
MATERIAL: Final = 0.02
"""Change of the gap over the last third, as a share of the validation loss, below which it is steady."""
APART: Final = 3.0
"""Factor between the time constants that fit about as well, above which none is given."""
_SOFT: Final = 0.005
"""Share of the way by which the end is lowered, so that what is left of it has a logarithm."""
STEP: Final = 1.15
"""Factor between the rates that are tried first."""
RATES: Final = np.geomspace(0.1, 0.1 * STEP**45, 46)
"""Rates that are tried, in one over the length of the curve: up to 54."""
FINE: Final = np.geomspace(1 / STEP, STEP, 17)
"""Factors around the best of them that are tried then; a parabola finds the best between these."""


def progress_of(run: Features) -> Progress:
    """The gap and the rate; neither for a game, whose losses say nothing of how good the model is."""
    if run.state.game:
        return Progress()
    return Progress(gap=_gap(run.train, run.val), rate=_rate(run), unit=run.state.unit)


def kept(run: Features) -> tuple[float | None, float | None]:
    """What the list of runs shows of the progress, at half of its price: the gap now, and the half-life."""
    if run.state.game:
        return None, None
    gaps, fit = _gaps(run.train, run.val), _fit(run)
    fitted = None if fit is None else fit.decay
    return None if gaps is None else float(gaps[1][-3:].mean()), None if fitted is None else fitted.tau * math.log(2)


def middles(view: View) -> Floats:
    """The step that each closed bucket stands for, the middle of its points; shape (closed,)."""
    ends = np.array(view.step)
    begins = np.concatenate(([view.curve.first_step], ends[:-1]))
    inner = (view.size - 1) / (2 * view.size)
    found = ends - (ends - begins) * inner
    if view.size > 1:  # the first bucket begins with a point, the others behind one
        found[0] = (begins[0] + ends[0]) / 2
    return found


def _gaps(train: View, val: View) -> tuple[Floats, Floats, Floats] | None:
    """Step, gap and training loss of each bucket of the validation loss."""
    if train.closed < 1 or val.closed < 3:
        return None
    steps = middles(val)
    under = np.interp(steps, middles(train), train.x)
    return steps, val.x - under, under


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
    t = at - at.mean()
    slope = float(t @ last) / max(float(t @ t), 1e-300)
    rest = last - last.mean() - slope * t
    error = math.sqrt(max(float(rest @ rest), 0.0) / (n - 2) / max(float(t @ t), 1e-300))
    change = abs(slope) * float(at[-1] - at[0])
    sure = student(abs(slope) / max(error, 1e-300), n - 2) >= SURE
    trend = "steady"
    if sure and change >= MATERIAL * max(abs(found.val), 1e-300):
        trend = "widening" if slope > 0 else "narrowing"
    return Gap(
        now=now, train=below, val=found.val, share=found.share, before=float(last[:3].mean()),
        since_step=float(at[:3].mean()), trend=trend,
    )  # fmt: skip


class _Fit(NamedTuple):
    """The judged loss with its buckets, whether it has risen from its lowest level, and the curve that fits it."""

    view: View
    steps: Floats
    low: float
    risen: bool
    decay: _Decay | None


def _fit(run: Features) -> _Fit | None:
    view = run.judged
    if view.closed < 4 or view.range <= 0:
        return None
    stop = view.low_at + 1
    level = middle(view.centres[-3:])  # of closed buckets alone, so that it is the same in any batching
    risen = view.log(level) - view.low > SURE * view.error(3)
    steps, levels = middles(view), view.x
    low = view.loss(view.low)
    if view.centres[0] - low <= WAY * view.noise * max(level - view.base, 1e-300):
        return None  # noise, no way
    fitted = _later_half(steps, levels, view.zero, stop if risen else view.closed)
    return _Fit(view, steps, low, risen, fitted)


def _rate(run: Features) -> Rate | None:
    fit = _fit(run)
    if fit is None:
        return None
    view, steps, low, risen, fitted = fit
    ends_at = None if fitted is None or risen else min(fitted.heading, low)
    end = low if ends_at is None else ends_at
    smooth = np.array([view.loss(y) for y in view.smooth])
    return Rate(
        series="training" if view is run.train else "validation",
        start=view.start,
        end=end,
        half_life=None if fitted is None else fitted.tau * math.log(2),
        heading=None if ends_at is None or fitted is None else fitted.heading,
        milestones=tuple(_milestones(view, steps, smooth, end, fitted if ends_at is not None else None)),
        resolution=float(view.step[-1] - view.curve.first_step) / view.closed,
    )


class _Decay(NamedTuple):
    """The curve that fits best, and the time constants between which those lie that fit about as well."""

    tau: float
    heading: float
    least: float
    most: float


def _milestones(view: View, steps: Floats, smooth: Floats, end: float, fitted: _Decay | None) -> list[Milestone]:
    """When each share of the way was done, between two levels on the scale of what is left; or will be, if foreseen."""
    x = np.concatenate(([view.curve.first_step], steps))
    y = np.minimum.accumulate(np.concatenate(([view.start], smooth)))
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
    """The exponential curve of the later half; that of all where it agrees, or where the half does not tell."""
    half, whole = (
        _decay(steps[begin:stop], levels[begin:stop], floor) if stop - begin >= LEAST else None
        for begin in (stop // 2, 0)
    )
    if half is None or whole is None:
        return half or whole
    return whole if half.least <= whole.tau <= half.most else half


def _decay(steps: Floats, levels: Floats, floor: float) -> _Decay | None:
    """The exponential curve that fits best and does not come to rest below the floor; None where none is determined."""
    span, n = float(steps[-1] - steps[0]), len(steps)
    if span <= 0 or float(np.ptp(levels)) <= 0:
        return None
    t = (steps - steps[0]) / span
    rest, heading = _squares(t, levels, RATES, -math.inf)
    at = int(rest.argmin())
    limit = max(float(rest[at]), 1e-12 * float(np.ptp(levels)) ** 2) * (1 + SURE**2 / (n - 3))
    good = np.flatnonzero(rest <= limit)
    if good[0] == 0 or good[-1] == len(RATES) - 1 or RATES[good[-1]] > APART * RATES[good[0]]:
        return None
    if heading[at] < floor:
        rest, heading = _squares(t, levels, RATES, floor)
        at = int(rest.argmin())
        if rest[at] > limit:
            return None
    if rest[at] >= float(((levels - levels.mean()) ** 2).sum()):
        return None
    fine = RATES[at] * FINE
    near, _ = _squares(t, levels, fine, floor)
    at = min(max(int(near.argmin()), 1), len(fine) - 2)
    rate = fine[at] * float(FINE[1] / FINE[0]) ** _vertex(*near[at - 1 : at + 2].tolist())
    _, heading = _squares(t, levels, np.array([rate]), floor)
    return _Decay(span / float(rate), float(heading[0]), span / float(RATES[good[-1]]), span / float(RATES[good[0]]))


def _vertex(before: float, least: float, after: float) -> float:
    """Where the parabola through three values has its lowest point, in steps from the middle one, the lowest."""
    bend = before - 2 * least + after
    return min(max(0.5 * (before - after) / bend, -1.0), 1.0) if bend > 0 else 0.0


def _squares(t: Floats, levels: Floats, rates: Floats, floor: float) -> tuple[Floats, Floats]:
    """What each rate leaves unexplained, and where its curve comes to rest; arrays of shape (rates,)."""
    shapes = np.exp(-rates[:, None] * t)
    mean = shapes.mean(axis=1, keepdims=True)
    around, dy = shapes - mean, levels - levels.mean()
    size = np.maximum(np.einsum("ij,ij->i", around, around), 1e-300)
    height = np.maximum(around @ dy / size, 0.0)
    heading = levels.mean() - height * mean[:, 0]
    below = heading < floor
    if below.any():  # through the floor
        height = np.where(below, np.maximum(shapes @ (levels - floor) / (shapes**2).sum(axis=1), 0.0), height)
        heading = np.where(below, floor, heading)
        return ((levels - heading[:, None] - height[:, None] * shapes) ** 2).sum(axis=1), heading
    # By Pythagoras: what is left of the sum of squares is what the curve does not take.
    return np.maximum(float(dy @ dy) - height**2 * size, 0.0), heading
