"""Rule `underfitting`: both losses have flattened out at a high level."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.rule import Reading, Spec, Threshold


class Underfitting:
    """Both losses are flat, close together, and have come down only a small part of the way from chance to the floor.

    This is a note, not a fault: a model that is too small and labels that contain no more information give the same
    curve. The rule applies only if the loss's specification gives both levels. Progress that was lost again counts,
    since the model was able to make it.

    Source:
        The bias side of the bias-variance reading of learning curves; Ng, Machine Learning Yearning, ch. 20-32.
    """

    spec = Spec(
        name="underfitting",
        version=3,
        severity=Severity.INFO,
        rank=97,
        reads_error=True,
        reads=(Role.VAL,),
        patience=3,
        relief=2,
        thresholds={
            "way": Threshold(default=0.4, low=0, high=1, doc="share of the way to the floor that has been covered"),
            "gain": Threshold(default=0.02, low=0, high=1, doc="share of the range gained over the last fifth"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while both losses are flat and high."""
        val, train, state = run.val, run.train, run.state
        if val.closed < 12 or train.closed < 12 or not state.chance > state.floor:
            return None
        way = (state.chance - train.loss(train.low)) / (state.chance - state.floor)
        flat = max(val.gain / val.height, train.gain / train.height)
        ease = 1.2 if firing else 1.0
        apart = abs(val.now - train.now)
        if not 0.05 <= way <= limits["way"] * ease or flat > limits["gain"] * ease or apart > 0.2 * way:
            return None
        evidence = {"way": way, "limit": limits["way"], "gain": flat, "train": train.level, "val": val.level}
        return Reading(val.step[val.fifth], evidence)

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        e = reading.evidence
        return (
            f"Training ({reading.shown('train')}) and validation loss ({reading.shown('val')}) are flat and close "
            f"together after {e['way']:.0%} of the way from chance to the floor: the model underfits, or the rest is "
            "noise.",
            "Try a larger model, better features or less regularisation; if none of them helps, the rest is noise.",
        )
