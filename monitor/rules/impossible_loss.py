"""Rule `impossible_loss`: a loss that no model can score, so the metric is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from operator import add

from monitor.domain import Severity
from monitor.losses.checks import impossible
from monitor.roles import Role
from monitor.rules.features import Features, View
from monitor.rules.rule import Evidence, Reading, Spec
from monitor.rules.state import State


class ImpossibleLoss:
    """A training or validation loss lies below the floor of the loss function, or above its ceiling.

    That is a bug in the metric, or another loss than the run says. A thousandth of the chance level is allowed for
    rounding, which is what bfloat16 has. A value that is not finite is left to `nan`.

    Source:
        The floors and ceilings of `monitor.losses`, each derived in its class and tested against torch.
    """

    spec = Spec(name="impossible_loss", severity=Severity.WARNING, reads=(Role.TRAIN, Role.VAL), urgent=True)

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:  # noqa: ARG002 - the protocol asks for it
        """Holds once such a value was seen, and stays."""
        floor, ceiling = run.state.floor, run.state.ceiling
        if math.isnan(floor) and math.isnan(ceiling):
            return None
        for name, view in (("validation", run.val), ("training", run.train)):
            if view.n:
                for value, step in ((view.curve.best, view.curve.best_step), _highest(view, run.state)):
                    if not (value < floor or value > ceiling):
                        continue
                    evidence = _evidence(run.state, name, value)
                    if impossible(_spec(evidence), value):
                        return Reading(step, evidence)
        return None

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        said = impossible(_spec(reading.evidence), float(reading.evidence["value"] or 0)) or ""
        return (
            f"{said} It is so at {unit} {reading.onset:g}.",
            "Compute it by hand for one batch, with the same settings as the training loss; until then, "
            "compare no runs by it.",
        )


def _highest(view: View, state: State) -> tuple[float, float]:
    """The highest value so far and the step of its bucket; minus infinity where nothing is too high."""
    if math.isnan(state.ceiling):
        return -math.inf, math.nan
    curve = view.curve
    if max(curve.top, max(map(add, curve.x, curve.peak), default=-math.inf)) <= state.ceiling:
        return -math.inf, math.nan
    tops = [(x + peak, step) for x, peak, step in zip(curve.x, curve.peak, curve.step, strict=True)]
    return max([*tops, (curve.top, curve.top_step)], key=lambda top: top[0])


def _evidence(state: State, name: str, value: float) -> Evidence:
    known = {"floor": state.floor, "ceiling": state.ceiling, "chance": state.chance}
    levels = {key: level for key, level in known.items() if not math.isnan(level)}
    return {"series": name, "value": value, **levels, "summed": state.summed > 0}


def _spec(evidence: Evidence) -> dict[str, object]:
    """As much of the loss's specification as the evidence holds."""
    return {
        "name": f"The {evidence['series']} loss",
        "floor": evidence.get("floor"),
        "chance_level": evidence.get("chance"),
        "range": [evidence.get("floor"), evidence.get("ceiling")],
        "reduction": "sum" if evidence["summed"] else "mean",
    }
