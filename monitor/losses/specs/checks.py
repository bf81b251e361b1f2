"""Checks whether a value is possible, and whether a run starts where it should.

The functions take the dictionary from `LossSpec.to_dict()`, which runs store, so a reader needs no specification
object.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from monitor.domain.formats import number
from monitor.domain.plain import Row
from monitor.losses.specs.spec import LossSpec, known, skill_between

Stored = Mapping[str, object]

NEAR: tuple[float, float] = (0.6, 1.6)
"""Ratios of the first loss to the expected loss that count as normal. Torch's default initialisation is within 0.9 to
1.2 (tests/losses/test_real_models.py); batch noise and learning in the first steps account for the rest.
"""
MULTIPLE_TOLERANCE = 0.2
"""A ratio within a factor of 1.2 of a known multiple is reported as that multiple."""
FIRST = 3
"""Number of first losses to use; their median counts."""
SLACK = 1e-3
"""How far rounding may put a loss below its floor, relative to the chance level; bfloat16 has about 3 digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialLoss(Row):
    """The diagnosis of a run's first losses.

    Attributes:
        verdict: "near_chance", "far_above", "far_below", or "unknown" if the specification has no level.
        ratio: first loss over expected loss; None if meaningless.
        cause: "sum_reduction", "unscaled_accumulation", "token_sum", "divided_twice", "bad_initialisation",
            "leakage_or_pretrained", or None.
        multiple: the known multiple that the ratio matches, or None.
        explanation: one or two sentences with the numbers.
    """

    verdict: str
    ratio: float | None = None
    cause: str | None = None
    multiple: float | None = None
    explanation: str


def _stored(spec: Stored | LossSpec) -> Stored:
    return spec.to_dict() if isinstance(spec, LossSpec) else spec


def _level(spec: Stored, key: str) -> float | None:
    """A number from the dictionary; None if it is missing or not finite."""
    return _number(spec.get(key))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def _text(spec: Stored, key: str, default: str) -> str:
    value = spec.get(key)
    return value if isinstance(value, str) and value else default


def scaler(spec: Stored | LossSpec) -> Callable[[float], float]:
    """The function that puts a loss on its family's scale (`LossSpec.scaled`); for an unknown kind, the identity."""
    whole = isinstance(spec, LossSpec) or isinstance(spec.get("params"), Mapping)  # a kind alone says no scale
    found = known(spec) if whole else None
    return float if found is None else found.scaled


def skill(spec: Stored | LossSpec, loss: float) -> float | None:
    """`1 - (x - floor) / (chance - floor)` on the family's scale, from a stored dictionary; None if undefined.

    Example:
        >>> skill({"name": "mine", "chance_level": 2.0, "floor": 0.0}, 0.5)
        0.75
        >>> from monitor.losses import LanguageModel
        >>> nats, perplexity = LanguageModel(1000), LanguageModel(1000, unit="perplexity")
        >>> round(skill(nats, 3.0), 6) == round(skill(perplexity, math.exp(3.0)), 6)
        True
    """
    stored = _stored(spec)
    chance, floor = _level(stored, "chance_level"), _level(stored, "floor")
    if chance is None or floor is None or stored.get("comparable", True) is False or not math.isfinite(loss):
        return None
    if _text(stored, "reduction", "mean") == "sum":
        return None
    scaled = scaler(spec)
    return skill_between(scaled(loss), scaled(chance), scaled(floor))


def impossible(spec: Stored | LossSpec, value: float) -> str | None:
    """Why this value is impossible; None if it is possible.

    NaN and infinity are left to the `nan` rule.

    Example:
        >>> impossible({"name": "cross_entropy", "floor": 0.0, "chance_level": 2.3}, -0.4)
        'cross_entropy cannot be -0.4: it is never negative. Look at the sign, or at what is logged under this name.'
    """
    if not math.isfinite(value):
        return None
    spec = _stored(spec)
    name, floor = _text(spec, "name", "the loss"), _end(spec, 0)
    floor = _level(spec, "floor") if floor is None else floor  # where no range is stored
    summed = _text(spec, "reduction", "mean") == "sum"
    slack = SLACK * max(abs(_level(spec, "chance_level") or 1.0), abs(floor or 0.0))
    if floor is not None and value < floor - slack and not (summed and floor < 0):
        if floor == 0:
            return (
                f"{name} cannot be {number(value)}: it is never negative. Look at the sign, or at what is logged "
                "under this name."
            )
        return (
            f"{name} cannot be {number(value)}: with these settings nothing scores below its floor of "
            f"{number(floor)}. The metric is computed differently (without smoothing, in another unit, or divided "
            "once too often)."
        )
    ceiling = _end(spec, 1)
    if ceiling is not None and not summed and value > ceiling + slack:
        return (
            f"{name} cannot be {number(value)}: nothing scores above {number(ceiling)}. It may be summed over the "
            "batch, or given raw scores where probabilities belong."
        )
    return None


def _end(spec: Stored, index: int) -> float | None:
    """One end of a stored range; None if it is missing or unbounded."""
    pair = spec.get("range")
    if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
        return None
    return _number(pair[index])


