"""Writes what MLflow does not write itself into its tables: runs of our own client, and the verdicts of all runs.

Runs have the same id on both sides, and their points are read from the same chunks, so only rows have to be written.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from monitor.domain import RunInfo, SeriesInfo
from monitor.domain.mlflow_tags import OWN
from monitor.limits import cut
from monitor.mlflow_store import content
from monitor.mlflow_store.content import MAX_EXPERIMENT, MAX_TAG
from monitor.mlflow_store.note import NOTE, note_of
from monitor.store import Store as OurStore
from monitor.store.mlflow import RUN_NAME, MlflowStore

if TYPE_CHECKING:
    from monitor.mlflow_store.store import Store

TARGET: Final = "mlflow-rows"
"""The store's name for this copy."""
PAGE: Final = 100
"""Runs that are read at a time."""
UNDATED: Final = 0
"""Time of our point in a metric that users may log too. Theirs is never that old, so it always counts as later."""
_log = logging.getLogger(__name__)


class Rows:
    """Updates MLflow's tables.

    Args:
        mlflow: the tracking store of this process.
    """

    def __init__(self, mlflow: Store) -> None:
        self._mlflow = mlflow
        self._counts: dict[tuple[str, str], int] = {}
        self._one = threading.Lock()

    def sync(self, store: OurStore, now_ms: int, link: Callable[[str], str | None]) -> int:
        """Write what changed. Returns how many runs that were.

        Args:
            link: maps a run's id to the address of its page on the dashboard.
        """
        assert isinstance(store, MlflowStore)
        from mlflow.exceptions import MlflowException

        done = 0
        with self._one:
            while True:
                some = store.changed_runs(TARGET, PAGE)
                for run, _ in some:
                    try:
                        self._bring(store, run, now_ms, link(run.id))
                    except MlflowException as error:
                        if error.error_code == "TEMPORARILY_UNAVAILABLE":
                            raise
                        _log.warning("run %s (%s) was not written to MLflow's tables: %s", run.id, run.name, error)
                    store.exported(run.id, TARGET, run.version, run.id)
                    done += 1
                if len(some) < PAGE:
                    break
            store.delete_in_mlflow(now_ms)
        return done

    def _bring(self, store: MlflowStore, run: RunInfo, now_ms: int, page: str | None) -> None:
        from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlRun, SqlTag

        subject = content.Subject.of(store, run, page)
        with self._mlflow.ManagedSessionMaker() as session:
            row = session.get(SqlRun, run.id)
            own = row is None or session.get(SqlTag, (content.RUN_ID, run.id)) is not None
        experiment = self._experiment(run.project) if row is None else None
        series = store.series(run.id)
        latest = self._latest(store, run.id, series) if own else []
        with self._mlflow.ManagedSessionMaker(read_only=False) as session:
            if own:
                _write_run(session, run, experiment)
                tags = {**content.tags_of(subject), RUN_NAME: cut(run.name, MAX_TAG)}
            else:  # MLflow's own run: leave it as it is, and add the verdict
                tags = {key: value for key, value in content.verdict_tags(subject).items() if key != content.RUN_ID}
            _write_tags(session, subject, tags)
            for point in latest:
                session.merge(SqlLatestMetric(run_uuid=run.id, **point))
            _write_verdict(session, run.id, content.metrics_of(subject), {each.key for each in series}, now_ms)
        if own:
            store.tie(run.id)

    def _experiment(self, project: str) -> Any:
        """The experiment of a project, created if missing."""
        name = cut(project, MAX_EXPERIMENT)
        found = self._mlflow.get_experiment_by_name(name)
        return found or self._mlflow.get_experiment(self._mlflow.create_experiment(name))

    def _latest(self, store: MlflowStore, run_id: str, series: Sequence[SeriesInfo]) -> list[dict[str, Any]]:
        """The latest point of every series that has changed since this process last looked."""
        found = []
        for each in series:
            if self._counts.get((run_id, each.key)) != each.count and each.last_step is not None:
                found.append(_latest_of(store, run_id, each))
                self._counts[run_id, each.key] = each.count
        return found


def _write_run(session: Any, run: RunInfo, experiment: Any) -> None:
    from mlflow.store.tracking.dbmodels.models import SqlParam, SqlRun

    row = session.get(SqlRun, run.id)
    if row is None:
        row = SqlRun(
            run_uuid=run.id,
            experiment_id=int(experiment.experiment_id),
            artifact_uri=f"{experiment.artifact_location.rstrip('/')}/{run.id}/artifacts",
            source_type="UNKNOWN",
            source_name="",
            source_version="",
            entry_point_name="",
            user_id="",
        )
        session.add(row)
    row.name, row.start_time = run.name, run.created_ms
    row.status, row.end_time = content.status_of(run), content.end_ms(run)
    row.lifecycle_stage, row.deleted_time = "active", None
    session.flush()
    params = {param.key: param for param in session.query(SqlParam).filter(SqlParam.run_uuid == run.id)}
    for key, value in content.params_of(run.config).items():
        if key not in params:
            session.add(SqlParam(run_uuid=run.id, key=key, value=value))
        elif params[key].value != value:  # a param of our runs may change, though MLflow's API does not allow it
            params[key].value = value


def _latest_of(store: MlflowStore, run_id: str, series: SeriesInfo) -> dict[str, Any]:
    """The latest point of a series as MLflow defines it: by step, then time, then value."""
    step = series.last_step
    last = store.metric(run_id, series.key, step, step).by_step()
    at = len(last) - 1
    return {
        "key": series.key,
        "value": float(last.values[at]),
        "timestamp": int(last.times[at]),
        "step": int(last.steps[at]),
        "is_nan": bool(last.nan[at]),
    }


def _write_tags(session: Any, subject: content.Subject, tags: Mapping[str, str]) -> None:
    """Set tags, delete our stale ones, and write the description unless a person has edited it."""
    from mlflow.store.tracking.dbmodels.models import SqlTag

    run_id = subject.run.id
    there = {tag.key: tag for tag in session.query(SqlTag).filter(SqlTag.run_uuid == run_id)}
    values = {key: tag.value or "" for key, tag in there.items()}
    for key in content.stale(values, tags):
        session.delete(there[key])
    note = note_of(subject, values.get(NOTE))
    for key, value in {**tags, **({} if note is None else {NOTE: note})}.items():
        if key not in there:
            session.add(SqlTag(run_uuid=run_id, key=key, value=value))
        elif there[key].value != value:
            there[key].value = value


def _write_verdict(
    session: Any, run_id: str, wanted: Mapping[str, float], logged: Collection[str], now_ms: int
) -> None:
    """Write the verdict as metrics of a single point. They are in MLflow's own table, since nobody logged them.

    A metric outside of `monitor.` that a user has logged is theirs; our point of that name is deleted.

    Args:
        logged: the names of the run's series.
    """
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric

    for key, value in wanted.items():
        points = session.query(SqlMetric).filter(SqlMetric.run_uuid == run_id, SqlMetric.key == key)
        reserved = key.startswith(OWN)
        if not reserved and (key in logged or points.filter(SqlMetric.timestamp != UNDATED).first() is not None):
            points.filter(SqlMetric.timestamp == UNDATED).delete()
            continue
        before = session.get(SqlLatestMetric, (key, run_id))
        if before is not None and before.value == value:
            continue
        points.delete()
        time_ms = now_ms if reserved else UNDATED
        point = {"run_uuid": run_id, "key": key, "value": value, "timestamp": time_ms, "step": 0, "is_nan": False}
        session.add(SqlMetric(**point))
        session.merge(SqlLatestMetric(**point))
