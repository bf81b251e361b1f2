"""A loss along one slice, evaluated on a grid once and shared by the measurements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitor.losses.profiles.layout import Array, Slice
from monitor.losses.profiles.subject import Subject

POINTS = 601
"""Grid points from -reach to reach, denser near zero (sinh spacing)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The loss along one slice.

    Attributes:
        subject, slice: what was called.
        errors: float64 (m,), ascending, none exactly 0.
        values: float64 (m,), the loss at each error; may hold NaN.
        slopes: float64 (m - 1,), between neighbours.
    """

    subject: Subject
    slice: Slice
    errors: Array
    values: Array
    slopes: Array

    def __call__(self, error: float) -> float:
        """The loss at one error."""
        return self.subject.at(self.slice, error)

    def many(self, errors: Array) -> Array:
        """The loss at each error; shape (k,) to (k,)."""
        return np.array([self.subject.at(self.slice, float(error)) for error in errors])

    @property
    def domain(self) -> dict[str, float | bool]:
        """The range of errors in which the loss is not NaN, and whether that is the whole grid."""
        known = self.errors[~np.isnan(self.values)]
        ends = (float(known[0]), float(known[-1])) if known.size else (0.0, 0.0)
        return {"from": ends[0], "to": ends[1], "everywhere": known.size == self.errors.size}

    @property
    def slope_scale(self) -> float:
        """A typical slope for errors within 10, above zero."""
        near = np.abs(self.errors[1:]) <= 10
        finite = np.abs(self.slopes[near & np.isfinite(self.slopes)])
        return max(float(np.quantile(finite, 0.75)) if finite.size else 0.0, 1e-12)


def trace(subject: Subject) -> tuple[Line, ...]:
    """Evaluate the loss along every slice of its kind."""
    top = float(np.arcsinh(subject.kind.reach))
    shift = 0.37 * 2 * top / (POINTS - 1)  # keeps the grid off 0 and off round numbers, where kinks sit
    errors = np.sinh(np.linspace(-top, top, POINTS) + shift)
    found = []
    for line in subject.kind.slices:
        values = np.array([subject.at(line, float(error)) for error in errors])
        slopes = np.diff(values) / np.diff(errors)
        found.append(Line(subject=subject, slice=line, errors=errors, values=values, slopes=slopes))
    return tuple(found)
