"""What a curve did, told in regimes: it fell fast to here, slowly to there, and has been flat since.

The best straight pieces through the buckets, on the scale of `features`, by dynamic programming: the sum of squares
over the noise, and a price a piece that grows with the logarithm of the number of buckets, so that noise buys none. It
is worked out when a diagnosis is asked for, not at every check: the rules ask their questions of the same scale and
the same noise, and need no pieces.

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
from monitor.rules.describe.features import Features, View
from monitor.rules.sketch.noise import Floats

PRICE: Final = 5.0
"""Of one more piece, in units of the noise's variance, times the logarithm of the number of buckets."""
LEAST: Final = 3
"""Buckets of a piece, at least."""
MATERIAL: Final = 0.02
"""Change of the level, as a logarithm, below which a piece is flat."""
SLOW: Final = 0.25
"""Pace, as a share of the fastest, below which a fall is slow."""


def regimes_of(run: Features) -> tuple[Regime, ...]:
    """The regimes of the training loss, then those of the validation loss; none of one with fewer than four buckets."""
    return (*_regimes("training", run.train), *_regimes("validation", run.val))


def _regimes(series: str, view: View) -> Iterator[Regime]:
    if view.closed < LEAST + 1:
        return
    y = np.array(view.smooth[:-1])  # the last is the one before it
    cuts = _cuts(y, max(view.noise, 0.1 * MATERIAL))
    pieces = [(b, b - a, float(y[a]), float(y[b - 1])) for a, b in pairwise(cuts)]
    fastest = max((start - end) / length for _, length, start, end in pieces)
    told: list[tuple[str, int, float, float]] = []
    for until, length, start, end in pieces:
        kind = _kind(end - start, (start - end) / length, fastest, view.noise)
        before = told.pop() if told and told[-1][0] == kind else None
        told.append((kind, until, before[2] if before else start, end))
    begin = view.curve.first_step
    for kind, until, start, end in told:
        stop = view.step[-1 if until == len(y) else until - 1]
        first, last = (float(f"{view.loss(level):.6g}") for level in (start, end))
        yield Regime(series=series, kind=kind, begin=begin, end=stop, start=first, stop=last)
        begin = stop


def _kind(change: float, pace: float, fastest: float, noise: float) -> str:
    """What a piece is called by how far it goes, and how fast."""
    if abs(change) < max(MATERIAL, 2 * noise):
        return "flat"
    return "rise" if change > 0 else "slow fall" if pace < SLOW * fastest else "fall"


def _cuts(y: Floats, noise: float) -> list[int]:
    """Where the pieces begin, and the end of the last: for each end the best beginning of its last piece."""
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
