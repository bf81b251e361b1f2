"""What the rules over the parts of a loss read: the closed buckets of the sketch as arrays, and a few statistics."""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from monitor.rules.sketch.lazy import lazy
from monitor.rules.sketch.noise import Floats, middle, second_differences
from monitor.rules.sketch.parts import COLLAPSIBLE, DATA, PENALTY, SCALE, Parts

FADED = 0.01
"""A part whose weight is below this share of its largest was switched off, by a schedule or by hand."""


class Composition:
    """The parts at a check; k buckets are closed, p parts known.

    Attributes:
        n: rows seen in closed buckets.
        k: closed buckets.
        names: of the parts, at most 20 bytes each.
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
        """Mean of each part in each bucket, before its weight, (k, p); NaN where it was not logged."""
        found: Floats = np.array(self.parts.raw, float).reshape(self.k, len(self.names))
        return found

    @lazy
    def weighted(self) -> Floats:
        """Size of each weighted part in each bucket, (k, p), >= 0."""
        found: Floats = self.share * np.array(self.parts.mass)[:, None]
        return found

    @lazy
    def share(self) -> Floats:
        """Share of each weighted part in the sum of their sizes, (k, p), 0 to 1."""
        found: Floats = np.array(self.parts.share, float).reshape(self.k, len(self.names)) / SCALE
        return found

    @lazy
    def total(self) -> Floats:
        """Mean of the total in each bucket, (k,); the sum of the weighted parts where no total was logged."""
        total, mass = np.array(self.parts.total), np.array(self.parts.mass)
        return np.where(np.isnan(total), mass, total) if np.isnan(total).all() else total

    @lazy
    def gap(self) -> Floats:
        """Mean of the total minus the weighted parts, (k,); NaN where no row had them all."""
        return np.array(self.parts.gap)

    def of_kind(self, *kinds: int) -> list[int]:
        """The parts of these kinds that were logged in all of the last three buckets."""
        recent = [all(math.isfinite(v) for v in column) for column in zip(*self.parts.raw[-3:], strict=True)]
        return [i for i, part in enumerate(self.parts.parts) if part.kind in kinds and recent[i]]

    @lazy
    def data(self) -> list[int]:
        """The parts that the model is for, and that are not switched off."""
        return [i for i in self.of_kind(DATA) if not self.faded(i)]

    @lazy
    def penalties(self) -> list[int]:
        """The parts that keep the model in check."""
        return self.of_kind(PENALTY, COLLAPSIBLE)

    @lazy
    def weights(self) -> Floats:
        """The weight that each part had in each bucket, by what it added, (k, p); NaN where that cannot be told."""
        with np.errstate(invalid="ignore", divide="ignore"):
            found: NDArray[np.float64] = self.weighted / np.abs(self.raw)
        return np.where(np.isfinite(found), found, np.nan)

    @lazy
    def most(self) -> list[float]:
        """The largest weight that each part had, (p,); minus infinity where none can be told."""
        found: list[float] = np.fmax.reduce(self.weights, axis=0, initial=-np.inf).tolist()
        return found

    def faded(self, i: int) -> bool:
        """Whether a part was switched off: its weight now is next to nothing of what it was."""
        now = abs(self.parts.parts[i].weight)
        return now == 0 or now < FADED * self.most[i]

    def reweighted(self, step: float) -> float:
        """How much higher the total would have been at a step with the weights of now: what a schedule added since."""
        if not self.k:
            return 0.0
        at = min(bisect_left(self.step, step), self.k - 1)
        return float(np.nansum((self.weights[-1] - self.weights[at]) * self.raw[at]))

    def level(self, i: int) -> float:
        """Where a part is now: the median of its last three means."""
        return middle(self.raw[-3:, i].tolist())

    def weight_by_start(self, i: int, j: int) -> float | None:
        """The weight with which part i would have begun as large as part j did; None where that is not a number."""
        return _over(float(np.fmax.reduce(self.weighted[:2, j])), abs(self.start(i)))

    def weight_by_level(self, i: int, j: int) -> float | None:
        """The weight with which part i would be as large as part j is now; None where that is not a number."""
        return _over(middle(self.weighted[-3:, j].tolist()), abs(self.level(i)))

    def start(self, i: int) -> float:
        """Where a part began: its first mean, or the second where that is higher."""
        known = self.raw[:, i][np.isfinite(self.raw[:, i])]
        return float(known[:2].max())

    def fallen(self, i: int) -> float:
        """How far a part has come down, as a share of the size it began with; negative where it has risen."""
        begin = self.start(i)
        return (begin - self.level(i)) / max(abs(begin), 1e-300)


def _over(size: float, raw: float) -> float | None:
    found = size / raw if raw else math.inf
    return found if 0 < found < math.inf else None


def smooth(x: Floats) -> Floats:
    """Running median of three, (n,), ends as they are; NaN is passed on."""
    if len(x) < 3:
        return x
    out = x.copy()
    a, b, c = x[:-2], x[1:-1], x[2:]
    out[1:-1] = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
    return out


def noise(x: Floats) -> float:
    """Noise of the values, from second differences."""
    return second_differences(x.tolist())
