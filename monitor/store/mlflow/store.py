"""Our store in a database that also holds MLflow's tables."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import Final, Self

import numpy as np
from sqlalchemy import Connection, Engine, func, inspect, select, text

from monitor.store.mlflow.points import Logged, read_metric, read_sample
from monitor.store.mlflow.transaction import WRITER, MlflowTransaction
from monitor.store.sql.connect import parse_url, translated
from monitor.store.sql.mlflow_schema import METRICS, MLFLOW_RUNS, TIED, tied
from monitor.store.sql.schema import RUNS, SERIES
from monitor.store.sql.upsert import insert_once
from monitor.store.sql.version import lock_schema
from monitor.store.store import Store
from monitor.store.transaction import Ahead

DELETED_BY_MLFLOW: Final = 253_402_300_799_000
"""`deleted_ms` of a run that MLflow has deleted and may restore: the year 9999, so that it is never purged here."""
_ADVISORY_LOCK: Final = 0x6C6F73736D6C66  # "lossmlf"


def mlflow_url(url: str) -> str:
    """A database's URL in the form MLflow expects, password included.

    >>> mlflow_url("postgres://me:pw@host/db?prepare_threshold=5")
    'postgresql+psycopg://me:pw@host/db'
    """
    parsed = parse_url(url).difference_update_query(["prepare_threshold"])
    if parsed.get_backend_name() == "sqlite":
        parsed = parsed.set(drivername="sqlite")
    return parsed.render_as_string(hide_password=False)


class MlflowStore(Store):
    """Runs and points in a database that also holds MLflow's tables."""

    transaction = MlflowTransaction

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Self:
        """Like `Store.open`, for a database in which MLflow has created its tables."""
        found = super().open(url, create=create)
        assert isinstance(found, cls)
        if create:
            with translated(found._engine.url):
                _tie_tables(found._engine)
        return found

    def metric(self, run_id: str, key: str, lo: int | None = None, hi: int | None = None) -> Logged:
        """The points of a metric with lo <= step <= hi, unordered; empty if the metric does not exist."""
        with self._read() as connection:
            return read_metric(connection, run_id, key, lo=lo, hi=hi)

    def sample(self, run_id: str, key: str, most: int, lo: int | None = None, hi: int | None = None) -> Logged:
        """At most `most` points of a metric with lo <= step <= hi, in chart order; see `Logged.sample`."""
        with self._read() as connection:
            return read_sample(connection, run_id, key, most, lo=lo, hi=hi)

    def max_step(self, run_id: str, key: str) -> int | None:
        """The highest step of a metric; None if it has no points."""
        ours = select(SERIES.c.last_step).where(SERIES.c.run_id == run_id, SERIES.c.key == key)
        theirs = select(func.max(METRICS.c.step)).where(METRICS.c.run_uuid == run_id, METRICS.c.key == key)
        with self._read() as connection:
            found = [connection.execute(query).scalar() for query in (ours, theirs)]
        return max((step for step in found if step is not None), default=None)

    def runs_of_experiment(self, experiment_id: int) -> tuple[str, ...]:
        """The ids of our runs that belong to an MLflow experiment, including deleted ones."""
        query = select(TIED.c.run_id).join(MLFLOW_RUNS, MLFLOW_RUNS.c.run_uuid == TIED.c.mlflow_run)
        with self._read() as connection:
            return tuple(connection.execute(query.where(MLFLOW_RUNS.c.experiment_id == experiment_id)).scalars())

    def tie(self, run_id: str) -> None:
        """Tie a run to MLflow's run of the same id, so that both are permanently deleted together."""
        with self._change() as connection:
            connection.execute(TIED.update().where(TIED.c.run_id == run_id).values(mlflow_run=run_id))

    def hard_delete(self, run_id: str) -> None:
        """Permanently delete a run and all our rows of it, at once."""
        with self._change() as connection:
            connection.execute(RUNS.delete().where(RUNS.c.run_id == run_id))

    @contextlib.contextmanager
    def write_mlflow(self, run_id: str, now_ms: int, keys: Sequence[str] = ()) -> Iterator[MlflowTransaction]:
        """Like `write`, for a run that MLflow has.

        Args:
            keys: the metrics that will be logged.
        """
        with self.write(run_id, now_ms, Ahead(WRITER, keys)) as tx:
            assert isinstance(tx, MlflowTransaction)
            yield tx

    def delete_in_mlflow(self, now_ms: int) -> int:
        """Mark runs as deleted in MLflow that were deleted here. Returns how many."""
        tied = TIED.alias("tied")
        here = select(tied.c.mlflow_run).join(RUNS, RUNS.c.run_id == tied.c.run_id)
        here = here.where(tied.c.mlflow_run.is_not(None), RUNS.c.deleted_ms.is_not(None))
        where = (MLFLOW_RUNS.c.run_uuid.in_(here), MLFLOW_RUNS.c.lifecycle_stage == "active")
        with self._read() as connection:
            if connection.execute(select(MLFLOW_RUNS.c.run_uuid).where(*where).limit(1)).first() is None:
                return 0
        with self._change() as connection:
            change = MLFLOW_RUNS.update().where(*where).values(lifecycle_stage="deleted", deleted_time=now_ms)
            return connection.execute(change).rowcount

    def unpack(self, run_ids: Collection[str] | None = None) -> Iterator[tuple[str, int]]:
        """Write the histories of runs that MLflow has into MLflow's own table, one transaction per metric.

        Args:
            run_ids: these runs; None for all. A database without MLflow's tables has none.

        Yields:
            Run id, and the number of its points that were missing in MLflow's table.
        """
        with self._read() as connection:
            if not inspect(connection).has_table(MLFLOW_RUNS.name):
                return
            known = select(SERIES.c.run_id, SERIES.c.key).join(MLFLOW_RUNS, MLFLOW_RUNS.c.run_uuid == SERIES.c.run_id)
            found = connection.execute(known.order_by(SERIES.c.run_id, SERIES.c.series)).all()
        by_run: dict[str, list[str]] = {}
        for run_id, key in found:
            if run_ids is None or run_id in run_ids:
                by_run.setdefault(run_id, []).append(key)
        for run_id, keys in by_run.items():
            yield run_id, sum(self._unpack(run_id, key) for key in keys)

    def _unpack(self, run_id: str, key: str) -> int:
        with self._read() as connection:
            points = read_metric(connection, run_id, key).by_time()
        with self._change() as connection:
            insert = insert_once(METRICS, connection.dialect.name)
            before = _count(connection, run_id, key)
            for at in range(0, len(points), 5000):
                connection.execute(insert, _rows(run_id, key, points.at(slice(at, at + 5000))))
            return _count(connection, run_id, key) - before


