"""Rule `goal_decline`: the goal was better before and is not recovering."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Action, Severity
from monitor.domain.formats import number, position
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.rule import Reading, Spec, Threshold

_OF_POLICIES = 0.5
"""A reward must lose at least this share of what it had gained, or it may just be wandering."""


class GoalDecline:
    """The metric that the training optimises for has lost a good part of what it had gained.

    The decline must exceed the noise, be larger than any decline that recovered before, and larger than a share of the
    gain. The return of a policy wanders, so it must lose half of its gain.

    Source:
        Early stopping on the validation metric: Prechelt, Early Stopping - But When? (1998), generalisation loss.
    """

    spec = Spec(
        name="goal_decline",
        severity=Severity.WARNING,
        rank=22,
        action=Action.INVESTIGATE,
        reads=(Role.GOAL,),
        patience=3,
        thresholds={
            "share": Threshold(default=0.1, low=0, high=1, doc="what is lost, as a share of the way to the best"),
            "checks": Threshold(default=8, low=4, high=1000, doc="buckets of the goal, at least"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the goal is well below its best."""
        goal = run.goal
        if goal is None or goal.closed < limits["checks"]:
            return None
        share, ease = max(limits["share"], _OF_POLICIES) if run.policy else limits["share"], 0.7 if firing else 1.0
        if goal.fall <= ease * share * goal.way:
            return None  # most checks end here, before the noise is computed
        enough = max(share * goal.way, 4 * goal.noise, 1.33 * goal.recovered)
        if not goal.gained:  # there is no gain to lose, so only a fall of the level itself counts
            enough = max(enough, share * abs(goal.level))
        if goal.fall <= ease * enough:
            return None
        shown = goal.goal.shown
        return Reading(
            goal.step[goal.low_at],
            {
                "goal": goal.goal.name, "best": goal.goal.best, "best_step": goal.curve.best_step,
                "now": shown(goal.level), "lost": goal.fall / goal.way, "limit": share,
            },
        )  # fmt: skip

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The best value and the current one."""
        e = reading.evidence
        best, now, lost = map(reading.number, ("best", "now", "lost"))
        at = reading.number("best_step")
        what = f"{lost:.0%} of what it had gained" if lost < 1 else "more than it had gained"
        return (
            f"{e['goal']} is at {number(now)}, after {number(best)} at {position(unit, at)}: {what} is lost and has "
            "not come back.",
            f"Go back to the checkpoint of {position(unit, at)}; try a lower learning rate, more regularisation, or a "
            "shorter run.",
        )
