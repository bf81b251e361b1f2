"""The summary of a series, updated with every write: count, extremes, last value, sparkline.

It describes the curve, that is the points that no newer attempt hides. Each new chunk's summary is added to it. When an
attempt starts to hide points, it is recounted from the summaries of all chunks.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final

import numpy as np

from monitor.domain import Points, SeriesInfo
from monitor.errors import StoreError
from monitor.roles import Role
from monitor.store.points.chunks import Summary

SPARKLINE: Final = 64
"""Most values in a stored sparkline."""

_SPARK_HEAD: Final = struct.Struct("<I")


@dataclass(slots=True)
class SeriesState:
    """One row of the series table while a transaction works on it."""

    series: int
    key: str
    role: str
    judged: bool
    attempt: int
    cut_step: int
    attempts: int = 1
    next_seq: int = 0
    tails: list[int] = field(default_factory=list)
    count: int = 0
    nan_count: int = 0
    inf_count: int = 0
    late: int = 0
    first_step: int | None = None
    last_step: int | None = None
    last_finite_step: int | None = None
    last: float | None = None
    min: float | None = None
    min_step: int | None = None
    max: float | None = None
    max_step: int | None = None
    last_time_ms: int | None = None
    sparkline: bytes = b""
    thinned: int = 0

    @classmethod
    def from_row(cls, row: Mapping[str, object]) -> SeriesState:
        """Read a row of the series table."""
        state = cls(**{name: row[name] for name in NAMES})  # type: ignore[arg-type]  # the columns have these types
        state.tails = list(state.tails)
        return state

    def to_row(self) -> dict[str, object]:
        """The row of the series table, without its run."""
        return {name: getattr(self, name) for name in NAMES}

    def info(self) -> SeriesInfo:
        """The series as readers see it."""
        names = [f.name for f in fields(SeriesInfo) if f.name != "role"]
        return SeriesInfo(role=Role(self.role), **{name: getattr(self, name) for name in names})

    def clear(self) -> None:
        """Reset the counts, to count again from the chunks."""
        self.count = self.nan_count = self.inf_count = 0
        self.first_step = self.last_step = self.last_finite_step = self.last_time_ms = None
        self.last = self.min = self.max = None
        self.min_step = self.max_step = None

    def add(self, s: Summary) -> None:
        """Add a chunk's points. The first of equal extremes stays; of equal steps the last value wins."""
        self.count += s.n
        self.nan_count += s.nan
        self.inf_count += s.inf
        self.first_step = s.first_step if self.first_step is None else min(self.first_step, s.first_step)
        self.last_step = s.last_step if self.last_step is None else max(self.last_step, s.last_step)
        self.last_time_ms = s.last_time if self.last_time_ms is None else max(self.last_time_ms, s.last_time)
        if s.min is None or s.max is None or s.last_finite_step is None:
            return
        if self.min is None or s.min < self.min:
            self.min, self.min_step = s.min, s.min_step
        if self.max is None or s.max > self.max:
            self.max, self.max_step = s.max, s.max_step
        if self.last_finite_step is None or s.last_finite_step >= self.last_finite_step:
            self.last, self.last_finite_step = s.last, s.last_finite_step

    def count_late(self, points: Points, ordered: bool) -> int:
        """Count the points whose step is below one already seen. Call it before `add`."""
        steps = points.steps
        if ordered:
            found = 0 if self.last_step is None else int(np.searchsorted(steps, self.last_step))
        else:
            seen = np.maximum.accumulate(steps)
            before = seen[:-1] if self.last_step is None else np.maximum(seen[:-1], self.last_step)
            found = int(np.count_nonzero(steps[1:] < before))
            found += self.last_step is not None and int(steps[0]) < self.last_step
        self.late += found
        return found

    def sample(self, points: Points) -> None:
        """Add every stride-th point of the curve to the sparkline. The stride doubles when it is full.

        Call it before `add`.
        """
        stride, steps, values = _unpack(self.sparkline)
        start = -self.count % stride
        if start >= len(points):
            return
        steps = np.concatenate([steps, points.steps[start::stride]])
        # What float32 cannot hold becomes infinite, and is not drawn; a signalling NaN becomes a quiet one.
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.concatenate([values, points.values[start::stride].astype(np.float32)])
        while len(steps) > SPARKLINE:
            stride, steps, values = stride * 2, steps[::2], values[::2]
        self.sparkline = _SPARK_HEAD.pack(stride) + steps.tobytes() + values.tobytes()

    def cut_sparkline(self, step: int) -> None:
        """Drop the values at or above a step."""
        stride, steps, values = _unpack(self.sparkline)
        keep = steps < step
        self.sparkline = _SPARK_HEAD.pack(stride) + steps[keep].tobytes() + values[keep].tobytes()


NAMES: Final = tuple(f.name for f in fields(SeriesState))


def sparklines_of(
    stored: Mapping[str, tuple[bytes, float | None, int | None]], width: int
) -> dict[str, tuple[float, ...]]:
    """The stored sparklines of one run on a common axis: values at evenly spaced steps.

    The first value is at the first step of all of them and the last at the last, so a validation that began late
    appears late. Before a series begins and after it ends, its values are NaN.

    Args:
        stored: role -> what `SeriesState.sample` stored, and the series' last finite value with its step.
        width: number of values, >= 2.
    """
    curves: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for role, (data, last, last_step) in stored.items():
        _, steps, values = _unpack(data)
        good = np.isfinite(values)
        found = (steps[good].astype(np.float64), values[good].astype(np.float64))
        if last is not None and last_step is not None:
            found = (np.append(found[0], last_step), np.append(found[1], last))
        curves[role] = found
    every = np.concatenate([steps for steps, _ in curves.values()]) if curves else np.empty(0)
    if not len(every):
        return dict.fromkeys(curves, ())
    first, last_of_all = every.min(), every.max()
    cells = (width - 1) / (last_of_all - first) if last_of_all > first else 0.0
    return {
        role: _placed((steps - first) * cells, values, width if cells else 1)
        for role, (steps, values) in curves.items()
    }


def _placed(places: np.ndarray, values: np.ndarray, width: int) -> tuple[float, ...]:
    """Values at whole positions: the last of the nearest ones, interpolated between them, NaN beyond."""
    if not len(values):
        return ()
    found = np.full(width, np.nan)
    found[places.round().astype(np.intp)] = values
    there = np.flatnonzero(np.isfinite(found))
    found = np.interp(np.arange(width), there, found[there], left=np.nan, right=np.nan)
    return tuple(found.tolist())


def _unpack(
    data: bytes,
) -> tuple[int, np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.float32]]]:
    if not data:
        return 1, np.empty(0, np.int64), np.empty(0, np.float32)
    n = (len(data) - _SPARK_HEAD.size) // 12
    if len(data) < _SPARK_HEAD.size or (len(data) - _SPARK_HEAD.size) % 12:
        raise StoreError(f"sparkline of {len(data)} bytes is damaged")
    (stride,) = _SPARK_HEAD.unpack_from(data)
    if stride < 1:
        raise StoreError(f"sparkline of {len(data)} bytes is damaged (says it holds every {stride}th point)")
    return (
        stride,
        np.frombuffer(data, np.int64, n, _SPARK_HEAD.size),
        np.frombuffer(data, np.float32, n, _SPARK_HEAD.size + 8 * n),
    )
