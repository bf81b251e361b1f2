"""From a batch to the store, in one transaction of one run.

Points, the writer's acknowledged offset, the engine's state, changed findings, and the alerts they call for are
committed together or not at all; a batch that was stored before changes nothing. Validation comes first: what a record
holds is made as `monitor.limits` says, or set aside and counted among the run's warnings, and the rest of the batch is
stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from monitor.alerts import ALERTED, finished_alert, status_alert
from monitor.alerts.thresholds import Threshold
from monitor.domain import Action, Alert, Reply, RunStatus, Severity
from monitor.domain.clocks import is_past
from monitor.errors import Forbidden, OffsetGap, RunExists, RunNotFound
from monitor.ingest import stops
from monitor.ingest.aside import Aside, counted
from monitor.ingest.engines import Judges
from monitor.ingest.events import RunEvent, checked, first_event, run_event
from monitor.ingest.judge import imported, judge, judge_anew, said
from monitor.ingest.watched import thresholds_of, watch
from monitor.limits import (
    MAX_ALERTS,
    MAX_EVENTS,
    MAX_EXAMPLES,
    MAX_OUTPUT,
    MAX_RUN_MEDIA,
    MAX_SERIES,
    MAX_TAGS,
    document,
)
from monitor.roles import Role
from monitor.rules import Engine
from monitor.store import Ahead, Store, Transaction, Writer
from monitor.store.points.append import Appended
from monitor.store.points.naming import SUMMARISED, summary_of
from monitor.wire import Batch, Columns, Event


def ingest(store: Store, engine: Judges, batch: Batch, *, now_ms: int, within: str | None = None) -> Reply:
    """Store a batch and judge the run.

    Args:
        store: where to.
        engine: the rules, of all projects or of each; it holds no run's data.
        batch: records of one writer of one run. One that ends at or before the writer's acknowledged offset is a
            duplicate.
        now_ms: milliseconds since the epoch; the run's heartbeat.
        within: the only project that the sender may write to; None for any.

    Returns:
        What is stored now, what of the batch was set aside, and what the loop is to do.

    Raises:
        OffsetGap: the batch does not start where the writer's last one ended; nothing was stored.
        WireError: the writer's first record is not a `run` event; nothing was stored.
        RunExists: resume="never", but another writer started this run.
        RunNotFound: resume="must", but the run does not exist, or was deleted.
        Forbidden: the run is, or would be, of another project than `within`; nothing was stored.
        StoreError: the database refused.
    """
    aside = Aside()
    batch = checked(batch, aside)
    with store.write(batch.run_id, now_ms, Ahead(batch.writer, batch.keys if len(batch.points) else ())) as tx:
        if tx.deleted:
            raise RunNotFound(batch.run_id)
        _keep_within(tx, within)
        reply = take(tx, engine, batch, aside)
        _keep_within(tx, within)  # the batch may have begun the run; what it stored is rolled back
        return reply


def _keep_within(tx: Transaction, project: str | None) -> None:
    """Refuse a batch for a run of another project than its sender's."""
    if project is not None and tx.exists and tx.get("project") != project:
        raise Forbidden(f"this token writes to project {project!r} alone, and the run is of {tx.get('project')!r}")


def take(tx: Transaction, engine: Judges, batch: Batch, aside: Aside) -> Reply:
    """Store a batch within a transaction on its run, and judge the run; as `ingest`.

    Args:
        batch: as `checked` made it.
        aside: what was mended of it so far.
    """
    told = _told(tx, engine, batch)
    writer = tx.writer(batch.writer) if tx.exists else None
    if writer is None:
        writer = first_contact(tx, engine, batch, aside)
    beat(tx, tx.now_ms)
    if batch.end <= writer.acked and (batch.count or batch.first < writer.acked):
        return _reply(tx, engine, writer.acked, duplicate=True)
    if batch.first != writer.acked:
        raise OffsetGap(batch.run_id, batch.writer, expected=writer.acked, got=batch.first)
    if batch.count:
        thresholds = thresholds_of(engine, tx)
        writer = _apply(tx, engine.of(str(tx.get("project"))), batch, writer, aside, told=told, thresholds=thresholds)
        stops.consider(tx, engine)
    return _reply(tx, engine, batch.end, aside.lines())


def _told(tx: Transaction, engine: Judges, batch: Batch) -> bytes | None:
    """What the rules know of the run so far, where the batch may change it; None where it cannot."""
    if not tx.exists or not any(event.kind in ("run", "config", "loss") for event in batch.events):
        return None
    return said(tx, engine.of(str(tx.get("project"))))


def first_contact(tx: Transaction, engine: Judges, batch: Batch, aside: Aside) -> Writer:
    """A writer's first batch starts the run, a new attempt of it, or joins it."""
    if batch.first != 0 or batch.count == 0:
        raise OffsetGap(batch.run_id, batch.writer, expected=0, got=batch.first)
    first = first_event(batch)
    event = run_event(first.data)
    if not tx.exists:
        if event.resume == "must" and not event.join:
            raise RunNotFound(batch.run_id)
        owner = None if event.join else batch.writer
        name = event.name or f"run-{batch.run_id[:8]}"
        if tx.create(project=event.project, name=name, owner=owner, created_ms=_when(first, tx)):
            _describe(tx, event, aside)
            return tx.add_writer(batch.writer, 1, joined=event.join)
        if tx.deleted:
            raise RunNotFound(batch.run_id)
        known = tx.writer(batch.writer)  # this same batch, sent twice at once, was faster
        if known is not None:
            return known
    return tx.add_writer(batch.writer, _enter(tx, engine, event, batch.writer, aside), joined=event.join)


