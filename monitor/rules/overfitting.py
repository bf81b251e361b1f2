"""Rule `overfitting`: the validation loss turns up while the training loss goes on falling."""

from __future__ import annotations

import math
from collections.abc import Mapping

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.features import Features, View
from monitor.rules.rule import Reading, Spec, Threshold
from monitor.rules.trend import Floats, mann_kendall


class Overfitting:
    """The validation loss has risen from its minimum, beyond its noise, and the training loss has gone on falling.

    A growing gap alone is not overfitting: while the validation loss is flat, training longer costs nothing. Nor is a
    rise of a validation loss that has never come down: that run memorises, and may yet generalise (`stagnation`).

    With `low` the lowest smoothed validation loss, the rise above it must exceed every earlier rise that was made good
    again, and stand out in one of five ways:

    - beyond: the later half of the buckets since lies `z` standard errors above `low`;
    - clean: the curve came straight down and nearly every pair of buckets since `low` rises;
    - steady: Kendall's tau of the buckets since `low` is `steady`, at a Mann-Kendall z of 3;
    - large: the trend is significant (`trend_z`), and the rise is `large` of the range;
    - stays: for eight buckets it has been `large`, twice as certain as `z`, and more than half of the highest since.

    Limits grow with the cube root of the number of evaluations beyond 25, so that a run that is looked at for ever is
    not accused in the end: noise that wanders will rise far once, if one only waits.

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
            "trend_z": Threshold(default=2.4, low=1, high=100, doc="Mann-Kendall z of a significant trend"),
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
        rise = view.level - view.low
        reach = max(view.range, 0.1 * train.range)
        if view.closed - 1 - view.low_at < limits["after"] or rise <= limits["rise"] * reach:
            return None
        best_step = view.step[view.low_at]
        fell = train.level_at(best_step) - train.level
        grow = max(1.0, (view.n / 25) ** (1 / 3))
        if firing:
            trained = fell > -0.05 * train.range
        else:
            least = max(limits["fall"] * grow * train.noise, 0.5 * train.climbed, 0.002 * train.range)
            trained = train.learned and not memorises(view, train) and fell >= least
        if not trained:
            return None
        error = view.noise * math.sqrt(1 / len(_later(view)) + 1 / 3)
        z = (float(_later(view).mean()) - view.low) / error if error else 0.0
        tau, trend_z = mann_kendall(view.x[view.low_at :])
        if not (firing and z >= 2) and not self._risen(view, limits, rise / reach, (z, tau, trend_z), grow):
            return None
        evidence = {
            "val_best": view.low,
            "best_step": best_step,
            "val_now": view.level,
            "rise": rise,
            "rise_share": rise / reach,
            "z": z,
            "z_limit": limits["z"] * grow,
            "trend": tau,
            "trend_z": trend_z,
            "train_fell": fell,
        }
        return Reading(best_step, evidence)

    def _risen(
        self, view: View, limits: Mapping[str, float], share: float, trend: tuple[float, float, float], grow: float
    ) -> bool:
        """Whether the rise stands out in one of the five ways."""
        z, tau, trend_z = trend
        rise = view.level - view.low
        if rise < 1.2 * view.climbed:
            return False
        longer = min(grow, 1.5)
        beyond = z >= limits["z"] * grow and tau >= 0.5
        clean = trend_z >= limits["trend_z"] and tau >= 0.95 and view.range >= 0.97 * view.travel
        steady = trend_z >= 3 * longer and tau >= limits["steady"]
        large = share >= limits["large"] and rise >= 1.5 * view.noise and view.closed - 1 - view.low_at >= 6
        climb = float(view.smooth[view.low_at :].max()) - view.low
        stays = large and z >= 2 * limits["z"] * grow and rise >= 0.5 * climb and view.closed - 1 - view.low_at >= 8
        return beyond or clean or steady or stays or (large and tau >= 0.4 and trend_z >= limits["trend_z"] * longer)

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


def _later(view: View) -> Floats:
    """The later half of the centres since the low, all of them where there are three or fewer."""
    since = view.x[view.low_at + 1 :]
    return since[len(since) // 2 :] if len(since) > 3 else since
