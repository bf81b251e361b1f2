"""Rule `metric_missing`: validation never arrives, or stops arriving."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Action, Severity
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.rule import Reading, Spec, Threshold


class MetricMissing:
    """The training loss goes on, and no validation loss has come for much longer than it used to take.

    A silent metric is not a healthy one: without validation neither overfitting nor convergence can be told.

    Source:
        Prometheus `absent()`.
    """

    spec = Spec(
        name="metric_missing",
        version=2,
        severity=Severity.WARNING,
        rank=44,
        action=Action.INVESTIGATE,
        reads_error=True,
        reads=(Role.TRAIN, Role.VAL),
        relief=1,
        counts=True,
        thresholds={
            "gap": Threshold(default=4, low=1, high=1e6, doc="wait in multiples of the longest wait so far"),
            "never": Threshold(default=1000, low=1, high=1e12, doc="training points without any validation loss"),
            "never_epochs": Threshold(default=20, low=1, high=1e12, doc="the same for a run logged by the epoch"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:  # noqa: ARG002 - the protocol asks for it
        """Holds while validation is overdue."""
        state = run.state
        waited = state.train_seen - state.val_at
        if not state.val_seen and state.goal is not None and state.goal.curve.n:
            return None  # what is evaluated is the goal
        if state.val_seen > 2:
            allowed = limits["gap"] * max(state.val_gap, 5.0)
            onset = state.val_step
        else:
            allowed = limits["never_epochs" if state.unit == "epoch" else "never"]
            onset = state.val_step if state.val_seen else state.first_step
        if waited <= allowed or not state.train_seen:
            return None
        return Reading(onset, {"waited": int(waited), "allowed": allowed, "val_points": int(state.val_seen)})

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        e = reading.evidence
        what = "has stopped arriving" if e["val_points"] else "has never arrived"
        return (
            f"The validation loss {what}: {e['waited']} training points since {unit} {reading.onset:g} without one, "
            f"{e['allowed']:g} would be usual at most.",
            "Log a validation loss regularly; without it neither overfitting nor convergence can be told.",
        )
