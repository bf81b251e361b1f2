"""The input of rules over the parts of a loss: the closed buckets of the sketch as arrays, and a few statistics."""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from monitor.rules.sketch.lazy import lazy
from monitor.rules.sketch.noise import Floats, middle, second_differences
from monitor.rules.sketch.parts import COLLAPSIBLE, DATA, PENALTY, SCALE, Parts

FADED = 0.01
"""A part whose weight is below this share of its largest weight was switched off, by a schedule or by hand."""


class Composition:
    """The parts at a check: p parts over k closed buckets.

    Attributes:
        n: rows in closed buckets.
        k: closed buckets.
        names: names of the parts, at most 20 bytes each.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.k = len(parts.step)
        self.n = self.k * parts.size
        self.names = [part.name for part in parts.parts]

    @lazy
    def step(self) -> list[float]:
        """Last step of each bucket."""
        return self.parts.step

    @lazy
    def raw(self) -> Floats:
        """Unweighted mean of each part in each bucket, (k, p); NaN where it was not logged."""
        found: Floats = np.array(self.parts.raw, float).reshape(self.k, len(self.names))
        return found

    @lazy
    def weighted(self) -> Floats:
        """Absolute value of each weighted part in each bucket, (k, p), >= 0."""
        found: Floats = self.share * np.array(self.parts.mass)[:, None]
        return found

    @lazy
    def share(self) -> Floats:
        """Share of each weighted part in the sum of their absolute values, (k, p), 0 to 1."""
        found: Floats = np.array(self.parts.share, float).reshape(self.k, len(self.names)) / SCALE
        return found

    @lazy
    def total(self) -> Floats:
        """Mean of the total in each bucket, (k,); the sum of the weighted parts if no total was ever logged."""
        total, mass = np.array(self.parts.total), np.array(self.parts.mass)
        return np.where(np.isnan(total), mass, total) if np.isnan(total).all() else total

    @lazy
    def gap(self) -> Floats:
        """Mean of the total minus the weighted parts, (k,); NaN where no row had all of them."""
        return np.array(self.parts.gap)

    def of_kind(self, *kinds: int) -> list[int]:
        """The parts of these kinds that were logged in each of the last three buckets."""
        recent = [all(math.isfinite(v) for v in column) for column in zip(*self.parts.raw[-3:], strict=True)]
        return [i for i, part in enumerate(self.parts.parts) if part.kind in kinds and recent[i]]

    @lazy
    def data(self) -> list[int]:
        """The parts that the model is trained for, without those that are switched off."""
        return [i for i in self.of_kind(DATA) if not self.faded(i)]

    @lazy
    def penalties(self) -> list[int]:
        """The parts that constrain the model."""
        return self.of_kind(PENALTY, COLLAPSIBLE)

    @lazy
    def weights(self) -> Floats:
        """The weight of each part in each bucket, from what it contributed, (k, p); NaN where it is unknown."""
        with np.errstate(invalid="ignore", divide="ignore"):
            found: NDArray[np.float64] = self.weighted / np.abs(self.raw)
        return np.where(np.isfinite(found), found, np.nan)

    @lazy
    def most(self) -> list[float]:
        """The largest weight of each part, (p,); minus infinity where none is known."""
        found: list[float] = np.fmax.reduce(self.weights, axis=0, initial=-np.inf).tolist()
        return found

    def faded(self, i: int) -> bool:
        """Whether a part was switched off: its weight is almost zero compared to its largest."""
        now = abs(self.parts.parts[i].weight)
        return now == 0 or now < FADED * self.most[i]

    def reweighted(self, step: float) -> float:
        """How much higher the total would have been at a step under the current weights: what a schedule has added."""
        if not self.k:
            return 0.0
        at = min(bisect_left(self.step, step), self.k - 1)
        return float(np.nansum((self.weights[-1] - self.weights[at]) * self.raw[at]))

    def level(self, i: int) -> float:
        """The current level of a part: the median of its last three means."""
        return middle(self.raw[-3:, i].tolist())

    def weight_by_start(self, i: int, j: int) -> float | None:
        """The weight with which part i would have begun as large as part j; None if there is no positive one."""
        return _over(float(np.fmax.reduce(self.weighted[:2, j])), abs(self.start(i)))

    def weight_by_level(self, i: int, j: int) -> float | None:
        """The weight with which part i would now be as large as part j; None if there is no positive one."""
        return _over(middle(self.weighted[-3:, j].tolist()), abs(self.level(i)))

    def start(self, i: int) -> float:
        """The initial level of a part: the higher one of its first two means."""
        known = self.raw[:, i][np.isfinite(self.raw[:, i])]
        return float(known[:2].max())

    def fallen(self, i: int) -> float:
        """How far a part has come down, as a share of its initial level; negative if it has risen."""
        begin = self.start(i)
        return (begin - self.level(i)) / max(abs(begin), 1e-300)


def _over(size: float, raw: float) -> float | None:
    found = size / raw if raw else math.inf
    return found if 0 < found < math.inf else None


def smooth(x: Floats) -> Floats:
    """Running median of three, (n,); the ends are unchanged, and NaN propagates."""
    if len(x) < 3:
        return x
    out = x.copy()
    a, b, c = x[:-2], x[1:-1], x[2:]
    out[1:-1] = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
    return out


def noise(x: Floats) -> float:
    """Noise of the values, from second differences."""
    return second_differences(x.tolist())
