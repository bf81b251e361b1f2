"""The verdict of a run in a word and in a sentence: its most important finding, or that nothing is wrong."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from monitor.domain import Action
from monitor.domain.formats import number, points, position
from monitor.rules.advice.games import DOUBT, GAME, doubtful
from monitor.rules.describe.features import Features
from monitor.rules.describe.schedule import told
from monitor.rules.registry import rank_of, spec_of
from monitor.rules.rule import Reading, Rule
from monitor.rules.sketch.state import FIRING, LIKELY, TRAIN, VAL, Slot, State

if TYPE_CHECKING:
    from monitor.rules.config import RulesConfig

ENOUGH: Final = 6
"""Without findings, a run is healthy only once the judged loss (validation, if there is one) has this many buckets."""


def verdict_of(state: State) -> str:
    """The rule of the most important firing or likely finding; else "healthy", "not_judged" or "too_early"."""
    found = (name for name, slot in state.slots.items() if slot.phase in (FIRING, LIKELY))
    ranks = {name: rank_of(name) for name in found if not is_note(name, state)}
    if any(rank < math.inf for rank in ranks.values()):
        return min(ranks, key=ranks.__getitem__)
    train, val, goal = state.curves[TRAIN], state.curves[VAL], state.goal
    # Good training says nothing about where four evaluations will lead, so they alone are counted.
    judged = val if val.n else train
    if max(len(judged.x), len(goal.curve.x) if goal else 0) < ENOUGH:
        return "too_early"
    return "not_judged" if state.game and (state.goal is None or not state.goal.curve.n) else "healthy"


def is_note(name: str, state: State) -> bool:
    """Whether a finding is a mere note: that validation is missing, for a run that never validated."""
    return name == "metric_missing" and not state.val_seen


def title(rule: str) -> str:
    """A rule's name at the beginning of a sentence."""
    return "NaN" if rule == "nan" else rule.replace("_", " ").capitalize()


def headline_of(state: State, verdict: str, config: RulesConfig) -> str:
    """One sentence with the numbers, and the reasons against acting on it."""
    spec = spec_of(verdict)
    doubt = DOUBT if spec is not None and spec.action is Action.STOP and doubtful(state) else ""
    return _headline(state, verdict, config) + doubt


def _headline(state: State, verdict: str, config: RulesConfig) -> str:
    slot = state.slots.get(verdict)
    if slot is None:
        return _calm(state, verdict)
    rule = config.named.get(verdict)
    rests = (verdict, state.curves[VAL].best_step)  # a new best shows before its bucket closes
    if rule is not None and not rule.spec.counts and state.said and state.said[:2] == rests:
        return state.said[2]
    text = _sentence(state, verdict, slot, rule, config)
    state.said = (*rests, text)
    return text


def _sentence(state: State, verdict: str, slot: Slot, rule: Rule | None, config: RulesConfig) -> str:
    run = Features(state, state.last_step)
    reading = rule.check(run, config.settings[verdict].limits, slot.phase == FIRING) if rule else None
    if rule is None or reading is None:
        since = position(state.unit, slot.onset)
        return f"{title(verdict)} since {since}; the last check no longer shows it{_latest(state)}."
    text = rule.explain(Reading(slot.onset, reading.evidence, reading.sure), state.unit)[0]
    text += told(rule.spec.explained_by, slot.onset, run)[1]
    return f"{title(verdict)} is likely: {text[0].lower()}{text[1:]}" if reading.likely else text


def _latest(state: State) -> str:
    """The current loss and the best one, for a sentence without numbers of its own."""
    which, curve = ("validation", state.curves[VAL]) if state.curves[VAL].n else ("training", state.curves[TRAIN])
    if not curve.x:
        return ""
    best = f"{number(curve.best)} at {position(state.unit, curve.best_step)}"
    return f" (the {which} loss is {number(curve.x[-1])}, its best {best})"


def _calm(state: State, verdict: str) -> str:
    train, val = state.curves[TRAIN], state.curves[VAL]
    counts = state.counts
    seen = points(counts.train, counts.val, counts.goal)
    if verdict == "too_early":
        return f"Too early to tell: {seen} so far."
    if verdict == "not_judged":
        return f"Not judged: {seen}. {GAME} Log a goal, such as a reward or a FID, to have that judged."
    if state.game:
        return f"Nothing is wrong after {seen}. {GAME}{_of_goal(state)}"
    if not train.n and not val.n:
        return f"Nothing is wrong.{_of_goal(state)}"
    which, curve = ("validation", val) if val.n else ("training", train)
    return (
        f"Nothing is wrong after {seen}: the {which} loss began at {number(curve.first)} and was lowest at "
        f"{number(curve.best)}, {position(state.unit, curve.best_step)}."
    )


def _of_goal(state: State) -> str:
    """What the goal has reached, as a sentence to append."""
    goal = state.goal
    if goal is None or not goal.curve.n:
        return ""
    best = f"{number(goal.best)} at {position(state.unit, goal.curve.best_step)}"
    return f" {goal.name} began at {number(goal.shown(goal.curve.first))} and was best at {best}."
