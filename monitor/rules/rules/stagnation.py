"""Rule `stagnation`: no real progress from the start, or since an initial transient."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from monitor.domain import Action, Severity
from monitor.domain.formats import number
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.describe.view import LEARNED, View
from monitor.rules.rule import Reading, Spec, Threshold
from monitor.rules.rules.guessing import at_chance, could_guess, guessing
from monitor.rules.rules.overfitting import memorises
from monitor.rules.sketch.noise import middle

_SLOW: Final = (0.002, 0.025)
"""Ongoing progress up to min(first * evaluations, second), as a logarithm, is still far too slow."""
_AGREE: Final = 0.05
"""Both losses of a model that guesses agree within this share of the level; also the most noise of a flat loss."""


class Stagnation:
    """Neither loss has come down noticeably: the model is broken, frozen, or learns far too slowly.

    There are three cases. *Dead*: each loss is within `progress` of its first level, or within its noise, and was never
    clearly below; ongoing progress counts as slow learning, unless it is far too slow. *Dead at chance*: both losses
    have been flat and at the same level since their first twelfth, and it is the level of guessing; whatever came
    before was a transient. *Memory*: training has learned, but validation has never been below where training began.

    Source:
        AutoTrainer (ICSE 2021), slow convergence; SageMaker Debugger's LossNotDecreasing; ln(k): Karpathy, A Recipe
        for Training Neural Networks (2019).
    """

    spec = Spec(
        name="stagnation",
        version=8,
        severity=Severity.WARNING,
        rank=20,
        action=Action.INVESTIGATE,
        reads_error=True,
        reads=(Role.TRAIN, Role.VAL),
        patience=2,
        hold=0.1,
        relief=3,
        thresholds={
            "progress": Threshold(default=0.05, low=0, high=1, doc="progress as a share of the first level"),
            "checks": Threshold(default=8, low=4, high=1000, doc="buckets of the series, at least"),
            "points": Threshold(default=100, low=1, high=1e9, doc="training points, where few of them are validated"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while there is no progress."""
        views, judged = _views(run, limits, firing), run.judged
        if not views:
            return None
        limit = -math.log1p(-min(limits["progress"] * (1.2 if firing else 1.0), 0.99))
        chance = run.state.chance
        if not all(_dead(view, limit) for view in views):
            if memory(run):
                known = {"level": judged.level, "train": run.train.level, "best": judged.lowest}
                return Reading(run.val.curve.first_step, known)
            if not _guesses(views, chance):
                return None
        known = {"first": judged.start, "level": judged.level, "limit": limits["progress"]}
        return Reading(run.state.first_step, {**known, **guessing(judged.level, chance)})

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        e = reading.evidence
        if "train" in e:
            return (
                f"The model memorises: the training loss has fallen to {reading.shown('train')}, and the validation "
                f"loss has never been below where training began (best {reading.shown('best')}, now "
                f"{reading.shown('level')}).",
                "Check that the validation data is of the same kind as the training data; weight decay and patience "
                "can bring delayed generalisation (grokking), but more data is surer.",
            )
        first, level, limit = map(reading.number, ("first", "level", "limit"))
        said = f"No progress: {number(first)} at the start, {number(level)} now"
        if level < first * (1 - limit):  # it fell in the first steps, before its first level was known
            said = f"No progress after the first steps: {number(first)} at the start, about {number(level)} ever since"
        return (
            f"{said} (a drop of {limit:.0%} would be progress).{at_chance(e)}",
            "Check the learning rate, that the optimiser holds the parameters, and that labels match inputs; try to "
            "overfit a single batch.",
        )


def _views(run: Features, limits: Mapping[str, float], firing: bool) -> list[View]:
    """The series that can be judged; none if it is too early to tell.

    A finding that the training loss caused before the first evaluations is not withdrawn because these are few.
    """
    train, val, state = run.train, run.val, run.state
    views = [view for view in (train, val) if view.n]
    least = limits["checks"]
    if not run.by_epoch:
        if state.train_seen < limits["points"] * (1 if val.n else 4):
            return []
        if state.train_seen >= 4 * limits["points"]:
            least /= 2
        if firing and val.closed < limits["checks"] / 2:
            views = [train]
    enough = train.closed >= limits["checks"] or not train.n
    return views if enough and (val.closed >= least or val not in views) else []


def _dead(view: View, limit: float) -> bool:
    """Whether a series is where it began and was never clearly below."""
    begin = _begin(view)
    gone = begin - view.now
    if gone > max(limit, LEARNED):
        return False  # most checks end here, before the noise is computed
    doubt = 3 * view.error(1)
    limit = max(limit, min(doubt, LEARNED))  # a fall of LEARNED is not noise, however much there is
    if gone > limit or begin - view.low > 2 * limit:
        return False
    fall, error = view.line
    goes_on = fall > 2 * error and fall > 0.2 * gone * (view.closed - 1 - view.fifth) / view.closed
    return not (goes_on and gone > max(min(_SLOW[0] * view.n, _SLOW[1]), doubt))


def _begin(view: View) -> float:
    """Where a series began, on the scale of `y`: recovering from an initial rise is not progress."""
    return view.log(min(view.centres[0], view.curve.first + 2 * view.roughness))


def _guesses(views: list[View], chance: float) -> bool:
    """Whether all series have been flat since their first twelfth, at one level, and that is the level of guessing."""
    if any(_fell(view) for view in views):
        return False
    last = views[-1].usual
    return (
        could_guess(last, chance)
        and abs(views[0].usual - last) <= _AGREE * abs(last)
        and all(_flat(view) for view in views)
    )


def _fell(view: View) -> bool:
    """Whether a series has come down too far to be `_flat`; needs neither its median nor its noise."""
    first, last = view.levels[min(max(1, view.closed // 12), view.closed - 1)], view.levels[-1]
    return first - view.base > math.exp(6 * _AGREE) * max(last - view.base, 1e-300)


def _flat(view: View) -> bool:
    begin = max(1, view.closed // 12)
    y, smooth = view.y[begin:], view.smooth[begin:]
    half = len(y) // 2
    if (
        len(y) < 4
        or view.noise > _AGREE
        or abs(middle(y[:half]) - middle(y[half:])) >= max(0.015, 2 * view.error(half))
    ):
        return False
    return max(smooth) - min(smooth) < max(0.01, 6 * view.noise)


def memory(run: Features) -> bool:
    """Whether training has learned, but validation is not below its own start and never was below training's."""
    val, train = run.val, run.train
    if not val.closed or not train.closed or train.log(train.levels[0]) - train.now < 0.3:
        return False
    return val.now >= val.log(val.curve.first) - 0.05 and memorises(val, train)
