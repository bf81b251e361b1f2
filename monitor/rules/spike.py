"""Rule `spike`: a jump of the training loss that comes back."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.features import Features
from monitor.rules.rule import Reading, Spec, Threshold


class Spike:
    """The largest value of a bucket lies far above its neighbours, beyond noise and a share of the range.

    Source:
        Tukey's fences on first differences; PaLM (Chowdhery et al., 2022), section 5.1, for loss spikes in practice.
    """

    spec = Spec(
        name="spike",
        severity=Severity.WARNING,
        reads=(Role.TRAIN,),
        patience=1,
        relief=2,
        thresholds={
            "z": Threshold(default=15, low=1, high=1000, doc="jump in multiples of the noise of a point"),
            "share": Threshold(default=0.3, low=0, high=100, doc="jump as a share of the range"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:  # noqa: ARG002 - the protocol asks for it
        """Holds while the last closed bucket has a jump above the level before it."""
        view = run.train
        if view.closed < 8:
            return None
        base = sorted(view.curve.x[-6:-1])[2]
        jump = view.curve.x[-1] + view.curve.peak[-1] - base
        need = max(limits["z"] * max(view.roughness, view.sigma), limits["share"] * view.range)
        if jump < need:
            return None
        return Reading(view.curve.top_at, {"jump": jump, "needed": need, "level": base})

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        e = reading.evidence
        return (
            f"The training loss jumped by {e['jump']:.3g} above its level of {e['level']:.4g} at {unit} "
            f"{reading.onset:g}; a jump of {e['needed']:.2g} would have been enough to tell.",
            "Look at the batch at this step; clip gradients or lower the learning rate if it happens again.",
        )
