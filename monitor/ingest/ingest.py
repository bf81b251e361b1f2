"""From a batch to the store, in one transaction of one run.

Points, the writer's acknowledged offset, the engine's state, changed findings, and the alerts they call for are
committed together or not at all; a batch that was stored before changes nothing. Validation comes first: bad input is
refused with the field named, and nothing of its batch is stored.
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.alerts import status_alert
from monitor.domain import Action, Alert, Reply, RunInfo, RunStatus, Severity
from monitor.errors import OffsetGap, RunExists, RunNotFound, WireError
from monitor.ingest.engines import Judges
from monitor.ingest.events import RunEvent, checked, config_of, run_event, tags_of, text
from monitor.ingest.judge import imported, judge, judge_anew, said
from monitor.roles import Role
from monitor.rules import Engine
from monitor.store import Ahead, Store, Transaction, Writer
from monitor.wire import Batch, Event


def ingest(store: Store, engine: Judges, batch: Batch, *, now_ms: int) -> Reply:
    """Store a batch and judge the run.

    Args:
        store: where to.
        engine: the rules, of all projects or of each; it holds no run's data.
        batch: records of one writer of one run. One that ends at or before the writer's acknowledged offset is a
            duplicate. now_ms: milliseconds since the epoch; the run's heartbeat.

    Returns:
        What is stored now, and what the loop is to do.

    Raises:
        OffsetGap: the batch does not start where the writer's last one ended; nothing was stored.
        WireError: an event cannot be used; nothing was stored.
        RunExists: resume="never", but another writer started this run.
        RunNotFound: resume="must", but there is no such run; or the run was deleted.
        StoreError: the database refused.
    """
    batch = checked(batch)
    with store.write(batch.run_id, now_ms, Ahead(batch.writer, batch.keys if len(batch.points) else ())) as tx:
        if tx.deleted:
            raise RunNotFound(batch.run_id)
        told = _told(tx, engine, batch)
        writer = tx.writer(batch.writer) if tx.exists else None
        fresh = writer is None
        if writer is None:
            writer = _first_contact(tx, engine, batch)
        _beat(tx, now_ms)
        if batch.end <= writer.acked and (batch.count or batch.first < writer.acked):
            return _reply(tx, writer.acked, duplicate=True)
        if batch.first != writer.acked:
            raise OffsetGap(batch.run_id, batch.writer, expected=writer.acked, got=batch.first)
        if batch.count:
            writer = _apply(tx, engine.of(str(tx.get("project"))), batch, writer, fresh=fresh, told=told)
        return _reply(tx, batch.end, duplicate=False)


def _told(tx: Transaction, engine: Judges, batch: Batch) -> bytes | None:
    """What the rules know of the run so far, where the batch may change it; None where it cannot."""
    if not tx.exists or not any(event.kind in ("run", "config", "loss") for event in batch.events):
        return None
    return said(tx, engine.of(str(tx.get("project"))))


def _first_contact(tx: Transaction, engine: Judges, batch: Batch) -> Writer:
    """A writer's first batch starts the run, a new attempt of it, or joins it."""
    if batch.first != 0 or batch.count == 0:
        raise OffsetGap(batch.run_id, batch.writer, expected=0, got=batch.first)
    first = batch.events[0] if batch.events else None
    if first is None or first.kind != "run" or first.record != 0:
        raise WireError("events[0]", "a writer's first record must be a run event")
    event = run_event(first.data)
    if not tx.exists:
        if event.resume == "must" and not event.join:
            raise RunNotFound(batch.run_id)
        owner = None if event.join else batch.writer
        name = event.name or f"run-{batch.run_id[:8]}"
        if tx.create(project=event.project, name=name, owner=owner, created_ms=_when(first, tx)):
            _describe(tx, event)
            return tx.add_writer(batch.writer, 1, joined=event.join)
        if tx.deleted:
            raise RunNotFound(batch.run_id)
        known = tx.writer(batch.writer)  # this same batch, sent twice at once, was faster
        if known is not None:
            return known
    return tx.add_writer(batch.writer, _enter(tx, engine, event, batch.writer), joined=event.join)


def _when(event: Event, tx: Transaction) -> int:
    """When it happened by the writer's clock, so that a run shipped later keeps its time; never in the future."""
    return min(event.time_ms, tx.now_ms) if event.time_ms > 0 else tx.now_ms


def _enter(tx: Transaction, engine: Judges, event: RunEvent, writer: str) -> int:
    """A run that exists gets another writer; the attempt that its points belong to."""
    attempt = tx.run.attempt
    if event.join:
        return attempt
    if tx.get("owner") is None:  # until now only joiners came: this one starts the attempt that they wait in
        tx.set(owner=writer, project=event.project)
        if event.name:
            tx.set(name=event.name)
        _describe(tx, event)
        return attempt
    if event.resume == "never":
        raise RunExists(tx.run_id)
    last = tx.get("last_step")
    tx.set(attempt=attempt + 1, owner=writer, last_step=None)
    tx.set(status=str(RunStatus.RUNNING), finished_ms=None, error=None, stop_requested=None)
    if event.name:
        tx.set(name=event.name)
    _describe(tx, event)
    if tx.recommendation.action is Action.STOP:  # whoever goes on all the same is not told so at once, for ever
        judge_anew(tx, engine.of(str(tx.get("project"))), writer, attempt + 1, last)
    return attempt + 1


def _describe(tx: Transaction, event: RunEvent) -> None:
    tx.set(config={**_mapping(tx.get("config")), **event.config})
    tx.merge_tags(event.tags)
    for name in ("group", "loss", "heartbeat_s"):
        value = getattr(event, name)
        if value is not None:
            tx.set(**{name: value})


