"""Rule `goal_plateau`: the goal has stopped improving, or never began to."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Severity
from monitor.domain.formats import position
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.rule import Evidence, Reading, Spec, Threshold


class GoalPlateau:
    """The goal has not improved over the later half of the run.

    Source:
        Keras `ReduceLROnPlateau` and `EarlyStopping`: no improvement over a patience, here a share of the run.
    """

    spec = Spec(
        name="goal_plateau",
        severity=Severity.INFO,
        rank=96,
        reads=(Role.GOAL,),
        patience=2,
        thresholds={
            "gain": Threshold(default=0.02, low=0, high=1, doc="what would be a gain, as a share of the way so far"),
            "half": Threshold(default=0.5, low=0.05, high=0.95, doc="share of the run over which nothing was gained"),
            "checks": Threshold(default=12, low=6, high=1000, doc="buckets of the goal, at least"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the best level is an old one."""
        goal = run.goal
        if goal is None or goal.closed < limits["checks"]:
            return None
        cut = min(max(int(goal.closed * (1 - limits["half"])), 2), goal.closed - 1)
        before, after = min(goal.smooth[:cut]), min(goal.smooth[cut:])
        gain = before - after
        if gain > max(limits["gain"] * goal.way, goal.noise) * (1.5 if firing else 1.0):
            return None
        evidence: Evidence = {
            "goal": goal.goal.name, "best": goal.goal.best, "best_step": goal.curve.best_step,
            "now": goal.goal.shown(goal.level), "gained": goal.gained,
            "before": goal.goal.shown(before), "noisy": gain <= goal.noise,
        }  # fmt: skip
        return Reading(goal.step[cut - 1], evidence)

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The level, and since when it has been there."""
        e = reading.evidence
        now, best, at = reading.shown("now"), reading.shown("best"), reading.number("best_step")
        if not e["gained"]:
            return (
                f"{e['goal']} has not improved since the start: {now} now, {best} at best, within its noise.",
                "Check that the metric is computed from the model's outputs, and look at the loss and the data.",
            )
        # Name one step only: that of the best value, or the one since which it has gained no more than its noise.
        since = position(unit, reading.onset)
        if at <= reading.onset:
            said = f"has not improved since its best of {best} at {position(unit, at)}: {now} now."
        elif e["noisy"]:
            said = f"has gained no more than its noise since {since}: {now} now, {best} at best."
        else:
            said = f"has gained little since {since}: {now} now, {reading.shown('before')} before."
        return (f"{e['goal']} {said}", "A lower learning rate may help; just continuing is not expected to gain much.")
