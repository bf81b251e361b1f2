"""Ingests what comes through MLflow: points without record numbers, and runs described by MLflow's tables.

MLflow's clients do not number records, and may send a point twice or out of order. So each point is compared with what
is stored, in the transaction that stores it. New points then take the same path as any batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from monitor.alerts import ALERTED, status_alert
from monitor.domain import RunStatus
from monitor.domain.mlflow_tags import USERS, is_marking
from monitor.errors import RunNotFound, SettingsError
from monitor.ingest import stops
from monitor.ingest.aside import Aside
from monitor.ingest.effects import add_tags, finish, keep_events
from monitor.ingest.engines import Engines
from monitor.ingest.events import checked
from monitor.ingest.ingest import beat, first_contact, store_points, take
from monitor.ingest.judge import judge
from monitor.ingest.watched import thresholds_of, watch
from monitor.limits import Note, label, value_of
from monitor.roles import said_of_tags
from monitor.store import Writer
from monitor.store.mlflow import DELETED_BY_MLFLOW, WRITER, MlflowRun, MlflowStore, MlflowTransaction
from monitor.wire import Batch, Columns, Event

_T = TypeVar("_T")

HEARTBEAT_S: Final = 8 * 3600.0
"""The heartbeat interval assumed for MLflow's runs: every call is a heartbeat, and an epoch may take hours."""
ENDS: Final[Mapping[str, RunStatus]] = {
    "FINISHED": RunStatus.FINISHED,
    "FAILED": RunStatus.FAILED,
    "KILLED": RunStatus.STOPPED,
}


def log(
    store: MlflowStore,
    engines: Engines,
    run_id: str,
    keys: Sequence[str],
    points: Columns,
    *,
    now_ms: int,
    workspace: str | None = None,
) -> bool:
    """Store points of an MLflow run and judge it. Points that are already stored change nothing.

    Args:
        keys: names that `points.key` refers to, as sent to MLflow.
        points: n >= 1 points in the order in which they were logged.
        workspace: the run must be in this one; None for any.

    Returns:
        False if MLflow has no such active run; nothing was stored.

    Raises:
        RunNotFound: the run was deleted here.
    """
    engines.look()
    with store.write_mlflow(run_id, now_ms, keys) as tx:
        run = tx.mlflow_run
        if run is None or not run.active or workspace not in (None, run.workspace):
            return False
        if tx.deleted:
            raise RunNotFound(run_id)
        fresh = tx.unlogged(keys, points)
        if len(fresh):
            writer = _enter(tx, engines, run)
            beat(tx, now_ms)
            tx.advance_latest(keys, fresh)
            batch = Batch(run_id=run_id, writer=WRITER, first=writer.acked, count=1, keys=tuple(keys), points=fresh)
            done = store_points(tx, engines.of(str(tx.get("project"))), batch, writer.attempt, anew=False)
            if thresholds := thresholds_of(engines, tx):
                watch(tx, thresholds, batch, done.states)
            stops.consider(tx, engines)
        return True


def describe(
    store: MlflowStore, engines: Engines, run_id: str, *, now_ms: int, restored: bool = False, renamed: bool = False
) -> None:
    """Copy what MLflow's tables say about a run: experiment, name, parameters, tags, its end and deletion.

    For a run of our own client, only the tags are copied, since the client decides the rest; and its name, if somebody
    has just changed it.

    Args:
        restored: somebody has just restored the run in MLflow, wherever it was deleted.
        renamed: somebody has just renamed the run in MLflow.
    """
    with store.write_mlflow(run_id, now_ms) as tx:
        run = tx.mlflow_run
        if run is None:
            return
        if tx.deleted:
            if not run.active or not (restored or tx.get("deleted_ms") == DELETED_BY_MLFLOW):
                return
            tx.restore()
        _enter(tx, engines, run)
        _tagged(tx, engines)
        if tx.get("owner") == WRITER:
            _described(tx, engines, run)
        elif renamed:
            tx.set(name=label(run.name) or tx.get("name"))
        if not run.active and not tx.deleted:
            tx.set(deleted_ms=DELETED_BY_MLFLOW)


