"""Recommends what to do now: continue, stop or investigate, with the best step so far and what continuing would gain.

A stop is advised if continuing only costs: the run overfits or diverges, or its training loss has stayed non-finite. A
converged run is not stopped: the forecast says what it may still gain, by a lower learning rate or by patience, and
waiting costs nothing but money.
"""

from __future__ import annotations

import math
from typing import Final

from monitor.domain import Action, Forecast, Recommendation, formats
from monitor.domain.formats import number, position
from monitor.rules.advice.forecast import forecast
from monitor.rules.advice.games import DOUBT, GAME, doubtful, holding_goal
from monitor.rules.advice.pending import pending_of
from monitor.rules.advice.verdict import is_note, title
from monitor.rules.config import RulesConfig
from monitor.rules.describe.features import Features
from monitor.rules.registry import rank_of, spec_of
from monitor.rules.rules.stagnation import memory
from monitor.rules.sketch.curve import Curve
from monitor.rules.sketch.patience import compared
from monitor.rules.sketch.state import FIRING, LIKELY, TRAIN, VAL, State

CONFIDENCE: Final = {
    "divergence": 0.8, "overfitting": 0.85, "risen": 0.6, "likely": 0.9, "look": 0.9, "continue": 0.95,
}  # fmt: skip
"""Share of each kind of advice that was right on labelled curves, rounded down; `docs/diagnosis.md` has the counts.
`risen` is an overfitting run whose validation loss is above its start, where delayed generalisation is most probable.
`likely` is a stop before the finding has fired, if a project asks for that."""


def settle(state: State, run: Features) -> None:
    """Record the steps of the stop advice in the state, after the rules ran."""
    if _stopping(state):
        if math.isnan(state.stop_since):
            state.stop_since = run.step
        if math.isnan(state.first_stop):
            state.first_stop = run.step
    else:
        state.stop_since = math.nan


def recommend(state: State, config: RulesConfig) -> Recommendation:
    """The recommendation that follows from a state."""
    curve = state.curves[VAL if state.curves[VAL].n else TRAIN]
    rests = (curve.best_step, curve.n > 0, math.isnan(state.patience_step), doubtful(state))
    last = state.advice
    if last is not None and last[0] is state.slots and last[1] is curve.x and last[2] == rests:
        return last[3]
    advice = _recommend(state, curve, config)
    state.advice = (state.slots, curve.x, rests, advice)
    return advice


def _recommend(state: State, curve: Curve, config: RulesConfig) -> Recommendation:
    action, reason, confidence = _advice(state)
    stopping = action is Action.STOP
    goal = state.goal if state.goal is not None and state.goal.curve.n else None
    return Recommendation(
        action=action,
        rule=next(iter(_stopping(state)), None) if stopping else None,
        goal=None if goal is None else goal.name,
        best_goal=None if goal is None else goal.best,
        best_goal_step=None if goal is None else goal.curve.best_step,
        first_stop_step=None if math.isnan(state.first_stop) else state.first_stop,
        stop_step=state.stop_since if stopping else None,
        best_step=curve.best_step if curve.n and not state.game else None,
        best_val_loss=curve.best if curve.n and not state.game else None,
        reason=reason,
        confidence=confidence,
        forecast=None if stopping or state.nan_train or state.game else _outlook(state),
        patience=None if state.game else compared(state),
        pending=pending_of(state, config),
    )


def _advice(state: State) -> tuple[Action, str, float | None]:
    curve = state.curves[VAL if state.curves[VAL].n else TRAIN]
    name = next(iter(_stopping(state)), None)
    if name is not None and not math.isnan(state.stop_since):
        slot = state.slots[name]
        risen = name == "overfitting" and len(curve.x) > 0 and curve.x[-1] > curve.first
        best = _best(state, curve)
        if slot.phase == LIKELY:
            reason = f"{title(name)} is likely since {position(state.unit, slot.onset)}; {best}."
            return Action.STOP, reason, CONFIDENCE["likely"]
        since, certain = position(state.unit, slot.onset), position(state.unit, slot.fired)
        reason = f"{title(name)} since {since}, certain since {certain}; {best}."
        return Action.STOP, reason, CONFIDENCE.get("risen" if risen else name, CONFIDENCE["likely"])
    doubted = next(iter(_advising(state, Action.STOP, FIRING)), None) if doubtful(state) else None
    if doubted is not None:
        since = f"{title(doubted)} since {position(state.unit, state.slots[doubted].onset)}."
        return Action.INVESTIGATE, since + DOUBT, None
    aimed = _towards_goal(state)
    if aimed:
        return Action.CONTINUE, aimed, None
    return _looking(state) or _calm(state, curve)


def _towards_goal(state: State) -> str:
    """The reason if the loss overfits while the goal that the user named still improves; else ""."""
    goal = holding_goal(state) if "overfitting" in _advising(state, Action.STOP, FIRING, LIKELY) else None
    if goal is None:
        return ""
    since = f"The validation loss has risen since {position(state.unit, state.slots['overfitting'].onset)}"
    best = f"best {number(goal.best)} at {position(state.unit, goal.curve.best_step)}"
    return f"{since}, but {goal.name} still improves: {best}."