def _when(event: Event, tx: Transaction) -> int:
    """When it happened by the writer's clock, so that a run shipped later keeps its time; never in the future."""
    return min(event.time_ms, tx.now_ms) if event.time_ms > 0 else tx.now_ms


def _enter(tx: Transaction, engine: Judges, event: RunEvent, writer: str, aside: Aside) -> int:
    """A run that exists gets another writer; the attempt that its points belong to."""
    attempt = tx.run.attempt
    if event.join:
        return attempt
    if tx.get("owner") is None:  # until now only joiners came: this one starts the attempt that they wait in
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
    if tx.recommendation.action is Action.STOP:  # else every later attempt would be advised to stop at once
        judge_anew(tx, engine.of(str(tx.get("project"))), writer, attempt + 1, last)
    return attempt + 1


def _describe(tx: Transaction, event: RunEvent, aside: Aside) -> None:
    add_config(tx, "config", event.config, aside)
    add_tags(tx, event.tags, aside)
    for name in ("group", "loss", "heartbeat_s", "planned_steps"):
        value = getattr(event, name)
        if value is not None:
            tx.set(**{name: value})
    if event.stop != tx.get("stop_modes"):  # of this attempt alone
        tx.set(stop_modes=event.stop)
    if event.roles:
        tx.say(event.roles)


def beat(tx: Transaction, now_ms: int) -> None:
    """The client lives: a run that was lost is running again."""
    last = tx.get("heartbeat_ms")
    later = isinstance(last, int) and now_ms < last and is_past(last, now_ms)  # by another server's clock
    tx.set(heartbeat_ms=last if later else now_ms)
    if tx.get("status") == RunStatus.LOST:
        _run_again(tx)


def _run_again(tx: Transaction) -> None:
    tx.add_alerts([status_alert(tx.run, RunStatus.RUNNING, now_ms=tx.now_ms)])
    tx.set(status=str(RunStatus.RUNNING))


def _apply(
    tx: Transaction,
    engine: Engine,
    batch: Batch,
    writer: Writer,
    aside: Aside,
    *,
    told: bytes | None,
    thresholds: Sequence[Threshold],
) -> Writer:
    """What follows the first contact: a further `run` event, points, the other events, the offset.

    Args:
        told: what `_told` said before the batch.
        thresholds: what the run is watched for besides the rules.
    """
    writer = _further_run(tx, engine, batch, writer, aside)
    _say(tx, batch.events, aside)
    batch = _within_series(tx, batch, aside)
    anew = told is not None and said(tx, engine) != told
    if len(batch.points):
        done = store_points(tx, engine, batch, writer.attempt, anew=anew)
        if thresholds:
            watch(tx, thresholds, batch, done.states)
    elif anew or any(event.kind == "weights" for event in batch.events):
        judge(tx, engine, batch, None, anew=anew)
    _happen(tx, batch.events, writer, aside)
    keep_events(tx, batch, aside)
    tx.ack(batch.writer, writer.attempt, batch.end)
    return writer


def _further_run(tx: Transaction, engine: Engine, batch: Batch, writer: Writer, aside: Aside) -> Writer:
    """A `run` event behind a writer's first record starts another attempt, one in a batch."""
    entered = False
    for event in batch.events:
        if event.kind != "run" or event.record == 0 or (found := run_event(event.data)).join:
            continue
        if entered:
            aside("dropped", "run", "a batch starts one attempt at most", 1)
            continue
        entered = True
        writer = Writer(_enter(tx, engine, found, batch.writer, aside), writer.joined, writer.acked)
    return writer


def _say(tx: Transaction, events: Sequence[Event], aside: Aside) -> None:
    """Take in what says what the points mean, and whether they are news to anybody: before the points."""
    config: dict[str, object] = {}
    capture: dict[str, object] = {}
    for event in events:
        if event.kind == "config":
            config.update(_mapping(event.data["config"]))
        elif event.kind == "capture":
            capture.update(event.data)
        elif event.kind == "loss" and tx.get("loss") is None:  # what the user said stays
            tx.set(loss=dict(_mapping(event.data["loss"])))
    add_config(tx, "config", config, aside)
    add_config(tx, "capture", capture, aside)


def _happen(tx: Transaction, events: Sequence[Event], writer: Writer, aside: Aside) -> None:
    """Take in what the other events say: behind the points."""
    tags: dict[str, str] = {}
    for event in events:
        if event.kind == "tags":
            tags.update({name: str(value) for name, value in _mapping(event.data["tags"]).items()})
        elif event.kind == "alert":
            _alert(tx, event, aside)
        elif event.kind == "stop":
            stops.acknowledge(tx, event)
        elif event.kind == "finish":
            finish(tx, event, writer)
    add_tags(tx, tags, aside)