def check_initial(
    spec: Stored | LossSpec,
    first_losses: Sequence[float],
    batch_size: int | None = None,
    accumulation: int | None = None,
    tokens: int | None = None,
) -> InitialLoss:
    """Compare a run's first losses with those of an untrained network.

    Args:
        spec: a specification or its dictionary; its `initial_level` is expected, or its `chance_level` if that is
            missing.
        first_losses: the first training losses, one per step; the median of the first three finite ones is used.
        batch_size: examples per step, if known; a ratio near it means that the loss is summed.
        accumulation: batches per optimiser step; a ratio near it means that the loss is not divided by it.
        tokens: tokens (or elements) per step, or per example.

    Example:
        >>> from monitor.losses import CrossEntropy
        >>> check_initial(CrossEntropy(classes=10).to_dict(), [147.9, 146.2, 144.8], batch_size=64).cause
        'sum_reduction'
    """
    spec = _stored(spec)
    expected = _level(spec, "initial_level")
    expected = _level(spec, "chance_level") if expected is None else expected
    found = [value for value in first_losses if math.isfinite(value)][:FIRST]
    name = _text(spec, "name", "the loss")
    if expected is None or not found:
        what = "has no known initial level" if expected is None else "has no finite value yet"
        return InitialLoss(verdict="unknown", explanation=f"{name} {what}.")
    first = statistics.median(found)
    if expected <= 1e-9 or first <= 0:
        return _by_difference(name, first, expected)
    ratio = min(first / expected, 1e300)
    said = f"{name} starts at {number(first)}, {number(ratio, 3)} times the {number(expected)} of a fresh network"
    formula = _text(spec, "chance_formula", "")
    if formula and _level(spec, "chance_level") == expected:
        said += f" ({formula})"
    multiples = _multiples(batch_size, accumulation, tokens)
    if NEAR[0] <= ratio <= NEAR[1]:
        return InitialLoss(verdict="near_chance", ratio=ratio, explanation=said + ".")
    if ratio > NEAR[1]:
        return _above(said, ratio, multiples, summed=_text(spec, "reduction", "mean") == "sum")
    return _below(said, ratio, multiples)


def _by_difference(name: str, first: float, expected: float) -> InitialLoss:
    """For levels at or below zero, where a ratio is meaningless: only a start near the level can be confirmed."""
    near = abs(first - expected) <= 0.5 * max(1.0, abs(expected))
    return InitialLoss(
        verdict="near_chance" if near else "unknown",
        explanation=f"{name} starts at {number(first)}; a fresh network scores {number(expected)}, "
        "which has no useful ratio.",
    )


def _multiples(batch: int | None, accumulation: int | None, tokens: int | None) -> dict[str, tuple[str, float]]:
    """The factors that a wrong reduction introduces, by description: (cause, factor)."""
    n, steps, words = batch or 1, accumulation or 1, tokens or 1
    return {
        label: (cause, float(factor))
        for label, cause, factor, known in (
            (f"the batch size {n}", "sum_reduction", n, n > 1),
            (f"the {steps} accumulation steps", "unscaled_accumulation", steps, steps > 1),
            (f"the {words} tokens", "token_sum", words, words > 1),
            (f"batch size {n} x {words} tokens", "token_sum", n * words, n > 1 and words > 1),
            (f"batch size {n} x {steps} accumulation steps", "sum_reduction", n * steps, n > 1 and steps > 1),
        )
        if known
    }


_FIX = {
    "sum_reduction": 'The loss is summed: use reduction="mean", or divide by the number of examples.',
    "unscaled_accumulation": "Divide the loss by the accumulation steps, or log the mean of the batches.",
    "token_sum": "The loss is summed over tokens: divide by the number of tokens that count.",
}


def _nearest(ratio: float, multiples: Mapping[str, tuple[str, float]]) -> list[tuple[str, str, float]]:
    """Multiples within tolerance of the ratio, nearest first; ties are all returned."""
    off = [(abs(math.log(ratio / factor)), label, cause, factor) for label, (cause, factor) in multiples.items()]
    close = sorted((item for item in off if item[0] <= MULTIPLE_TOLERANCE), key=lambda item: item[0])
    return [(label, cause, factor) for gap, label, cause, factor in close if gap <= close[0][0] + 1e-9]


def _above(said: str, ratio: float, multiples: Mapping[str, tuple[str, float]], *, summed: bool) -> InitialLoss:
    close = _nearest(ratio, multiples)
    if close:
        label, cause, factor = " or ".join(item[0] for item in close), close[0][1], close[0][2]
        why = f"{said}: that is {label}. {_FIX[cause]}"
        return InitialLoss(verdict="far_above", ratio=ratio, cause=cause, multiple=factor, explanation=why)
    if summed:
        why = f'{said}: the loss is built with reduction="sum", so it grows with the batch. {_FIX["sum_reduction"]}'
        return InitialLoss(verdict="far_above", ratio=ratio, cause="sum_reduction", explanation=why)
    power = 2.0 ** round(math.log2(ratio))
    why = said + ": the outputs are too large at the start (initialisation, unscaled inputs or targets)."
    if power >= 8 and not multiples and abs(math.log(ratio / power)) <= 0.1:
        why = (
            f'{said}: close to {power:.0f}, so check for reduction="sum" over a batch of that size; otherwise the '
            "outputs are too large at the start."
        )
    return InitialLoss(verdict="far_above", ratio=ratio, cause="bad_initialisation", explanation=why)


def _below(said: str, ratio: float, multiples: Mapping[str, tuple[str, float]]) -> InitialLoss:
    close = _nearest(1 / ratio, multiples) if ratio > 1e-12 else []
    if close:
        why = f"{said}: it looks divided by {close[0][0]} once too often."
        return InitialLoss(
            verdict="far_below", ratio=ratio, cause="divided_twice", multiple=1 / close[0][2], explanation=why
        )
    why = (
        f"{said}. This is fine if the model is pretrained, its output bias starts at the frequencies of the targets, "
        "or the first value is an average over many steps; otherwise the target may leak into the input."
    )
    return InitialLoss(verdict="far_below", ratio=ratio, cause="leakage_or_pretrained", explanation=why)
