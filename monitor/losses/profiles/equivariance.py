"""Measures what shifting and scaling do to the loss."""

from __future__ import annotations

import math

import numpy as np

from monitor.losses.profiles.layout import Array, Fixed
from monitor.losses.profiles.subject import Subject

Evidence = dict[str, object]


def equivariance(subject: Subject, rng: np.random.Generator, *, draws: int = 6) -> Evidence:
    """Whether the loss stays the same under a shift, and scales with a power of the factor under a scaling.

    For regressions, prediction and target are shifted and scaled together; for other kinds, only the prediction.

    Returns:
        `shift_invariant`; `scale_degree`, the power p with `loss(k z) = k**p loss(z)`, or None; and the largest
        relative differences seen.
    """
    shift_gap = 0.0
    degrees: list[float] = []
    for _ in range(draws):
        fixed = subject.kind.targets(rng, 5)
        z = rng.normal(0, 2, (5, subject.kind.width))
        base = subject.value(z, fixed)
        for shift in (1.0, -7.0):
            moved = subject.value(z + shift, _targets(subject, fixed, 1.0, shift))
            shift_gap = max(shift_gap, _relative(moved, base))
        for factor in (2.0, 10.0, 0.1):
            scaled = subject.value(factor * z, _targets(subject, fixed, factor, 0.0))
            ratio = scaled / base if base else math.nan
            degrees.append(math.log(ratio) / math.log(factor) if math.isfinite(ratio) and ratio > 0 else math.nan)
    spread = max(degrees) - min(degrees) if all(math.isfinite(item) for item in degrees) else math.inf
    degree = round(float(np.mean(degrees)), 4) + 0.0 if spread <= 1e-6 else None
    return {
        "shift_invariant": shift_gap <= 1e-9,
        "scale_degree": degree,
        "largest_difference_after_shift": shift_gap if math.isfinite(shift_gap) else None,
        "spread_of_degrees": spread if math.isfinite(spread) else None,
        "moved": "prediction and target" if subject.kind.moves_target else "prediction",
    }


def _targets(subject: Subject, fixed: Fixed, factor: float, shift: float) -> Fixed:
    if not subject.kind.moves_target:
        return fixed
    first: Array = np.asarray(fixed[0], dtype=np.float64) * factor + shift
    return (first, *fixed[1:])


def _relative(left: float, right: float) -> float:
    if not (math.isfinite(left) and math.isfinite(right)):
        return math.inf
    return abs(left - right) / max(abs(left), abs(right), 1e-12)
