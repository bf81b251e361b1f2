"""Rule `oscillation`: swings that are large against the progress and do not die out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from monitor.domain import Action, Severity
from monitor.roles import Role
from monitor.rules.describe.features import Features, View
from monitor.rules.describe.trend import turns
from monitor.rules.rule import Reading, Spec, Threshold
from monitor.rules.sketch.noise import middle

_ADVICE: Final = "Lower the learning rate or decay it, use a larger batch, or average the weights."
_DECADES: Final = math.log(3)
"""A swing by this factor counts, whatever it is of the way."""
_LEFT: Final = 6
"""Times what batch noise leaves in a bucket that a swing must exceed."""


class Oscillation:
    """Over the second half of the run, and still in its last third, the loss turns round again and again.

    A swing counts where it is `swing` of the level and `share` of the way down, a quarter of all that was covered in
    that time, and more than batch noise leaves in a bucket. A validation loss has no batch noise: where it jumps by as
    much from one evaluation to the next, that is the model.

    Source:
        AutoTrainer (Zhang et al., ICSE 2021), oscillating loss; turning points as in rainflow counting (ASTM E1049).
    """

    spec = Spec(
        name="oscillation",
        version=4,
        severity=Severity.WARNING,
        rank=24,
        action=Action.INVESTIGATE,
        reads_error=True,
        explained_by="rise",
        reads=(Role.TRAIN, Role.VAL),
        patience=3,
        hold=0.05,
        relief=4,
        thresholds={
            "swing": Threshold(default=0.25, low=0, high=100, doc="swing as a share of the level"),
            "share": Threshold(default=0.15, low=0, high=10, doc="swing as a share of what the loss has come down by"),
            "turns": Threshold(default=4, low=2, high=100, doc="turns in the second half"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while there are enough turns in either loss."""
        need = limits["turns"] - (1 if firing else 0)
        for name, view in (("validation", run.val), ("training", run.train)):
            few = name == "training" and run.state.unit == "step" and view.n < 100
            if view.closed < 16 or few or (name == "validation" and run.fires("overfitting")):
                continue
            half = view.closed // 2
            count = _turns(view, limits, half)
            lasting = count >= need and _turns(view, limits, view.closed - view.closed // 3) >= 1
            jump = _jump(view, limits) if name == "validation" else 0.0
            if lasting or jump:
                level = middle(view.centres[half:])
                return Reading(view.step[half], {"series": name, "turns": count, "jump": jump, "level": level})
        return None

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        e = reading.evidence
        if e["jump"]:
            how = f"jumps by {min(float(e['jump'] or 0), 9.99):.0%} from one evaluation to the next"
            return f"Since {unit} {reading.onset:g} the validation loss {how}, around {e['level']:.3g}.", _ADVICE
        how = f"has turned round {e['turns']} times since {unit} {reading.onset:g}, by large swings around"
        return f"The {e['series']} loss {how} {e['level']:.3g}.", _ADVICE


def _share(view: View, limits: Mapping[str, float], height: float) -> float:
    """The swing that is a good share of the way down, as a logarithm at this height."""
    return min(math.log1p(limits["share"] * view.reach / height), _DECADES)


def _turns(view: View, limits: Mapping[str, float], start: int) -> int:
    """Turns since bucket `start`."""
    y = view.y[start:]
    left = _LEFT * _rough(view, start) / math.sqrt(view.size) if view.size > 1 else 0.0
    share = _share(view, limits, math.exp(middle(y)))
    return turns(y, max(math.log1p(limits["swing"]), share, left, 0.25 * (max(y) - min(y))))


def _rough(view: View, start: int) -> float:
    """Noise of a point as a share of the level."""
    heights = [math.exp(y) for y in view.y[start:]]
    return middle([a / b for a, b in zip(view.curve.noise[start:], heights, strict=True)]) / 0.954


def _jump(view: View, limits: Mapping[str, float]) -> float:
    """How far a validation loss jumps from one evaluation to the next, as a share; 0 where that is little."""
    rough = _rough(view, view.closed // 2)
    if view.size == 1:  # what falls from one to the next is no jump
        rough = min(rough, math.sqrt(2) * view.noise)
    return rough if rough >= max(limits["swing"], math.expm1(_share(view, limits, view.height)) / 1.5) else 0.0
