"""Rule `initial_loss`: the first losses are far from what chance gives."""

from __future__ import annotations

import math
from collections.abc import Mapping

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.features import Features
from monitor.rules.rule import Reading, Spec, Threshold


class InitialLoss:
    """The loss function's chance level is known, and training began far above it.

    Source:
        Karpathy, A Recipe for Training Neural Networks (2019): verify the loss at initialisation.
    """

    spec = Spec(
        name="initial_loss",
        severity=Severity.WARNING,
        reads=(Role.TRAIN,),
        thresholds={
            "ratio": Threshold(default=2, low=1, high=1000, doc="first loss over chance, both above the floor")
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:  # noqa: ARG002 - the protocol asks for it
        """Holds from the fourth training point on, and stays."""
        chance, view = run.state.chance, run.train
        if math.isnan(chance) or view.closed < 4:
            return None
        floor = 0.0 if math.isnan(run.state.floor) else run.state.floor
        first = view.curve.first
        if chance <= floor or first - floor < limits["ratio"] * (chance - floor):
            return None
        return Reading(
            view.curve.first_step, {"first": first, "chance": chance, "ratio": (first - floor) / (chance - floor),
                                    "limit": limits["ratio"]}
        )  # fmt: skip

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:  # noqa: ARG002 - the protocol asks for it
        """The sentence and the advice."""
        e = reading.evidence
        return (
            f"The first training loss is {e['first']:.4g}, {e['ratio']:.1f} times the {e['chance']:.4g} that guessing "
            f"gives (limit {e['limit']:g}).",
            "Check the initialisation of the last layer, the scale of the inputs, and the reduction of the loss.",
        )
