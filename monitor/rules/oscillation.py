"""Rule `oscillation`: swings that are large against the progress and do not die out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.features import Features, View
from monitor.rules.noise import middle
from monitor.rules.rule import Reading, Spec, Threshold
from monitor.rules.trend import turns

_ADVICE: Final = "Lower the learning rate or decay it, use a larger batch, or average the weights."


class Oscillation:
    spec = Spec(
        name="oscillation",
        version=4,
        severity=Severity.WARNING,
        reads=(Role.TRAIN, Role.VAL),
        patience=3,
        hold=0.05,
        relief=4,
        thresholds={
            "swing": Threshold(default=0.25, low=0, high=100, doc="swing as a share of the level"),
            "share": Threshold(default=0.15, low=0, high=10, doc="swing as a share of what the loss has covered"),
            "turns": Threshold(default=4, low=2, high=100, doc="turns in the second half"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while there are enough turns in either loss."""
        need = limits["turns"] - (1 if firing else 0)
        for name, view in (("validation", run.val), ("training", run.train)):
            if view.closed < 16 or (name == "training" and run.state.unit == "step" and view.n < 100):
                continue
            if name == "validation" and run.fires("overfitting"):
                continue
            half = view.closed // 2
            count = _turns(view, limits, half)
            lasting = _turns(view, limits, view.closed - view.closed // 3) >= 1
            if (count >= need and lasting) or (name == "validation" and _jumps(view, limits)):
                evidence: dict[str, float | int | str | bool | None] = {
                    "series": name, "turns": count, "limit": int(limits["turns"]), "level": middle(view.centres[half:]),
                }  # fmt: skip
                return Reading(view.step[half], evidence)
        return None

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        e = reading.evidence
        return f"The {e['series']} loss has turned round {e['turns']} times since {unit} {reading.onset:g}, by large swings around {e['level']:.3g} ({e['limit']} turns count as oscillation).", _ADVICE


def _turns(view: View, limits: Mapping[str, float], start: int) -> int:
    """Turns by swings that are material on both yardsticks and more than batch noise leaves in a bucket."""
    y = view.y[start:]
    left = 6 * _rough(view, start) / math.sqrt(view.size) if view.size > 1 else 0.0
    share = min(math.log1p(limits["share"] * view.reach / math.exp(middle(y))), math.log(3))
    return turns(y, max(math.log1p(limits["swing"]), share, left, 0.25 * (max(y) - min(y))))


def _rough(view: View, start: int) -> float:
    """Noise of a point as a share of the level."""
    heights = [math.exp(y) for y in view.y[start:]]
    return middle([a / b for a, b in zip(view.curve.noise[start:], heights, strict=True)]) / 0.954


def _jumps(view: View, limits: Mapping[str, float]) -> bool:
    """Whether a validation loss jumps from one evaluation to the next: it has no batch noise, so it is the model."""
    rough = _rough(view, view.closed // 2)
    if view.size == 1:
        rough = min(rough, math.sqrt(2) * view.noise)
    return rough >= max(limits["swing"], min(limits["share"] * view.reach / view.height, 0.7))
