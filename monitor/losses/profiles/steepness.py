"""How steep the loss is: its Lipschitz constant, its curvature, and its gradient at zero and at large errors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from monitor.losses.profiles.layout import Array, Evidence, Fixed
from monitor.losses.profiles.subject import Line, Subject

LARGE = 1000.0
_FINITE = ("bounded", "logarithmic", "sublinear", "linear")


def numeric_gradient(subject: Subject, z: Array, fixed: Fixed, step: float = 1e-5) -> Array:
    """Central differences in every coordinate of one example's prediction; shape (width,)."""
    found = np.empty(subject.kind.width)
    for index in range(subject.kind.width):
        shift = np.zeros_like(z)
        shift[0, index] = step
        found[index] = (subject.value(z + shift, fixed) - subject.value(z - shift, fixed)) / (2 * step)
    return found


def lipschitz(
    subject: Subject, lines: Sequence[Line], growths: Sequence[str], rng: np.random.Generator, *, jumps: bool = False
) -> tuple[float | None, Evidence]:
    """The steepest slope found, or None if it is unbounded: faster than linear growth, or a jump.

    This is a lower bound of the true constant: the largest gradient norm over random predictions at scales 1 to 30 and
    over the slices up to errors of 1e6.
    """
    steepest, where = 0.0, ""
    for line in lines:
        ends = [line.slope(sign * 1e6, 1e4) for sign in (1.0, -1.0)]
        norm = float(np.linalg.norm(line.slice.z(1.0) - line.slice.z(0.0))) or 1.0
        finite = np.abs(np.concatenate([line.slopes, ends]))
        best = float(np.nanmax(np.where(np.isfinite(finite), finite, 0.0))) / norm
        if best > steepest:
            steepest, where = best, f"slice {line.slice.name}"
    for scale in (1.0, 5.0, 30.0):
        for _ in range(8):
            z, fixed = rng.normal(0, scale, (1, subject.kind.width)), subject.kind.targets(rng, 1)
            norm = float(np.linalg.norm(numeric_gradient(subject, z, fixed)))
            if math.isfinite(norm) and norm > steepest * (1 + 1e-6):
                steepest, where = norm, f"random prediction of scale {scale:g}"
    unbounded = sorted({item for item in growths if item not in _FINITE})
    evidence: Evidence = {"steepest_slope_seen": steepest, "where": where, "norm": "Euclidean, over the prediction"}
    if jumps:
        evidence["unbounded_because"] = "the value jumps"
        return None, evidence
    if unbounded:
        evidence["unbounded_because"] = f"growth at the border is {', '.join(unbounded)}"
        return None, evidence
    return steepest, evidence


def curvature(lines: Sequence[Line], kinks: Sequence[float]) -> Evidence:
    """Largest and smallest second derivative along the slices for errors within 10, without the kinks."""
    high, low, at = -math.inf, math.inf, 0.0
    for line in lines:
        gaps = (line.errors[2:] - line.errors[:-2]) / 2
        bend, x = np.diff(line.slopes) / gaps, line.errors[1:-1]
        keep = np.isfinite(bend) & (np.abs(x) <= 10)
        for place in kinks:
            keep &= np.abs(x - place) > 3 * np.maximum(gaps, 1e-3)
        if not keep.any():
            continue
        if float(bend[keep].max()) > high:
            high, at = float(bend[keep].max()), float(x[keep][bend[keep].argmax()])
        low = min(low, float(bend[keep].min()))
    if not math.isfinite(high):
        return {"largest": None, "smallest": None}
    return {"largest": high, "at_error": at, "smallest": low, "within": 10.0}


def gradients(lines: Sequence[Line]) -> Evidence:
    """The slope next to error 0 and at errors of 1000, and how it continues from there.

    "vanishing": less than a thousandth of the steepest slope within 10; "growing": at least half as large again at 1e6
    as at 1e3; "overflows": not finite; "steady" otherwise.
    """
    found: Evidence = {}
    for line in lines:
        step = 1e-6
        entry: dict[str, object] = {
            "zero_left": finite((line(-step) - line(-2 * step)) / step),
            "zero_right": finite((line(2 * step) - line(step)) / step),
        }
        near = np.abs(line.slopes[np.abs(line.errors[1:]) <= 10])
        steepest = float(np.nanmax(np.where(np.isfinite(near), near, 0.0)))
        for sign, word in ((1.0, "plus"), (-1.0, "minus")):
            at, further = line.slope(sign * LARGE, 1.0), line.slope(sign * 1e6, 1e3)
            entry[f"large_{word}"] = finite(at)
            entry[f"large_{word}_is"] = _fate(at, further, steepest)
        entry["autograd_at_zero"] = _autograd(line)
        found[line.slice.name] = entry
    return {"slices": found, "large_error": LARGE}


def _fate(at: float, further: float, steepest: float) -> str:
    if not math.isfinite(at) or not math.isfinite(further):
        return "overflows"
    if abs(at) <= 1e-3 * steepest:
        return "vanishing"
    return "growing" if abs(further) > 1.5 * abs(at) else "steady"


def _autograd(line: Line) -> str:
    """Whether torch's own gradient at error 0 is finite."""
    gradient = line.subject.gradient(line.slice, 0.0)
    if gradient is None:
        return "not torch"
    return "finite" if bool(np.isfinite(gradient).all()) else "not finite"


def finite(value: float) -> float | None:
    """The value, or None if it is NaN or infinite, which JSON cannot hold."""
    return float(value) if math.isfinite(value) else None
