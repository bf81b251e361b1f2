"""Reads all points of a series: at once as arrays, or in batches with memory that does not grow with the series."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence

import numpy as np
from sqlalchemy import Connection

from monitor.domain import Points
from monitor.store.points import chunks
from monitor.store.points.chunk_reader import PORTION, ChunkReader, Overview, portions
from monitor.store.points.curves import on_axis, origin_of

_LEAST, _MOST = -(2**63), 2**63 - 1
"""The range of int64, which all steps lie in. Ints, because Python compares them with floats exactly."""


def read_history(
    connection: Connection, run_id: str, key: str, *, lo: float | None, hi: float | None, attempt: int | None
) -> Points:
    """The points of a series with lo <= step <= hi, sorted by step; equal steps in order of arrival.

    Args:
        attempt: only the points of this attempt, hidden ones included; None for the curve.
    """
    reader = ChunkReader(connection, run_id, key, attempt)
    points = reader.points(within(reader.rows, lo, hi), times=True, epochs=True)
    return _cut(_in_order(points), lo, hi)


def stream_history(
    connection: Connection,
    run_id: str,
    key: str,
    *,
    lo: float | None,
    hi: float | None,
    attempt: int | None,
    size: int = PORTION,
) -> Iterator[Points]:
    """The same points in the same order, in batches of 1 to `size` points. Either all batches have epochs or none.

    Chunks are read in order of their lowest step. What lies below the lowest step of all remaining chunks is yielded.
    So memory holds a few batches, and the chunks that overlap in step.
    """
    reader = ChunkReader(connection, run_id, key, attempt)
    rows = sorted(within(reader.rows, lo, hi), key=lambda row: (row["first_step"], row["seq"]))
    epochs = any(row["first_epoch"] is not None for row in rows)
    held: list[tuple[int, Points]] = []
    for some in portions(rows, size):
        if sum(len(points) for _, points in held) >= size:
            cuts = [_first(points, some[0]["first_step"]) for _, points in held]
            ready = [(seq, chunks.take(p, slice(0, cut))) for (seq, p), cut in zip(held, cuts, strict=True)]
            rest = [(seq, chunks.take(p, slice(cut, None))) for (seq, p), cut in zip(held, cuts, strict=True)]
            yield from _batches(ready, lo, hi, size)
            held = [part for part in rest if len(part[1])]
        held += [(row["seq"], _of_chunk(reader, row, epochs)) for row in some]
    yield from _batches(held, lo, hi, size)


def within(rows: Sequence[Overview], lo: float | None, hi: float | None) -> list[Overview]:
    """The rows that may have points with lo <= step <= hi."""
    low, high = -math.inf if lo is None else lo, math.inf if hi is None else hi
    return [row for row in rows if row["first_step"] <= high and row["last_step"] >= low]


def _of_chunk(reader: ChunkReader, row: Overview, epochs: bool) -> Points:
    points = _in_order(reader.points([row], times=True, epochs=epochs))
    if epochs and points.epochs is None:  # other chunks have epochs, and all batches must have the same columns
        return Points(points.steps, points.values, points.times, np.full(len(points), np.nan))
    return points


def _first(points: Points, step: int) -> int:
    """Index of the first point at or above a step. The step is an int, so it is not rounded to a float."""
    return int(np.searchsorted(points.steps, np.int64(step)))


def _batches(parts: Sequence[tuple[int, Points]], lo: float | None, hi: float | None, size: int) -> Iterator[Points]:
    """The parts' points in the window, sorted and cut into batches. Part numbers give the order of arrival."""
    found = [points for _, points in sorted(parts, key=lambda part: part[0]) if len(points)]
    if not found:
        return
    points = _cut(_in_order(Points.join(found)), lo, hi)
    for start in range(0, len(points), size):
        yield chunks.take(points, slice(start, start + size))


def _cut(points: Points, lo: float | None, hi: float | None) -> Points:
    if lo is None and hi is None:
        return points
    start = 0 if lo is None or lo < _LEAST else len(points) if lo > _MOST else _first(points, math.ceil(lo))
    end = len(points) if hi is None or hi >= _MOST else 0 if hi < _LEAST else _first(points, math.floor(hi) + 1)
    return chunks.take(points, slice(start, end))


def _in_order(points: Points) -> Points:
    steps = points.steps
    if (steps[1:] >= steps[:-1]).all():
        return points
    return chunks.take(points, np.argsort(steps, kind="stable"))


def read_positions(
    connection: Connection, run_id: str, keys: Sequence[str], steps: Sequence[int], *, x: str
) -> tuple[float | None, ...]:
    """The x of each step, from the first series that has a point there; see `Store.positions`."""
    origin = origin_of(connection, run_id, x)
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
        values = on_axis(points, "wall_time" if x == "relative" else x)
        if x == "relative":
            values = (values - origin) / 1000
        for i in np.flatnonzero(np.isin(points.steps, np.array(steps, np.int64))).tolist():
            first.setdefault(int(points.steps[i]), float(values[i]))
    return {step: value for step, value in first.items() if not np.isnan(value)}


def _any_within(steps: list[int], low: int, high: int) -> bool:
    at = bisect_left(steps, low)
    return at < len(steps) and steps[at] <= high
