"""Rule `improving`: the loss is still falling."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Severity
from monitor.domain.formats import position
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.rule import Reading, Spec
from monitor.rules.rules.convergence import GAIN, WAY, above_low, falls


class Improving:
    """Over the last fifth of the run the loss fell, certainly and by a good share of its level and of its descent.

    It must be at its lowest level: a loss that is recovering from a rise makes no progress yet.

    Source:
        The complement of `convergence`; a run that improves must not be stopped.
    """

    spec = Spec(
        name="improving",
        version=3,
        severity=Severity.INFO,
        rank=99,
        reads_error=True,
        explained_by="drop",
        reads=(Role.TRAIN, Role.VAL),
        relief=3,
        thresholds={"gain": GAIN, "way": WAY},
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the loss falls."""
        view = run.judged
        if view.closed < 8 or not falls(view, limits, 0.8 if firing else 1.0) or above_low(view, 1.0):
            return None
        return Reading(view.step[view.fifth], view.lately)

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        then = position(unit, reading.number("since"))
        fell = f"about {reading.shown('level')} now, {reading.shown('before')} around {then}"
        return f"The loss is still falling: {fell}.", "More steps should lower it further."
