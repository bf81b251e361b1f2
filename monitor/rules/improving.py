"""Rule `improving`: the loss is still falling."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.features import Features
from monitor.rules.rule import Reading, Spec, Threshold


class Improving:
    """Over the last fifth of the run the validation loss gained a noticeable share of its range, beyond its noise.

    Source:
        The complement of `convergence`; a run that improves must not be stopped.
    """

    spec = Spec(
        name="improving",
        severity=Severity.INFO,
        reads=(Role.TRAIN, Role.VAL),
        patience=2,
        relief=2,
        thresholds={
            "gain": Threshold(default=0.012, low=0, high=1, doc="share of the range gained over the last fifth"),
            "relative": Threshold(
                default=0.3, low=0, high=1, doc="share of the loss itself gained over the last fifth"
            ),
            "z": Threshold(default=2, low=1, high=100, doc="gain in multiples of the noise of a bucket"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the gain is there."""
        view = run.judged
        if view.closed < 8 or view.range <= 0.05 * abs(view.start) or run.diverging or run.fires("convergence"):
            return None
        gain, ease = view.gain, 0.8 if firing else 1.0
        large = gain >= ease * limits["gain"] * view.range or view.relative_gain >= limits["relative"]
        if not large or view.range <= 4 * view.sigma or gain < ease * limits["z"] * view.noise:
            return None
        return Reading(view.step[view.fifth], {"gain": gain / view.range, "limit": limits["gain"], "level": view.level})

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        e = reading.evidence
        gain, level = float(e["gain"] or 0), float(e["level"] or 0)
        gained = f"it gained {gain:.1%} of the whole range"
        if gain < 0.0005:  # `relative` decided
            gained = f"it came down by a good part, to {level:.4g}"
        return f"The loss is still falling: since {unit} {reading.onset:g} {gained}.", "Let it run."
