"""Splits a curve into regimes: it fell fast to here, slowly to there, and has been flat since.

Dynamic programming finds the best straight pieces through the buckets, on the scale of `features`. The cost is the sum
of squares in units of the noise, plus a price for each piece that grows with the logarithm of the number of buckets, so
that noise does not pay for a piece. Regimes are computed when a diagnosis is requested, not at every check: the rules
use the same scale and noise, but no pieces.

Source:
    Bai, Perron, Computation and Analysis of Multiple Structural Change Models (J. Applied Econometrics, 2003), for the
    dynamic program; Schwarz (1978) for the price.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np

from monitor.domain import Regime
from monitor.rules.describe.features import Features
from monitor.rules.describe.swings import SWING, jumps_inside, of_batches, turned
from monitor.rules.describe.trend import around_zero, straight, student
from monitor.rules.describe.view import View
from monitor.rules.sketch.noise import Floats, middle

PRICE: Final = 5.0
"""Price of one more piece, in units of the noise's variance, per logarithm of the number of buckets."""
LEAST: Final = 3
"""A piece has at least this many buckets."""
MATERIAL: Final = 0.02
"""A piece whose level changes by less than this, as a logarithm, is flat."""
SURE: Final = 3.0
"""A piece whose ends differ by little more than noise still has a trend if its slope has this many standard errors."""
TURNS: Final = 3
"""A piece swings if it has at least this many turns: there, back, and there again."""
SLOW: Final = 0.25
"""A fall is slow if its rate is below this share of the fastest one."""


def regimes_of(run: Features) -> tuple[Regime, ...]:
    """The regimes of the training loss, then of the validation loss; a loss with fewer than four buckets has none."""
    return (*_regimes("training", run, run.train), *_regimes("validation", run, run.val))


def _regimes(series: str, run: Features, view: View) -> Iterator[Regime]:
    if view.closed < LEAST + 1:
        return
    y = np.array(view.smooth[:-1])  # the last entry repeats the one before it
    cuts = _cuts(y, max(view.noise, 0.1 * MATERIAL))
    fastest = max((y[a] - y[b - 1]) / (b - a) for a, b in pairwise(cuts))
    told: list[tuple[str, int, int]] = []
    for cut, b in pairwise(cuts):
        a, kind = cut, _kind(run, view, y, (cut, b), fastest)
        while told and told[-1][0] == kind:  # merged, two flat pieces at different levels may not be flat
            a = told.pop()[1]
            kind = _kind(run, view, y, (a, b), fastest)
        told.append((kind, a, b))
    begin = view.curve.first_step
    for kind, a, b in told:
        stop = view.step[-1 if b == len(y) else b - 1]
        first, last = (float(f"{view.loss(level):.6g}") for level in _ends(kind, view.y[a:b], y[a:b]))
        yield Regime(series=series, kind=kind, begin=begin, end=stop, start=first, stop=last)
        begin = stop


def _kind(run: Features, view: View, y: Floats, piece: tuple[int, int], fastest: float) -> str:
    """The kind of a piece: by its swings, by how far it goes, and how fast."""
    a, b = piece
    batches = of_batches(run, view)
    # A steep descent is high at the begin of each bucket, as a swing within it would be.
    inside = not _one_way(view, view.y[a:b]) and jumps_inside(view, SWING, a, b, batches=batches)
    if inside or turned(view, SWING, a, b, TURNS, batches=batches):
        return "swing"
    change = float(y[b - 1] - y[a])
    if abs(change) < MATERIAL or (
        abs(change) < 2 * view.noise and _trend(view.y[a:b]) * math.copysign(1, change) < SURE
    ):
        return "flat"
    return "rise" if change > 0 else "slow fall" if -change < SLOW * fastest * (b - a) else "fall"


def _one_way(view: View, y: list[float]) -> bool:
    """Whether the levels only fall, or only rise, and by as much as a swing."""
    falling = all(after <= before for before, after in pairwise(y))
    rising = all(after >= before for before, after in pairwise(y))
    return (falling or rising) and view.share(view.loss(min(y)), view.loss(max(y))) >= SWING


def _trend(y: list[float]) -> float:
    """The slope of a straight line in standard errors; negative if it falls."""
    slope, error = straight(around_zero(len(y)), y)
    return math.copysign(student(abs(slope) / error, len(y) - 2), slope)


def _ends(kind: str, y: list[float], smooth: Floats) -> tuple[float, float]:
    """The two levels that are reported for a piece."""
    if kind == "swing":
        return min(y), max(y)
    if kind == "flat":
        return middle(y), middle(y)
    return float(smooth[0]), float(smooth[-1])


def _cuts(y: Floats, noise: float) -> list[int]:
    """Where the pieces begin, and the end of the last one."""
    n = len(y)
    t = np.arange(n, dtype=float)
    sums = [np.concatenate(([0.0], np.cumsum(v))) for v in (np.ones(n), t, y, t * t, t * y, y * y)]
    price = PRICE * math.log(n)
    best, back = np.full(n + 1, np.inf), np.zeros(n + 1, int)
    best[0] = -price
    for end in range(LEAST, n + 1):
        a = np.arange(end - LEAST + 1)
        k, st, sy, stt, sty, syy = (s[end] - s[a] for s in sums)
        slope = (sty - st * sy / k) / np.maximum(stt - st * st / k, 1e-12)
        rest = np.maximum(syy - sy * sy / k - slope * (sty - st * sy / k), 0.0)
        cost = best[a] + rest / noise**2 + price
        back[end] = int(cost.argmin())
        best[end] = cost[back[end]]
    cuts = [n]
    while cuts[-1] > 0:
        cuts.append(int(back[cuts[-1]]))
    return cuts[::-1]
