"""Losses that cannot be read as an error: those of a game, and a loss below zero about which nothing is known.

In a game, only non-finite losses are judged: a critic's loss that rises, a generator's loss that rises, or a value loss
that grows with the returns may all be good signs. If a run does not say what its loss is, and its level has been below
zero, the rules run and their findings stand, but no stop is advised because of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from monitor.domain import Action, Finding
from monitor.roles.name import name_of
from monitor.rules.describe.goal import GoalView
from monitor.rules.registry import spec_of
from monitor.rules.rule import Rule
from monitor.rules.sketch.goal import Goal
from monitor.rules.sketch.state import VAL, State

if TYPE_CHECKING:
    from monitor.rules.config import RuleSettings

GAME: Final = "As in a game, a lower loss does not mean a better model here: it is only judged for being finite."
NAME_IT: Final = "if it matters more than the loss, name it as the goal, and no stop is advised while it improves"
DOUBT: Final = (
    " The loss has been below zero and the run does not say which loss it is, so its level may not measure an error: "
    "no stop is advised. Name the loss with loss=, a game as losses.Adversarial."
)


def read(state: State, loss: Mapping[str, object]) -> None:
    """Record in a fresh state what a run says about its loss."""
    kind, floor = loss.get("kind"), loss.get("floor")
    says_floor = isinstance(floor, int | float) and not isinstance(floor, bool)
    state.game = loss.get("comparable") is False
    state.known = says_floor or (loss.get("comparable") is True if kind is None else kind != "custom")


def silent(state: State, rule: Rule, settings: RuleSettings) -> bool:
    """Whether a rule is not applied to a game; `divergence` is applied only once the loss is no longer finite."""
    if not rule.spec.reads_error:
        return False
    return rule.spec.name != "divergence" or state.nan_train < settings.limits["confirm"]


def doubtful(state: State) -> bool:
    """Whether the level of the loss may not be an error, going by its buckets: single values may be rounded below 0."""
    if state.known or state.nan_train:
        return False
    return any(min(curve.x, default=0.0) < 0 for curve in state.curves[: VAL + 1] if curve.best < 0)


def improving_goal(state: State) -> Goal | None:
    """The goal if it is not measured on training data and still improves, whatever the loss does; else None."""
    goal = state.goal
    if goal is None or name_of(goal.name).group == "train" or not GoalView(goal).improves:
        return None
    return goal


def holding_goal(state: State) -> Goal | None:
    """The goal that holds back a stop for overfitting: one that the user named and that improves; else None."""
    return improving_goal(state) if state.aimed else None


def doubted(state: State, finding: Finding) -> Finding:
    """The finding; if it would stop the run, with the reasons against stopping."""
    spec = spec_of(finding.rule)
    stops = spec is not None and spec.action is Action.STOP
    if not stops or finding.resolved_step is not None:
        return finding
    goal = improving_goal(state) if finding.rule == "overfitting" else None
    if goal is not None and not state.aimed:
        return replace(finding, advice=f"{finding.advice} {goal.name} still improves: {NAME_IT}.")
    if goal is not None:
        text = f"{finding.explanation} {goal.name} still improves, and no stop is advised while it does."
        return replace(
            finding, explanation=text, advice=f"Choose the checkpoint by {goal.name}; continue while it improves."
        )
    if not doubtful(state):
        return finding
    return replace(finding, explanation=finding.explanation + DOUBT)
