"""Diagnoses an imported run without a store, with the same result as the store's.

The engine gets the same points in the same order. An attempt that restarts at the first step, or comes after a stop, is
diagnosed by its own points.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np

from monitor.domain import Action, Diagnosis, Finding
from monitor.importers.imported import ImportedRun
from monitor.roles import GAME, Role
from monitor.rules import ROLE_CODES, Engine, EnginePoints, RulesConfig
from monitor.rules.sketch.points import WEIGHT

_OTHER: Final = 255  # the largest uint8, used for series without a role


def judge(
    run: ImportedRun,
    *,
    config: RulesConfig | None = None,
    loss: Mapping[str, object] | None = None,
    unit: str | None = None,
    weights: Mapping[str, float] | None = None,
) -> Diagnosis:
    """Diagnose a run.

    Args:
        config: rules; None: the defaults.
        loss: the loss function, as plain data.
        unit: what a step is; None: as the run says.
        weights: the factor of each part of the loss in the total.
    """
    engine, loss = Engine(config), GAME if loss is None and run.reading().game else loss
    points, first = _points(run, weights or {})
    aimed = run.said.goal is not None
    state = engine.start(unit or run.unit, loss, run.config, aimed=aimed)
    findings: list[Finding] = []
    stop = False
    bounds = [0, *first, len(points)]
    for begin, end in pairwise(bounds):
        if begin and (stop or (points.step[begin : begin + 1] <= state.first_step).any()):
            state, findings = engine.start(unit or run.unit, loss, run.config, aimed=aimed), []
        update = engine.update(state, points.at(slice(begin, end)))
        state, stop = update.state, update.recommendation.action is Action.STOP
        findings += update.changes
    found = engine.diagnosis(state, findings)
    return replace(found, counts=replace(found.counts, unmapped=run.unmapped()))


def _points(run: ImportedRun, weights: Mapping[str, float]) -> tuple[EnginePoints, list[int]]:
    """The points that matter to the rules, after the weights; and the indices at which attempts start."""
    codes = np.full(len(run.keys), _OTHER, np.uint8)
    places = np.zeros(len(codes), np.uint16)
    names: dict[str, int] = {name: i for i, name in enumerate(weights)}
    at = {key: i for i, key in enumerate(run.keys)}
    for key in run.parts():
        codes[at[key]], places[at[key]] = ROLE_CODES[Role.PART], names.setdefault(key[len("loss/") :], len(names))
    for role, key in run.mapped().items():
        codes[at[key]] = ROLE_CODES[role]
    role_codes = codes[run.points.key]
    seen = np.flatnonzero(role_codes != _OTHER)
    told = len(weights)
    first = [told + int(np.searchsorted(seen, at)) for at in run.attempts]
    role_codes = np.concatenate((np.full(told, WEIGHT, np.uint8), role_codes[seen]))
    step = np.concatenate((np.full(told, -math.inf), run.points.step[seen].astype(float)))
    value = np.concatenate((np.fromiter(weights.values(), float, told), run.points.value[seen]))
    part = np.concatenate((np.arange(told, dtype=np.uint16), places[run.points.key[seen]]))
    reading = run.reading()
    goal = reading.judged.get(Role.GOAL)
    named = None if goal is None else (goal, reading.goal_rises is not False)
    return EnginePoints(role_codes, step, value, part if names else None, tuple(names), named), first
