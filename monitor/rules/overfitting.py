"""Rule `overfitting`: the validation loss turns up while the training loss goes on falling."""

from __future__ import annotations

import math
from collections.abc import Mapping

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.features import Features, View
from monitor.rules.rule import Reading, Spec, Threshold


class Overfitting:
    spec = Spec(
        name="overfitting",
        version=5,
        severity=Severity.CRITICAL,
        reads=(Role.VAL,),
        relief=3,
        thresholds={
            "rise": Threshold(default=0.02, low=0, high=10, doc="least rise, as a share of the lowest validation loss"),
            "z": Threshold(default=4, low=1, high=100, doc="standard errors of the level above the minimum"),
            "likely_z": Threshold(default=2.5, low=1, high=100, doc="the same where a stop is advised already"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        view, train = run.val, run.train
        if view.closed < 4 or not train.closed or run.diverging:
            return None
        rise, since = view.rise, view.closed - 1 - view.low_at
        if since < 2 or rise <= limits["rise"] * (0.5 if firing else 1 + 4 / since):
            return None
        best = view.step[view.low_at]
        fell = train.level_at(best) - train.now
        if not firing and (fell < -0.02 or memorises(view, train, run.state.unit)):
            return None
        tail = view.y[view.low_at + 1 :]
        tail = tail[len(tail) // 2 :]
        error = max(view.error(len(tail)), 1e-12)
        z = (sum(tail) / len(tail) - view.low) / error
        longer = max(0.0, math.log10(view.n / 10))
        before = view.came_back(0.8 * rise)
        if not firing and before and since <= 2 * before + 1:
            return None
        learns = fell > max(2 * train.error(3), 0.02) or rise >= 0.3
        sure = since >= 3 and z >= limits["z"] + longer and learns
        likely = z >= limits["likely_z"] + longer and learns
        if firing:
            sure = z >= 2 and fell > -0.1
            likely = False
        if not sure and not likely:
            return None
        evidence = {
            "val_best": view.curve.best, "best_step": view.curve.best_step, "val_now": view.level, "rise": rise, "z": min(z, 1e6),
            "z_limit": limits["z"] + longer, "train_fell": fell,
        }
        return Reading(best, evidence, likely=not sure)

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        e = reading.evidence
        return (
            f"The validation loss has risen by {e['rise']:.1%} from {e['val_best']:.4g} at {unit} {e['best_step']:g} to "
            f"{e['val_now']:.4g}, while the training loss fell by {e['train_fell']:.0%}.",
            f"Keep the checkpoint of {unit} {e['best_step']:g} and stop; to go further, add data, augmentation, "
            "weight decay or dropout, or use a smaller model.",
        )


DELAY = 20
"""Buckets since the best one after which validation that does not come down will not generalise late."""
GUESS = 0.6
"""Where training begins at this loss or above it may have begun at chance, ln 2 or more."""


def memorises(val: View, train: View, unit: str) -> bool:
    """Whether validation began where training began and has never come down: no generalisation so far.

    A first validation that was made after an epoch, or after training had come down, is not that of an untrained model:
    its rise from there is overfitting from the first evaluation on.

    Source:
        Power et al., Grokking (2022): the validation loss rises many times over before it collapses.
    """
    untrained = train.curve.first
    if untrained < GUESS or val.loss(val.low) < 0.95 * untrained:
        return False
    return val.closed - 1 - val.low_at < DELAY or val.line[0] > 0
