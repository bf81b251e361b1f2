"""Rule `convergence`: the loss has flattened out below its start."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.features import Features, View
from monitor.rules.rule import Reading, Spec, Threshold

FALL = 0.008
WAY = 0.03
PLAINLY = 0.25


def falls(view: View, share: float) -> bool:
    """Whether the loss still falls: over its last fifth, by so much of its level and of its range, and surely."""
    line, error, _ = view.line
    return line > 2 * error and view.gain > min(max(share * view.height, WAY * view.reach), PLAINLY * view.height)


class Convergence:
    spec = Spec(
        name="convergence",
        version=5,
        severity=Severity.INFO,
        reads=(Role.TRAIN, Role.VAL),
        relief=3,
        thresholds={
            "gain": Threshold(default=FALL, low=0, high=1, doc="share of the level gained over the last fifth"),
            "points": Threshold(
                default=100, low=1, high=1e9, doc="training points, where they are logged by the step without validation"
            ),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the gain is small."""
        view, state = run.judged, run.state
        if view.closed < 8 or run.diverging or run.told("overfitting"):
            return None
        if run.fires("stagnation") or run.fires("oscillation"):
            return None
        if state.unit == "step" and not state.val_seen and state.train_seen < limits["points"]:
            return None
        came = view.log(view.start) - view.low
        if came < 0.05 or came < 4 * view.noise or view.rise > max(0.05, 3 * view.noise):
            return None
        if falls(view, limits["gain"] * (1.25 if firing else 1.0)):
            return None
        evidence = {"gain": view.gain / max(view.height, 1e-300), "limit": limits["gain"], "level": view.level, "range": view.range, "noise": view.noise}
        return Reading(view.step[view.fifth], evidence)

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        e = reading.evidence
        gain = float(e["gain"] or 0)
        gained = f"gained {gain:.1%}" if gain >= 0.0005 else "gained nothing"
        return (
            f"The loss has been flat since {unit} {reading.onset:g}, at {e['level']:.4g}: the last fifth of the run {gained}.",
            "Continuing gains little at this learning rate; lower it, or finish.",
        )
