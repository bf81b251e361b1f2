"""Translates steps to another axis: the epoch or the time of the point that a series has at a step."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection, select

from monitor.domain import Points
from monitor.errors import WireError
from monitor.store.points.chunk_reader import ChunkReader, portions
from monitor.store.points.curves import X_AXES
from monitor.store.sql.schema import RUNS


def read_positions(
    connection: Connection, run_id: str, keys: Sequence[str], steps: Sequence[int], *, x: str
) -> tuple[float | None, ...]:
    """The x of each step, from the first series that has a point there; see `Store.positions`."""
    if x not in X_AXES:
        raise WireError("x", f"must be one of {', '.join(X_AXES)}, got {x!r}")
    origin = 0
    if x == "relative":
        origin = connection.execute(select(RUNS.c.created_ms).where(RUNS.c.run_id == run_id)).scalar_one()
    found: dict[int, float] = {}
    for key in keys:
        missing = sorted(set(steps) - set(found))
        if missing:
            found |= _of_series(ChunkReader(connection, run_id, key), missing, x, origin)
    return tuple(found.get(step) for step in steps)


def _of_series(reader: ChunkReader, steps: list[int], x: str, origin: int) -> dict[int, float]:
    """The x of the steps at which a series has a point. If it has several, the first to arrive counts."""
    rows = [row for row in reader.rows if _any_within(steps, row["first_step"], row["last_step"])]
    first: dict[int, float] = {}
    for some in portions(rows):
        points = reader.points(some, times=True, epochs=x == "epoch")
        values = _axis(points, x, origin)
        for i in np.flatnonzero(np.isin(points.steps, np.array(steps, np.int64))).tolist():
            first.setdefault(int(points.steps[i]), float(values[i]))
    return {step: value for step, value in first.items() if not np.isnan(value)}


def _any_within(steps: list[int], low: int, high: int) -> bool:
    at = bisect_left(steps, low)
    return at < len(steps) and steps[at] <= high


def _axis(points: Points, x: str, origin: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if x == "step":
        return points.steps.astype(np.float64)
    if x == "epoch":
        return np.full(len(points), np.nan) if points.epochs is None else points.epochs
    times = points.times.astype(np.float64)
    return times if x == "wall_time" else (times - origin) / 1000
