"""Rule `spike`: the training loss jumps and recovers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from monitor.domain import Severity
from monitor.domain.formats import position
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.describe.schedule import restarted
from monitor.rules.describe.view import View
from monitor.rules.rule import Reading, Spec, Threshold
from monitor.rules.sketch.noise import middle, second_differences

_LOOK_BACK: Final = 4
"""The number of latest closed buckets that are searched for a jump."""
_LEAST: Final = 8
"""Buckets before a jump that suffice to tell the run's noise; with fewer, the jump must be larger."""

_ALL: Final = 0.9
"""A jump of this share, which is nearly all of the level and of the descent, counts however early it comes."""


class Spike:
    """The largest value of a recent bucket is far above the level before it, and the level after it is not.

    Far means a good share of the level and of the descent, many times the noise of a point, and `record` times the
    largest jump before it. That record leaves out the first quarter of the run, where a loss falls most, and the most
    extreme sixteenth of the buckets, which may be spikes themselves. The rule fires once half of the jump is gone. A
    jump right after the learning rate rose, as at a warm restart, is attributed to the schedule.

    Source:
        Tukey's fences on first differences; PaLM (Chowdhery et al., 2022), section 5.1, for loss spikes in practice.
    """

    spec = Spec(
        name="spike",
        version=7,
        severity=Severity.WARNING,
        rank=40,
        reads_error=True,
        explained_by="rise",
        reads=(Role.TRAIN,),
        relief=1,
        passing=True,
        thresholds={
            "jump": Threshold(default=0.08, low=0, high=1, doc="jump, as a share of the level and of the way"),
            "z": Threshold(default=9, low=1, high=1000, doc="jump in multiples of the noise of a point"),
            "record": Threshold(default=3, low=0, high=1000, doc="jump in multiples of the largest one before it"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while one of the latest buckets has a jump that has recovered."""
        view = run.train
        x, peak = view.centres, view.curve.peak
        last = view.closed - (1 if view.size < 4 else 0)
        for i in range(last - 1, max(2, last - _LOOK_BACK) - 1, -1):
            top, before = x[i] + peak[i], x[max(0, i - 3) : i]
            base = min(middle(before), x[i - 1])
            jump = top - base
            few = max(1.0, _LEAST / i)
            if top <= max(before) + 0.5 * jump:
                continue
            if view.share(base, top) <= min(limits["jump"] * few**2, max(limits["jump"], _ALL)):
                continue
            if jump <= few * limits["z"] * _noise(view, i) or jump <= few * limits["record"] * _tail(view, i):
                continue
            if i == view.closed - 1 and 2 * view.curve.top_at > view.step[i - 1] + view.step[i]:
                continue  # too little of the bucket follows its top to show that the loss came back
            after = min([*x[i + 1 :], view.xs[-1]])
            if after > _half(view, base, top) or restarted(run, view.step[i - 2], view.step[i]):
                continue
            at = view.curve.top_at if i == view.closed - 1 else view.step[i]
            return Reading(at, {"level": base, "top": top, "after": after})
        return None

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        return (
            f"The training loss jumped from {reading.shown('level')} to {reading.shown('top')} at "
            f"{position(unit, reading.onset)} and came back to {reading.shown('after')}.",
            "Look at the batch at this step; clip gradients or lower the learning rate if it happens again.",
        )


def _half(view: View, base: float, top: float) -> float:
    """Below this level half of a jump is gone: by difference, or by ratio if the jump exceeds the whole descent.

    By difference, a loss that grows by a factor at each step would come back from its last point in each bucket.
    """
    zero = view.base - view.range
    low, high = base - zero, top - zero
    return zero + math.sqrt(low * high) if low > 0 else base + 0.5 * (top - base)


def _noise(view: View, i: int) -> float:
    """Noise of a point, from the ten buckets before bucket i: later ones may be shoulders of the jump."""
    first = max(0, i - 10)
    return second_differences(view.centres[first:i]) if view.size == 1 else middle(view.curve.noise[first:i]) / 0.954


def _tail(view: View, i: int) -> float:
    """The largest jump in a bucket before bucket i, without the first quarter and the most extreme sixteenth."""
    x, peak = view.centres, view.curve.peak
    jumps = sorted(x[j] + peak[j] - middle(x[max(0, j - 3) : j]) for j in range(max(1, i // 4), i))
    return max(jumps[-1 - len(jumps) // 16], 0.0)
