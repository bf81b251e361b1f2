"""A write transaction on a run that MLflow has too: MLflow's row, its latest metrics, and duplicate points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import bindparam, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import Insert

from monitor.domain import RunEdit
from monitor.store.mlflow.points import Logged, as_mlflow
from monitor.store.points import append, chunks
from monitor.store.points.series import SeriesState
from monitor.store.sql.link import Link, Row, Statement
from monitor.store.sql.mlflow_schema import EXPERIMENTS, LATEST, MLFLOW_RUNS, MLFLOW_TAGS, PARAMS, TIED
from monitor.store.sql.schema import CHUNKS
from monitor.store.sql.upsert import upsert
from monitor.store.transaction import Ahead, Transaction
from monitor.wire import Columns

WRITER: Final = "mlflow"
"""The writer of all points that come through MLflow, from any process: MLflow's clients do not number records."""
RUN_NAME: Final = "mlflow.runName"
"""The tag in which MLflow stores a copy of the run's name."""

_ASK: Final = Statement(
    select(
        MLFLOW_RUNS.c.name,
        MLFLOW_RUNS.c.status,
        MLFLOW_RUNS.c.start_time,
        MLFLOW_RUNS.c.end_time,
        MLFLOW_RUNS.c.lifecycle_stage,
        EXPERIMENTS.c.name.label("experiment"),
        EXPERIMENTS.c.workspace,
    )
    .join_from(MLFLOW_RUNS, EXPERIMENTS, EXPERIMENTS.c.experiment_id == MLFLOW_RUNS.c.experiment_id)
    .where(MLFLOW_RUNS.c.run_uuid == bindparam("run", type_=MLFLOW_RUNS.c.run_uuid.type))
)
_PARAMS, _TAGS = (
    Statement(select(table.c.key, table.c.value).where(table.c.run_uuid == bindparam("run")))
    for table in (PARAMS, MLFLOW_TAGS)
)
_RENAME: Final = Statement(
    MLFLOW_RUNS.update()
    .where(MLFLOW_RUNS.c.run_uuid == bindparam("run"))
    .values(name=bindparam("new_name", type_=MLFLOW_RUNS.c.name.type))
)
_RESTORE: Final = Statement(
    MLFLOW_RUNS.update()
    .where(MLFLOW_RUNS.c.run_uuid == bindparam("run"))
    .values(lifecycle_stage="active", deleted_time=None)
)
_SAVE_TAGS: Final = Statement(lambda dialect: upsert(MLFLOW_TAGS, dialect), MLFLOW_TAGS.c.keys())
_FORGET_TAG: Final = Statement(
    MLFLOW_TAGS.delete().where(MLFLOW_TAGS.c.run_uuid == bindparam("run"), MLFLOW_TAGS.c.key == bindparam("tag"))
)
_TIE: Final = Statement(
    TIED.update()
    .where(TIED.c.run_id == bindparam("run"))
    .values(mlflow_run=bindparam("tied", type_=TIED.c.run_id.type))
)
_NEAR: Final = Statement(
    select(CHUNKS).where(
        CHUNKS.c.run_id == bindparam("run"),
        CHUNKS.c.series == bindparam("series"),
        CHUNKS.c.first_step <= bindparam("high", type_=CHUNKS.c.first_step.type),
        CHUNKS.c.last_step >= bindparam("low", type_=CHUNKS.c.first_step.type),
        CHUNKS.c.first_time <= bindparam("end", type_=CHUNKS.c.first_step.type),
        CHUNKS.c.last_time >= bindparam("start", type_=CHUNKS.c.first_step.type),
    )
)


def _advance(dialect: str) -> Insert:
    """Set a metric's latest value, unless the stored one is later. Compares step, then time, then value."""
    insert = (sqlite.insert if dialect == "sqlite" else postgresql.insert)(LATEST)
    new, old = insert.excluded, LATEST.c
    return insert.on_conflict_do_update(
        index_elements=["key", "run_uuid"],
        set_={name: new[name] for name in ("value", "timestamp", "step", "is_nan")},
        where=tuple_(new.step, new.timestamp, new.value) > tuple_(old.step, old.timestamp, old.value),
    )


_ADVANCE: Final = Statement(_advance, LATEST.c.keys())


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowRun:
    """A run as MLflow's tables have it.

    Attributes:
        active: False if it was deleted in MLflow.
        status: in MLflow's words.
        start_ms: when it began, ms since the epoch.
    """

    name: str
    status: str
    active: bool
    experiment: str
    workspace: str
    start_ms: int
    end_ms: int | None