def _beat(tx: Transaction, now_ms: int) -> None:
    """The client lives: a run that was lost is running again."""
    last = tx.get("heartbeat_ms")
    tx.set(heartbeat_ms=max(last, now_ms) if isinstance(last, int) else now_ms)
    if tx.get("status") == RunStatus.LOST:
        _run_again(tx)


def _run_again(tx: Transaction) -> None:
    tx.add_alerts([status_alert(tx.run, RunStatus.RUNNING, now_ms=tx.now_ms)])
    tx.set(status=str(RunStatus.RUNNING))


def _apply(tx: Transaction, engine: Engine, batch: Batch, writer: Writer, *, fresh: bool, told: bytes | None) -> Writer:
    """What follows the first contact: further `run` events, points, the other events, the offset.

    Args:
        told: what `_told` said before the batch.
    """
    for event in batch.events:
        if event.kind == "run" and not (fresh and event.record == 0):
            found = run_event(event.data)
            if not found.join and event.record > 0:
                writer = Writer(_enter(tx, engine, found, batch.writer), writer.joined, writer.acked)
    for event in batch.events:
        if event.kind in _FIRST:
            _EVENTS[event.kind](tx, event, writer)
    anew = told is not None and said(tx, engine) != told
    if len(batch.points):
        _points(tx, engine, batch, writer.attempt, anew=anew)
    elif anew or any(event.kind == "weights" for event in batch.events):
        judge(tx, engine, batch, None, anew=anew)
    for event in batch.events:
        if event.kind not in _FIRST:
            _EVENTS.get(event.kind, _only_keep)(tx, event, writer)
    tx.add_events(batch.writer, batch.events)
    tx.ack(batch.writer, writer.attempt, batch.end)
    return writer


def _points(tx: Transaction, engine: Engine, batch: Batch, attempt: int, *, anew: bool) -> None:
    done = tx.append(attempt, batch.keys, batch.points)
    states = done.states.values()
    if any(state.role != Role.SYSTEM for state in states):  # the machine's own measurements are no progress
        tx.set(last_point_ms=tx.now_ms)
        if tx.get("status") == RunStatus.STALLED:
            _run_again(tx)
        if attempt == tx.get("attempt"):
            last, before = int(batch.points.step.max()), tx.get("last_step")
            tx.set(last_step=max(last, before) if isinstance(before, int) else last)
    if done.late:
        tx.set(warnings=_counted(tx.run, "late", done.late))
    for state in states:
        if state.judged and state.role in (Role.TRAIN, Role.VAL):
            role = state.role
            best = {f"{role}_last": state.last, f"{role}_best": state.min, f"{role}_best_step": state.min_step}
            tx.set(**best)
    judge(tx, engine, batch, done, anew=anew)


def _config(tx: Transaction, event: Event, _: Writer) -> None:
    tx.set(config={**_mapping(tx.get("config")), **config_of(event.data)})


def _tags(tx: Transaction, event: Event, _: Writer) -> None:
    tx.merge_tags(tags_of(event.data))


def _loss(tx: Transaction, event: Event, _: Writer) -> None:
    if tx.get("loss") is None:  # what the user said stays
        tx.set(loss=dict(_mapping(event.data["loss"])))


def _capture(tx: Transaction, event: Event, _: Writer) -> None:
    tx.set(capture={**_mapping(tx.get("capture")), **event.data})


def _warning(tx: Transaction, event: Event, _: Writer) -> None:
    tx.set(warnings=_counted(tx.run, str(event.data["name"]), int(str(event.data["count"]))))


def _finish(tx: Transaction, event: Event, writer: Writer) -> None:
    """The end of the run, where its owner says so; an extra writer, or one of an older attempt, ends only itself."""
    run = tx.run
    if writer.attempt < run.attempt or (writer.joined and tx.get("owner") is not None):
        return
    status = RunStatus(str(event.data["status"]))
    if status is RunStatus.FAILED and run.status is not status and not imported(tx):
        tx.add_alerts([status_alert(run, status, now_ms=tx.now_ms)])
    tx.set(status=str(status), finished_ms=max(_when(event, tx), run.created_ms), error=event.data["error"])


def _alert(tx: Transaction, event: Event, _: Writer) -> None:
    run, title = tx.run, str(event.data["title"])
    alert = Alert(
        run_id=run.id,
        project=run.project,
        run_name=run.name,
        kind="alert",
        state="firing",
        severity=Severity(str(event.data["severity"])),
        title=title,
        body=str(event.data["body"]),
        step=run.last_step,
        created_ms=tx.now_ms,
        dedup_key=f"{run.id}:alert:{text(title)}"[:250],
    )
    tx.add_alerts([alert])


def _only_keep(tx: Transaction, event: Event, writer: Writer) -> None:
    """Events that need no more than their row."""


_EVENTS = {
    "config": _config, "loss": _loss, "capture": _capture, "tags": _tags, "warning": _warning,
    "finish": _finish, "alert": _alert,
}  # fmt: skip
_FIRST = ("config", "loss", "capture")
"""Events that are taken in before the points: they say what the points mean, and whether they are news to anybody."""


def _counted(run: RunInfo, name: str, more: int) -> dict[str, int]:
    return {**run.warnings, name: run.warnings.get(name, 0) + more}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _reply(tx: Transaction, acked: int, *, duplicate: bool) -> Reply:
    who = tx.get("stop_requested")
    return Reply(
        acked=acked,
        recommendation=tx.recommendation,
        stop_requested=None if who is None else str(who),
        duplicate=duplicate,
    )
