"""Stores and judges a batch in one transaction on one run.

Points, the writer's acknowledged offset, the engine's state, changed findings and the alerts they raise are committed
together or not at all. A batch that was stored before changes nothing. Validation comes first: `monitor.limits` makes
each record valid, or sets it aside and counts it among the run's warnings. The rest of the batch is stored.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from monitor.alerts import ALERTED, status_alert
from monitor.domain import Action, Reply, RunStatus
from monitor.domain.clocks import is_past
from monitor.errors import Forbidden, OffsetGap, RunExists, RunNotFound
from monitor.ingest import stops
from monitor.ingest.aside import Aside
from monitor.ingest.effects import (
    add_config,
    add_tags,
    before_points,
    behind_points,
    counters,
    happened_at,
    keep_events,
)
from monitor.ingest.engines import Engines
from monitor.ingest.events import RunEvent, checked, first_event, run_event
from monitor.ingest.judge import judge, judge_anew, said
from monitor.ingest.watched import thresholds_of, watch
from monitor.limits import MAX_SERIES
from monitor.roles import Role
from monitor.rules import Engine
from monitor.store import Ahead, Store, Transaction, Writer
from monitor.store.points.append import Appended
from monitor.store.points.naming import SUMMARISED, summary_of
from monitor.wire import Batch, Columns


def ingest(store: Store, engines: Engines, batch: Batch, *, now_ms: int, within: str | None = None) -> Reply:
    """Store a batch and judge the run.

    Args:
        engines: judge the run by the rules of its project. They hold no data of runs.
        batch: records of one writer of one run. If it ends at or before the writer's acknowledged offset, it is a
            duplicate.
        now_ms: milliseconds since the epoch; becomes the run's heartbeat.
        within: the only project that the sender may write to; None for any.

    Returns:
        What is stored now, what was set aside, and what the loop should do.

    Raises:
        OffsetGap: the batch does not start where the writer's last one ended; nothing was stored.
        WireError: the writer's first record is not a `run` event; nothing was stored.
        RunExists: resume="never", but another writer started this run.
        RunNotFound: resume="must", but the run does not exist, or was deleted.
        Forbidden: the run belongs, or would belong, to a project other than `within`; nothing was stored.
    """
    aside = Aside()
    # Before the transaction, since others wait for its lock.
    batch = checked(batch, aside)
    engines.look()
    with store.write(batch.run_id, now_ms, Ahead(batch.writer, batch.keys if len(batch.points) else ())) as tx:
        if tx.deleted:
            raise RunNotFound(batch.run_id)
        _keep_within(tx, within)
        reply = take(tx, engines, batch, aside)
        _keep_within(tx, within)  # again, as the batch may have created the run; it is then rolled back
        return reply


def _keep_within(tx: Transaction, project: str | None) -> None:
    """Refuse a batch for a run of a project that its sender may not write to."""
    if project is not None and tx.exists and tx.get("project") != project:
        raise Forbidden(f"this token writes to project {project!r} alone, and the run is of {tx.get('project')!r}")


def take(tx: Transaction, engines: Engines, batch: Batch, aside: Aside) -> Reply:
    """Store a batch in a transaction on its run, and judge the run; see `ingest`.

    Args:
        batch: validated by `checked`.
        aside: the notices about it so far.
    """
    told = _told(tx, engines, batch)
    writer = tx.writer(batch.writer) if tx.exists else None
    if writer is None:
        writer = first_contact(tx, engines, batch, aside)
    beat(tx, tx.now_ms)
    # Already stored. A heartbeat has no records, so only one from an earlier offset is a duplicate.
    if batch.end <= writer.acked and (batch.count or batch.first < writer.acked):
        return _reply(tx, engines, writer.acked, duplicate=True)
    if batch.first != writer.acked:
        raise OffsetGap(batch.run_id, batch.writer, expected=writer.acked, got=batch.first)
    if batch.count:
        writer = _apply(tx, engines, batch, writer, aside, told=told)
        stops.consider(tx, engines)
    return _reply(tx, engines, batch.end, aside.lines())


def _told(tx: Transaction, engines: Engines, batch: Batch) -> bytes | None:
    """What the rules know about the run before the batch, if the batch may change it; None if it cannot."""
    if not tx.exists or not any(event.kind in ("run", "config", "loss") for event in batch.events):
        return None
    return said(tx, engines.of(str(tx.get("project"))))


def first_contact(tx: Transaction, engines: Engines, batch: Batch, aside: Aside) -> Writer:
    """Handle a writer's first batch: it starts the run, starts a new attempt, or joins the run."""
    if batch.first != 0 or batch.count == 0:
        raise OffsetGap(batch.run_id, batch.writer, expected=0, got=batch.first)
    first = first_event(batch)
    event = run_event(first.data)
    if not tx.exists:
        if event.resume == "must" and not event.join:
            raise RunNotFound(batch.run_id)
        owner = None if event.join else batch.writer
        name = event.name or f"run-{batch.run_id[:8]}"
        if tx.create(project=event.project, name=name, owner=owner, created_ms=happened_at(first, tx)):
            _describe(tx, event, aside)
            return tx.add_writer(batch.writer, 1, joined=event.join)
        if tx.deleted:
            raise RunNotFound(batch.run_id)
        known = tx.writer(batch.writer)  # the same batch was sent twice at once, and the other one won
        if known is not None:
            return known
    return tx.add_writer(batch.writer, _enter(tx, engines, event, batch.writer, aside), joined=event.join)