class MlflowTransaction(Transaction):
    """A write transaction on one run, which MLflow may have as well. Created by `MlflowStore.write`."""

    def __init__(self, link: Link, run_id: str, now_ms: int, ahead: Ahead | None = None) -> None:
        asked = link.ask(_ASK, {"run": run_id}) if ahead is not None and ahead.writer == WRITER else None
        super().__init__(link, run_id, now_ms, ahead)
        row = None if asked is None else asked.first()
        self.mlflow_run = None if row is None else _run(row)

    def mlflow_params(self) -> dict[str, str]:
        """The run's parameters in MLflow."""
        return _pairs(self._link.ask(_PARAMS, self._place).all())

    def mlflow_tags(self) -> dict[str, str]:
        """The run's tags in MLflow."""
        return _pairs(self._link.ask(_TAGS, self._place).all())

    def edit(self, changes: RunEdit) -> None:
        """Edit the run.

        One that came through MLflow is changed there too, or its next change there would undo the edit.
        """
        super().edit(changes)
        if self.get("owner") != WRITER:
            return
        tags = dict(changes.tags)
        if changes.name is not None:
            self._link.tell(_RENAME, {**self._place, "new_name": changes.name})
            tags[RUN_NAME] = changes.name
        for tag, value in tags.items():
            if value is None:
                self._link.tell(_FORGET_TAG, {**self._place, "tag": tag})
            else:
                self._link.tell(_SAVE_TAGS, {"run_uuid": self.run_id, "key": tag, "value": value})

    def restore(self) -> None:
        """Restore the run here and in MLflow."""
        super().restore()
        self._link.tell(_RESTORE, self._place)

    def tie(self) -> None:
        """Tie the run to MLflow's run, so that both are permanently deleted together."""
        self._link.tell(_TIE, {"run": self.run_id, "tied": self.run_id})

    def unlogged(self, keys: Sequence[str], columns: Columns) -> Columns:
        """The points that were not logged before, in this batch or an earlier one.

        Args:
            keys: names that `columns.key` refers to.
            columns: n >= 1 points.
        """
        fresh = _first_of_equals(columns)
        for state in self._series_of(keys):
            k = keys.index(state.key)
            mine = np.flatnonzero(fresh & (columns.key == k))
            if len(mine):
                fresh[mine] = ~self._stored(state, _taken(columns, mine))
        return columns if fresh.all() else _taken(columns, np.flatnonzero(fresh))

    def advance_latest(self, keys: Sequence[str], columns: Columns) -> None:
        """Update MLflow's latest value of each metric.

        Args:
            keys: names that `columns.key` refers to.
            columns: n >= 1 points.
        """
        values, nan = as_mlflow(columns.value)
        # Sort by key, then by step, time and value. Of equally late points, the first to arrive wins.
        arrival = -np.arange(len(values))
        order = np.lexsort((arrival, values, columns.time_ms, columns.step, columns.key))
        last = order[np.append(columns.key[order][1:] != columns.key[order][:-1], True)]
        rows = [
            {
                "key": keys[int(columns.key[i])],
                "run_uuid": self.run_id,
                "value": float(values[i]),
                "timestamp": int(columns.time_ms[i]),
                "step": int(columns.step[i]),
                "is_nan": bool(nan[i]),
            }
            for i in last.tolist()
        ]
        # always in the same order, to avoid deadlocks
        self._link.tell(_ADVANCE, *sorted(rows, key=lambda row: str(row["key"])))

    def _series_of(self, keys: Sequence[str]) -> list[SeriesState]:
        """The existing series of these keys. They are read only once: `append` reuses the answer."""
        if not self.exists:
            return []
        asked = self._asked.series or append.ask_series(self._link, self.run_id, keys)
        self._asked.series, wanted = asked, set(keys)
        return [state for state in map(SeriesState.from_row, asked.all()) if state.key in wanted]

    def _stored(self, state: SeriesState, new: Columns) -> NDArray[np.bool_]:
        """Mask of the points of one series that are already stored.

        Most are newer than everything stored; then nothing is read.
        """
        low, high = int(new.step.min()), int(new.step.max())
        start, end = int(new.time_ms.min()), int(new.time_ms.max())
        last_step, last_time = state.last_step, state.last_time_ms
        if last_step is None or last_time is None or low > last_step or start > last_time:
            return np.zeros(len(new), np.bool_)
        place = {"run": self.run_id, "series": state.series, "low": low, "high": high, "start": start, "end": end}
        seen: set[tuple[object, ...]] = set()
        for row in self._link.ask(_NEAR, place).all():
            old = Logged.of(chunks.decode([row]))
            near = old.at(np.isin(old.steps, new.step) & np.isin(old.times, new.time_ms))
            seen.update(_identities(near))
        mine = _identities(Logged(new.step, new.time_ms, *as_mlflow(new.value)))
        return np.array([identity in seen for identity in mine], np.bool_)


def _first_of_equals(columns: Columns) -> NDArray[np.bool_]:
    """Mask of the points that do not repeat an earlier one."""
    n = len(columns)
    first = np.ones(n, np.bool_)
    if n == 1:
        return first
    values, nan = as_mlflow(columns.value)
    sorted_by = (nan, values, columns.time_ms, columns.step, columns.key)
    order = np.lexsort(sorted_by)  # stable, so the first of equal points stays first
    differs = np.zeros(n - 1, np.bool_)
    for column in sorted_by:
        ordered = column[order]
        differs |= ordered[1:] != ordered[:-1]
    first[order[1:]] = differs
    return first


def _taken(columns: Columns, index: NDArray[np.intp]) -> Columns:
    return Columns(columns.key[index], columns.step[index], columns.value[index], columns.time_ms[index])


def _identities(points: Logged) -> list[tuple[object, ...]]:
    return list(zip(*(getattr(points, name).tolist() for name in Logged.__slots__), strict=True))


def _pairs(rows: Sequence[Mapping[str, object]]) -> dict[str, str]:
    return {str(row["key"]): "" if row["value"] is None else str(row["value"]) for row in rows}


def _run(row: Row) -> MlflowRun:
    start, end = row["start_time"], row["end_time"]
    return MlflowRun(
        name=str(row["name"] or ""),
        status=str(row["status"]),
        active=row["lifecycle_stage"] == "active",
        experiment=str(row["experiment"]),
        workspace=str(row["workspace"]),
        start_ms=start if isinstance(start, int) else 0,
        end_ms=end if isinstance(end, int) else None,
    )
