"""Rule `divergence`: the training loss rises and does not recover."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from monitor.domain import Action, Severity
from monitor.domain.formats import position
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.describe.trend import mann_kendall
from monitor.rules.describe.view import View
from monitor.rules.rule import LOUD, Quiet, Reading, Spec, Threshold

_HUGE: Final = 100
"""A loss that is above its lowest level by this many times all that it had covered does not come back."""
_NEVER: Final = 3
"""The first value is a single draw. It counts as the low only if the loss has stayed above this many times its
value."""
_FEW: Final = 6
"""This many buckets after the low, a rise must be twice as large as much later on; the sooner, the larger."""
_WARM: Final = 300
"""The same in points, for a loss that has not come down before: it may be warming up."""
_WAVE: Final = 0.4
"""A rise is waited out if a hump of at least this share of it has recovered: it may be the next, larger wave."""


class Divergence:
    """The training loss is above its low, certainly and by a good share of its level and its descent, and stays there.

    It stays if, for a while, it keeps six tenths of the climb and does not fall from level to level. The rule fires
    without waiting if the rise is three times as large as required and stays near its peak, if the climb is steady, if
    the loss explodes, or if it is not finite. A rise like one that has recovered before is waited out. Soon after the
    low, the rise must be larger.

    Source:
        AutoTrainer (Zhang et al., ICSE 2021), exploding and oscillating loss.
    """

    spec = Spec(
        name="divergence",
        version=8,
        severity=Severity.CRITICAL,
        rank=8,
        action=Action.STOP,
        reads_error=True,
        explained_by="rise",
        reads=(Role.TRAIN,),
        urgent=True,
        counts=True,
        patience=3,
        hold=0.1,
        relief=6,
        thresholds={
            "rise": Threshold(default=0.16, low=0.02, high=100, doc="rise as a share of the lowest level"),
            "share": Threshold(default=0.1, low=0, high=1, doc="rise, as a share of the level and of the way"),
            "z": Threshold(default=6, low=1, high=100, doc="rise in standard errors"),
            "confirm": Threshold(default=2, low=1, high=1000, doc="non-finite training losses in a row"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the level stays up, or the loss is not finite."""
        state, view = run.state, run.descent
        if state.nan_train >= limits["confirm"] or (state.nan_train and view.closed >= 4 and _blew(view)):
            return Reading(state.nan_train_first, {"non_finite_in_a_row": int(state.nan_train)}, sure=True)
        if view.closed < 4:
            return None
        least = min(_latest(view)[-3:])
        if (
            least > view.lowest + _HUGE * abs(view.curve.first)
            and least > _burst(view)
            and view.xs[-1] >= 0.9 * view.xs[-2]
        ):
            evidence = {"level": view.xs[-1], "low": view.lowest, "rise": math.inf}
            return Reading(view.step[-2], evidence, sure=True)
        return self._lost(run, view, limits, firing)

    def _lost(self, run: Features, view: View, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the rise since the low persists, and is not just what the weights of the parts added."""
        at, low = _low(view)
        least = low  # base of the rise; its shape is read from the curve itself, whatever the weights added
        if at >= 0 and run.state.parts is not None:
            least = view.log(view.loss(low) + max(run.parts.reweighted(view.step[at]), 0.0))
        rise, ease = view.now - least, 0.6 if firing else 1.0
        if rise < ease * math.log1p(limits["rise"]):
            return None  # most checks end here, before the noise is computed
        few = _FEW if view.learned else max(_FEW, _WARM / view.size)
        soon = 1.0 if firing else 1 + few / (view.closed - at)
        if rise < ease * soon * math.log1p(limits["rise"]) or rise < ease * limits["z"] * view.error(3):
            return None
        if at >= 0 and view.share(view.loss(least), view.level) < ease * limits["share"]:
            return None
        smooth, peak = view.smooth, max(*view.smooth[max(at, 0) :], view.now)
        if at >= 0 and view.now < low + 0.6 * (peak - low):
            return None
        if not firing and (_falls(view, view.now - low) or view.seen_before(view.now - low, _WAVE)):
            return None
        at = max(at, 0)
        onset = next((i for i in range(at, view.closed) if smooth[i] > low + 0.5 * (view.now - low)), view.closed - 1)
        last = view.xs[-3:]
        flat = view.log(min(last)) >= low + 0.8 * (peak - low) and last[-1] >= 0.98 * last[0]
        stays = flat and rise >= 3 * soon * math.log1p(limits["rise"])
        tau, trend = mann_kendall(np.array(view.y[at:]))
        evidence = {"level": view.level, "low": view.loss(low), "rise": math.expm1(min(rise, 700.0))}
        return Reading(view.step[onset], evidence, sure=stays or (tau >= 0.6 and trend >= 3))

    def quiet(self, run: Features, limits: Mapping[str, float], firing: bool) -> Quiet:
        """Levels that are not an explosion, if the last two buckets rule out a rise whatever comes next."""
        view = run.descent
        if firing:
            return LOUD
        if view.closed < 4:
            return Quiet()
        rise = view.log(max(view.centres[-2:])) - _low(view)[1]  # the level is the median of these two and the next
        return LOUD if rise >= math.log1p(limits["rise"]) else Quiet(level=_burst(view))

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        e = reading.evidence
        advice = (
            "Go back to a checkpoint from before the rise, and lower the learning rate or clip gradients; "
            "a warm-up helps where it began early."
        )
        if "level" not in e:
            many = f"({e['non_finite_in_a_row']} in a row)"
            return f"The training loss has been non-finite since {position(unit, reading.onset)} {many}.", advice
        return (
            f"The training loss has been up since {position(unit, reading.onset)} and is not coming back: "
            f"{reading.shown('level')} now, {reading.shown('low')} at its lowest level.",
            advice,
        )


def _low(view: View) -> tuple[int, float]:
    """Index and level of the low; -1 and the first value if the loss has never come back to it."""
    first, lowest = view.curve.first - view.zero, view.lowest - view.zero
    if lowest > _NEVER * first and lowest - first > 2 * view.roughness:
        return -1, view.log(view.curve.first)
    return view.low_at, view.low


def _falls(view: View, rise: float) -> bool:
    """Whether at least the last three levels fall one after the other, by a good part of the rise."""
    xs = view.xs
    at = len(xs) - 1
    while at and xs[at - 1] > xs[at]:
        at -= 1
    return len(xs) - at > 2 and view.log(xs[at]) - view.log(xs[-1]) > max(0.1 * rise, 3 * view.noise)


def _latest(view: View) -> list[float]:
    """The latest levels at the finest resolution: the last closed buckets, and the open bucket's quarters."""
    return [*view.centres[-3:], *view.quarters]


def _blew(view: View) -> bool:
    """Whether a recent value is so far above all others that a non-finite one after it is not an accident."""
    return max(view.curve.top, view.curve.last) > _burst(view)


def _burst(view: View) -> float:
    """The level above which a loss has exploded."""
    before = view.centres[: max(1, view.closed - 3)]
    return view.lowest + _HUGE * max(max(before) - min(before), abs(view.curve.first))
