"""MLflow's tracking store, with metric histories in our chunks.

Experiments, runs, params, tags, datasets, models, traces and each metric's latest value stay in MLflow's tables, under
MLflow's control. The points of a metric go through our write path, in one transaction with their latest value, so the
rules see them. Older history in MLflow's own table is still read. Tested with MLflow 3.16 to 3.18.
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from mlflow.entities import Metric
from mlflow.entities.entity_type import EntityAssociationType
from mlflow.entities.metric import MetricWithRunId
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.store.tracking.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from mlflow.utils.search_utils import SearchUtils
from mlflow.utils.validation import _validate_batch_log_limits, _validate_metric, _validate_run_id

from monitor.errors import MonitorError, StoreError
from monitor.ingest import mlflow as ingest
from monitor.mlflow_store.backend import Backend, as_mlflow_says, backend_of, now_ms
from monitor.store.mlflow import Logged, MlflowStore
from monitor.wire import Columns

_log = logging.getLogger(__name__)


class Store(SqlAlchemyStore):  # type: ignore[misc]  # MLflow has no types
    """MLflow's SQL store, except for metric histories."""

    def __new__(cls, db_uri: str, *others: Any, **named: Any) -> Any:
        """Create a store. For an in-memory database, which only MLflow's connection can see, it is MLflow's own."""
        if ":memory:" not in db_uri and db_uri != "sqlite://":
            return super().__new__(cls)
        stock = WorkspaceAwareSqlAlchemyStore if issubclass(cls, WorkspaceAwareSqlAlchemyStore) else SqlAlchemyStore
        return stock(db_uri, *others, **named)

    def __init__(self, db_uri: str, default_artifact_root: str | None, read_db_uri: str | None = None) -> None:
        super().__init__(db_uri, default_artifact_root, read_db_uri=read_db_uri)
        self._replica_uri = read_db_uri if read_db_uri != db_uri else None

    @property
    def _ours(self) -> Backend:
        """Our store and rules. Our tables are created on first use, after MLflow has created its own."""
        with as_mlflow_says():
            return backend_of(self.db_uri)

    @functools.cached_property
    def _replica(self) -> MlflowStore | None:
        with as_mlflow_says():
            return MlflowStore.open(self._replica_uri, create=False) if self._replica_uri else None

    @property
    def ours(self) -> MlflowStore:
        """Our store over the same database."""
        return self._ours.store

    # Writes, called by MLflow

    def log_batch(self, run_id: str, metrics: Sequence[Metric], params: Sequence[Any], tags: Sequence[Any]) -> None:
        """As MLflow. A batch with only points is validated once, without an MLflow session."""
        _validate_run_id(run_id)
        if params or tags or not metrics or any(metric.model_id is not None for metric in metrics):
            super().log_batch(run_id, metrics, params, tags)
            return
        _validate(metrics, batch=True)
        _validate_batch_log_limits(metrics, params, tags)
        try:
            self._log_metrics(run_id, _Valid(metrics))
        except MlflowException:
            raise
        except Exception as error:
            raise MlflowException(error, INTERNAL_ERROR) from error

    def _log_metrics_once(self, run_id: str, metrics: Sequence[Metric]) -> None:
        if not isinstance(metrics, _Valid):
            _validate(metrics, batch=len(metrics) != 1)
        if not metrics or not self._log_points(run_id, metrics):
            with self.ManagedSessionMaker() as session:  # raises the error in MLflow's words
                self._check_run_is_active(self._get_run(run_uuid=run_id, session=session))

    def _log_points(self, run_id: str, metrics: Sequence[Metric]) -> bool:
        with as_mlflow_says():
            keys, points = _columns(metrics)
            return ingest.log(
                self._ours.store,
                self._ours.engines,
                run_id,
                keys,
                points,
                now_ms=now_ms(),
                workspace=self._workspace_of_runs(),
            )

    def _workspace_of_runs(self) -> str | None:
        return None

    def create_run(self, *args: Any, **named: Any) -> Any:
        """As MLflow. The run appears on our pages at once."""
        run = super().create_run(*args, **named)
        self._describe(run.info.run_id)
        return run

    def update_run_info(self, run_id: str, run_status: Any, end_time: int | None, run_name: str | None) -> Any:
        """As MLflow. Our pages show the change."""
        found = super().update_run_info(run_id, run_status, end_time, run_name)
        self._describe(run_id, renamed=bool(run_name))
        return found

    def log_param(self, run_id: str, param: Any) -> None:
        """As MLflow. Our pages show it in the configuration."""
        super().log_param(run_id, param)
        self._describe(run_id)

    def _log_params(self, run_id: str, params: Sequence[Any]) -> None:
        super()._log_params(run_id, params)
        if params:
            self._describe(run_id)

    def set_tag(self, run_id: str, tag: Any) -> None:
        """As MLflow. Our pages show the tag."""
        super().set_tag(run_id, tag)
        self._describe(run_id)

    def delete_tag(self, run_id: str, key: str) -> None:
        """As MLflow. If the tag assigned a role to a series, the role is read from its name again."""
        super().delete_tag(run_id, key)
        self._describe(run_id)

    def _set_tags(self, run_id: str, tags: Sequence[Any]) -> None:
        super()._set_tags(run_id, tags)
        if tags:
            self._describe(run_id)

    def delete_run(self, run_id: str) -> None:
        """As MLflow. Our pages hide the run; its points are kept as long as MLflow can restore it."""
        super().delete_run(run_id)
        self._describe(run_id)

    def restore_run(self, run_id: str) -> None:
        """As MLflow. Our pages show the run again."""
        super().restore_run(run_id)
        self._describe(run_id, restored=True)

    def delete_experiment(self, experiment_id: str) -> None:
        """As MLflow, which deletes its runs too. Our pages hide them."""
        super().delete_experiment(experiment_id)
        self._describe_all(experiment_id)

    def restore_experiment(self, experiment_id: str) -> None:
        """As MLflow, which restores all its runs. Our pages show them again."""
        super().restore_experiment(experiment_id)
        self._describe_all(experiment_id, restored=True)

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        """As MLflow. The runs move to the project of the new name."""
        super().rename_experiment(experiment_id, new_name)
        self._describe_all(experiment_id)

    def _hard_delete_run(self, run_id: str) -> None:
        super()._hard_delete_run(run_id)  # our rows reference it and are deleted with it
        with as_mlflow_says():
            self._ours.store.hard_delete(run_id)

    def _describe(self, run_id: str, *, restored: bool = False, renamed: bool = False) -> None:
        """Copy what MLflow's tables say about a run. MLflow has it, so a failure here does not fail the call."""
        try:
            store, engines = self._ours.store, self._ours.engines
            ingest.describe(store, engines, run_id, now_ms=now_ms(), restored=restored, renamed=renamed)
        except MonitorError as error:
            _log.warning("run %s is not up to date on the monitor's pages until its next change: %s", run_id, error)

    def _describe_all(self, experiment_id: str, *, restored: bool = False) -> None:
        """Copy what MLflow's tables say about the runs of an experiment that are on our pages."""
        try:
            runs = self.ours.runs_of_experiment(int(experiment_id))
        except StoreError as error:
            _log.warning("experiment %s is not up to date on the monitor's pages: %s", experiment_id, error)
            return
        for run_id in runs:
            self._describe(run_id, restored=restored)

    # Reads, called by MLflow

    def get_metric_history(
        self, run_id: str, metric_key: str, max_results: int | None = None, page_token: str | None = None
    ) -> Any:
        """The points of a metric by time, then step, then value; one page of them, or all."""
        self._check_readable(run_id)
        start = SearchUtils.parse_start_offset_from_page_token(page_token)
        points = self._points(run_id, metric_key).by_time()
        end = len(points) if max_results is None else start + max_results
        token = SearchUtils.create_page_token(end) if end < len(points) else None
        return PagedList(list(_metrics(metric_key, points.at(slice(start, max(start, end))))), token)

    def get_metric_history_bulk(self, run_ids: Sequence[str], metric_key: str, max_results: int) -> list[Any]:
        """The first `max_results` points of a metric over several runs: by run, then as in `get_metric_history`."""
        with self.ManagedSessionMaker() as session:
            known = self._filter_entity_ids(session, EntityAssociationType.RUN, list(run_ids))
        found: list[Any] = []
        for run_id in sorted(set(known)):
            points = self._points(run_id, metric_key).by_time().at(slice(0, max_results - len(found)))
            found += _of_run(run_id, metric_key, points)
            if len(found) >= max_results:
                break
        return found

    def get_max_step_for_metric(self, run_id: str, metric_key: str) -> int:
        """The highest step of a metric; 0 if it has no points."""
        self._check_readable(run_id)
        with as_mlflow_says():
            return (self._replica or self.ours).max_step(run_id, metric_key) or 0

    def get_metric_history_bulk_interval_from_steps(
        self, run_id: str, metric_key: str, steps: Sequence[int], max_results: int
    ) -> list[Any]:
        """The first `max_results` points of a metric at some steps: by step, then time, then value."""
        self._check_readable(run_id)
        wanted = sorted(set(steps))
        if not wanted:
            return []
        points = self._points(run_id, metric_key, wanted[0], wanted[-1])
        points = points.at(np.isin(points.steps, np.array(wanted, np.int64))).by_step()
        return _of_run(run_id, metric_key, points.at(slice(0, max_results)))

    def get_metric_history_bulk_interval(
        self, run_ids: Sequence[str], metric_key: str, max_results: int, start_step: int | None, end_step: int | None
    ) -> list[Any]:
        """A sample of a metric's points over several runs, for a chart; see `Logged.sample`."""
        if (start_step is None) != (end_step is None):
            raise MlflowException.invalid_parameter_value(
                "Both start_step and end_step must be specified together, or neither may be specified."
            )
        for run_id in run_ids:
            self._check_readable(run_id)
        found: list[Any] = []
        for run_id in run_ids:
            with as_mlflow_says():
                store, most = self._replica or self.ours, max(1, max_results)
                points = store.sample(run_id, metric_key, most, start_step, end_step)
            found += _of_run(run_id, metric_key, points)
        return found

    def _points(self, run_id: str, key: str, lo: int | None = None, hi: int | None = None) -> Logged:
        with as_mlflow_says():
            return (self._replica or self.ours).metric(run_id, key, lo, hi)

    def _check_readable(self, run_id: str) -> None:
        with self.ManagedSessionMaker() as session:
            self._validate_run_accessible(session, run_id)


