"""Rule `convergence`: the loss has flattened out below its start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitor.domain import Severity
from monitor.domain.formats import position
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.describe.view import View
from monitor.rules.rule import Reading, Spec, Threshold

GAIN: Final = Threshold(default=0.008, low=0, high=1, doc="share of the level gained over the last fifth")
WAY: Final = Threshold(default=0.03, low=0, high=1, doc="share of the way down gained over the last fifth")
_PLAINLY: Final = 0.1
"""A gain of this share of the level is progress, whatever its share of the descent."""
_MAYBE: Final = 0.12
"""A loss is flat only if its fall over the last fifth, plus one standard error, is at most this share of its whole
descent. That is well below its average pace, so that a slow steady fall in noise is not called flat."""
_LEARNED: Final = 0.05
"""Either loss has come down by this, as a logarithm: the model has learned, however little validation shows of it."""
_LITTLE: Final = 0.03
"""A change by at least this share of the level does not look small, so the sentence says why that is flat."""


class Convergence:
    """The loss has come down, and over the last fifth of the run it no longer falls.

    It is falling if a line through the last third certainly goes down and the gain exceeds `gain` of the level and
    `way` of the descent, or a tenth of the level. A loss that is above its low by more than its noise is not flat
    either. Nor is a loss that, within its noise, may still be falling nearly as fast as it has on average: it is
    neither flat nor improving. While the finding fires, each of these limits is half as large again.

    Source:
        The plateau criterion of learning-rate schedulers, relative to the run's own descent and length.
    """

    spec = Spec(
        name="convergence",
        version=8,
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
        """Holds while the loss is flat."""
        view, state = run.judged, run.state
        if view.closed < 8 or (not state.val_seen and state.train_seen < limits["points"]):
            return None
        came = view.came
        ease = 1.5 if firing else 1.0
        if (
            (came < _LEARNED and run.descent.came < _LEARNED)
            or falls(view, limits, ease)
            or above_low(view, ease)
            or came < 4 * view.noise
        ):
            return None
        line, error = view.line  # a line that fits badly, as through a step, does not tell the pace
        if error < max(2 * view.noise, 0.01) and line + error > ease * _MAYBE * min(came, 1.0):
            return None
        return Reading(view.step[view.fifth], view.lately)

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        then = position(unit, reading.number("since"))
        said = f"The loss is flat: about {reading.shown('level')} now, {reading.shown('before')} around {then}"
        gain = reading.number("gain")
        if abs(gain) >= _LITTLE:
            said += (
                f", a {'gain' if gain > 0 else 'rise'} that is small compared with its noise or with its whole descent"
            )
        return (f"{said}.", "Nothing is wrong; a lower learning rate may bring a little more.")


def above_low(view: View, ease: float) -> bool:
    """Whether the loss is above its lowest level by more than noise: recovering from a rise is not progress."""
    return view.rise > ease * 0.05 and view.rise > ease * 3 * view.noise


def falls(view: View, limits: Mapping[str, float], ease: float) -> bool:
    """Whether the loss still falls, certainly and by a good share of its level and of its descent."""
    enough = max(limits["gain"] * view.height, limits["way"] * view.reach)
    if view.gain <= ease * min(enough, _PLAINLY * view.height):
        return False  # before the line, which costs more
    line, error = view.line
    return line > 2 * error
