"""Rule `spike`: a jump of the training loss that comes back."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.features import Features
from monitor.rules.noise import middle
from monitor.rules.rule import Reading, Spec, Threshold
from monitor.rules.schedule import restarted

LOOK_BACK = 4
"""Closed buckets in which a jump is looked for."""


class Spike:
    """The largest value of a recent bucket lies far above the level before it, and the level after it does not.

    Fires once the loss is on its way back, which tells a spike from a shift of the level; onset is the jump itself.
    Where every bucket has such a value, in noise with a heavy tail, few are spikes: it must exceed the run's own tail,
    the largest deviation before it, `record` times; but those of the first quarter of that time, where a loss falls
    most, and of one bucket in sixteen, which may be spikes themselves.
    It must exceed the level, or all that the loss has come down by, where that is less.
    A jump right after the learning rate rose, as at a warm restart, is the schedule's, and no spike.

    Source:
        Tukey's fences on first differences; PaLM (Chowdhery et al., 2022), section 5.1, for loss spikes in practice.
    """

    spec = Spec(
        name="spike",
        version=3,
        severity=Severity.WARNING,
        reads=(Role.TRAIN,),
        relief=1,
        thresholds={
            "z": Threshold(default=12, low=1, high=1000, doc="jump in multiples of the noise of a point"),
            "share": Threshold(default=0.2, low=0, high=100, doc="jump as a share of the range"),
            "tail": Threshold(
                default=3, low=0, high=1000, doc="jump in multiples of a bucket's usual largest deviation"
            ),
            "record": Threshold(
                default=2.5, low=0, high=1000, doc="jump in multiples of the largest deviation before it"
            ),
            "back": Threshold(default=0.5, low=0, high=1, doc="share of the jump that must have gone again"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:  # noqa: ARG002 - the protocol asks for it
        """Holds while one of the last buckets has a jump that has come back."""
        view = run.train
        x, peak = view.curve.x, view.curve.peak
        last = view.closed - (1 if view.size < 4 else 0)
        need = None
        for i in range(last - 1, max(1, last - 1 - LOOK_BACK), -1):
            top = x[i] + peak[i]
            before = sorted(x[max(0, i - 3) : i])
            base = before[len(before) // 2]
            jump = top - base
            least = min(abs(base), view.range)  # whichever says more of the loss's size: zero may be far away
            if jump <= least or top <= before[-1] + 0.5 * jump:
                continue
            if need is None:
                usual = middle(peak[view.closed // 2 :])  # how far the largest value of a bucket lies above it
                need = max(limits["z"] * view.roughness, limits["share"] * view.range, limits["tail"] * usual)
            if jump <= max(need, limits["record"] * _tail(peak[i // 4 : i])):
                continue
            if restarted(run, view.step[max(0, i - 2)], view.step[i]):
                continue
            after = min([*x[i + 1 :], view.xs[-1]]) if view.size < 4 else min([x[i], *x[i + 1 :], view.xs[-1]])
            if after <= base + (1 - limits["back"]) * jump:
                at = view.curve.top_at if i == view.closed - 1 else view.step[i]
                return Reading(at, {"jump": jump, "needed": max(need, least), "level": base, "top": top})
        return None

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        e = reading.evidence
        return (
            f"The training loss jumped from {e['level']:.4g} to {e['top']:.4g} at {unit} {reading.onset:g} and came "
            f"back; a jump of {e['needed']:.2g} would have been enough to tell.",
            "Look at the batch at this step; clip gradients or lower the learning rate if it happens again.",
        )


def _tail(peaks: list[float]) -> float:
    """The largest deviation of a bucket, the most extreme sixteenth of the buckets aside; 0 without buckets."""
    return sorted(peaks)[-1 - len(peaks) // 16] if peaks else 0.0
