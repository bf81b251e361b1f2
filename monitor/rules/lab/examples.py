"""A synthetic run for every rule on which it fires, and two healthy runs on which no problem is found.

The tests assert the steps, `docs/rules/` has the pictures, and the dashboard's rules page draws them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.domain import Diagnosis
from monitor.rules.config import RulesConfig
from monitor.rules.replay import diagnose

Array = NDArray[np.float64]
Series = list[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What is logged, and when a rule fires on it.

    Attributes:
        train, val, grad_norm, loss, parts, weights, goal, unit: as in `diagnose`.
        fired: the step at which the rule fires with its default thresholds; None if it does not.
        onset: where its condition began; None if not asserted.
    """

    train: Series
    val: Series | None = None
    grad_norm: Series | None = None
    loss: dict[str, object] | None = None
    parts: dict[str, Series] | None = None
    weights: dict[str, Series | float] | None = None
    goal: Series | None = None
    unit: str = "step"
    fired: float | None = None
    onset: float | None = None

    def diagnose(self, config: RulesConfig | None = None) -> Diagnosis:
        """The diagnosis of the rules."""
        logged = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in ("fired", "onset")}
        return diagnose(**logged, config=config)


def composite(parts: dict[str, Array], fired: float | None = None, onset: float | None = None, **other: Array) -> Trace:
    """A run whose total is `total`, or the sum of its parts with weights `w_<name>` (default 1)."""
    weights = {name: other.get(f"w_{name}", np.ones(len(values))) for name, values in parts.items()}
    total = other.get("total", np.sum([weights[name] * values for name, values in parts.items()], axis=0))
    return Trace(
        train=series(total),
        parts={name: series(values) for name, values in parts.items()},
        weights={name: series(values) for name, values in weights.items()},
        fired=fired,
        onset=onset,
    )


def series(values: Array, every: int = 1, start: int = 0) -> Series:
    """The values as (step, value), one at every `every` steps from `start`."""
    return [(float(start + i * every), float(v)) for i, v in enumerate(values)]


def noise(n: int, seed: int = 0) -> Array:
    """Standard normal values, the same for the same seed."""
    return np.random.default_rng(seed).normal(size=n)


def falling(n: int, floor: float = 0.3, rate: float = 5.0) -> Array:
    """An exponential fall from floor + 2 towards the floor, with `rate` time constants in the run."""
    return floor + 2 * np.exp(-rate * np.arange(n) / n)


def u_turn(n: int, turn: int, slope: float) -> Array:
    """Falls, then rises by `slope` per point from `turn` on."""
    return falling(n, 0.5, 8) + slope * np.maximum(np.arange(n) - turn, 0)


T = np.arange(600)
HEALTHY: Final = Trace(
    goal=series(0.9 - 0.8 * np.exp(-np.arange(200) / 80) + 0.005 * noise(200, 5)),
    train=series(falling(600) + 0.05 * noise(600)),
    val=series(falling(60, 0.35) + 0.01 * noise(60, 1), 10),
    grad_norm=series(np.exp(-T / 600 + 0.2 * noise(600, 2))),
    loss={"chance": 2.3026, "floor": 0.0},
)
SAWTOOTH = 10.0 ** (-4 + 3 * (1 - (np.arange(480) % 40) / 40))
FLAT = 2.3 + 0.01 * noise(200)
SPIKED = np.where(np.arange(300) == 200, 9.0, falling(300) + 0.02 * noise(300))
LATE_CLIMB = np.concatenate([falling(200), falling(200)[-1] + 0.02 * np.arange(1, 101)])
BROKEN = np.concatenate([falling(100), [math.nan] * 5])
QUIET = Trace(train=series(falling(600) + 0.05 * noise(600)), val=series(falling(10, 0.35), 10))
DATA, KL = falling(600, 1) + 0.02 * noise(600), 1 + falling(600, 0, 3) + 0.1 * noise(600, 1)
SWAY = 0.3 * np.sin(T / 40)
ROUGH = 0.02 * noise(600, 1)
BELOW = series(falling(60, -0.4), 10)
CALM: Final = composite(
    {"recon": 50 * falling(600, 1) + noise(600), "kl": 25 * (1 - np.exp(-T / 100)) + 0.3 * noise(600, 1)},
    w_kl=np.minimum(T / 200, 1.0),
)
HIGH = series(2.0 + 0.3 * np.exp(-np.arange(400) / 30) + 0.01 * noise(400))
HIGH_VAL = series(2.01 + 0.3 * np.exp(-np.arange(80) / 6) + 0.002 * noise(80, 1), 5)
E = np.arange(200)
LEARNS = 0.9 - 0.8 * np.exp(-E / 15) + 0.005 * noise(200, 5)
SINKS = LEARNS - 0.002 * np.maximum(0, E - 60)

