"""Rule `gradient_explosion`: the gradient norm is far above its usual level."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Action, Severity
from monitor.domain.formats import factor, position
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.rule import LOUD, Quiet, Reading, Spec, Threshold


class GradientExplosion:
    """The gradient norm of the latest bucket is a large multiple of its usual level.

    Source:
        Pascanu, Mikolov, Bengio, On the difficulty of training recurrent neural networks (ICML 2013).
    """

    spec = Spec(
        name="gradient_explosion",
        severity=Severity.WARNING,
        rank=12,
        action=Action.INVESTIGATE,
        explained_by="rise",
        reads=(Role.GRAD_NORM,),
        urgent=True,
        patience=2,
        relief=2,
        thresholds={"ratio": Threshold(default=30, low=2, high=1e12, doc="level now over the usual level")},
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the norm is high."""
        view = run.grad
        if view.closed < 6:
            return None
        ordered = sorted(view.curve.x)
        usual = ordered[len(ordered) // 2]
        now = view.xs[-1]
        ratio = now / usual if usual > 0 else 0.0
        if ratio < limits["ratio"] * (0.3 if firing else 1.0):
            return None
        return Reading(
            view.step[-1] if view.curve.quarters else view.step[-2],
            {"norm": now, "usual": usual, "ratio": ratio, "limit": limits["ratio"]},
        )

    def quiet(self, run: Features, limits: Mapping[str, float], firing: bool) -> Quiet:
        """Quarters whose norms are below the limit: so is their mean."""
        view = run.grad
        if firing:
            return LOUD
        if view.closed < 6:
            return Quiet()
        usual = sorted(view.curve.x)[view.closed // 2]
        return Quiet(level=limits["ratio"] * usual * (1 - 1e-9)) if usual > 0 else Quiet()

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        e = reading.evidence
        return (
            f"The gradient norm has been high since {position(unit, reading.onset)}: {reading.shown('norm', 3)} now, "
            f"{factor(reading.number('ratio'))} its usual {reading.shown('usual', 3)} (limit {e['limit']:g}).",
            "Clip gradients near the usual norm and lower the learning rate.",
        )
