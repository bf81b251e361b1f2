"""Rule `overfitting`: the validation loss turns up while the training loss goes on falling."""

from __future__ import annotations

import math
from collections.abc import Mapping

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.features import Features, View
from monitor.rules.rule import Reading, Spec, Threshold
from monitor.rules.trend import mann_kendall


class Overfitting:
    """The validation loss has risen from its minimum, beyond its noise, and the training loss has gone on falling.

    A growing gap alone is not overfitting: while the validation loss is flat, training longer costs nothing. Nor is a
    rise of a validation loss that has never come down: that run memorises, and may yet generalise (`stagnation`).

    With `low` the lowest smoothed validation loss and `after` the buckets since, one of three must hold:

    - the later half of the buckets lies `z` standard errors above `low`, by `rise` of the range;
    - nearly all pairs of buckets since `low` rise (Kendall's tau `steady`), by `rise` of the range;
    - the trend since `low` is significant, and the rise is large: `large` of the range.

    Source:
        Prechelt, Early Stopping - But When? (1998), GL and UP; Li et al., Keeping Deep Learning Models in Check
        (OverfitGuard, FSE 2024); Mann (1945) and Kendall (1975) for the trend since the minimum.
    """

    spec = Spec(
        name="overfitting",
        severity=Severity.CRITICAL,
        reads=(Role.VAL,),
        relief=3,
        thresholds={
            "rise": Threshold(default=0.003, low=0, high=10, doc="least rise, as a share of the validation range"),
            "large": Threshold(default=0.1, low=0, high=10, doc="rise that needs only a significant trend"),
            "z": Threshold(default=6, low=1, high=100, doc="standard errors of the level above the minimum"),
            "trend_z": Threshold(default=2.5, low=1, high=100, doc="Mann-Kendall z of a significant trend"),
            "steady": Threshold(default=0.75, low=0, high=1, doc="Kendall's tau of a steady rise"),
            "after": Threshold(default=3, low=2, high=1000, doc="buckets after the minimum, at least"),
            "fall": Threshold(default=3, low=0, high=100, doc="fall of the training loss, in multiples of its noise"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the validation loss is up and the training loss is down from where it was then."""
        view, train = run.val, run.train
        if view.closed < 4 or train.closed < 2 or run.diverging:
            return None
        after = view.closed - 1 - view.low_at
        rise = view.level - view.low
        reach = max(view.range, 0.1 * train.range)
        if after < limits["after"] or rise <= limits["rise"] * reach:
            return None
        best_step = view.step[view.low_at]
        fell = train.level_at(best_step) - train.level
        if firing:
            if fell < -0.05 * train.range:
                return None
        elif (
            not train.learned or memorises(view, train) or fell < max(limits["fall"] * train.noise, 0.002 * train.range)
        ):
            return None
        tau, trend_z = mann_kendall(view.x[view.low_at :])
        later = view.x[view.low_at + 1 :]
        later = later[len(later) // 2 :] if len(later) > 3 else later
        error = view.noise * math.sqrt(1 / len(later) + 1 / 3)
        z = (float(later.mean()) - view.low) / error if error else 0.0
        beyond = z >= limits["z"] and tau >= 0.5
        steady = trend_z >= 3 and tau >= limits["steady"]
        large = trend_z >= limits["trend_z"] and tau >= 0.4 and rise >= limits["large"] * reach and after >= 6
        if not (firing and z >= 2) and not (beyond or steady or (large and rise >= 1.5 * view.noise)):
            return None
        evidence = {
            "val_best": view.low,
            "best_step": best_step,
            "val_now": view.level,
            "rise": rise,
            "rise_share": rise / reach,
            "z": z,
            "z_limit": limits["z"],
            "trend": tau,
            "trend_z": trend_z,
            "train_fell": fell,
        }
        return Reading(best_step, evidence)

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        e = reading.evidence
        return (
            f"The validation loss has risen from {e['val_best']:.4g} at {unit} {e['best_step']:g} to "
            f"{e['val_now']:.4g} ({e['rise_share']:.1%} of its range, {e['z']:.1f} standard errors, trend "
            f"{e['trend']:.2f}), while the training loss fell by {e['train_fell']:.2g}.",
            f"Keep the checkpoint of {unit} {e['best_step']:g} and stop; to go further, add data, augmentation, "
            "weight decay or dropout, or use a smaller model.",
        )


def memorises(val: View, train: View) -> bool:
    """Whether validation began where training began and has never come down: no generalisation so far.

    Source:
        Power et al., Grokking (2022): the validation loss rises many times over before it collapses.
    """
    apart = abs(val.curve.first - train.curve.first)
    return val.range < 0.05 * train.range and apart < max(0.1 * train.range, 5 * train.roughness)
