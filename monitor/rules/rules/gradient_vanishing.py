"""Rule `gradient_vanishing`: the gradient has all but gone while the loss is still high."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Action, Severity
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.rule import Reading, Spec, Threshold


class GradientVanishing:
    """The gradient norm fell to a tiny part of its first level, and the training loss has hardly moved.

    A norm that falls with the loss is what training is for.

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
            "progress": Threshold(default=0.2, low=0, high=1, doc="training progress as a share of the first loss"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the norm is tiny and the loss high."""
        view, train = run.grad, run.train
        if view.closed < 6 or train.closed < 6:
            return None
        first = max(view.curve.x[:3])
        ratio = view.level / first if first > 0 else 0.0
        progress = (train.start - train.level) / max(abs(train.start), 1e-300)
        if ratio > limits["ratio"] * (3 if firing else 1) or progress > limits["progress"]:
            return None
        return Reading(
            view.step[-1], {"norm": view.level, "first": first, "ratio": ratio, "limit": limits["ratio"],
                            "progress": progress}
        )  # fmt: skip

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        e = reading.evidence
        return (
            f"The gradient norm is {e['norm']:.3g} since {unit} {reading.onset:g}, it began at {e['first']:.3g}, "
            f"and the training loss has come down by only {e['progress']:.0%}.",
            "Use residual connections, normalisation, another activation or initialisation, or a larger learning rate.",
        )