def _enter(tx: Transaction, engines: Engines, event: RunEvent, writer: str, aside: Aside) -> int:
    """Add a writer to an existing run. Returns the attempt that its points belong to."""
    attempt = tx.run.attempt
    if event.join:
        return attempt
    if tx.get("owner") is None:  # only joiners so far: this writer starts the attempt that they joined
        tx.set(owner=writer, project=event.project)
        if event.name:
            tx.set(name=event.name)
        _describe(tx, event, aside)
        return attempt
    if event.resume == "never":
        raise RunExists(tx.run_id)
    last = tx.get("last_step")
    if tx.run.status in ALERTED:
        tx.add_alerts([status_alert(tx.run, RunStatus.RUNNING, now_ms=tx.now_ms)])
    tx.set(attempt=attempt + 1, owner=writer, last_step=None)
    tx.set(status=str(RunStatus.RUNNING), finished_ms=None, error=None)
    stops.begin_anew(tx)
    if event.name:
        tx.set(name=event.name)
    _describe(tx, event, aside)
    if tx.recommendation.action is Action.STOP:  # otherwise every later attempt would get a stop at once
        judge_anew(tx, engines.of(str(tx.get("project"))), writer, attempt + 1, last)
    return attempt + 1


def _describe(tx: Transaction, event: RunEvent, aside: Aside) -> None:
    add_config(tx, "config", event.config, aside)
    add_tags(tx, event.tags, aside)
    for name in ("group", "loss", "heartbeat_s", "planned_steps"):
        value = getattr(event, name)
        if value is not None:
            tx.set(**{name: value})
    if event.stop != tx.get("stop_modes"):  # they apply to this attempt only
        tx.set(stop_modes=event.stop)
    if event.roles:
        tx.say(event.roles)


def beat(tx: Transaction, now_ms: int) -> None:
    """Record a heartbeat. A run that was lost is running again."""
    last = tx.get("heartbeat_ms")
    later = isinstance(last, int) and now_ms < last and is_past(last, now_ms)  # another server's clock is ahead
    tx.set(heartbeat_ms=last if later else now_ms)
    if tx.get("status") == RunStatus.LOST:
        _run_again(tx)


def _run_again(tx: Transaction) -> None:
    tx.add_alerts([status_alert(tx.run, RunStatus.RUNNING, now_ms=tx.now_ms)])
    tx.set(status=str(RunStatus.RUNNING))


