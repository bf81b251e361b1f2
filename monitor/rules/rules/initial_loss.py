"""Rule `initial_loss`: the first loss is far above that of a fresh network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from monitor.domain import Severity
from monitor.losses.specs.checks import InitialLoss as Start
from monitor.losses.specs.checks import check_initial
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.rule import Evidence, Reading, Spec, Threshold

_TERMS: Final = ("batch_size", "accumulation", "tokens")


class InitialLoss:
    """The loss function's chance level is known, and training began far above it.

    If the ratio is within a factor of 1.2 of a number from the run's configuration (the batch size, the accumulation
    steps, the tokens per example, or a product of them), the finding names it: the loss is summed, or not divided. The
    expected level is that of all-zero outputs if the loss's specification has one, else its chance level.

    Source:
        Karpathy, A Recipe for Training Neural Networks (2019): verify the loss at initialisation.
    """

    spec = Spec(
        name="initial_loss",
        version=2,
        severity=Severity.WARNING,
        rank=52,
        reads_error=True,
        reads=(Role.TRAIN,),
        thresholds={
            "ratio": Threshold(
                default=2, low=1, high=1000, doc="first loss over that of a fresh network, above the floor"
            )
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds permanently, from the fourth training point on."""
        known = first_loss(run)
        if known is None:
            return None
        evidence, start = known
        if start.verdict != "far_above":
            return None
        floor = 0.0 if math.isnan(run.state.floor) else run.state.floor
        expected, first = float(evidence["expected"] or 0), float(evidence["first"] or 0)
        summed = run.state.summed > 0
        reach = (first - floor) / (expected - floor) if expected > floor else 0.0
        if reach < limits["ratio"] and not (summed and start.cause == "sum_reduction"):
            return None
        named = {"ratio": start.ratio, "limit": limits["ratio"], "cause": start.cause, "multiple": start.multiple}
        return Reading(run.train.curve.first_step, {**evidence, **named})

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        start = start_of(reading.evidence)
        advice = (
            "Check the initialisation of the last layer, the scale of the inputs and targets, and the loss's reduction."
        )
        if start.cause in ("sum_reduction", "token_sum", "unscaled_accumulation"):
            advice = (
                "Change the reduction before anything else: the gradient is too large by the same factor, so the "
                "learning rate, clipping and weight decay do not mean what they say."
            )
        return start.explanation, advice


def first_loss(run: Features) -> tuple[Evidence, Start] | None:
    """The first training loss, what it is compared with, and the conclusion; None if too little is known."""
    state, view = run.state, run.train
    expected = state.chance if math.isnan(state.initial) else state.initial
    if math.isnan(expected) or (view.closed < 4 and view.size == 1):
        return None
    terms = (
        None if math.isnan(value) else int(value) for value in (state.batch_size, state.accumulation, state.tokens)
    )
    return _first(view.curve.first, expected, state.summed > 0, *terms)


@lru_cache(maxsize=1024)
def _first(first: float, expected: float, summed: bool, *terms: int | None) -> tuple[Evidence, Start]:
    known = {name: value for name, value in zip(_TERMS, terms, strict=True) if value is not None}
    evidence: Evidence = {"first": first, "expected": expected, **known, "summed": summed}
    return evidence, start_of(evidence)


def start_of(evidence: Evidence) -> Start:
    """The conclusion of `losses.check_initial` from this evidence."""
    expected = float(evidence["expected"] or 0)
    spec: dict[str, object] = {
        "name": "The training loss",
        "chance_level": expected,
        "chance_formula": formula_of(expected),
        "reduction": "sum" if evidence["summed"] else "mean",
    }
    terms = {name: int(n) for name in _TERMS if isinstance(n := evidence.get(name), int | float)}
    return check_initial(spec, [float(evidence["first"] or 0)], **terms)


def formula_of(level: float) -> str:
    """The text "ln k" if a level is the logarithm of an integer k > 1, else "".

    >>> import math
    >>> formula_of(math.log(10)), formula_of(2.31)
    ('ln 10', '')
    """
    if not 0.6 < level < 14:
        return ""
    classes = round(math.exp(level))
    return f"ln {classes}" if abs(level - math.log(classes)) < 1e-9 * level else ""
