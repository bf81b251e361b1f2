"""Where the loss overflows, underflows or loses precision in narrower floating-point types, compared with float64."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from monitor.losses.profiles.layout import Evidence, Slice
from monitor.losses.profiles.subject import Line, Subject

EPSILON = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
LARGEST = {"float32": 3.4028235e38, "float16": 65504.0, "bfloat16": 3.3895314e38}
BATCH = 4096  # the sum of so many losses of 30 overflows float16
SMALL = 1e-2
"""Losses below this share of the loss at error 1 are compared on that scale."""


def tolerance(dtype: str) -> float:
    """The relative error that counts as lost precision: 16 times the type's spacing, at least a thousandth."""
    return max(16 * EPSILON[dtype], 1e-3)


def rounded(value: float, dtype: str) -> float:
    """A number as the type stores it, so that rounding the input is not blamed on the loss.

    Example:
        >>> rounded(1000.4, "bfloat16"), rounded(0.1, "float16")
        (1000.0, 0.0999755859375)
    """
    if dtype == "bfloat16":
        bits = int(np.float32(value).view(np.uint32))
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
        return float(np.uint32(bits).view(np.float32))
    return float(np.dtype(dtype).type(value))


def precision(subject: Subject, lines: Sequence[Line]) -> tuple[tuple[str, ...], Evidence]:
    """The types in which the loss and its gradient are right for errors up to 1000.

    A type is left out if the loss is not finite where float64 is, if its relative error exceeds 16 spacings of the type
    (or a thousandth), if autograd's gradient is not finite, or if the callable rejects the type. Losses below a
    hundredth of the loss at error 1 are compared on that scale. A loss of exactly 0 where float64 has a tiny one is
    reported as underflow but does not rule the type out.

    Returns:
        the types, narrow ones last; and, per type, the error at which each of these first happens.
    """
    evidence: Evidence = {"float64": {"slices": {line.slice.name: _widest(subject, line.slice) for line in lines}}}
    stable = []
    for dtype in subject.dtypes:
        found: Evidence = {"slices": {}}
        try:
            for line in lines:
                entry = _slice(subject, line.slice, dtype)
                found["slices"][line.slice.name] = entry  # type: ignore[index]  # a dict, made above
            found["batch_mean"] = _batch(subject, lines[0].slice, dtype)
        except (RuntimeError, TypeError, ValueError) as error:
            evidence[dtype] = {"refused": str(error).strip().splitlines()[0]}
            continue
        evidence[dtype] = found
        entries = list(found["slices"].values())  # type: ignore[attr-defined]  # a dict, made above
        bad = ("overflow_at", "precision_lost_at", "gradient_not_finite_at")
        if all(entry[key] is None for entry in entries for key in bad) and found["batch_mean"] == "right":
            stable.append(dtype)
    return tuple(stable), {**evidence, "tested_up_to": 1000.0}


def _widest(subject: Subject, line: Slice) -> Evidence:
    """The nearest error within the kind's reach at which the loss overflows even in float64, on either side.

    A side on which the loss is never a number is outside its domain; that is not an overflow.
    """
    for size in np.logspace(-3, math.log10(subject.kind.reach), 25).tolist():
        for sign in (1.0, -1.0):
            fine = sign * size / 1.7782794100389228  # the error before, a quarter of a decade nearer to zero
            if math.isfinite(subject.at(line, fine)) and not math.isfinite(subject.at(line, sign * size)):
                return {"overflow_at": _edge(subject, line, "float64", fine, sign * size)}
    return {"overflow_at": None}


def errors_to_try() -> list[float]:
    """Errors of both signs from 0.001 to 1000, nearest to zero first."""
    sizes = [0.0, *np.logspace(-3, 3, 25).tolist()]
    return [sign * size for size in sizes for sign in (1.0, -1.0) if size or sign > 0]


def _slice(subject: Subject, line: Slice, dtype: str) -> Evidence:
    """The first error at which each thing goes wrong, and the worst relative error."""
    entry: Evidence = {
        "overflow_at": None,
        "underflow_at": None,
        "precision_lost_at": None,
        "gradient_not_finite_at": None,
    }
    scale = abs(subject.at(line, 1.0))
    worst, worst_at = 0.0, None
    fine = {True: 0.0, False: 0.0}
    for size in errors_to_try():
        error = rounded(size, dtype)
        right, narrow = subject.at(line, error), subject.at(line, error, dtype)
        if not math.isfinite(right):
            continue
        if not math.isfinite(narrow):
            if entry["overflow_at"] is None:
                entry["overflow_at"] = _edge(subject, line, dtype, fine[error > 0], error)
            continue
        fine[error > 0] = error
        if narrow == 0.0 and abs(right) > 1e-12 and entry["underflow_at"] is None:
            entry["underflow_at"] = error
        off = abs(narrow - right) / max(abs(right), SMALL * (scale if math.isfinite(scale) else 1.0), 1e-300)
        if off > worst:
            worst, worst_at = off, error
        if off > tolerance(dtype) and entry["precision_lost_at"] is None:
            entry["precision_lost_at"] = error
        if entry["gradient_not_finite_at"] is None and not _gradient_fine(subject, line, error, dtype):
            entry["gradient_not_finite_at"] = error
    return {**entry, "worst_relative_error": worst, "worst_at": worst_at}


def _edge(subject: Subject, line: Slice, dtype: str, fine: float, bad: float) -> float:
    """The error at which a loss stops being finite, between a good and a bad error."""
    for _ in range(12):
        middle = (fine + bad) / 2 if dtype == "float64" else rounded((fine + bad) / 2, dtype)
        if math.isfinite(subject.at(line, middle, dtype)):
            fine = middle
        else:
            bad = middle
    return bad


def _gradient_fine(subject: Subject, line: Slice, error: float, dtype: str) -> bool:
    gradient = subject.gradient(line, error, dtype)
    return gradient is None or bool(np.isfinite(gradient).all())


def _batch(subject: Subject, line: Slice, dtype: str) -> str:
    """Whether the mean over 4096 examples at error 30 survives the summation; "right", "overflows" or "imprecise"."""
    if subject.reduction != "mean":
        return "right"
    error = rounded(30.0, dtype)
    z = np.repeat(line.z(error)[None], BATCH, 0)
    fixed = tuple(np.repeat(item, BATCH, 0) for item in line.fixed)
    right, narrow = subject.value(z, fixed), subject.value(z, fixed, dtype)
    if not math.isfinite(right) or right > LARGEST[dtype]:
        return "right"
    if not math.isfinite(narrow):
        return "overflows"
    return "right" if abs(narrow - right) <= tolerance(dtype) * max(abs(right), 1e-3) else "imprecise"
