"""Rule `metric_missing`: validation losses stop arriving."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitor.domain import Severity
from monitor.domain.formats import position
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.rule import Reading, Spec, Threshold

_LEAST: Final = 5
"""Up to this many training points do not count as a wait."""


class MetricMissing:
    """The training loss continues, but no validation loss has arrived for much longer than usual.

    Usual is the longest wait so far, including the one for the first evaluation, so that rare evaluations are not
    reported as missing. A run that has never logged a validation loss misses none. This is the verdict only if there is
    nothing else to say.

    Source:
        Prometheus `absent()`.
    """

    spec = Spec(
        name="metric_missing",
        version=3,
        severity=Severity.WARNING,
        rank=100,
        reads_error=True,
        reads=(Role.TRAIN, Role.VAL),
        relief=1,
        counts=True,
        thresholds={"gap": Threshold(default=4, low=1, high=1e6, doc="wait in multiples of the longest wait so far")},
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while validation is overdue."""
        state = run.state
        waited = state.train_seen - state.val_at
        allowed = limits["gap"] * max(state.val_gap, _LEAST)
        if state.val_seen < 2 or waited <= allowed:
            return None
        return Reading(state.val_step, {"waited": int(waited), "allowed": allowed, "val_points": int(state.val_seen)})

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        e = reading.evidence
        return (
            f"No validation loss for {e['waited']} training points, since {position(unit, reading.onset)}; "
            f"at most {e['allowed']:g} would be usual.",
            "Log a validation loss regularly; without it, neither overfitting nor convergence can be seen.",
        )
