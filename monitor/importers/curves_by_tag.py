"""JSON that holds each curve under its own name: the scalars of tensorboardX, the metrics of Sacred.

Source: `SummaryWriter.export_scalars_to_json` of tensorboardX 2.6; `FileStorageObserver.log_metrics` of Sacred 0.8.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Final, Literal

from monitor.importers.table import Cell, Row, Table, is_cell

_CLOCK_FROM: Final = 1e8
"""A number below it is no time since the epoch in seconds: without it a triple of numbers may be anything."""

Point = tuple[Cell, Cell, Cell]
"""Time, step and value."""


def read_scalars(path: str, data: Mapping[object, object]) -> Table | None:
    """Curves by their tags, each a list of [wall time, step, value]; None where it is anything else."""
    curves: dict[str, list[Point]] = {}
    for tag, points in data.items():
        if not isinstance(points, list) or not points or not all(map(_is_point, points)):
            return None
        curves[str(tag)] = [(point[0], point[1], point[2]) for point in points]
    return _table(path, curves, "scalars") if curves else None


def read_sacred(path: str, data: Mapping[object, object]) -> Table | None:
    """Curves by their names, each with its lists `steps`, `timestamps` and `values`; None where it is anything else."""
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


def _is_point(point: object) -> bool:
    if not isinstance(point, list) or len(point) != 3 or not all(_is_number(part) for part in point):
        return False
    return bool(point[0] > _CLOCK_FROM and float(point[1]).is_integer())


def _is_number(value: object) -> bool:
    """True for what a float can hold; a longer number is none of a training."""
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) < 2**63
    return isinstance(value, float)


def _table(path: str, curves: Mapping[str, Iterable[Point]], kind: Literal["scalars", "sacred"]) -> Table:
    """A row for each point, in the order of their times: that in which they were logged."""
    points = [(time, step, name, value) for name, curve in curves.items() for time, step, value in curve]
    if all(isinstance(time, int | float) and not math.isnan(time) for time, *_ in points):
        points.sort(key=lambda point: float(point[0] or 0))
    elif all(isinstance(time, str) for time, *_ in points):  # ISO 8601, of one length
        points.sort(key=lambda point: str(point[0]))
    rows = tuple(
        Row(i, {"wall_time": time, "step": step, name: value}) for i, (time, step, name, value) in enumerate(points, 1)
    )
    return Table(path, ("wall_time", "step", *curves), rows, header=False, kind=kind)
