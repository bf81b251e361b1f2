"""Rule `divergence`: the training loss goes up for good."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.features import Features, View
from monitor.rules.rule import LOUD, Quiet, Reading, Spec, Threshold

_HUGE: Final = 100
"""Times all that a loss had covered from which it does not come back."""

NEVER: Final = 3
"""Times its first value that a loss which never came back to it must lie above it."""


class Divergence:
    spec = Spec(
        name="divergence",
        version=5,
        severity=Severity.CRITICAL,
        reads=(Role.TRAIN,),
        urgent=True,
        counts=True,
        patience=2,
        hold=0.05,
        relief=6,
        thresholds={
            "rise": Threshold(default=0.2, low=0.02, high=100, doc="rise as a share of the lowest level"),
            "lost": Threshold(default=0.1, low=0, high=10, doc="rise as a share of what the loss has come down by"),
            "z": Threshold(default=6, low=1, high=100, doc="rise in standard errors"),
            "confirm": Threshold(default=2, low=1, high=1000, doc="non-finite training losses in a row"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the level stays up, or the loss is not finite."""
        state, view = run.state, run.descent
        if state.nan_train >= limits["confirm"]:
            return Reading(state.nan_train_first, {"non_finite_in_a_row": int(state.nan_train)}, sure=True)
        if view.closed < 4:
            return None
        burst = _explosion(view)
        if burst:
            return Reading(view.step[-2], {"level": view.xs[-1], "low": view.lowest, "needed": burst}, sure=True)
        ease = 0.6 if firing else 1.0
        low_at, low, rise = view.low_at, view.low, view.rise
        first = view.log(view.curve.first)
        if first < low - math.log(NEVER) and view.level - view.curve.first > 0.5 * limits["z"] * view.roughness:
            # it has never come back to where it began
            low_at, low, rise = 0, first, view.now - first
        few = 100 if run.state.unit == "step" else 5
        points = (view.closed - low_at) * view.size
        if rise < ease * math.log1p(limits["rise"]) * (1 if firing else 1 + few / points):
            return None
        lost = view.level - view.loss(low)
        if lost < ease * limits["lost"] * view.reach or rise < ease * limits["z"] * view.error(3):
            return None
        peak_at = max(range(low_at, view.closed), key=view.smooth.__getitem__)
        peak = max(view.smooth[peak_at], view.now)
        before = view.came_back(0.7 * rise)
        since = view.closed - 1 - low_at
        comes_back = view.now < low + 0.6 * (peak - low) or (_falling(view) and not firing)
        if comes_back or (not firing and before and since <= 2 * before + 1):
            return None
        onset = next(i for i in range(low_at, view.closed) if view.smooth[i] > low + 0.5 * rise or i == view.closed - 1)
        climbs = since >= 4 and all(a <= b + view.noise for a, b in zip(view.smooth[-4:], view.smooth[-3:], strict=False))
        evidence = {"level": view.level, "low": view.loss(low), "rise": rise, "needed": limits["rise"]}
        return Reading(view.step[onset], evidence, sure=climbs and rise >= 2 * math.log1p(limits["rise"]))

    def quiet(self, run: Features, limits: Mapping[str, float], firing: bool) -> Quiet:
        """Levels that are no explosion, where the last two buckets leave nothing lost whatever comes."""
        return LOUD

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        e = reading.evidence
        advice = (
            "Stop, go back to a checkpoint from before the rise, and lower the learning rate or clip gradients; "
            "a warm-up helps where it began early."
        )
        if "level" not in e:
            return (
                f"The training loss has been non-finite since {unit} {reading.onset:g} "
                f"({e['non_finite_in_a_row']} in a row).",
                advice,
            )
        return (
            f"The training loss has been up since {unit} {reading.onset:g} and is not coming back: {e['level']:.4g} now, {e['low']:.4g} at its "
            f"lowest.",
            advice,
        )


def _falling(view: View) -> bool:
    a, b, c = view.xs[-3:]
    return a > b > c and view.log(a) - view.log(c) > max(0.1 * view.rise, 3 * view.noise)


def _explosion(view: View) -> float:
    """The rise that the latest levels have far exceeded, 0 where they have not."""
    x = [*view.centres[-3:], *view.curve.quarters]
    before = view.centres[: max(1, view.closed - 3)]
    scale = _HUGE * max(max(before) - min(before), abs(view.curve.first))
    return scale if len(x) > 3 and min(x[-2:]) > view.lowest + scale and x[-1] >= 0.9 * x[-2] else 0.0
