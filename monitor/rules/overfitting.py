"""Rule `overfitting`: the validation loss turns up while the training loss goes on falling."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.features import Features, View
from monitor.rules.rule import Reading, Spec, Threshold
from monitor.rules.trend import Floats, mann_kendall

_PURE: Final = 0.9
"""Kendall's tau of a rise that needs not be as large as one that is accused."""


_CAME: Final = 0.25
"""Share of the fall of the training loss by which validation must be below its start to have generalised."""


class Overfitting:
    """The validation loss has risen from its minimum, beyond its noise, and the training loss has gone on falling.

    A growing gap alone is not overfitting: while the validation loss is flat, training longer costs nothing. Nor is a
    rise of a validation loss that has never come down since before training: that run memorises, and may yet
    generalise (`stagnation`), unless over a long rise training still gains. A rise of half the range needs no
    further fall of the training loss.

    With `low` the lowest smoothed validation loss, the rise above it must exceed every earlier rise that was made good
    again by a fifth, and up to three times where there are many evaluations: noise that remembers looks like a trend.
    It must stand out in one of five ways:

    - beyond: the later half of the buckets since lies `z` standard errors above `low`;
    - clean: the curve came straight down and nearly every pair of buckets since `low` rises;
    - steady: Kendall's tau of the buckets since `low` is `steady`, at a Mann-Kendall z of 3;
    - large: the trend is significant (`trend_z`), and the rise is `large` of the range;
    - stays: for eight buckets it has been `large`, twice as certain as `z`, and more than half of the highest since.

    Limits grow with the cube root of the number of evaluations beyond 25, so that a run that is looked at for ever is
    not accused in the end: noise that wanders will rise far once, if one only waits.

    A stop needs less than an accusation: waiting for certainty costs steps, while a stop that is wrong costs what the
    loss would yet have gained, which is little once it rises. The finding is likely, and a stop is advised, when the
    validation loss has only risen since its minimum (`likely_tau`, `likely_z`), by twice as much as any earlier rise
    that was made good, and the training loss has come down all the way and since. Where the training loss has shown a
    single value so far it says nothing, and the trend alone must be significant.
    A rise of four times the noise that hardly ever goes back (a tau of 0.9) is likely from `likely_rise` of the range
    on.

    Where validation has hardly come down so far (less than `taught` of what training has), a rise may be the hump
    before a breakthrough: it counts when it has lasted as long as the level before it and is a tenth of what training
    has gained meanwhile. Where validation has never been below the first training loss by a quarter of what
    training has gained since, the model may not have begun to generalise: the rise must then be a fifth of that, half
    where training is at its floor and validation has levelled off (grokking may come), not on its way back, and in a
    run that is logged by the step have lasted for eight buckets.

    Source:
        Prechelt, Early Stopping - But When? (1998), GL and UP; Li et al., Keeping Deep Learning Models in Check
        (OverfitGuard, FSE 2024); Mann (1945) and Kendall (1975) for the trend since the minimum.
    """

    spec = Spec(
        name="overfitting",
        version=4,
        severity=Severity.CRITICAL,
        reads=(Role.VAL,),
        relief=3,
        thresholds={
            "rise": Threshold(default=0.015, low=0, high=10, doc="least rise, as a share of the validation range"),
            "large": Threshold(default=0.1, low=0, high=10, doc="rise that needs only a significant trend"),
            "z": Threshold(default=6, low=1, high=100, doc="standard errors of the level above the minimum"),
            "trend_z": Threshold(default=2.4, low=1, high=100, doc="Mann-Kendall z of a significant trend"),
            "steady": Threshold(default=0.75, low=0, high=1, doc="Kendall's tau of a steady rise"),
            "after": Threshold(default=3, low=2, high=1000, doc="buckets after the minimum, at least"),
            "likely_rise": Threshold(default=0.003, low=0, high=10, doc="least likely rise, as a share of the range"),
            "taught": Threshold(default=0.1, low=0, high=1, doc="range of validation over that of training, at least"),
            "likely_z": Threshold(default=1.6, low=1, high=100, doc="Mann-Kendall z of a likely rise, at ten points"),
            "likely_tau": Threshold(default=0.8, low=0, high=1, doc="Kendall's tau of a likely rise"),
            "apart": Threshold(default=0.5, low=0, high=10, doc="rise that needs no fall of the training loss"),
            "fall": Threshold(default=2, low=0, high=100, doc="fall of the training loss, in multiples of its noise"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the validation loss is up and the training loss is down from where it was then."""
        view, train = run.val, run.train
        if view.closed < 4 or not train.closed or run.diverging:
            return None
        rise = view.level - view.low
        reach = max(view.range, 0.1 * train.range)
        since = view.closed - 1 - view.low_at
        if since < limits["after"] or rise <= limits["likely_rise"] * reach:
            return None
        if not firing and (_untaught(view, train, limits, run.state.unit) or rise < _made_good(view)):
            return None
        fell = train.level_at(view.step[view.low_at]) - train.level
        grow = max(1.0, (view.n / 25) ** (1 / 3))
        error = view.noise * math.sqrt(1 / len(_later(view)) + 1 / 3)
        z = (float(_later(view).mean()) - view.low) / error if error else 0.0
        trend = mann_kendall(view.x[view.low_at :])
        likely = False
        if firing:
            risen = (z >= 2 or self._risen(view, limits, rise / reach, z, trend)) and fell > -0.05 * train.range
        else:
            least = max(limits["fall"] * grow * train.noise, 0.5 * train.climbed, 0.002 * train.range)
            apart = rise >= limits["apart"] * reach and trend[0] >= limits["steady"] and fell > -0.05 * train.range
            large = rise > limits["rise"] * reach
            waits = memorises(view, train, run.state.unit) and not (since >= 16 and _gains(view, train))
            risen = train.learned and (fell >= least or apart) and not waits
            risen = risen and train.closed > 1 and large and self._risen(view, limits, rise / reach, z, trend)
            pure = trend[0] >= _PURE and rise >= 4 * view.noise
            likely = not risen and (large or pure) and _likely(view, train, limits, trend, run.state.unit)
        if not risen and not likely:
            return None
        evidence = {
            "val_best": view.low,
            "best_step": view.step[view.low_at],
            "val_now": view.level,
            "rise": rise,
            "rise_share": rise / reach if reach else math.inf,
            "z": z,
            "z_limit": limits["z"] * grow,
            "trend": trend[0],
            "trend_z": trend[1],
            "train_fell": fell,
        }
        return Reading(view.step[view.low_at], evidence, likely=likely)

    def _risen(
        self, view: View, limits: Mapping[str, float], share: float, z: float, trend: tuple[float, float]
    ) -> bool:
        """Whether the rise stands out in one of the five ways."""
        tau, trend_z = trend
        grow = max(1.0, (view.n / 25) ** (1 / 3))
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
        share, z = of_range(float(e["rise_share"] or 0)), min(float(e["z"] or 0), 1e6)
        fell = f"{e['train_fell']:.2g}"
        return (
            f"The validation loss has risen from {e['val_best']:.4g} at {unit} {e['best_step']:g} to "
            f"{e['val_now']:.4g} ({share}, {z:.3g} standard errors, trend {e['trend']:.2f}), while the training "
            f"loss fell by {fell}.",
            f"Keep the checkpoint of {unit} {e['best_step']:g} and stop; to go further, add data, augmentation, "
            "weight decay or dropout, or use a smaller model.",
        )


def _likely(view: View, train: View, limits: Mapping[str, float], trend: tuple[float, float], unit: str) -> bool:
    """Whether the best loss probably lies behind: a rise without a way back, while training went on learning.

    The limit on the trend grows with the logarithm of the number of evaluations, by 1 a decade beyond ten: among so
    many more, a rise by chance is found. A training loss that never left its level tells nothing of a wandering one.
    """
    tau, trend_z = trend
    rise, longer = view.level - view.low, max(0.0, math.log10(view.n / 10))
    if tau < limits["likely_tau"] or rise < max(0.5 * view.noise, 2 * view.climbed) or memorises(view, train, unit):
        return False
    x = train.x
    if float(x.max()) == float(x.min()):
        return trend_z >= 1.5 * limits["likely_z"] + longer
    at = min(bisect_left(train.step, view.step[view.low_at]), train.closed - 1)
    fell = train.level_at(view.step[view.low_at]) - train.level
    since, whole = mann_kendall(x[at:])[0], mann_kendall(x)[0]
    learns = train.range >= 0.2 * abs(train.start) and whole <= -0.6 and since <= -0.5 and fell >= train.noise
    return learns and trend_z >= limits["likely_z"] + longer


def _untaught(view: View, train: View, limits: Mapping[str, float], unit: str) -> bool:
    """Whether validation has hardly come down so far, and its rise says little yet.

    It may be the hump before a breakthrough: it has not lasted as long as the level before it, or is small beside what
    training has gained. Where validation was never clearly below the level at which training began, nothing says that
    the model has generalised at all: the rise counts where it is large and has lasted, and not on its way back.

    Source:
        Power et al., Grokking (2022); Nakkiran et al., Deep Double Descent (ICLR 2020).
    """
    if view.range >= limits["taught"] * train.range:
        return False
    since, rise = view.closed - 1 - view.low_at, view.level - view.low
    if since < view.low_at:
        return True
    if train.start - view.low >= _CAME * train.range:
        return rise < 0.1 * (train.level_at(view.curve.first_step) - train.level)
    fresh = unit != "epoch" and train.curve.first_step <= view.curve.first_step
    before = view.level_at(view.step[-1 - since // 3])
    least = 0.2 if _gains(view, train) or view.level - before >= 0.25 * rise else 0.5
    return (fresh and since < 8) or rise < least * train.range or _returns(view)


def _made_good(view: View) -> float:
    """What a rise must exceed because of earlier ones that were made good again: 1.2 times the largest, 3 in the limit.

    The more evaluations there are, the further noise that remembers will wander by chance.
    """
    return (1.2 + 1.8 * max(0.0, 1 - 25 / view.n)) * view.climbed


def _returns(view: View) -> bool:
    """Whether the loss has come down steadily since it was highest after its low, by a twentieth of that rise."""
    since = view.x[view.low_at :]
    peak = int(since.argmax())
    tau, z = mann_kendall(since[peak:])
    return tau <= -0.5 and z <= -2 and float(since[peak]) - view.level >= 0.05 * (float(since[peak]) - view.low)


def memorises(val: View, train: View, unit: str) -> bool:
    """Whether validation began where training began and has never come down: no generalisation so far.

    A first validation that was made after an epoch, or after training had come down, is not that of an untrained model:
    its rise from there is overfitting from the first evaluation on.

    Source:
        Power et al., Grokking (2022): the validation loss rises many times over before it collapses.
    """
    before = bisect_left(train.step, val.curve.first_step)  # whole buckets of training before it
    if unit == "epoch" or (before and train.start - float(train.smooth[before - 1]) > 0.25 * train.range):
        return False
    apart = abs(val.curve.first - train.curve.first)
    return val.range < 0.05 * train.range and apart < max(0.1 * train.range, 5 * train.roughness)


def _gains(view: View, train: View) -> bool:
    """Whether training made a tenth of all its gain in the last third of the rise of validation.

    Delayed generalisation comes after training has reached its floor; what memorises on against it overfits.
    """
    third = (view.closed - 1 - view.low_at) // 3
    return train.level_at(view.step[-1 - third]) - train.level >= 0.1 * train.range


def _later(view: View) -> Floats:
    """The later half of the centres since the low, all of them where there are three or fewer."""
    since = view.x[view.low_at + 1 :]
    return since[len(since) // 2 :] if len(since) > 3 else since


def of_range(share: float) -> str:
    """A rise as a share of the range; where that is small or there is none, how many times it.

    >>> of_range(0.043), of_range(29.2), of_range(4e9)
    ('4.3% of its range', '29 times its range', 'many times its range')
    """
    if share < 10:
        return f"{share:.1%} of its range"
    return f"{share:.0f} times its range" if share < 1000 else "many times its range"