class WorkspaceStore(WorkspaceAwareSqlAlchemyStore, Store):  # type: ignore[misc]  # as above
    """The same with MLflow's workspaces. Their class comes before `Store`, so MLflow's scoping applies first."""

    def _workspace_of_runs(self) -> str | None:
        return str(self._get_active_workspace())


class _Valid(list[Metric]):
    """Points that are already validated."""


def _validate(metrics: Sequence[Metric], *, batch: bool) -> None:
    """Refuse what MLflow refuses, in its words. Each name is checked once, plain numbers not at all."""
    known: set[str] = set()
    for index, metric in enumerate(metrics):
        key, time = metric.key, metric.timestamp
        plain = type(metric.value) is float and type(metric.step) is int and type(time) is int and time >= 0
        if plain and type(key) is str and key in known:
            continue
        _validate_metric(key, metric.value, time, metric.step, path=f"metrics[{index}]" if batch else "")
        known.add(key)


def _columns(metrics: Sequence[Metric]) -> tuple[list[str], Columns]:
    numbers: dict[str, int] = {}
    key = np.array([numbers.setdefault(metric.key, len(numbers)) for metric in metrics], np.uint16)
    return list(numbers), Columns(
        key,
        np.array([int(metric.step) for metric in metrics], np.int64),
        np.array([float(metric.value) for metric in metrics], np.float64),
        np.array([int(metric.timestamp) for metric in metrics], np.int64),
    )


def _metrics(key: str, points: Logged) -> Iterator[Metric]:
    columns = (points.steps, points.times, points.values, points.nan)
    for step, time, value, nan in zip(*(column.tolist() for column in columns), strict=True):
        yield Metric(key=key, value=math.nan if nan else value, timestamp=time, step=step)


def _of_run(run_id: str, key: str, points: Logged) -> list[Any]:
    return [MetricWithRunId(run_id=run_id, metric=metric) for metric in _metrics(key, points)]