def _looking(state: State) -> tuple[Action, str, float | None] | None:
    """The advice to investigate, if a finding gives it."""
    for name in _advising(state, Action.INVESTIGATE, FIRING):
        reason = f"{title(name)} since {position(state.unit, state.slots[name].onset)}."
        return Action.INVESTIGATE, reason + _delayed(state, name), CONFIDENCE["look"]
    return None


def _calm(state: State, curve: Curve) -> tuple[Action, str, float | None]:
    if state.game or not curve.n:
        return Action.CONTINUE, _without_loss(state), None
    return _going_on(state)


def _without_loss(state: State) -> str:
    """The reason if no loss is judged as an error."""
    if state.game:
        return f"{GAME} {_goal_best(state)}".rstrip()
    if state.goal is None or not state.goal.curve.n:
        return "No loss or goal has been logged yet."
    flat = "The goal has stopped improving" if _fires(state, "goal_plateau") else "No reason to stop"
    return f"{flat}. {_goal_best(state)}"


def _goal_best(state: State) -> str:
    goal = state.goal
    if goal is None or not goal.curve.n:
        return ""
    return f"Best {goal.name}: {number(goal.best)} at {position(state.unit, goal.curve.best_step)}."


def _going_on(state: State) -> tuple[Action, str, float | None]:
    outlook = _outlook(state)
    if outlook is None:
        return Action.CONTINUE, "Too early to tell; no reason to stop.", None
    return Action.CONTINUE, _prospect(state, outlook), CONFIDENCE["continue"]


def _prospect(state: State, outlook: Forecast) -> str:
    """The expected gain of continuing, in words that do not contradict a firing rule."""
    gain, low, high = outlook.gain, outlook.gain_low, outlook.gain_high
    span = f" (90%: {number(low, 2)} to {number(high, 2)})" if high else ""
    steps = outlook.steps
    ahead = formats.count(round(steps), state.unit) if steps >= 1 else f"{number(steps, 2)} {state.unit}s"
    if _fires(state, "convergence"):
        lower = f"about {number(gain, 2)} lower" if gain else "no gain"
        return f"The loss is flat: {lower} is expected over the next {ahead}{span}."
    if gain:
        return f"No reason to stop: about {number(gain, 2)} lower is expected over the next {ahead}{span}."
    if _fires(state, "improving"):
        return "No reason to stop: the loss is still falling."
    return f"No reason to stop, though no gain is expected over the next {ahead}{span}."


def _delayed(state: State, name: str) -> str:
    """What to look for if training has learned and validation stagnates; "" otherwise."""
    if name != "stagnation" or not memory(Features(state, state.last_step)):
        return ""
    return (
        " The training loss has come down and the validation loss has not: look for a validation loss that begins to "
        "fall (delayed generalisation), which weight decay and patience can bring; there is no sign of it yet."
    )


def _outlook(state: State) -> Forecast | None:
    """The forecast; recomputed only after a bucket has closed."""
    run = Features(state, state.last_step)
    buckets = run.judged.curve.x
    if state.outlook is None or state.outlook[0] is not buckets:
        state.outlook = (buckets, forecast(run.judged))
    return state.outlook[1]


def _stopping(state: State) -> list[str]:
    """Rules whose finding, firing or likely, advises a stop; the most important one first."""
    if not state.slots:
        return []
    alone = not state.train_seen and not state.val_seen  # if there is a loss, that decides when to stop
    if alone and _fires(state, "goal_decline") and not Features(state, state.last_step).policy:
        return ["goal_decline"]
    found = _advising(state, Action.STOP, FIRING, LIKELY)
    if found and doubtful(state):
        return []
    if "overfitting" in found and holding_goal(state) is not None:
        found.remove("overfitting")
    return found


def _best(state: State, curve: Curve) -> str:
    """The best loss, and the best value of the goal."""
    found = [f"the best loss was {number(curve.best)} at {position(state.unit, curve.best_step)}"] if curve.n else []
    goal = state.goal
    if goal is not None and goal.curve.n:
        found.append(f"the best {goal.name} {number(goal.best)} at {position(state.unit, goal.curve.best_step)}")
    return ", ".join(found) or "no loss was finite"


def _advising(state: State, action: Action, *phases: int) -> list[str]:
    """Rules with a finding in one of these phases that advises this action; the most important one first."""
    found = [
        name
        for name, slot in state.slots.items()
        if slot.phase in phases
        and (spec := spec_of(name)) is not None
        and spec.action is action
        and not is_note(name, state)
    ]
    return sorted(found, key=rank_of)


def _fires(state: State, name: str) -> bool:
    slot = state.slots.get(name)
    return slot is not None and slot.phase == FIRING
