"""Synthetic runs in families: each seed is another run of its kind, of another length, noise and number of evaluations.

`t` runs from 0 to 1 over a run. Noise is a share of the progress, on training points larger than on evaluations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray
Shape = Callable[[Array, np.random.Generator], tuple[Array, Array]]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is logged: rows of (step, value)."""

    train: Array
    val: Array
    lr: Array | None = None

    def scaled(self, by: float, offset: float = 0.0) -> Run:
        """The same run with its losses multiplied, and a constant added."""
        train, val = (np.c_[curve[:, 0], curve[:, 1] * by + offset] for curve in (self.train, self.val))
        return Run(train=train, val=val, lr=self.lr)


@dataclass(frozen=True, kw_only=True)
class Family:
    """How to make a run of a kind, and what may and must be said of it.

    Attributes:
        make: a run from its generator.
        never: rule, or "stop", to the largest share of runs on which it may fire (or be advised) at any step.
        end: rule to the largest share of runs on which it may still fire at the end.
        must: rule to the smallest share of runs on which it must fire at the end; "stop": be advised at some step.
        many: how many runs the slow suite makes. Two of 60 are no evidence against a share of 2 %.
    """

    make: Callable[[np.random.Generator], Run]
    never: dict[str, float] = field(default_factory=dict)
    end: dict[str, float] = field(default_factory=dict)
    must: dict[str, float] = field(default_factory=dict)
    many: int = 60


def logged(
    rng: np.random.Generator,
    shape: Shape,
    *,
    points: tuple[int, int] = (200, 1500),
    evals: tuple[int, int] = (20, 100),
    noise: tuple[float, float] = (0.005, 0.05),
    calm: float = 0.3,
) -> Run:
    """A run of a shape: so many training points and evaluations, Gaussian noise, `calm` times less on validation."""
    n, m = int(rng.integers(*points)), int(rng.integers(*evals))
    m = min(m, n)
    at = np.unique(np.linspace(0, n - 1, m + 1).astype(int)[1:])
    train, val = shape(np.arange(n) / n, rng)
    size = rng.uniform(*noise) * np.ptp(train)
    val = val[at] + calm * size * rng.normal(size=len(at))
    return Run(train=np.c_[np.arange(n), train + size * rng.normal(size=n)], val=np.c_[at, val])