FIRING: Final = {
    "nan": Trace(train=series(BROKEN), fired=100, onset=100),
    "divergence": Trace(train=series(LATE_CLIMB), fired=233, onset=215),
    "spike": Trace(train=series(SPIKED), fired=207, onset=200),
    "oscillation": Trace(train=series(SAWTOOTH * (1 + 9 * np.exp(-np.arange(480) / 20)) + 1e-6), fired=147, onset=71),
    "convergence": Trace(train=series(falling(200, rate=20)), val=series(falling(40, 0.35, 20), 5), fired=50),
    "stagnation": Trace(train=series(FLAT), val=series(2.3 + 0.001 * noise(20, 1), 10), fired=110, onset=0),
    "underfitting": Trace(
        train=HIGH, val=HIGH_VAL, loss={"chance": 2.3026, "floor": 0.0}, fired=65, onset=45
    ),
    "overfitting": Trace(
        train=series(falling(400, 0.01) + 0.02 * noise(400)), val=series(u_turn(40, 15, 0.02), 10), fired=200, onset=150
    ),
    "improving": Trace(train=series(falling(100, rate=2)), val=series(falling(20, rate=2), 5), fired=35, onset=30),
    "gradient_explosion": Trace(
        train=HEALTHY.train,
        grad_norm=series(np.where(T < 400, 1.0, 200.0) * np.exp(0.1 * noise(600, 2))), fired=431, onset=383,
    ),
    "gradient_vanishing": Trace(
        train=series(2.3 + 0.01 * noise(600)), grad_norm=series(np.exp(-T / 30)), fired=351, onset=287
    ),
    "initial_loss": Trace(train=series(falling(50, rate=3) * 5), loss={"chance": 2.3026}, fired=3, onset=0),
    "low_start": Trace(train=series(falling(50, rate=3) * 0.2), loss={"chance": 2.3026}, fired=3, onset=0),
    "impossible_loss": Trace(
        train=HEALTHY.train, val=BELOW, loss={"chance": 2.3026, "floor": 0.0}, fired=200, onset=200
    ),
    "metric_missing": Trace(train=QUIET.train, val=QUIET.val, fired=131, onset=90),
    "dominant_part": composite({"seg": 5 * falling(600, 1), "depth": 0.2 + 0.01 * noise(600, 1)}, fired=111, onset=55),
    "vanishing_part": composite({"recon": 50 * DATA, "kl": 5 * np.exp(-T / 30)}, fired=191, onset=159),
    "rising_part": composite({"box": 2 * DATA, "mask": 0.5 + 0.5 * T / 600 + ROUGH}, fired=207, onset=15),
    "conflicting_parts": composite({"box": DATA + SWAY, "mask": 1.5 - SWAY + ROUGH}, fired=383, onset=95),
    "growing_penalty": composite({"data": DATA, "l2": np.exp(T / 150)}, w_l2=np.full(600, 0.2), fired=415, onset=287),
    "parts_sum": composite({"data": DATA, "kl": KL}, total=DATA + 0.1 * KL, fired=4, onset=0),
    "goal_decline": Trace(train=HEALTHY.train, goal=series(SINKS), fired=143, onset=63),
    "goal_plateau": Trace(train=HEALTHY.train, goal=series(LEARNS), fired=135, onset=63),
    "goal_unstable": Trace(train=HEALTHY.train, goal=series(LEARNS + 0.5 * noise(200)), fired=23, onset=11),
}  # fmt: skip

_LEVELS: Final = {"initial_loss": "chance", "low_start": "chance", "impossible_loss": "floor"}
"""Rules that compare the loss with a known level."""


def shown(trace: Trace, rule: str) -> tuple[tuple[str, Array], ...]:
    """The series of a trace that a rule reads, by name, (n, 2) each: weighted parts, gradient norm, goal, or losses.

    Args:
        trace: one from this file.
        rule: a rule's name.
    """
    if trace.parts and rule not in ("convergence", "improving"):
        parts = tuple((name, _weighted(trace, name)) for name in trace.parts)
        return (*parts, ("total", np.asarray(trace.train, float))) if rule == "parts_sum" else parts
    if rule.startswith("goal") and trace.goal is not None:
        return (("goal", np.asarray(trace.goal, float)),)
    if rule.startswith("gradient") and trace.grad_norm is not None:
        return (("gradient norm", np.asarray(trace.grad_norm, float)),)
    losses = (("train", trace.train), ("validation", trace.val))
    return tuple((name, np.asarray(rows, float)) for name, rows in losses if rows is not None)


def levels(trace: Trace, rule: str) -> dict[str, float]:
    """The known level that the rule compares the loss with, by name: the chance level or the floor, if any."""
    name = _LEVELS.get(rule, "")
    value = (trace.loss or {}).get(name)
    return {f"{name} {value:g}": value} if isinstance(value, float) else {}


def _weighted(trace: Trace, name: str) -> Array:
    rows, weight = np.asarray((trace.parts or {})[name], float), (trace.weights or {}).get(name, 1.0)
    factor = weight if isinstance(weight, int | float) else np.asarray(weight, float)[:, 1]
    return np.column_stack([rows[:, 0], rows[:, 1] * factor])
