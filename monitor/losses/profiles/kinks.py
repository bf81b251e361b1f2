"""Kinks (where the slope jumps), jumps of the value, and jumps of the curvature alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitor.losses.profiles.layout import Array, Evidence
from monitor.losses.profiles.subject import Line

CANDIDATES = 10
WIDTH = 1e-6
"""A slope change within this width (relative to the error, at least 1) is a kink."""


def kinks(lines: Sequence[Line]) -> tuple[bool, tuple[float, ...], Evidence]:
    """Find the errors at which the loss is not differentiable.

    A smooth loss's slope changes less and less as one zooms in; at a kink the change stays. Grid cells whose slope
    changes far more than that of their neighbours are zoomed into until they are 1e-6 wide.

    Returns:
        True if there is no kink; the places of all kinks, ascending; and the evidence: the slopes on both sides of each
        kink, the places where the value itself jumps, and those where only the second derivative does.
    """
    found: list[Evidence] = []
    breaks: list[Evidence] = []
    for line in lines:
        here = [entry for entry in (_zoom(line, index) for index in _candidates(line)) if entry is not None]
        found += _unique(here)
        places = [_place(entry) for entry in here]
        breaks += _unique([entry for entry in _curvature_breaks(line) if not _near(_place(entry), places)])
    places = sorted({_place(entry) for entry in found})
    evidence: Evidence = {
        "kinks": found,
        "jumps": [entry for entry in found if entry["jump"]],
        "curvature_breaks": breaks,
        "twice_differentiable": not found and not breaks,
        "resolution": WIDTH,
    }
    return not found, tuple(places), evidence


def _place(entry: Evidence) -> float:
    value = entry["error"]
    assert isinstance(value, float)
    return value


def _near(place: float, others: Sequence[float]) -> bool:
    return any(abs(place - other) <= 0.02 * max(1.0, abs(other)) for other in others)


def _unique(entries: Sequence[Evidence]) -> list[Evidence]:
    kept: list[Evidence] = []
    for entry in sorted(entries, key=_place):
        if not kept or abs(_place(entry) - _place(kept[-1])) > 1e-3 * max(1.0, abs(_place(entry))):
            kept.append(entry)
    return kept


def _outliers(strength: Array, factor: float, floor: float) -> list[int]:
    """Indices whose strength exceeds that of their neighbours by a factor and a floor, strongest first."""
    chosen: list[tuple[float, int]] = []
    for index in range(5, len(strength) - 5):
        around = np.concatenate([strength[index - 5 : index - 1], strength[index + 2 : index + 6]])
        usual = float(np.nanmedian(around)) if np.isfinite(around).any() else 0.0
        value = float(strength[index])
        top = value >= np.nanmax(strength[index - 1 : index + 2])
        if np.isfinite(value) and top and value > factor * usual + floor:
            chosen.append((value / (usual + floor + 1e-300), index))
    return [index for _, index in sorted(chosen, reverse=True)[:CANDIDATES]]


def _candidates(line: Line) -> list[int]:
    change = np.abs(np.diff(line.slopes))
    noise = 1e-15 * np.abs(line.values[1:-1]) / np.diff(line.errors)[1:] + 1e-6 * line.slope_scale
    # So that rounding noise does not crowd out kinks.
    strength = np.where(np.isfinite(change) & (change > 20 * noise), change, 0.0)
    return _outliers(strength, 3.0, 0.0)


def _rounded(place: float) -> float:
    """The place, rounded to the digits that the zoom resolves."""
    return round(float(f"{place:.6g}"), 5) + 0.0


def _zoom(line: Line, index: int) -> Evidence | None:
    """Shrink a cell around its largest slope change; the kink there, or None if the change fades."""
    low, high = float(line.errors[index]), float(line.errors[index + 2])
    while high - low > WIDTH * max(1.0, abs(low)):
        points = np.linspace(low, high, 9)
        values = line.many(points)
        if not np.isfinite(values).all():
            return None
        middle = int(np.argmax(np.abs(np.diff(values, 2)))) + 1
        low, high = float(points[middle - 1]), float(points[middle + 1])
    place, step = (low + high) / 2, WIDTH * max(1.0, abs(low))
    outer = line.many(np.array([place - 2 * step, place - step, place + step, place + 2 * step]))
    left, right = float((outer[1] - outer[0]) / step), float((outer[3] - outer[2]) / step)
    scale = line.slope_scale
    jump = abs(float(outer[2] - outer[1])) > 1e-3 * scale and abs(outer[2] - outer[1]) > 100 * step * max(
        abs(left), abs(right), scale
    )
    if not jump and not (_stays(line, place, step, right - left)):
        return None
    return {
        "slice": line.slice.name,
        "error": _rounded(place),
        "slope_left": left,
        "slope_right": right,
        "jump": bool(jump),
    }


def _stays(line: Line, place: float, step: float, change: float) -> bool:
    """Whether a slope change is a kink: large enough, and the same when seen from 30 times as far.

    Curvature shows a larger change from further away, rounding noise a smaller one.
    """
    outer = line.many(np.array([place - 60 * step, place - 30 * step, place + 30 * step, place + 60 * step]))
    left, right = float((outer[1] - outer[0]) / (30 * step)), float((outer[3] - outer[2]) / (30 * step))
    large = abs(change) > max(1e-2 * max(abs(left), abs(right)), 3e-4 * line.slope_scale)
    return large and abs((right - left) - change) <= 0.3 * abs(change)


def _curvature(line: Line, place: float, step: float) -> float:
    left, middle, right = line.many(np.array([place - step, place, place + step]))
    return float((left - 2 * middle + right) / step**2)


def _curvature_breaks(line: Line) -> list[Evidence]:
    """Places where the second derivative jumps, such as Huber's delta."""
    gaps = (line.errors[2:] - line.errors[:-2]) / 2
    bend = np.diff(line.slopes) / gaps
    strength = np.abs(np.diff(np.where(np.isfinite(bend), bend, 0.0)))
    scale = line.slope_scale
    found: list[Evidence] = []
    for index in _outliers(strength, 5.0, 1e-3 * scale):
        low, high = float(line.errors[index]), float(line.errors[index + 3])
        step = 1e-4 * max(1.0, abs(low))
        at_low, at_high = _curvature(line, low, step), _curvature(line, high, step)
        while high - low > 8 * step:
            middle = (low + high) / 2
            value = _curvature(line, middle, step)
            if abs(value - at_low) >= abs(value - at_high):
                high, at_high = middle, value
            else:
                low, at_low = middle, value
        place = (low + high) / 2
        left, right = _curvature(line, place - 8 * step, step), _curvature(line, place + 8 * step, step)
        if abs(right - left) > 0.2 * max(abs(left), abs(right)) and abs(right - left) > 0.01 * scale:
            found.append(
                {
                    "slice": line.slice.name,
                    "error": round(place, 2) + 0.0,
                    "curvature_left": round(left, 4),
                    "curvature_right": round(right, 4),
                }
            )
    return found
