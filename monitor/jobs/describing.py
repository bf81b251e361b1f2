"""Adds context to a message before it is sent: best step, checkpoint, advice, and a picture of the curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from monitor.alerts import Facts, Message
from monitor.alerts.stops import what_becomes_of
from monitor.domain import Action, CurveOf, Finding, FindingState, RunSnapshot, best_checkpoint
from monitor.errors import MonitorError
from monitor.insight.economics import saving_of
from monitor.insight.picture import Line, draw
from monitor.roles import Role
from monitor.settings import Settings
from monitor.store import Store

WIDTH: Final = 600
"""Width in pixels for which curves are read."""
_OF_THE_GOAL: Final = ("goal_decline", "goal_plateau", "goal_unstable")
_NO_CURVE: Final = ("finished", "digest", "test", "alert")


def describe(store: Store, settings: Settings, message: Message) -> Message:
    """Add facts and a picture to a message about one run. Other messages, and resolutions, stay unchanged."""
    if len(message.run_ids) != 1 or message.state != "firing":
        return message
    run = store.outlines([message.run_id]).get(message.run_id)
    if run is None:
        return message
    finding = _finding(message, run.findings)
    best = _best(run)
    advice = run.info.recommendation
    saved = best_checkpoint(advice, run.checkpoints)
    open_ = not run.info.status.ended  # otherwise it is too late to act on advice
    told = open_ and advice.action is not Action.CONTINUE
    facts = Facts(
        onset_step=None if finding is None else finding.onset_step,
        best=best,
        checkpoint=None if saved is None else (saved.path, saved.step),
        action=str(advice.action) if told else "",
        reason=advice.reason if told else "",
        then=what_becomes_of(run.info, settings.stop_modes_of(run.info.project)),
        saves=saving_of(store, settings, run.info.id) if told and advice.action is Action.STOP else None,
    )
    return replace(message, facts=facts, picture=_picture(store, run, message, facts.onset_step, advice.best_at))


def _finding(message: Message, findings: Sequence[Finding]) -> Finding | None:
    same = [each for each in findings if each.rule == message.kind]
    firing = [each for each in same if each.state is FindingState.FIRING]
    return (firing or same)[-1] if same else None


def _best(run: RunSnapshot) -> tuple[str, float, float] | None:
    """The run's best value: its name, the value, and its step."""
    advice = run.info.recommendation
    if advice.goal is not None and advice.best_goal is not None and advice.best_goal_step is not None:
        return advice.goal, advice.best_goal, advice.best_goal_step
    if advice.best_step is None or advice.best_val_loss is None:
        return None
    series = run.judged(Role.VAL) or run.judged(Role.TRAIN)
    name = "loss" if series is None else series.key
    return name, advice.best_val_loss, advice.best_step


def _picture(store: Store, run: RunSnapshot, message: Message, onset: float | None, best: float | None) -> bytes | None:
    if message.kind in _NO_CURVE:
        return None
    roles = (Role.GOAL,) if message.kind in _OF_THE_GOAL else (Role.TRAIN, Role.VAL)
    keys = [series.key for role in roles if (series := run.judged(role)) is not None]
    if not keys and (goal := run.judged(Role.GOAL)) is not None:
        keys = [goal.key]
    try:
        curves = store.curves([CurveOf(run.info.id, key, 0.0) for key in keys], width=WIDTH) if keys else ()
    except MonitorError:
        return None
    return draw(message.title, [Line(curve.key, curve.x, curve.y) for curve in curves], onset=onset, best=best)
