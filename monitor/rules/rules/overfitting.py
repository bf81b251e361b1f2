"""Rule `overfitting`: the validation loss turns up while the training loss continues to fall."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from monitor.domain import Action, Severity
from monitor.domain.formats import number, position, times
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.describe.trend import mann_kendall, student
from monitor.rules.describe.view import LEARNED, View
from monitor.rules.rule import Evidence, Reading, Spec, Threshold
from monitor.rules.sketch.noise import middle, second_differences

_APART: Final = 0.3
"""A rise of the validation loss by this, as a logarithm, needs no further fall of the training loss."""
GUESS: Final = 0.7
"""A training loss that begins above this, and so above ln 2, may begin at the chance level of several classes."""
_FEW: Final = 8
"""With fewer buckets, the turn of the curve itself would be a good part of the noise estimate."""
_LATE: Final = 150
"""If the validation loss is not falling this many evaluations after its best one, late generalisation is ruled out."""
_SCALE: Final = 1.5
"""If the first validation loss exceeds the first training loss by this factor, the two are on different scales."""
_NEUTRAL: Final = 0.12
"""A fall of the training loss by this, as a logarithm, is evidence neither for overfitting nor against it."""
_FALL: Final = math.log(2)
"""A larger fall of the training loss, as a logarithm, adds no evidence: losses near zero fall by factors of ten."""
_EACH: Final = 1.75
"""Most standard errors that one evaluation adds, however high it is: a leap of two may be gone with the next."""
_STRAYS: Final = 0.2
"""Variance that wandering noise adds per bucket, in units of the noise's variance; a random walk would add more."""


