"""Rule `low_start`: the first loss is far below that of a fresh network."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.rule import Reading, Spec, Threshold
from monitor.rules.rules.initial_loss import first_loss, start_of


class LowStart:
    """Training began far below the level of a fresh network: the model is pretrained, or the target leaks.

    There are other causes too: an output bias initialised to uneven frequencies of the targets, or a first value
    that is an average over many steps. So this is context, not an alarm, and never the verdict. If the ratio is one
    over a number from the run's configuration, the loss seems to be divided once too often.

    Source:
        Kaufman et al., Leakage in Data Mining (KDD 2011); Karpathy, A Recipe for Training Neural Networks (2019).
    """

    spec = Spec(
        name="low_start",
        severity=Severity.INFO,
        rank=None,
        reads_error=True,
        reads=(Role.TRAIN,),
        thresholds={
            "ratio": Threshold(default=0.5, low=0, high=1, doc="first loss over that of a fresh network, at most")
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds permanently, from the fourth training point on."""
        known = first_loss(run)
        if known is None:
            return None
        evidence, start = known
        if start.verdict != "far_below" or start.ratio is None or start.ratio > limits["ratio"]:
            return None
        named = {"ratio": start.ratio, "limit": limits["ratio"], "cause": start.cause, "multiple": start.multiple}
        return Reading(run.train.curve.first_step, {**evidence, **named})

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        start = start_of(reading.evidence)
        if start.cause == "divided_twice":
            return start.explanation, "Check what the loss is divided by: the reduction may have done it already."
        return (
            start.explanation,
            "Where the model is not pretrained, look for the target among the inputs: shuffle the labels, and "
            "see whether the loss still starts below chance.",
        )
