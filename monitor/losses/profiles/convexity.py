"""Tests convexity in the prediction by searching for chords below the loss."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from monitor.losses.profiles.layout import Evidence
from monitor.losses.profiles.subject import Line, Subject

SCALES: tuple[float, ...] = (0.3, 3.0, 30.0)  # a violation may show only near zero, or only far out
TOLERANCE = 1e-9
"""Rounding may put a chord this far below the loss, relative to the losses at its ends."""


def convexity(
    subject: Subject, lines: Sequence[Line], rng: np.random.Generator, *, samples: int = 750
) -> tuple[bool, Evidence]:
    """Search for predictions x, y and a mixture of them whose loss is above the chord.

    The whole prediction varies (all logits, both embeddings), the targets are fixed. The slices are searched as well,
    because they reveal narrow violations more reliably. Finding none is evidence, not proof.

    Args:
        lines: its slices.
        rng: source of the sampled predictions.
        samples: number of chords to try.

    Returns:
        True if no violation was found. The evidence holds their number, and the worst one with its points and losses.
    """
    violations, tried, worst = 0, 0, 0.0
    example: Evidence = {}
    for scale in SCALES:
        for _ in range(samples // len(SCALES)):
            fixed = subject.kind.targets(rng, 1)
            left, right = rng.normal(0, scale, (2, 1, subject.kind.width))
            mix = float(rng.uniform(0.1, 0.9))
            middle = mix * left + (1 - mix) * right
            ends = subject.value(left, fixed), subject.value(right, fixed)
            found = subject.value(middle, fixed)
            gap = _gap(ends, found, mix)
            tried += gap is not None
            if gap is None or gap <= TOLERANCE:
                continue
            violations += 1
            if gap > worst:
                worst = gap
                example = _example("prediction", left[0].tolist(), right[0].tolist(), mix, ends, found)
    for line in lines:
        tried_here, found_here = _along(line)
        tried += tried_here
        for gap, entry in found_here:
            violations += 1
            if gap > worst:
                worst, example = gap, entry
    evidence: Evidence = {"chords": tried, "violations": violations}
    if violations:
        evidence["counter_example"] = example
    return violations == 0, evidence


def _gap(ends: tuple[float, float], found: float, mix: float) -> float | None:
    """How far the loss is above the chord, relative to its ends; None if a loss is not finite."""
    if not all(math.isfinite(item) for item in (*ends, found)):
        return None
    return (found - (mix * ends[0] + (1 - mix) * ends[1])) / (1e-3 + abs(ends[0]) + abs(ends[1]))


def _example(what: str, left: object, right: object, mix: float, ends: tuple[float, float], found: float) -> Evidence:
    chord = mix * ends[0] + (1 - mix) * ends[1]
    return {
        "of": what,
        "x": left,
        "y": right,
        "mix": mix,
        "loss_x": ends[0],
        "loss_y": ends[1],
        "loss_between": found,
        "chord": chord,
    }


def _along(line: Line) -> tuple[int, list[tuple[float, Evidence]]]:
    """Test chords between grid points of one slice, at several widths."""
    found: list[tuple[float, Evidence]] = []
    tried = 0
    x, y = line.errors, line.values
    for width in (2, 8, 40, 120):
        for start in range(0, len(x) - width, max(1, width // 4)):
            middle, end = start + width // 2, start + width
            mix = float((x[end] - x[middle]) / (x[end] - x[start]))
            ends = float(y[start]), float(y[end])
            gap = _gap(ends, float(y[middle]), mix)
            tried += gap is not None
            if gap is not None and gap > TOLERANCE:
                name = f"error on slice {line.slice.name}"
                found.append((gap, _example(name, float(x[start]), float(x[end]), mix, ends, float(y[middle]))))
    return tried, found
