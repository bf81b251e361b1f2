"""Runs the rules for a batch: what the engine is shown, and where its results are stored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.alerts import alerts_for
from monitor.domain import Finding, FindingState, Points
from monitor.errors import RulesError, RunNotFound
from monitor.ingest.engines import Engines
from monitor.ingest.state_cache import packed, unpacked
from monitor.limits import MAX_SERIES
from monitor.roles import GAME, Role
from monitor.rules import ROLE_CODES, Engine, EnginePoints, State, Update
from monitor.rules.describe.features import Features
from monitor.rules.describe.progress import fitted_to, gap_of, half_life_of
from monitor.rules.lifecycle import retold
from monitor.rules.replay import merge
from monitor.rules.sketch.points import WEIGHT
from monitor.rules.sketch.state import VAL
from monitor.store import Store, Transaction
from monitor.store.points.append import Appended
from monitor.store.points.series import SeriesState
from monitor.wire import Batch, Event

_ANEW: Final = "judged anew"
"""Event kind that records from which attempt on a run is judged."""


def judge(
    tx: Transaction, engine: Engine, batch: Batch, done: Appended | None, *, anew: bool = False, begins: bool = False
) -> None:
    """Pass the points of the judged series and loss parts to the engine, in the order in which they were logged.

    If the stored state is from another version of the engine, the run is judged again from its stored curves, which
    already include this batch. The same happens if the batch says what the loss is: that applies to the whole run, no
    matter whether earlier points came in the same batch.

    Args:
        done: the result of `Transaction.append` for this batch; None if it has only weights, no points.
        anew: True if the batch changes what `said` returns.
        begins: True if another attempt begins with this batch. If it begins where the run began, it is a training of
            its own, and is judged only by its own points.
    """
    if anew and tx.engine_state() is not None:
        _replay(tx, engine, batch.events)
        return
    fed = _fed(batch, {} if done is None else done.states, rises=tx.get("goal_rises") is not False)
    if not len(fed):
        return
    stored = tx.engine_state()
    if begins and stored is not None and _from_the_start(stored, engine, fed):
        judge_anew(tx, engine, batch.writer, int(str(tx.get("attempt"))), None)
        stored = tx.engine_state()
    try:
        state = _start(tx, engine) if stored is None else unpacked(stored, engine.config.hash)
    except RulesError:
        _replay(tx, engine, batch.events)
        return
    update = _update(tx, engine, state, fed)
    _keep(tx, engine, update, update.changes, new=stored is None, before=None if stored is None else state)


def _from_the_start(stored: bytes, engine: Engine, fed: EnginePoints) -> bool:
    try:
        return bool(fed.step[0] <= unpacked(stored, engine.config.hash).first_step)
    except RulesError:
        return False


def _fed(batch: Batch, states: Mapping[int, SeriesState], *, rises: bool = True) -> EnginePoints:
    """The points and weights of a batch that concern the rules. Weights go before the first point of their step.

    Args:
        rises: True if the goal should rise.
    """
    # 255: not for the rules.
    codes = np.full(max(len(batch.keys), 1), 255, np.uint8)
    places = np.zeros(len(codes), np.uint16)
    names: dict[str, int] = {}
    goal = None
    for k, series in states.items():
        if series.judged:
            goal = (series.key, rises) if series.role == Role.GOAL else goal
            codes[k] = ROLE_CODES[Role(series.role)]
        elif series.role == Role.PART:
            codes[k], places[k] = ROLE_CODES[Role.PART], names.setdefault(part_name(series.key), len(names))
    points = batch.points
    role = codes[points.key]
    seen = role != 255
    role, part, step = role[seen], places[points.key[seen]], points.step[seen].astype(np.float64)
    value = points.value[seen]
    told = _told(batch, names)
    if told:
        since, which, weights = zip(*told, strict=True)
        at = np.searchsorted(np.maximum.accumulate(step), since) if len(step) else np.zeros(len(told), np.int64)
        role, part = np.insert(role, at, [WEIGHT] * len(told)), np.insert(part, at, which)
        step, value = np.insert(step, at, since), np.insert(value, at, weights)
    if not names:
        return EnginePoints(role, step, value, goal=goal)
    return EnginePoints(role, step, value, part, tuple(names), goal)


def _told(batch: Batch, names: dict[str, int]) -> list[tuple[float, int, float]]:
    """The weights in a batch as (step, index of the part's name, weight), sorted by step and then by arrival."""
    found = []
    for since, weights in weights_of(batch.events):
        for name, weight in weights.items():
            if name in names or len(names) < MAX_SERIES:
                found.append((since, names.setdefault(name, len(names)), weight))
    return sorted(found, key=lambda each: each[0])


def weights_of(events: Sequence[Event]) -> list[tuple[float, dict[str, float]]]:
    """The weights in `weights` events by part name, each with the step from which they apply."""
    found = []
    for event in events:
        step, weights = event.data.get("step"), event.data.get("weights")
        if event.kind == "weights" and isinstance(step, int | float) and isinstance(weights, Mapping):
            numbers = {part_name(str(k)): float(w) for k, w in weights.items() if isinstance(w, int | float)}
            if numbers:
                found.append((float(step), numbers))
    return found


def weights_by_part(events: Sequence[Event]) -> dict[str, list[tuple[float, float]]]:
    """Part name -> its weights, each with the step from which it applies."""
    found: dict[str, list[tuple[float, float]]] = {}
    for step, told in weights_of(events):
        for name, weight in told.items():
            found.setdefault(name, []).append((step, weight))
    return found


def part_name(key: str) -> str:
    """A part's name without the `loss/` prefix of its series, in any case.

    >>> part_name("Loss/KL"), part_name("kl")
    ('KL', 'kl')
    """
    return key[5:] if key.lower().startswith("loss/") else key


def judge_anew(tx: Transaction, engine: Engine, writer: str, attempt: int, last_step: object) -> None:
    """Judge the run from now on only by what the new attempt logs, because the one before was advised to stop.

    Earlier findings are kept, but resolved.

    Args:
        last_step: of the previous attempt; None if it logged nothing.
    """
    step = float(last_step) if isinstance(last_step, int) else -math.inf
    found = tx.findings()
    last = max((finding.number for finding in found), default=0)
    data = {"attempt": attempt, "findings": last}
    tx.add_events(writer, [Event(kind=_ANEW, record=0, time_ms=tx.now_ms, data=data)])
    tx.save_findings([_over(finding, step) for finding in found if finding.state is FindingState.FIRING])
    state = _start(tx, engine)
    state.numbered = float(last)
    nothing = EnginePoints(np.empty(0, np.uint8), np.empty(0), np.empty(0))
    _keep(tx, engine, engine.update(state, nothing), (), new=tx.engine_state() is None)


def _over(finding: Finding, step: float) -> Finding:
    return replace(
        finding,
        state=FindingState.RESOLVED,
        resolved_step=max(finding.fired_step, step),
        advice="Nothing to do now: another attempt has begun, and is judged by its own points.",
    )


def _since(tx: Transaction) -> tuple[int, int]:
    """The attempt from which the run is judged, and the number of the last finding before it."""
    told = tx.events(_ANEW)
    return (int(str(told[-1].data["attempt"])), int(str(told[-1].data["findings"]))) if told else (1, 0)


def rejudge(store: Store, engines: Engines, run_id: str, *, now_ms: int) -> None:
    """Judge a stored run again with the current rules. Its findings are replaced.

    Alerts are sent only for findings that did not exist before.
    """
    with store.write(run_id, now_ms) as tx:
        if not tx.exists:
            raise RunNotFound(run_id)
        _replay(tx, engines.of(str(tx.get("project"))))


def _replay(tx: Transaction, engine: Engine, events: Sequence[Event] = ()) -> None:
    """Judge the run from its stored data, plus events that are about to be stored."""
    new = tx.engine_state() is None
    since, last = _since(tx)
    before = tx.findings()
    known = {(found.rule, found.onset_step) for found in before}
    curves = tx.judged(since)
    order = (Role.LR, Role.GRAD_NORM, Role.TRAIN, Role.VAL, Role.GOAL)
    series = {role: _rows(c) for role in order if (c := curves.get(str(role))) is not None}
    parts = {part_name(key): _rows(points) for key, points in tx.parts(since).items()}
    weights = weights_by_part([*tx.events("weights"), *events])
    state = _start(tx, engine)
    state.numbered = float(last)
    points, reading = merge(series, parts, weights), tx.get("reading")
    if Role.GOAL in series and isinstance(reading, Mapping):
        points = replace(points, goal=(str(reading.get("goal")), tx.get("goal_rises") is not False))
    update = _update(tx, engine, state, points)
    tx.forget_findings()
    tx.save_findings([found for found in before if found.number <= last])
    news = [found for found in update.changes if (found.rule, found.onset_step) not in known]
    _keep(tx, engine, update, news, new=new)


def _update(tx: Transaction, engine: Engine, state: State, points: EnginePoints) -> Update:
    """Run the engine. Resolved findings keep the numbers from when they fired, also if an earlier batch fired them."""
    update = engine.update(state, points)
    if all(change.state is FindingState.FIRING for change in update.changes):
        return update
    return replace(update, changes=retold(state.unit, update.changes, tx.findings()))


def _keep(
    tx: Transaction, engine: Engine, update: Update, news: Sequence[Finding], *, new: bool, before: State | None = None
) -> None:
    """Store the engine's results.

    Args:
        before: the state before the batch; None if the run is judged again.
    """
    tx.save_engine(packed(update.state, engine.config.hash), engine.config.hash, new=new)
    coming = _coming(tx.get("recommendation"))
    tx.set(
        verdict=update.verdict,
        headline=update.headline,
        recommendation=update.recommendation.to_dict(),
        action=str(update.recommendation.action),
        counts=update.counts.to_dict(),
    )
    run = Features(update.state, update.state.last_step)
    if before is None or _closed(before) != _closed(update.state):
        tx.set(gap=gap_of(run))
    if before is None or fitted_to(before) != fitted_to(update.state):
        tx.set(half_life=half_life_of(run))
    tx.save_findings(update.changes)
    pending = update.recommendation.pending
    moved = coming != {each.rule for each in pending}
    if (news or moved) and not imported(tx):
        tx.add_alerts(alerts_for(tx.run, news, now_ms=tx.now_ms))
        if moved:
            tx.pend_alerts(pending)


def _closed(state: State) -> list[int]:
    """Changes whenever a bucket of a loss closes; only then can the gap differ."""
    return [id(curve.x) for curve in state.curves[: VAL + 1]]


def _coming(recommendation: object) -> set[str]:
    """The rules that are pending in a stored recommendation."""
    pending = recommendation.get("pending") if isinstance(recommendation, Mapping) else None
    return {str(each["rule"]) for each in pending} if pending else set()


def imported(tx: Transaction) -> bool:
    """True if the run was imported after it had ended. Such a run raises no alerts."""
    capture = tx.get("capture")
    return isinstance(capture, Mapping) and "imported" in capture


def said(tx: Transaction, engine: Engine) -> bytes:
    """What the rules know about the run apart from its points, and which series they read, as bytes to compare."""
    return _start(tx, engine).to_bytes() + repr(tx.get("roles")).encode()


def _start(tx: Transaction, engine: Engine) -> State:
    """A fresh state that includes what the run says about its loss and its hyperparameters."""
    loss, config, reading = tx.get("loss"), tx.get("config"), tx.get("reading")
    known = loss if isinstance(loss, Mapping) else None
    if known is None and isinstance(reading, Mapping) and reading.get("game"):
        known = GAME
    roles = tx.get("roles")
    aimed = isinstance(roles, Mapping) and "goal" in roles
    return engine.start(_unit(tx), known, config if isinstance(config, Mapping) else None, aimed=aimed)


def _unit(tx: Transaction) -> str:
    """The unit of the run's steps: "step", or "epoch" for a run imported from files that count epochs."""
    capture = tx.get("capture")
    source = (capture.get("imported") or capture.get("watched")) if isinstance(capture, Mapping) else None
    return "epoch" if isinstance(source, Mapping) and source.get("unit") == "epoch" else "step"


def _rows(points: Points) -> NDArray[np.float64]:
    return np.column_stack([points.steps, points.values]).astype(np.float64)
