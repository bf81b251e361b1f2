"""Rule `goal_unstable`: the goal swings so widely that its best value says little."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Severity
from monitor.domain.formats import number, position
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.rule import Evidence, Reading, Spec, Threshold


class GoalUnstable:
    """The typical swing from one evaluation to the next is a good part of everything gained so far.

    A reward that wanders is not a failure, so the rule is silent for policies and games.

    Source:
        Dodge et al., Fine-Tuning Pretrained Language Models: Weight Initializations, Data Orders, and Early Stopping
        (2020): the best of many noisy evaluations flatters a model.
    """

    spec = Spec(
        name="goal_unstable",
        severity=Severity.WARNING,
        rank=66,
        reads=(Role.GOAL,),
        patience=3,
        relief=3,
        thresholds={
            "swing": Threshold(default=0.35, low=0.01, high=10, doc="swing as a share of the way from start to best"),
            "checks": Threshold(default=12, low=6, high=1000, doc="buckets of the goal, at least"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the swings are wide and something was gained."""
        goal = run.goal
        if goal is None or goal.closed < limits["checks"] or run.policy:
            return None
        if goal.swing <= limits["swing"] * goal.way * (0.7 if firing else 1.0):
            return None
        if goal.smooth[0] - goal.low <= 2 * goal.noise:  # nothing was gained, so this is a plateau
            return None
        evidence: Evidence = {"goal": goal.goal.name, "swing": goal.swing, "way": goal.way, "limit": limits["swing"]}
        return Reading(goal.step[goal.closed // 2], evidence)

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The swing compared with the gain."""
        e = reading.evidence
        swing, way = reading.number("swing"), reading.number("way")
        return (
            f"{e['goal']} has swung by {number(swing, 3)} from one point to the next since "
            f"{position(unit, reading.onset)}, compared with a gain of {number(way, 3)} in all: its best value is "
            "partly luck.",
            "Evaluate on more examples, average the weights, or lower the learning rate; judge by an average, not "
            "by the best.",
        )