def falling(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """An exponential to a floor."""
    rate, floor = rng.uniform(3, 12), rng.uniform(0.2, 1.0)
    base = floor + 2 * np.exp(-rate * t)
    return base, base + 0.1


def drops(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Level after a while, and lower at once where the learning rate drops, twice."""
    base = 0.3 + 1.5 * np.exp(-15 * t)
    for at in (rng.uniform(0.35, 0.5), rng.uniform(0.65, 0.8)):
        base = base - np.where(t > at, 0.08 * (1 - np.exp(-60 * np.maximum(t - at, 0))), 0)
    return base, base + 0.1


def warm_up(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Level, or even a little up, while the learning rate warms up."""
    until = rng.uniform(0.05, 0.25)
    base = (
        0.5 + 2 * np.exp(-6 * np.maximum(t - until, 0)) + rng.uniform(0, 0.2) * np.minimum(t / until, 1) * (t < until)
    )
    return base, base + 0.1


def double_descent(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Validation rises by a third or more in the middle, and ends lower than it was before."""
    hump = rng.uniform(0.3, 0.8) * np.exp(-(((t - rng.uniform(0.3, 0.4)) / 0.08) ** 2))
    return 0.02 + 2 * np.exp(-8 * t), 0.4 + 1.6 * np.exp(-10 * t) + hump - 0.3 * t


def grokking(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Training goes to zero at once; validation stays up, and collapses late."""
    at, up = rng.uniform(0.5, 0.8), rng.uniform(0.0, 1.0)
    val = 2 + up * (1 - np.exp(-10 * t)) - (1.9 + up) / (1 + np.exp(-60 * (t - at)))
    return 0.01 + 2 * np.exp(-40 * t), val


def late(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Nothing for long, then all at once."""
    at = rng.uniform(0.3, 0.7)
    base = 0.2 + 2 / (1 + np.exp(50 * (t - at)))
    return base, base + 0.05


def negative(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """A log likelihood that falls through zero."""
    base = -rng.uniform(1, 4) + 5 * np.exp(-rng.uniform(4, 10) * t)
    return base, base + 0.1


def heavy_tailed(rng: np.random.Generator) -> Run:
    """Batches of one: log-normal losses, a smooth validation."""
    run = logged(rng, falling, noise=(0.0, 1e-9))
    train = run.train[:, 1] * np.exp(rng.uniform(0.6, 1.0) * rng.normal(size=len(run.train)))
    val = run.val[:, 1] + 0.01 * rng.normal(size=len(run.val))
    return Run(train=np.c_[run.train[:, 0], train], val=np.c_[run.val[:, 0], val])


def near_zero(rng: np.random.Generator) -> Run:
    """Falls by eight decades, with noise that is a share of what is left."""
    run = logged(rng, lambda t, _: (10 ** (-8 * t), 2 * 10 ** (-8 * t)), noise=(0.0, 1e-12))
    train, val = (np.c_[c[:, 0], c[:, 1] * np.exp(0.2 * rng.normal(size=len(c)))] for c in (run.train, run.val))
    return Run(train=train, val=val)


def shifted(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """The data change in the middle: up to half of the way back, then down again to nearly where it was."""
    at, up = rng.uniform(0.3, 0.5), rng.uniform(0.3, 1.0)
    base = 0.4 + 2 * np.exp(-15 * t) + np.where(t > at, up * np.exp(-15 * np.maximum(t - at, 0)), 0)
    return base, base + 0.1


def resumed(rng: np.random.Generator) -> Run:
    """Killed at some step and resumed from an earlier checkpoint: some steps are logged twice."""
    run = logged(rng, falling, evals=(40, 100))
    last = run.train[-1, 0]
    died, back = rng.uniform(0.5, 0.8) * last, rng.uniform(0.3, 0.45) * last
    return Run(**{
        name: np.r_[curve[curve[:, 0] < died], curve[curve[:, 0] >= back]]
        for name, curve in (("train", run.train), ("val", run.val))
    })  # fmt: skip


def concatenated(rng: np.random.Generator) -> Run:
    """Two runs in one log: the second starts at its first step, from its first loss."""
    first, second = logged(rng, falling), logged(rng, falling)
    return Run(train=np.r_[first.train, second.train], val=np.r_[first.val, second.val])


def six(rng: np.random.Generator) -> Run:
    """Six epochs, both losses once an epoch."""
    epoch = np.arange(1.0, 7.0)
    base = 0.3 + rng.uniform(0.5, 2) * np.exp(-rng.uniform(0.3, 1.0) * epoch)
    noise = rng.uniform(0.0, 0.04) * np.ptp(base)
    return Run(
        train=np.c_[epoch, base + noise * rng.normal(size=6)], val=np.c_[epoch, base + 0.1 + noise * rng.normal(size=6)]
    )


def overfitting(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Validation turns at a third and rises by a fifth or more of its way down."""
    turn = rng.uniform(0.2, 0.5)
    rise = rng.uniform(0.4, 1.5) * np.maximum(t - turn, 0)
    return 0.1 + 2 * np.exp(-6 * t), 0.5 + 1.5 * np.exp(-10 * t) + rise


def diverging(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Falls, then goes up for good: at once to a level, or slowly."""
    at, rate = rng.uniform(0.3, 0.7), rng.uniform(4, 200)
    base = 0.3 + 2 * np.exp(-10 * t) + rng.uniform(2, 6) * (1 - np.exp(-rate * np.maximum(t - at, 0)))
    return base, base + 0.1


def levelled(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Explodes, comes down again by most of that, and levels off far above where it had been."""
    at = rng.uniform(0.4, 0.7)
    up = rng.uniform(1.2, 2.5) + rng.uniform(2, 8) * np.exp(-rng.uniform(30, 100) * np.maximum(t - at, 0))
    base = 0.3 + 2 * np.exp(-10 * t) + up * (t > at)
    return base, base + 0.1


def recovering(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """A large spike that takes up to a fifth of the run to go."""
    at = rng.uniform(0.3, 0.6)
    base = 0.3 + 2 * np.exp(-10 * t)
    base = base + (t > at) * rng.uniform(1, 8) * np.exp(-rng.uniform(15, 60) * np.maximum(t - at, 0))
    return base, base + 0.1


def swinging(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """A wave as large as the loss, from early on to the end, no progress otherwise."""
    wave = np.sin(2 * np.pi * rng.uniform(8, 16) * t + rng.uniform(0, 6))
    base = 1 + rng.uniform(0.5, 0.8) * wave
    return base, base + 0.1


def level(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Nothing is learned: a constant; the noise is made by `flat`."""
    del rng
    return np.ones_like(t), np.ones_like(t) * 1.02


def flat(rng: np.random.Generator) -> Run:
    """Nothing but noise of a few hundredths about where it began."""
    run = logged(rng, level)
    size = rng.uniform(0.002, 0.05)
    train, val = (np.c_[c[:, 0], c[:, 1] + s * size * rng.normal(size=len(c))]
                  for c, s in ((run.train, 1.0), (run.val, 0.2)))  # fmt: skip
    return Run(train=train, val=val)
