"""Reads JSON with each curve under its own name: tensorboardX scalars, Sacred metrics, chart exports.

Source: `SummaryWriter.export_scalars_to_json` of tensorboardX 2.6; `FileStorageObserver.log_metrics` of Sacred 0.8;
    the JSON downloaded from TensorBoard.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, pairwise, zip_longest
from pathlib import PurePath
from typing import Final

from monitor.importers.table import INDEX, Cell, Row, Table, is_cell, is_number

_CLOCK_FROM: Final = 1e8
"""Smaller numbers are not Unix times in seconds. Without a time, three numbers could be anything."""

Point = tuple[Cell, Cell, Cell]
"""Time, step and value."""


def read_scalars(path: str, data: Mapping[object, object]) -> Table | None:
    """Curves by tag, each a list of [wall time, step, value] or [step, value]; None for anything else."""
    curves: dict[str, list[Point]] = {}
    for tag, points in data.items():
        found = _points(points) if isinstance(points, list) else None
        if found is None:
            return None
        curves[str(tag)] = found
    return _table(path, curves, "scalars") if curves else None


def read_curve(path: str, name: str, points: Sequence[object]) -> Table | None:
    """One curve: points as in `read_scalars`, or plain numbers; None for anything else."""
    found = _points(points)
    if found is not None:
        return _table(path, {name: found}, "scalars")
    numbers = [number for number in points if is_number(number)]
    if not numbers or len(numbers) < len(points):
        return None
    rows = tuple(Row(i, {INDEX: i - 1, name: number}) for i, number in enumerate(numbers, 1))
    return Table(path=path, names=(INDEX, name), rows=rows, kind="scalars")


def read_sacred(path: str, data: Mapping[object, object]) -> Table | None:
    """Curves by name, each with lists `steps`, `timestamps` and `values`; None for anything else."""
    curves: dict[str, list[Point]] = {}
    for name, curve in data.items():
        if not isinstance(curve, Mapping):
            return None
        times, steps, values = (curve.get(part) for part in ("timestamps", "steps", "values"))
        if not isinstance(steps, list) or not isinstance(values, list) or len(steps) != len(values):
            return None
        known = times if isinstance(times, list) else []
        if not all(map(is_cell, (*known, *steps, *values))):
            return None
        curves[str(name)] = list(zip_longest(known[: len(steps)], steps, values))
    return _table(path, curves, "sacred") if any(curves.values()) else None


_CHARTS: Final = (("x", "y"), ("steps", "values"), ("step", "value"), ("epochs", "values"), ("iterations", "values"))
"""Names of steps and values in charts."""
_LABELS: Final = ("name", "metric", "tag", "key", "label", "title")
_CLOCKS: Final = ("timestamp", "timestamps", "time", "times", "wall_time")
_DEEP: Final = 8  # levels; a hostile document could nest without end


def read_charts(path: str, data: Mapping[object, object]) -> Table | None:
    """Charts anywhere in the document: lists of steps and of values, or of points with both.

    Such as {"loss": {"train": {"x": [0, 1], "y": [0.9, 0.8]}}} of ClearML and Plotly, or {"metrics": [{"name": "loss",
    "values": [{"step": 0, "value": 0.9}]}]}; None if there is none.
    """
    stem = PurePath(path).stem
    curves = {name or stem: points for name, points in _charts(data, "", _DEEP) if points}
    return _table(path, curves, "charts") if curves else None


def _charts(value: object, name: str, deep: int) -> Iterator[tuple[str, list[Point]]]:
    if isinstance(value, Mapping) and deep:
        label = next((str(value[key]) for key in _LABELS if isinstance(value.get(key), str)), "")
        found = _chart(value)
        if found is not None:
            yield (f"{name}/{label}" if label and label != name.rpartition("/")[2] else name).strip("/"), found
            return
        for key, inner in value.items():
            below = label if label and isinstance(inner, list) else str(key)
            yield from _charts(inner, f"{name}/{below}" if name else below, deep - 1)
    elif isinstance(value, list) and deep and value and isinstance(value[0], Mapping):
        points = [_pair(item) for item in value]
        whole = [point for point in points if point is not None]
        if len(whole) == len(value):
            yield name, whole
            return
        for item in value:
            if isinstance(item, Mapping) and any(isinstance(item.get(key), str) for key in _LABELS):
                yield from _charts(item, "", deep - 1)


def _chart(data: Mapping[object, object]) -> list[Point] | None:
    """The points of two lists. Fractional steps are replaced by a count."""
    for x, y in _CHARTS:
        steps, values = data.get(x), data.get(y)
        if not isinstance(steps, list) or not isinstance(values, list) or not len(steps) == len(values) > 1:
            continue
        others = [other for name, other in data.items() if name not in (x, y, *_CLOCKS) and isinstance(other, list)]
        if any(len(other) == len(steps) and all(map(is_number, other)) for other in others):
            continue  # columns of a table
        if not all(map(is_number, steps)) or not all(is_number(value) or value is None for value in values):
            continue
        if all(a <= b for a, b in pairwise(steps)):
            whole = all(float(step).is_integer() for step in steps)
            return [(None, step, value) for step, value in zip(steps if whole else count(), values, strict=False)]
    return None


def _pair(item: object) -> Point | None:
    """A point of a step and a value, perhaps with a time, and nothing else."""
    if not isinstance(item, Mapping) or not 2 <= len(item) <= 3:
        return None
    step, value = item.get("step"), item.get("value")
    return (None, step, value) if is_number(step) and is_number(value) else None


def _points(points: Sequence[object]) -> list[Point] | None:
    """Triples that start with a time, or pairs that start with an increasing step; None for anything else."""
    rows = [row for row in points if isinstance(row, list) and all(map(is_number, row))]
    if not rows or len(rows) < len(points):
        return None
    if all(len(row) == 3 and row[0] > _CLOCK_FROM and float(row[1]).is_integer() for row in rows):
        return [(row[0], row[1], row[2]) for row in rows]
    if len(rows) > 1 and all(len(row) == 2 and float(row[0]).is_integer() for row in rows):
        steps = [row[0] for row in rows]
        if all(a < b for a, b in pairwise(steps)):
            return [(None, row[0], row[1]) for row in rows]
    return None


def _table(path: str, curves: Mapping[str, Iterable[Point]], kind: str) -> Table:
    """One row per point, in order of time (the order of logging); without times, in order of steps."""
    points = [(time, step, name, value) for name, curve in curves.items() for time, step, value in curve]
    if all(isinstance(time, int | float) and not math.isnan(time) for time, *_ in points):
        points.sort(key=lambda point: float(point[0] or 0))
    elif all(isinstance(time, str) for time, *_ in points):  # ISO 8601, of one length
        points.sort(key=lambda point: str(point[0]))
    elif all(is_number(step) for _, step, *_ in points):
        points.sort(key=lambda point: float(point[1] or 0))
    rows = tuple(
        Row(i, {"wall_time": time, INDEX: step, name: value}) for i, (time, step, name, value) in enumerate(points, 1)
    )
    return Table(path=path, names=("wall_time", INDEX, *curves), rows=rows, kind=kind)
