"""Rule `convergence`: the loss has flattened out below its start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.describe.features import Features, View
from monitor.rules.rule import Reading, Spec, Threshold

GAIN: Final = Threshold(default=0.008, low=0, high=1, doc="share of the level gained over the last fifth")
WAY: Final = Threshold(default=0.03, low=0, high=1, doc="share of the way down gained over the last fifth")
_PLAINLY: Final = 0.25
"""Share of the level that is progress, whatever it is of the way."""
_LITTLE: Final = 0.03
"""Share of the level that is no small gain, so that the sentence says why the loss is called flat."""


class Convergence:
    """The loss has come down, and over the last fifth of the run it does not fall any more.

    It falls where a line through the last third goes down by twice its standard error, and the gain is `gain` of the
    level and `way` of the way down, or a quarter of the level. A loss that lies above its low by more than its noise
    is not flat either. Once it has converged, either takes twice as much.

    Source:
        The plateau criterion of learning-rate schedulers, made relative to the run's own way and length.
    """

    spec = Spec(
        name="convergence",
        version=6,
        severity=Severity.INFO,
        rank=95,
        reads_error=True,
        explained_by="drop",
        reads=(Role.TRAIN, Role.VAL),
        relief=3,
        thresholds={
            "gain": GAIN,
            "way": WAY,
            "points": Threshold(default=100, low=1, high=1e9, doc="training points, where there is no validation"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the gain is small."""
        view, state = run.judged, run.state
        if view.closed < 8 or (not state.val_seen and state.train_seen < limits["points"]):
            return None
        came = view.log(view.start) - view.low
        ease = 2.0 if firing else 1.0
        if came < max(0.05, 4 * view.noise) or view.rise > ease * max(0.05, 3 * view.noise):
            return None
        if falls(view, limits, ease):
            return None
        return Reading(
            view.step[view.fifth], {"gain": view.gain / (view.height + max(view.gain, 0.0)), "level": view.level}
        )

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        e = reading.evidence
        gain = float(e["gain"] or 0)
        gained = f"it came down by {gain:.1%}" if gain >= 0.0005 else "it gained nothing"
        if gain >= _LITTLE:
            gained += ", which is little beside its noise or the way that it has come"
        return (
            f"The loss has been flat since {unit} {reading.onset:g}, at {e['level']:.4g}: over the last fifth of the "
            f"run {gained}.",
            "Nothing is wrong; a lower learning rate may bring a little more.",
        )


def falls(view: View, limits: Mapping[str, float], ease: float) -> bool:
    """Whether the loss still falls, surely and by a good share of its level and of its way."""
    line, error = view.line
    enough = max(limits["gain"] * view.height, limits["way"] * view.reach)
    return line > 2 * error and view.gain > ease * min(enough, _PLAINLY * view.height)