def keep_events(tx: Transaction, batch: Batch, aside: Aside) -> None:
    """Count what was set aside, and keep the events."""
    room = max(0, MAX_EVENTS - _so_far(tx, "event_count"))
    events = [event for event in batch.events if event.kind not in ("output", "media")]
    if len(events) > room:
        aside("dropped", "events", f"a run keeps {MAX_EVENTS} events; the others only take effect", len(events) - room)
    told = aside.events(batch.first, tx.now_ms)
    if any(event.kind == "warning" for event in (*batch.events, *told)):
        tx.set(warnings=counted(_counters(tx), (*batch.events, *told)))
    written = [event for event in batch.events if event.kind == "output"]
    if written:
        tx.add_output(written, MAX_OUTPUT)
    media = [event for event in batch.events if event.kind == "media"]
    if media:
        tx.add_media(media, MAX_RUN_MEDIA)
    tx.add_events(batch.writer, (*events, *told)[:room])
    if any(event.kind == "examples" for event in events):
        tx.trim_events("examples", MAX_EXAMPLES)


def _within_series(tx: Transaction, batch: Batch, aside: Aside) -> Batch:
    """The batch without the points of series that are too many for one run."""
    have = _so_far(tx, "series_count")
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
    """Store the points of a batch, with what they say of the run, and judge it."""
    done = tx.append(attempt, batch.keys, batch.points)
    states = done.states.values()
    begins = attempt > 1 and attempt == tx.get("attempt") and tx.get("last_step") is None
    if any(state.role != Role.SYSTEM for state in states):  # the machine's own measurements are not progress
        tx.set(last_point_ms=tx.now_ms)
        if tx.get("status") == RunStatus.STALLED:
            _run_again(tx)
        if attempt == tx.get("attempt"):
            last, before = int(batch.points.step.max()), tx.get("last_step")
            tx.set(last_step=max(last, before) if isinstance(before, int) else last)
    if done.late:
        before = _counters(tx)
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


def add_config(tx: Transaction, column: str, more: Mapping[str, object], aside: Aside) -> None:
    """Merge into the configuration, or into what was captured; the whole has the bounds of one."""
    if more:
        known = _mapping(tx.get(column))
        tx.set(**{column: document(dict(known) | dict(more), aside, column) if known else dict(more)})


def add_tags(tx: Transaction, more: Mapping[str, str], aside: Aside) -> None:
    """Add tags to the run, or change them, within its bound."""
    known = _mapping(tx.get("tags")) if more else {}
    fresh = [name for name in more if name not in known]
    over = set(fresh[max(0, MAX_TAGS - len(known)) :])
    if over:
        aside("dropped", "tags", f"a run has {MAX_TAGS} tags at most", len(over))
    tx.merge_tags({name: value for name, value in more.items() if name not in over})


def finish(tx: Transaction, event: Event, writer: Writer) -> None:
    """The end of the run, where its owner says so; an extra writer, or one of an older attempt, ends only itself."""
    run = tx.run
    waited = "exit_code" in event.data and not RunStatus(str(tx.get("status"))).ended  # it saw the process end
    if writer.attempt < run.attempt or (writer.joined and tx.get("owner") is not None and not waited):
        return
    status = RunStatus(str(event.data["status"]))
    if run.status is not status and not imported(tx):
        tx.end_alerts(f"the run {status}")
        if status is RunStatus.FAILED:
            tx.add_alerts([status_alert(replace(run, error=_text(event.data["error"])), status, now_ms=tx.now_ms)])
        else:
            tx.add_alerts([finished_alert(run, status, now_ms=tx.now_ms)])
    tx.set(status=str(status), finished_ms=max(_when(event, tx), run.created_ms), error=event.data["error"])
    if not run.status.ended:
        reason = event.data.get("reason")
        stops.end(tx, status, None if reason is None else str(reason))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _alert(tx: Transaction, event: Event, aside: Aside) -> None:
    if _so_far(tx, "alert_count") >= MAX_ALERTS:
        aside("dropped", "alert", f"a run gives {MAX_ALERTS} alerts at most", 1)
        return
    run, title = tx.run, str(event.data["title"])
    alert = Alert.of(
        run,
        kind="alert",
        state="firing",
        severity=Severity(str(event.data["severity"])),
        title=title,
        body=str(event.data["body"]),
        step=run.last_step,
        created_ms=tx.now_ms,
        dedup_key=f"{run.id}:alert:{title}"[:250],
    )
    tx.add_alerts([alert])


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _counters(tx: Transaction) -> dict[str, int]:
    return {name: int(str(n)) for name, n in _mapping(tx.get("warnings")).items()}


def _so_far(tx: Transaction, counter: str) -> int:
    value = tx.get(counter)
    assert isinstance(value, int)
    return value


def _reply(
    tx: Transaction, engine: Judges, acked: int, set_aside: tuple[str, ...] = (), *, duplicate: bool = False
) -> Reply:
    stop, reason, request = stops.answer(tx, engine)
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