def _apply(
    tx: Transaction, engines: Engines, batch: Batch, writer: Writer, aside: Aside, *, told: bytes | None
) -> Writer:
    """Store the content of a batch: a further `run` event, points, the other events, the offset.

    Args:
        told: what `_told` returned before the batch.
    """
    # The order matters: first what decides how the points are read, then the points, then events about them.
    writer = _further_run(tx, engines, batch, writer, aside)
    engine = engines.of(str(tx.get("project")))  # only now: the first owner of a run names its project
    before_points(tx, batch.events, aside)
    batch = _within_series(tx, batch, aside)
    anew = told is not None and said(tx, engine) != told
    if len(batch.points):
        done = store_points(tx, engine, batch, writer.attempt, anew=anew)
        if thresholds := thresholds_of(engines, tx):
            watch(tx, thresholds, batch, done.states)
    elif anew or any(event.kind == "weights" for event in batch.events):
        judge(tx, engine, batch, None, anew=anew)
    behind_points(tx, batch.events, writer, aside)
    keep_events(tx, batch, aside)
    tx.ack(batch.writer, writer.attempt, batch.end)
    return writer


def _further_run(tx: Transaction, engines: Engines, batch: Batch, writer: Writer, aside: Aside) -> Writer:
    """A `run` event after a writer's first record starts another attempt; at most one per batch."""
    entered = False
    for event in batch.events:
        if event.kind != "run" or event.record == 0 or (found := run_event(event.data)).join:
            continue
        if entered:
            aside("dropped", "run", "a batch starts one attempt at most", 1)
            continue
        entered = True
        writer = Writer(_enter(tx, engines, found, batch.writer, aside), writer.joined, writer.acked)
    return writer


def _within_series(tx: Transaction, batch: Batch, aside: Aside) -> Batch:
    """Drop the points of series beyond the limit of a run."""
    have = tx.counter("series_count")
    if not len(batch.points) or have + len(batch.keys) <= MAX_SERIES:
        return batch
    known = tx.series_keys()
    room = max(0, MAX_SERIES - have)
    fresh = [i for i, key in enumerate(batch.keys) if key not in known]
    taken = np.ones(len(batch.keys), bool)
    taken[fresh[room:]] = False
    kept = taken[batch.points.key]
    if kept.all():
        return batch
    example = f"a run has {MAX_SERIES} series at most; {batch.keys[fresh[room]]!r:.80} is one more"
    aside("dropped", "series", example, int(np.count_nonzero(~kept)))
    p = batch.points
    epoch = None if p.epoch is None else p.epoch[kept]
    return replace(batch, points=Columns(p.key[kept], p.step[kept], p.value[kept], p.time_ms[kept], epoch))


def store_points(tx: Transaction, engine: Engine, batch: Batch, attempt: int, *, anew: bool) -> Appended:
    """Store the points of a batch, update the run's row, and judge the run."""
    done = tx.append(attempt, batch.keys, batch.points)
    states = done.states.values()
    begins = attempt > 1 and attempt == tx.get("attempt") and tx.get("last_step") is None
    if any(state.role != Role.SYSTEM for state in states):  # system metrics are not progress
        tx.set(last_point_ms=tx.now_ms)
        if tx.get("status") == RunStatus.STALLED:
            _run_again(tx)
        if attempt == tx.get("attempt"):
            last, before = int(batch.points.step.max()), tx.get("last_step")
            tx.set(last_step=max(last, before) if isinstance(before, int) else last)
    if done.late:
        before = counters(tx)
        tx.set(warnings={**before, "late": before.get("late", 0) + done.late})
    for state in states:
        if state.judged and state.role in SUMMARISED:
            tx.set(
                **summary_of(
                    Role(state.role), state.to_row(), rises=state.role == Role.GOAL and bool(tx.get("goal_rises"))
                )
            )
    judge(tx, engine, batch, done, anew=anew or done.moved, begins=begins)
    return done


def _reply(
    tx: Transaction, engines: Engines, acked: int, set_aside: tuple[str, ...] = (), *, duplicate: bool = False
) -> Reply:
    stop, reason, request = stops.answer(tx, engines)
    who = tx.get("stop_requested")
    return Reply(
        acked=acked,
        recommendation=tx.recommendation,
        stop_requested=None if who is None else str(who),
        stop=stop,
        stop_reason=reason,
        stop_request=request,
        duplicate=duplicate,
        set_aside=set_aside,
    )
