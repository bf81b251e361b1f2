"""Reading a series: all of its points, or what a screen shows of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, bindparam, select

from monitor.domain import Curve, Points
from monitor.errors import SeriesNotFound, StoreError, WireError
from monitor.store import chunks
from monitor.store.attempts import limits
from monitor.store.reduce import reduce_curve, smooth
from monitor.store.schema import CHUNKS, RUNS, SERIES

X_AXES: Final = ("step", "epoch", "wall_time", "relative")
_RANGES: Final = {
    "step": ("first_step", "last_step"),
    "epoch": ("first_epoch", "last_epoch"),
    "wall_time": ("first_time", "last_time"),
}
_SERIES: Final = select(SERIES.c.series, SERIES.c.key).where(SERIES.c.run_id == bindparam("run"))
_ONE_SERIES: Final = select(SERIES.c.series).where(
    SERIES.c.run_id == bindparam("run"), SERIES.c.key == bindparam("key")
)
_OF_SERIES = (CHUNKS.c.run_id == bindparam("run"), CHUNKS.c.series == bindparam("series"))
_OVERVIEW: Final = (
    select(
        *(CHUNKS.c[c] for c in ("seq", "attempt", "n", "ordered", "sketch_n")),
        *(CHUNKS.c[c] for pair in _RANGES.values() for c in pair),
    )
    .where(*_OF_SERIES)
    .order_by(CHUNKS.c.seq)
)
_BLOBS: Final[dict[tuple[str, ...], Select[tuple[object, ...]]]] = {
    more: select(*(CHUNKS.c[c] for c in ("seq", "attempt", "n", "steps", "vals", *more)))
    .where(*_OF_SERIES, CHUNKS.c.seq.in_(bindparam("seqs", expanding=True)))
    .order_by(CHUNKS.c.seq)
    for more in ((), ("times",), ("epochs",), ("times", "epochs"))
}
"""Statements by the columns that are read besides steps and values."""
_SKETCHES: Final = (
    select(CHUNKS.c.seq, CHUNKS.c.sketch)
    .where(*_OF_SERIES, CHUNKS.c.seq.in_(bindparam("seqs", expanding=True)))
    .order_by(CHUNKS.c.seq)
)
_AT_ONCE: Final = 500

Row = Mapping[str, object]


def read_history(
    connection: Connection, run_id: str, key: str, *, lo: float | None, hi: float | None, attempt: int | None
) -> Points:
    """The points of a series with lo <= step <= hi, in the order of their steps, those of equal step as they arrived.

    Args:
        attempt: the points of this attempt alone, hidden ones too; None for the curve.

    Raises:
        SeriesNotFound: the run has no such series.
    """
    series = find_series(connection, run_id, key)
    overview = _overview(connection, run_id, series)
    hidden_from = limits((r["attempt"], r["first_step"]) for r in overview) if attempt is None else {}
    low, high = -math.inf if lo is None else lo, math.inf if hi is None else hi
    wanted = [
        row
        for row in overview
        if (attempt is None or row["attempt"] == attempt)
        and row["first_step"] <= high
        and row["last_step"] >= low
        and _shows(row, hidden_from.get(row["attempt"]))
    ]
    blobs = _blobs(connection, run_id, series, [row["seq"] for row in wanted], ("times", "epochs"))
    points = chunks.decode(blobs)
    keep = _visible(points.steps, wanted, hidden_from)
    if low > -math.inf or high < math.inf:
        inside = (points.steps >= low) & (points.steps <= high)
        keep = inside if keep is None else keep & inside
    if keep is not None and not keep.all():
        points = chunks.take(points, keep)
    return _in_order(points)


def read_curve(
    connection: Connection,
    run_id: str,
    key: str,
    *,
    x: str,
    lo: float | None,
    hi: float | None,
    width: int,
    smoothing: float,
) -> Curve:
    """A series reduced to a screen; see `Store.curve`."""
    if x not in X_AXES:
        raise WireError("x", f"must be one of {', '.join(X_AXES)}, got {x!r}")
    if not 1 <= width <= 100_000:
        raise WireError("width", f"must lie between 1 and 100000 pixels, got {width}")
    if not 0 <= smoothing < 1:
        raise WireError("smoothing", f"must lie in [0, 1), got {smoothing}")
    series = find_series(connection, run_id, key)
    origin = 0
    if x == "relative":
        origin = connection.execute(select(RUNS.c.created_ms).where(RUNS.c.run_id == run_id)).scalar_one()
        lo, hi = (None if v is None else v * 1000 + origin for v in (lo, hi))
    axis = "wall_time" if x == "relative" else x
    reader = _CurveReader(connection, run_id, series, axis, lo, hi, width, smoothing)
    xs, ys, total, smoothed = reader.read()
    if x == "relative":
        xs = (xs - origin) / 1000
    return Curve(key, x, xs, ys, len(xs), total, smoothed)


def find_series(connection: Connection, run_id: str, key: str) -> int:
    """The number of a series within its run.

    Raises:
        SeriesNotFound: the run has no such series.
    """
    found: int | None = connection.execute(_ONE_SERIES, {"run": run_id, "key": key}).scalar_one_or_none()
    if found is None:
        known = connection.execute(_SERIES, {"run": run_id}).all()
        raise SeriesNotFound(run_id, key, tuple(row.key for row in known))
    return found


class _CurveReader:
    """Collects the candidates of one curve: sketches where they are fine enough for the screen, else all points."""

    def __init__(
        self,
        connection: Connection,
        run_id: str,
        series: int,
        axis: str,
        lo: float | None,
        hi: float | None,
        width: int,
        smoothing: float,
    ) -> None:
        self.connection, self.run_id, self.series, self.axis = connection, run_id, series, axis
        self.lo = -math.inf if lo is None else lo
        self.hi = math.inf if hi is None else hi
        self.width, self.smoothing = width, smoothing
        self.first, self.last = _RANGES[axis]

    def read(self) -> tuple[NDArray[np.float64], NDArray[np.float64], int, NDArray[np.float64] | None]:
        """x, y, how many points lie in the window, and the smoothed curve."""
        rows = _overview(self.connection, self.run_id, self.series)
        hidden_from = limits((r["attempt"], r["first_step"]) for r in rows)
        rows = [r for r in rows if _shows(r, hidden_from[r["attempt"]]) and r[self.first] is not None]
        if self.smoothing > 0:
            return self._all_smoothed(rows, hidden_from)
        rows = [r for r in rows if r[self.first] <= self.hi and r[self.last] >= self.lo]
        if not rows:
            return np.empty(0), np.empty(0), 0, None
        sketched = self._sketched(rows, hidden_from)
        full = [r for r in rows if r["seq"] not in sketched]
        x, y, total = self._full(full, hidden_from)
        if sketched:
            sx, sy = self._sketches(sorted(sketched))
            x, y = np.concatenate([x, sx]), np.concatenate([y, sy])
            total += sum(r["n"] for r in rows if r["seq"] in sketched)
        if not (x[1:] >= x[:-1]).all():
            order = np.argsort(x, kind="stable")
            x, y = x[order], y[order]
        index = reduce_curve(x, y, self.width, lo=self.lo, hi=self.hi)
        return x[index], y[index], total, None

    def _sketched(self, rows: Sequence[Mapping[str, int]], hidden_from: Mapping[int, int | None]) -> set[int]:
        """Chunks that lie in the window as a whole, and whose buckets are narrower than a pixel."""
        low = max(self.lo, min(r[self.first] for r in rows))
        high = min(self.hi, max(r[self.last] for r in rows))
        pixel = (high - low) / self.width
        found = set()
        for r in rows:
            limit = hidden_from[r["attempt"]]
            whole = self.lo <= r[self.first] and r[self.last] <= self.hi and (limit is None or r["last_step"] < limit)
            if whole and r["sketch_n"] and (r[self.last] - r[self.first]) / r["sketch_n"] <= pixel:
                found.add(r["seq"])
        return found

    def _sketches(self, seqs: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        found_x, found_y = [], []
        for some in _portions(seqs):
            place = {"run": self.run_id, "series": self.series, "seqs": some}
            for _, sketch in self.connection.execute(_SKETCHES, place):
                points = chunks.decode_sketch(sketch, times=self.axis == "wall_time", epochs=self.axis == "epoch")
                x, y = self._axis(points)
                found_x.append(x)
                found_y.append(y)
        return np.concatenate(found_x), np.concatenate(found_y)

    def _full(
        self, rows: Sequence[Mapping[str, int]], hidden_from: Mapping[int, int | None]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
        more = {"step": (), "wall_time": ("times",), "epoch": ("epochs",)}[self.axis]
        blobs = _blobs(self.connection, self.run_id, self.series, [r["seq"] for r in rows], more)
        points = chunks.decode(blobs, times="times" in more, epochs="epochs" in more)
        keep = _visible(points.steps, rows, hidden_from)
        if keep is not None and not keep.all():
            points = chunks.take(points, keep)
        x, y = self._axis(points)
        if self.lo > -math.inf or self.hi < math.inf:
            inside = (x >= self.lo) & (x <= self.hi)
            x, y = x[inside], y[inside]
        return x, y, len(x)

    def _all_smoothed(
        self, rows: Sequence[Mapping[str, int]], hidden_from: Mapping[int, int | None]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], int, NDArray[np.float64]]:
        lo, hi, self.lo, self.hi = self.lo, self.hi, -math.inf, math.inf
        x, y, _ = self._full([r for r in rows if r[self.first] <= hi], hidden_from)
        if not (x[1:] >= x[:-1]).all():
            order = np.argsort(x, kind="stable")
            x, y = x[order], y[order]
        smoothed = smooth(y, self.smoothing)
        a, b = int(np.searchsorted(x, lo)), int(np.searchsorted(x, hi, side="right"))
        x, y, smoothed = x[a:b], y[a:b], smoothed[a:b]
        index = reduce_curve(x, y, self.width, lo=lo, hi=hi)
        return x[index], y[index], len(x), smoothed[index]

    def _axis(self, points: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where the points lie on the chosen axis; one without an epoch lies nowhere on that axis."""
        if self.axis == "step":
            return points.steps.astype(np.float64), points.values
        if self.axis == "wall_time":
            return points.times.astype(np.float64), points.values
        if points.epochs is None:
            return np.empty(0), np.empty(0)
        has = ~np.isnan(points.epochs)
        return points.epochs[has], points.values[has]


