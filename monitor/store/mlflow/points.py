"""Points as MLflow compares, orders and shows them.

MLflow stores a NaN as 0 with a flag, and an infinity as the largest float. Two points of a metric are the same if step,
time, stored value and flag are equal. Our chunks hold the values as logged and are converted when MLflow asks for them.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, select

from monitor.domain import Points
from monitor.errors import SeriesNotFound
from monitor.store.points.history import read_history
from monitor.store.points.picked import read_picked
from monitor.store.sql.mlflow_schema import METRICS

LARGEST: Final = 1.7976931348623157e308
"""What MLflow stores for an infinity."""
_ROWS: Final = 10_000


def as_mlflow(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Values as MLflow stores them, and a mask of those that are NaN."""
    finite = np.isfinite(values)
    if finite.all():  # nearly always, and `nan_to_num` takes as long as several statements
        return values, ~finite
    return np.nan_to_num(values, nan=0.0, posinf=LARGEST, neginf=-LARGEST), np.isnan(values)


@dataclass(frozen=True, slots=True, eq=False)
class Logged:
    """Points of one metric, as MLflow stores them. All arrays have shape (n,).

    Attributes:
        steps: int64.
        times: int64, milliseconds since the epoch.
        values: float64, finite; 0 where `nan` is set.
        nan: True where the value was NaN.
    """

    steps: NDArray[np.int64]
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    nan: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.steps)

    @classmethod
    def of(cls, points: Points, connection: Connection | None = None) -> Logged:
        """Convert our points to what a table of this database would return. SQLite loses the sign of a zero."""
        values, nan = as_mlflow(points.values)
        if connection is not None and connection.dialect.name == "sqlite":
            # -0.0 + 0.0 is 0.0.
            values = values + 0.0
        return cls(points.steps, points.times, values, nan)

    def at(self, index: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Logged:
        """A subset of the points."""
        return Logged(self.steps[index], self.times[index], self.values[index], self.nan[index])

    def by_time(self) -> Logged:
        """Sorted as a history: by time, step, value. Duplicates are removed."""
        return self._sorted(self.times, self.steps)

    def by_step(self) -> Logged:
        """Sorted as a chart: by step, time, value. Duplicates are removed."""
        return self._sorted(self.steps, self.times)

    def _sorted(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> Logged:
        """Sort by two columns, then by value and flag, and remove duplicates."""
        if bool((first[1:] > first[:-1]).all()):
            return self
        ordered = self.at(np.lexsort((self.nan, self.values, second, first)))
        return ordered.at(~ordered._repeats())

    def _repeats(self) -> NDArray[np.bool_]:
        """Mask of the points that equal the one before them."""
        found = np.zeros(len(self), np.bool_)
        for column in (self.steps, self.times, self.values, self.nan):
            found[1:] |= column[1:] != column[:-1]
        found[:1] = True
        return ~found

    def sample(self, most: int) -> Logged:
        """At most `most` points, sampled as MLflow samples a metric for a chart.

        The points, in chart order, are split into `most` groups of equal size (SQL's NTILE), and the first of each
        group is taken. The last point of all is added, or replaces the last sample if there are already `most`.

        Args:
            most: >= 1.
        """
        n = len(self)
        return self if n <= most else self.at(sampled(n, most))


def sampled(n: int, most: int) -> NDArray[np.intp]:
    """The indices that `Logged.sample` takes from n >= 1 points."""
    if n <= most:
        return np.arange(n)
    size, longer = divmod(n, most)
    number = np.arange(most)
    index = number * size + np.minimum(number, longer)
    index[-1] = n - 1  # there are already `most` samples, so the last point replaces the last one
    return index


def read_sample(
    connection: Connection, run_id: str, key: str, most: int, *, lo: int | None = None, hi: int | None = None
) -> Logged:
    """`Logged.sample` of a metric's points with lo <= step <= hi, in chart order."""
    picked = None
    if connection.execute(stock_rows(run_id, key).limit(1)).first() is None:
        with contextlib.suppress(SeriesNotFound):
            picked = read_picked(connection, run_id, key, lambda n: sampled(n, most), lo=lo, hi=hi)
    if picked is not None:
        return Logged.of(picked, connection)
    return read_metric(connection, run_id, key, lo=lo, hi=hi).by_step().sample(most)


def read_metric(
    connection: Connection, run_id: str, key: str, *, lo: int | None = None, hi: int | None = None
) -> Logged:
    """All points of a metric with lo <= step <= hi, from our chunks and from MLflow's own table.

    They are unordered. A point that is in both is returned twice; `by_time` and `by_step` remove duplicates.
    """
    try:
        ours = Logged.of(read_history(connection, run_id, key, lo=lo, hi=hi, attempt=None), connection)
    except SeriesNotFound:
        ours = None
    theirs = _stock(connection, run_id, key, lo, hi)
    if ours is None or not len(theirs):
        return theirs if ours is None else ours
    joined = (np.concatenate([getattr(part, name) for part in (ours, theirs)]) for name in Logged.__slots__)
    return Logged(*joined)


def stock_rows(run_id: str, key: str) -> Select[tuple[int, int, float, bool]]:
    """The query for a metric's points in MLflow's own table."""
    columns = (METRICS.c.step, METRICS.c.timestamp, METRICS.c.value, METRICS.c.is_nan)
    return select(*columns).where(METRICS.c.run_uuid == run_id, METRICS.c.key == key)


def _stock(connection: Connection, run_id: str, key: str, lo: int | None, hi: int | None) -> Logged:
    query = stock_rows(run_id, key)
    if lo is not None:
        query = query.where(METRICS.c.step >= lo)
    if hi is not None:
        query = query.where(METRICS.c.step <= hi)
    columns: list[list[object]] = [[], [], [], []]
    for some in connection.execute(query).partitions(_ROWS):
        for column, more in zip(columns, zip(*some, strict=True), strict=True):
            column.extend(more)
    steps, times, values, nan = columns
    return Logged(
        np.array(steps, np.int64), np.array(times, np.int64), np.array(values, np.float64), np.array(nan, np.bool_)
    )
