"""Rule `gradient_vanishing`: the gradient has almost disappeared while the loss is still high."""

from __future__ import annotations

import math
from collections.abc import Mapping

from monitor.domain import Action, Severity
from monitor.domain.formats import position
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.rule import Reading, Spec, Threshold


class GradientVanishing:
    """The gradient norm fell to a tiny part of its first level, or was dead from the start, and the loss hardly moved.

    A norm that falls along with the loss is the aim of training. A loss that has risen is a divergence, whatever the
    norm does. Whether a norm is dead depends on the loss: it is compared with the loss, or with its square root if that
    is smaller, because the gradient of a squared error is proportional to the error itself.

    Source:
        Hochreiter (1991); Glorot, Bengio, Understanding the difficulty of training deep feedforward networks (2010).
    """

    spec = Spec(
        name="gradient_vanishing",
        severity=Severity.WARNING,
        rank=28,
        action=Action.INVESTIGATE,
        reads=(Role.GRAD_NORM,),
        patience=3,
        relief=3,
        thresholds={
            "ratio": Threshold(default=1e-3, low=0, high=1, doc="level now over the first level"),
            "dead": Threshold(default=1e-6, low=0, high=1, doc="level now over the loss or its root"),
            "progress": Threshold(default=0.2, low=0, high=1, doc="training progress as a share of the first loss"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the norm is tiny and the loss is about where it began."""
        view, train = run.grad, run.train
        if view.closed < 6 or train.closed < 6:
            return None
        first, slack = max(view.curve.x[:3]), 3 if firing else 1
        size = max(abs(train.start), abs(train.level))
        ratio = view.level / first if first > 0 else 0.0
        progress = (train.start - train.level) / max(abs(train.start), 1e-300)
        dead = view.level <= limits["dead"] * slack * min(size, math.sqrt(size))
        if not (dead or ratio <= limits["ratio"] * slack) or abs(progress) > limits["progress"]:
            return None
        return Reading(
            view.step[0] if dead and ratio > limits["ratio"] else view.step[-1],
            {"norm": view.level, "first": first, "ratio": ratio, "limit": limits["ratio"], "loss": train.level,
             "progress": progress},
        )  # fmt: skip

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        progress, ratio, limit, first = map(reading.number, ("progress", "ratio", "limit", "first"))
        moved = f"has come down by only {progress:.0%}" if progress >= 0.005 else "has not come down"
        if ratio > limit or first <= 0:
            return (
                f"The gradient norm has been close to zero from the start ({reading.shown('norm', 3)}, for a loss of "
                f"{reading.shown('loss')}), and the training loss {moved}.",
                "Check that the loss reaches the weights (no detach, argmax or no_grad on the way, requires_grad set); "
                "then the initialisation, saturated activations and dead units.",
            )
        return (
            f"The gradient norm has been close to zero since {position(unit, reading.onset)}: "
            f"{reading.shown('norm', 3)} now, {reading.shown('first', 3)} at the start, and the training loss "
            f"{moved}.",
            "Use residual connections, normalisation, another activation or initialisation, or a larger learning rate.",
        )
