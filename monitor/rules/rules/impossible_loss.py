"""Rule `impossible_loss`: no model can have such a loss, so the metric is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping

from monitor.domain import Severity
from monitor.domain.formats import position
from monitor.losses.specs.checks import impossible
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.describe.view import View
from monitor.rules.rule import LOUD, Evidence, Quiet, Reading, Spec
from monitor.rules.sketch.state import State


class ImpossibleLoss:
    """A training or validation loss is below the floor of the loss function, or above its ceiling.

    Either the metric has a bug, or the loss is not the one that the run declares. A thousandth of the chance level is
    allowed for rounding in bfloat16. Non-finite values are left to `nan`.

    Source:
        The floors and ceilings of `monitor.losses`, each derived in its class and tested against torch.
    """

    spec = Spec(name="impossible_loss", severity=Severity.WARNING, rank=48, reads=(Role.TRAIN, Role.VAL), urgent=True)

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds from the first such value on."""
        floor, ceiling = run.state.floor, run.state.ceiling
        if math.isnan(floor) and math.isnan(ceiling):
            return None
        for name, view in (("validation", run.val), ("training", run.train)):
            if not view.n:
                continue
            best, most = view.curve.best, _highest(view)
            if (best < floor or best > ceiling) and (evidence := _impossible(run.state, name, best)):
                return Reading(view.curve.best_step, evidence)
            if most > ceiling and (evidence := _impossible(run.state, name, most)):
                return Reading(_step_of(view, most), evidence)
        return None

    def quiet(self, run: Features, limits: Mapping[str, float], firing: bool) -> Quiet:
        """Losses between floor and ceiling if all have been so far; any loss once the finding fires."""
        if firing:
            return LOUD if self.check(run, limits, firing) is None else Quiet()
        if math.isnan(run.state.floor) and math.isnan(run.state.ceiling):
            return Quiet()
        floor, ceiling = (
            worst if math.isnan(known) else known
            for known, worst in ((run.state.floor, -math.inf), (run.state.ceiling, math.inf))
        )
        for view in (run.val, run.train):
            if view.curve.best < floor or _highest(view) > ceiling:
                return LOUD
        return Quiet(low=floor, high=ceiling)

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        said = impossible(_spec(reading.evidence), reading.number("value")) or ""
        return (
            f"{said} Seen at {position(unit, reading.onset)}.",
            "Compute it by hand for one batch, with the same settings as the training loss; until then, "
            "do not compare runs by it.",
        )


def _highest(view: View) -> float:
    return max(view.curve.top, view.highest)


def _step_of(view: View, top: float) -> float:
    """The step of the first bucket with this highest value."""
    curve = view.curve
    rows = zip(curve.x, curve.peak, curve.step, strict=True)
    return next((step for x, peak, step in rows if x + peak == top), curve.top_step)


def _impossible(state: State, name: str, value: float) -> Evidence | None:
    """The evidence that a value is impossible; None if it is possible."""
    levels = {"floor": state.floor, "ceiling": state.ceiling, "chance": state.chance}
    known = {key: level for key, level in levels.items() if not math.isnan(level)}
    evidence: Evidence = {"series": name, "value": value, **known, "summed": state.summed > 0}
    return evidence if impossible(_spec(evidence), value) else None


def _spec(evidence: Evidence) -> dict[str, object]:
    """The part of the loss's specification that the evidence holds."""
    return {
        "name": f"The {evidence['series']} loss",
        "floor": evidence.get("floor"),
        "chance_level": evidence.get("chance"),
        "range": [evidence.get("floor"), evidence.get("ceiling")],
        "reduction": "sum" if evidence["summed"] else "mean",
    }
