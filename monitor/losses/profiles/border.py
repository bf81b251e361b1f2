"""Measures symmetry, what shifting and scaling do, and how fast the loss grows for very large errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.losses.profiles.layout import Array, Evidence, Fixed
from monitor.losses.profiles.subject import Line, Subject

EXPONENTIAL = 8.0
"""A loss that overflows float64 and grows with more than this power just before is exponential."""

ORDER: tuple[str, ...] = (
    "undefined",
    "bounded",
    "logarithmic",
    "sublinear",
    "linear",
    "superlinear",
    "quadratic",
    "power",
    "exponential",
)
"""Growths from slow to fast. "undefined": NaN from the start. "sublinear" and "superlinear": powers between the named
ones. "power": above 2. Powers of a logarithm count as logarithmic.
"""


def symmetry(lines: Sequence[Line]) -> tuple[bool, Evidence]:
    """Whether an error and its opposite have the same loss.

    Returns:
        The answer; and the smallest error tried at which the two differ by at least half of the largest relative
        difference.
    """
    seen: list[tuple[float, Evidence]] = []
    for line in lines:
        for error in np.logspace(-2, 3, 16):
            right, left = line(float(error)), line(-float(error))
            if not (math.isfinite(right) and math.isfinite(left)):
                continue
            gap = abs(right - left) / max(abs(right), abs(left), 1e-300)
            entry = {"slice": line.slice.name, "error": float(error), "loss": right, "loss_of_opposite": left}
            seen.append((gap, entry))
    gap = max((item[0] for item in seen), default=0.0)
    symmetric = gap <= 1e-6
    evidence: Evidence = {"largest_relative_difference": gap}
    if not symmetric:
        evidence["counter_example"] = next(entry for size, entry in seen if size >= 0.5 * gap)
    return symmetric, evidence


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


def _power_name(power: float) -> str:
    for name, value in (("logarithmic", 0.0), ("linear", 1.0), ("quadratic", 2.0)):
        if abs(power - value) <= (0.15 if value == 0 else 0.05):
            return name
    if power < 0:
        return "bounded"
    return "sublinear" if power < 1 else "superlinear" if power < 2 else "power"


def classify(errors: Sequence[float], values: Sequence[float]) -> Evidence:
    """Classify the growth of a loss sampled at a geometric grid of errors from 10 to 1e6.

    From decade to decade, the increments grow by `10**p` for a power p, stay equal for a logarithm, and shrink for a
    bounded loss. A loss that overflows float64 while its logarithm is linear in the error is exponential.

    Example:
        >>> errors = [10.0**k for k in range(1, 7)]
        >>> classify(errors, [e**2 for e in errors])["growth"]
        'quadratic'
        >>> classify(errors, [math.log1p(e) for e in errors])["growth"]
        'logarithmic'
    """
    x, y = np.asarray(errors, dtype=np.float64), np.asarray(values, dtype=np.float64)
    finite = np.isfinite(y)
    if not finite.all():
        return _overflowing(x, y, finite)
    last, middle, before = (float(np.interp(math.log(at), np.log(x), y)) for at in (1e6, 1e5, 1e4))
    newer, older = last - middle, middle - before
    spread = max(float(y.max() - y.min()), abs(last), 1e-300)
    if abs(newer) <= 1e-9 * spread or abs(newer) < 0.5 * abs(older):
        return {"growth": "bounded", "limit": last}
    power = math.log10(newer / older) if older and newer / older > 0 else math.inf
    found: Evidence = {"growth": _power_name(power), "direction": "rises" if newer > 0 else "falls"}
    if found["growth"] != "logarithmic":
        found["exponent"] = round(power, 4)
        found["factor"] = newer / (1e6**power - 1e5**power) if power < 40 else None
    else:
        found["per_decade"] = newer
    return found


def _overflowing(x: Array, y: Array, finite: NDArray[np.bool_]) -> Evidence:
    """Classify a loss that overflows: exponential, or slower but computed through an exponential."""
    known = np.flatnonzero(finite)
    place = float(x[~finite][0])
    if known.size < 2:
        lost = bool(np.isnan(y[~finite][0]))
        return {"growth": "undefined"} if lost else {"growth": "exponential", "overflows_at": place}
    before, last = known[-2], known[-1]
    ratio = abs(float(y[last])) / max(abs(float(y[before])), 1e-300)
    power = math.log(max(ratio, 1e-300)) / math.log(float(x[last] / x[before]))
    if power > EXPONENTIAL:
        return {"growth": "exponential", "overflows_at": place, "exponent_reached": round(power, 1)}
    return {"growth": _power_name(power), "exponent": round(power, 2), "overflows_at": place, "direction": "rises"}


def _small(line: Line, sign: float) -> Evidence:
    """The power of the loss near zero error, above its value there."""
    start, near, far = line(0.0), line(sign * 1e-3), line(sign * 1e-2)
    if not all(math.isfinite(item) for item in (start, near, far)) or (far - start) * (near - start) <= 0:
        return {"growth": "none"}
    power = math.log10((far - start) / (near - start))
    return {"growth": _power_name(power), "exponent": round(power, 3), "direction": "rises" if far > start else "falls"}


def growth(lines: Sequence[Line]) -> tuple[str, Evidence]:
    """How fast the loss grows for very large errors: the fastest of all sides, with each side's fit.

    Returns:
        One of `ORDER`; and for every slice and side the growth, the exponent if it is a power, and the growth near
        zero.
    """
    grid = 10.0 ** np.linspace(1, 6, 21)
    sides: dict[str, object] = {}
    fastest = "undefined"
    for line in lines:
        for sign, word in ((1.0, "+"), (-1.0, "-")):
            found = classify([float(item) for item in grid], [float(item) for item in line.many(sign * grid)])
            found["near_zero"] = _small(line, sign)
            sides[f"{line.slice.name} {word}"] = found
            if ORDER.index(str(found["growth"])) > ORDER.index(fastest):
                fastest = str(found["growth"])
    return fastest, {"sides": sides, "errors": [10.0, 1e6]}


def grows_like(evidence: Mapping[str, object]) -> tuple[str, ...]:
    """The growth on every side, from the evidence of `growth`."""
    sides = evidence["sides"]
    assert isinstance(sides, Mapping)
    return tuple(str(side["growth"]) for side in sides.values())