def _count(connection: Connection, run_id: str, key: str) -> int:
    where = (METRICS.c.run_uuid == run_id, METRICS.c.key == key)
    return connection.execute(select(func.count()).select_from(METRICS).where(*where)).scalar_one()


def _rows(run_id: str, key: str, points: Logged) -> Sequence[dict[str, object]]:
    columns = (np.asarray(c).tolist() for c in (points.steps, points.times, points.values, points.nan))
    names = ("step", "timestamp", "value", "is_nan")
    return [
        {"run_uuid": run_id, "key": key, **dict(zip(names, row, strict=True))} for row in zip(*columns, strict=True)
    ]


def _tie_tables(engine: Engine) -> None:
    """Add the column by which our runs refer to MLflow's, unless it exists. Only a database with MLflow has it."""
    if tied(engine):
        return
    table = "ALTER TABLE monitor_runs ADD COLUMN"
    refers = "mlflow_run VARCHAR(32) REFERENCES runs (run_uuid) ON DELETE CASCADE"
    with engine.begin() as connection:
        lock_schema(connection, _ADVISORY_LOCK)
        if tied(connection):
            return
        connection.execute(text(f"{table} {refers}"))
        connection.execute(text("CREATE INDEX monitor_runs_mlflow ON monitor_runs (mlflow_run)"))