class Overfitting:
    """The validation loss is above its best level, certainly and by a good share of it, and training has not risen.

    Certainty is measured in standard errors: how far the later half of the buckets since the best one is above it, plus
    the significance of their upward trend. The sum must reach `z`, and more for every tenfold number of evaluations. At
    first the noise is estimated from few evaluations, so Student's t is used. The fall of the training loss since the
    best one counts too: if that loss has halved, a smaller rise suffices; if it has hardly fallen, a larger one is
    needed. The rise must not be receding, and no similar hump that lasted an eighth as long may have recovered before.
    With a lower `likely_z`, a stop is advised on less evidence. That saves steps, and costs what a run that was stopped
    wrongly would still have gained.

    A run whose validation loss has never been below where training began is memorising. It may still generalise, but
    only after training has reached its floor. So the rule fires on such a run only while training still gains, or once
    the rise has lasted long.

    Source:
        Prechelt, Early Stopping - But When? (1998); Power et al., Grokking (2022), for late generalisation.
    """

    spec = Spec(
        name="overfitting",
        version=13,
        severity=Severity.CRITICAL,
        rank=16,
        action=Action.STOP,
        reads_error=True,
        reads=(Role.VAL,),
        relief=3,
        thresholds={
            "rise": Threshold(default=0.015, low=0, high=1, doc="rise, as a share of the level and of the way"),
            "z": Threshold(
                default=4, low=1, high=100, doc="rise, its trend, and the fall of training, in standard errors of each"
            ),
            "likely_z": Threshold(default=4, low=1, high=100, doc="the same, for a stop before the rule fires"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the validation loss is up and the training loss is not."""
        val, train = run.val, run.train
        since = val.closed - 1 - val.low_at if val.closed >= 4 and train.closed else 0
        share = _material(val) if since >= 3 and val.rise > 0 else 0.0
        if share <= limits["rise"] * (0.5 if firing else 1.0):
            return None  # most checks end here, before anything that costs more
        best = val.step[val.low_at]
        fell = train.reached(best) - train.now
        best = max(best, val.curve.best_step)  # not before the step that the sentence calls the best
        z = _sure(val, since)
        evidence: Evidence = {
            "best_step": val.curve.best_step, "val_best": val.curve.best, "val_now": val.level,
            "rise": math.expm1(min(val.rise, 700.0)), "z": z, "train_fell": -math.expm1(min(-fell, 700.0)),
        }  # fmt: skip
        if firing:
            stays = z >= 0.5 * limits["z"] and fell > -0.1
            return Reading(best, evidence) if stays else None
        z += _meanwhile(fell) - 1.5 * max(0.0, math.log10(val.n / 10))
        if not _goes_on(val, train, fell) or val.seen_before(val.rise) or memorises(val, train):
            return None
        if mann_kendall(np.array(val.y[-max(3, since // 3) :]))[1] < -0.5:
            return None  # it is coming down again
        if z < min(limits["z"], limits["likely_z"]):
            return None
        return Reading(best, evidence, likely=z < limits["z"])

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        at = position(unit, reading.number("best_step"))
        fell = reading.number("train_fell")
        by = f"{fell:.0%}" if fell < 0.995 else "more than 99%"
        while_ = f"while the training loss fell by {by}" if fell >= 0.005 else "while the training loss is flat"
        best, now = reading.number("val_best"), reading.number("val_now")
        above = times(now / best - 1) if best > 0 else number(now - best)
        return (
            f"The validation loss is {number(now)}, {above} above its best of {reading.shown('val_best')} at {at}, "
            f"{while_}.",
            f"Keep the checkpoint of {at}; to go further, add data, augmentation, weight decay or dropout, or "
            "use a smaller model.",
        )


def _goes_on(val: View, train: View, fell: float) -> bool:
    """Whether training still falls, or the rise is large and training has not risen beyond its noise.

    The model must have learned. Either loss can show that; so does a training loss below half the best validation loss,
    wherever it began.
    """
    came = val.log(val.curve.first) - val.low
    learned = train.learned or came >= max(LEARNED, 4 * val.error(1))
    if not learned and train.level - train.base > 0.5 * (val.loss(val.low) - val.base):
        return False
    doubt = train.error(3)
    return fell > max(2 * doubt, 0.02) or (val.rise >= _APART and fell >= -max(doubt, 0.02))


def _material(val: View) -> float:
    """The share of the level and of the way that the rise is, both as logarithms.

    Beside a loss that has come down by factors, a plain difference near the end of the way is next to nothing. A
    practitioner who reads such a loss on a logarithmic scale sees a third more at its low as a third more. The way is a
    factor of two at least.
    """
    way = max(val.log(val.start) - val.low, math.log(2))
    return math.sqrt(min(val.rise, 1.0) * min(val.rise / way, 1.0))


def _sure(val: View, since: int) -> float:
    """How certain the rise since the best level is: its size plus its trend, both in standard errors.

    The size is taken from the median of the later half, which one jump does not move, and is limited for few
    evaluations, however high they are. The best level is a single value at the very start, and a median of three
    elsewhere. Wandering noise strays further the longer ago the best level was.
    """
    later = val.y[val.closed - (since + 1) // 2 :]
    noise = val.noise if val.closed >= _FEW else second_differences(val.y, turn=min(val.y))
    error = noise * math.sqrt(1 / len(later) + (1 / 3 if val.low_at else 1) + _STRAYS * val.wander * since)
    size = student((middle(later) - val.low) / max(error, 1e-12), val.closed)
    return min(size, _EACH * len(later)) + max(mann_kendall(np.array(val.y[val.low_at + 1 :]))[1], 0.0)


def _meanwhile(fell: float) -> float:
    """The standard errors that the fall of training since the best level, a logarithm, adds to the certainty of a rise.

    The further training has come without validation, the more probable it is that this was at validation's expense: a
    practitioner believes three evaluations if training has halved its loss, and ten if it has hardly moved.

    >>> [round(_meanwhile(math.log(times)), 1) for times in (10, 2, 1.2, 1.02)]
    [1.8, 1.8, 0.4, -1.8]
    """
    return math.log(min(max(fell, 0.02), _FALL) / _NEUTRAL)


def memorises(val: View, train: View) -> bool:
    """Whether validation has never been below where training began, so that the model has not generalised yet.

    A validation loss that begins far above training has a different scale, such as a sum instead of a mean; then its
    own descent counts.
    """
    untrained = train.start  # a single batch says little about where it began
    if untrained < GUESS or val.loss(val.low) < 0.95 * untrained:
        return False
    if val.curve.first > _SCALE * untrained and val.log(val.curve.first) - val.low > 4 * val.error(1):
        return False
    since = val.closed - 1 - val.low_at
    if since * val.size >= _LATE:
        return val.line[0] > 0
    third = train.loss(train.level_at(val.step[-1 - since // 3])) - train.level
    return since < 8 or third < 0.1 * train.range