def _tagged(tx: MlflowTransaction, engines: Engines) -> None:
    """Copy the tags. If they change the series' roles, judge the run again."""
    aside, tags = Aside(), _tags(tx)
    news = _news(tx, "tags", tags)
    if tx.get("owner") == WRITER:
        tx.remove_tags([name for name in tx.mapping("tags") if name not in tags])
    add_tags(tx, news, aside)
    roles = _roles(tags, aside if any(name in USERS for name in news) else _unheard)
    known = {role: str(name) for role, name in tx.mapping("roles").items()}
    if tx.get("owner") != WRITER:  # its own client may have assigned others
        roles = {**known, **roles}
    event = _event(tx, "tags", {"tags": {}})
    if roles != known:
        tx.say(roles)
        judge(tx, engines.of(str(tx.get("project"))), event, None, anew=True)
    if aside.lines():
        keep_events(tx, replace(event, count=0, events=()), aside)


def _roles(tags: Mapping[str, str], note: Note) -> dict[str, str]:
    """The roles that the tags assign to series; empty if they cannot be used."""
    try:
        return said_of_tags(tags).to_dict()
    except SettingsError as error:
        note("dropped", "roles", str(error), 1)
        return {}


def _unheard(*_: object) -> None:
    """Ignore a notice that was reported before."""


def _described(tx: MlflowTransaction, engines: Engines, run: MlflowRun) -> None:
    tx.set(name=label(run.name) or tx.get("name"), project=label(run.experiment) or tx.get("project"))
    config = _news(tx, "config", _config(tx))
    if config:
        take(tx, engines, _event(tx, "config", {"config": config}), Aside())
    status = ENDS.get(run.status)
    live = RunStatus(str(tx.get("status"))).live
    if status is None and not live:
        if tx.run.status in ALERTED:
            tx.add_alerts([status_alert(tx.run, RunStatus.RUNNING, now_ms=tx.now_ms)])
        tx.set(status=str(RunStatus.RUNNING), finished_ms=None)
    elif status is not None and tx.get("status") != status:
        data = {"status": str(status), "error": None}
        event = Event(kind="finish", record=0, time_ms=run.end_ms or tx.now_ms, data=data)
        finish(tx, event, Writer(tx.run.attempt, False, 0))


def _enter(tx: MlflowTransaction, engines: Engines, run: MlflowRun) -> Writer:
    """The writer for what comes through MLflow. Creates it, and the run, if it has written nothing yet.

    Its records are events. Points are identified by their content and advance no offset.
    """
    known = tx.writer(WRITER) if tx.exists else None
    if known is not None:
        return known
    aside = Aside()
    data: dict[str, object] = {"join": tx.exists}
    if not tx.exists:
        data = {"project": run.experiment, "name": run.name, "config": _config(tx), "heartbeat_s": HEARTBEAT_S}
        data["tags"] = tags = _tags(tx)
        data["roles"] = _roles(tags, aside)
    event = Event(kind="run", record=0, time_ms=run.start_ms, data=data)
    batch = checked(Batch(run_id=tx.run_id, writer=WRITER, first=0, count=1, events=(event,)), aside)
    writer = first_contact(tx, engines, batch, aside)
    if writer.acked:  # another process was faster
        return writer
    tx.tie()
    keep_events(tx, batch, aside)
    tx.ack(WRITER, writer.attempt, 1)
    return Writer(writer.attempt, writer.joined, 1)


def _event(tx: MlflowTransaction, kind: str, data: Mapping[str, object]) -> Batch:
    """A batch of one event, at the writer's current offset."""
    writer = tx.writer(WRITER)
    assert writer is not None
    event = Event(kind=kind, record=writer.acked, time_ms=tx.now_ms, data=data)
    return Batch(run_id=tx.run_id, writer=WRITER, first=writer.acked, count=1, events=(event,))


def _news(tx: MlflowTransaction, column: str, found: Mapping[str, _T]) -> dict[str, _T]:
    before = tx.mapping(column)
    return {name: value for name, value in found.items() if name not in before or before[name] != value}


def _config(tx: MlflowTransaction) -> dict[str, object]:
    """The parameters, which MLflow stores as text, converted back to numbers."""
    return {name: value_of(value) for name, value in tx.mlflow_params().items()}


def _tags(tx: MlflowTransaction) -> dict[str, str]:
    """The user's tags of the run, without those that MLflow and we set."""
    return {name: value for name, value in tx.mlflow_tags().items() if not is_marking(name)}