def _overview(connection: Connection, run_id: str, series: int) -> list[Mapping[str, int]]:
    return list(connection.execute(_OVERVIEW, {"run": run_id, "series": series}).mappings())  # type: ignore[arg-type]  # keys are strings


def _blobs(connection: Connection, run_id: str, series: int, seqs: Sequence[int], more: tuple[str, ...]) -> list[Row]:
    found: list[Row] = []
    for some in _portions(seqs):
        place = {"run": run_id, "series": series, "seqs": some}
        found.extend(connection.execute(_BLOBS[more], place).mappings())  # type: ignore[arg-type]  # keys are strings
    if len(found) != len(seqs):
        raise StoreError(f"run {run_id}: {len(seqs) - len(found)} chunks of series {series} went while they were read")
    return found


def _portions(seqs: Sequence[int]) -> list[list[int]]:
    return [list(seqs[i : i + _AT_ONCE]) for i in range(0, len(seqs), _AT_ONCE)]


def _shows(row: Mapping[str, int], limit: int | None) -> bool:
    return limit is None or row["first_step"] < limit


def _visible(
    steps: NDArray[np.int64], rows: Sequence[Mapping[str, int]], hidden_from: Mapping[int, int | None]
) -> NDArray[np.bool_] | None:
    """Which points of these chunks no newer attempt hides; None where that is all."""
    keep: NDArray[np.bool_] | None = None
    at = 0
    for row in rows:
        end, limit = at + row["n"], hidden_from.get(row["attempt"])
        if limit is not None and row["last_step"] >= limit:
            if keep is None:
                keep = np.ones(len(steps), np.bool_)
            keep[at:end] = steps[at:end] < limit
        at = end
    return keep


def _in_order(points: Points) -> Points:
    steps = points.steps
    if (steps[1:] >= steps[:-1]).all():
        return points
    return chunks.take(points, np.argsort(steps, kind="stable"))
