"""Rule `improving`: the loss is still falling."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.convergence import FALL, falls
from monitor.rules.features import Features
from monitor.rules.rule import Reading, Spec, Threshold


class Improving:
    spec = Spec(
        name="improving",
        version=2,
        severity=Severity.INFO,
        reads=(Role.TRAIN, Role.VAL),
        relief=3,
        thresholds={"gain": Threshold(default=FALL, low=0, high=1, doc="share of the level gained over the last fifth")},
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the gain is there."""
        view = run.judged
        if view.closed < 8 or run.diverging or run.fires("convergence") or run.told("overfitting"):
            return None
        if not falls(view, limits["gain"] * (0.8 if firing else 1.0)):
            return None
        return Reading(view.step[view.fifth], {"gain": view.gain / max(view.height, 1e-300), "limit": limits["gain"], "level": view.level})

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        e = reading.evidence
        return f"The loss is still falling: since {unit} {reading.onset:g} by {e['gain']:.1%}, to {e['level']:.4g}.", "Let it run."
