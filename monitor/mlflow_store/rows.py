"""MLflow's rows for what MLflow does not write itself: runs of our own client, and verdicts on all runs.

Runs have one id in both; their points are read from the same chunks, so that rows are all there is to write.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from monitor.domain import RunInfo, SeriesInfo
from monitor.mlflow_store import content
from monitor.store import Store as OurStore
from monitor.store.mlflow import MlflowStore

if TYPE_CHECKING:
    from monitor.mlflow_store.store import Store

TARGET: Final = "mlflow-rows"
"""What the store calls this copy."""
PAGE: Final = 100
_RUN_ID: Final = "monitor.run_id"

_log = logging.getLogger(__name__)


class Rows:
    """Brings MLflow's tables up to date.

    Args:
        mlflow: the tracking store of this process.
    """

    def __init__(self, mlflow: Store) -> None:
        self._mlflow = mlflow
        self._counts: dict[tuple[str, str], int] = {}
        self._one = threading.Lock()

    def sync(self, store: OurStore, now_ms: int) -> int:
        """Write what changed; how many runs that were."""
        assert isinstance(store, MlflowStore)
        from mlflow.exceptions import MlflowException

        done = 0
        with self._one:
            while True:
                page = store.changed_runs(TARGET, PAGE)
                for run, _ in page:
                    try:
                        self._bring(store, run)
                    except MlflowException as error:
                        if error.error_code == "TEMPORARILY_UNAVAILABLE":
                            raise
                        _log.warning("run %s (%s) is not brought to MLflow's tables: %s", run.id, run.name, error)
                    store.exported(run.id, TARGET, run.version, run.id)
                    done += 1
                if len(page) < PAGE:
                    break
            store.delete_in_mlflow(now_ms)
        return done

    def _bring(self, store: MlflowStore, run: RunInfo) -> None:
        from mlflow.store.tracking.dbmodels.models import SqlRun, SqlTag

        tags = content.tags_of(run)
        experiment = None
        with self._mlflow.ManagedSessionMaker() as session:
            row = session.get(SqlRun, run.id)
            own = row is None or session.get(SqlTag, (_RUN_ID, run.id)) is not None
        if row is None:
            experiment = self._experiment(run.project)
        latest = self._latest(store, run.id) if own else []
        with self._mlflow.ManagedSessionMaker(read_only=False) as session:
            if own:
                self._write_run(session, run, experiment)
                _merge(session, run.id, tags, latest)
            else:  # MLflow's own: what it says of the run stays, and the verdict is added
                verdict = {key: value for key, value in tags.items() if key.startswith("monitor.") and key != _RUN_ID}
                _merge(session, run.id, verdict, [])
        if own:
            store.tie(run.id)

    def _experiment(self, project: str) -> Any:
        """The experiment of a project, made where there is none."""
        name = content.cut(project, content.MAX_EXPERIMENT)
        found = self._mlflow.get_experiment_by_name(name)
        return found or self._mlflow.get_experiment(self._mlflow.create_experiment(name))

    def _write_run(self, session: Any, run: RunInfo, experiment: Any) -> None:
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
        row.status, row.end_time = content.STATUS[run.status], content.end_ms(run)
        row.lifecycle_stage, row.deleted_time = "active", None
        session.flush()
        params = {param.key: param for param in session.query(SqlParam).filter(SqlParam.run_uuid == run.id)}
        for key, value in content.params_of(run.config).items():
            if key not in params:
                session.add(SqlParam(run_uuid=run.id, key=key, value=value))
            elif params[key].value != value:  # a run of ours may learn better; MLflow's API could not say so
                params[key].value = value

    def _latest(self, store: MlflowStore, run_id: str) -> list[dict[str, Any]]:
        """The latest point of every series that has moved since this process looked."""
        found = []
        for series in store.series(run_id):
            if self._counts.get((run_id, series.key)) != series.count and series.last_step is not None:
                found.append(_latest_of(store, run_id, series))
                self._counts[run_id, series.key] = series.count
        return found


def _latest_of(store: MlflowStore, run_id: str, series: SeriesInfo) -> dict[str, Any]:
    """The latest point of a series, as MLflow tells it: by step, then time, then value."""
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


def _merge(session: Any, run_id: str, tags: Mapping[str, str], latest: list[dict[str, Any]]) -> None:
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlTag

    there = {tag.key: tag for tag in session.query(SqlTag).filter(SqlTag.run_uuid == run_id)}
    for key, value in tags.items():
        if key in there:
            there[key].value = value
        elif value:
            session.add(SqlTag(run_uuid=run_id, key=key, value=value))
    for row in latest:
        session.merge(SqlLatestMetric(run_uuid=run_id, **row))
