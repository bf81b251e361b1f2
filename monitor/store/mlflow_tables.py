"""Reads an MLflow database, as far as `monitor import` needs it.

Each read is a short transaction of its own, so that a server on the same SQLite file is not kept waiting.

Source: `mlflow/store/tracking/dbmodels/models.py` of MLflow 3.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import TextClause, create_engine, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from monitor.errors import FileUnreadable, StoreError
from monitor.store.sql.connect import parse_url, shown

_EXPERIMENTS: Final = text("SELECT experiment_id, name, lifecycle_stage FROM experiments ORDER BY experiment_id")
_RUNS: Final = text(
    "SELECT run_uuid, name, status, start_time, end_time, lifecycle_stage FROM runs"
    " WHERE experiment_id = :experiment ORDER BY start_time, run_uuid"
)
_TAGS: Final = text("SELECT key, value FROM tags WHERE run_uuid = :run ORDER BY key")
_PARAMS: Final = text("SELECT key, value FROM params WHERE run_uuid = :run ORDER BY key")
_KEYS: Final = text("SELECT DISTINCT key FROM metrics WHERE run_uuid = :run ORDER BY key")
_POINTS: Final = text("SELECT timestamp, step, value, is_nan FROM metrics WHERE run_uuid = :run AND key = :key")
_DATASETS: Final = text("SELECT count(*) FROM inputs WHERE destination_id = :run AND source_type = 'DATASET'")
_SERVED: Final = text("SELECT run_id FROM monitor_runs")

Column = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


class MlflowTables:
    """An MLflow database, for use in a `with` block.

    Args:
        url: `sqlite:///FILE` or `postgresql://…`, as given to MLflow.

    Attributes:
        name: the URL without the password.

    Raises:
        FileUnreadable: it is not such a URL, or there is no MLflow database.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = parse_url(url)
        except StoreError as error:
            raise FileUnreadable("MLflow database", "", str(error)) from None
        self.name = shown(parsed)
        if parsed.get_backend_name() == "sqlite":
            file = Path(str(parsed.database))
            if not file.is_file():
                raise FileUnreadable(self.name, "", "is not there")
            parsed = URL.create("sqlite+pysqlite", database=file.as_uri(), query={"mode": "ro", "uri": "true"})
        try:
            self._engine = create_engine(parsed, poolclass=NullPool)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise FileUnreadable(self.name, "", f"cannot be opened: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._engine.dispose()

    @functools.cached_property
    def served(self) -> frozenset[str]:
        """The runs whose histories a monitor keeps in its own tables in this database."""
        with self._errors(), self._engine.connect() as connection:
            if not inspect(connection).has_table("monitor_runs"):
                return frozenset()
        return frozenset(str(run_id) for (run_id,) in self._all(_SERVED))

    def experiments(self) -> tuple[tuple[str, str, bool], ...]:
        """(id, name, deleted) of each experiment."""
        return tuple((str(i), str(name), stage == "deleted") for i, name, stage in self._all(_EXPERIMENTS))

    def runs(self, experiment: str) -> Sequence[Mapping[str, object]]:
        """The rows of an experiment's runs, oldest first."""
        names = ("id", "name", "status", "started_ms", "finished_ms", "stage")
        return [dict(zip(names, row, strict=True)) for row in self._all(_RUNS, experiment=int(experiment))]

    def tags(self, run_id: str) -> dict[str, str]:
        """The tags of a run."""
        return {str(key): str(value or "") for key, value in self._all(_TAGS, run=run_id)}

    def params(self, run_id: str) -> dict[str, str]:
        """The params of a run."""
        return {str(key): str(value) for key, value in self._all(_PARAMS, run=run_id)}

    def datasets(self, run_id: str) -> int:
        """The number of datasets logged to a run; 0 if the database has no such table."""
        try:
            return int(self._all(_DATASETS, run=run_id)[0][0])
        except FileUnreadable:
            return 0

    def metrics(self, run_id: str) -> tuple[str, ...]:
        """The names of a run's metrics."""
        return tuple(str(key) for (key,) in self._all(_KEYS, run=run_id))

    def points(self, run_id: str, key: str) -> Column:
        """Times, steps and values of a metric, unordered. NaN stays NaN."""
        rows = self._all(_POINTS, run=run_id, key=key)
        n = len(rows)
        times, steps = (np.fromiter((int(row[i] or 0) for row in rows), np.int64, n) for i in (0, 1))
        values = np.fromiter((np.nan if row[3] else float(row[2]) for row in rows), np.float64, n)
        return times, steps, values

    def _all(self, statement: TextClause, **given: object) -> Sequence[Sequence[Any]]:
        with self._errors(), self._engine.connect() as connection:
            return connection.execute(statement, given).all()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            cause = " ".join(str(getattr(error, "orig", None) or error).split())[:200]
            missing = "no such table" in cause or "does not exist" in cause
            raise FileUnreadable(self.name, "", f"is not an MLflow database: {cause}" if missing else cause) from None
