"""Reduces a series to what a screen shows: from the chunks' sketches if they are fine enough, else from the points."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from monitor.domain import Curve, Points
from monitor.errors import WireError
from monitor.store.points.chunk_reader import RANGES, ChunkReader, Overview, StaleSpan, portions
from monitor.store.points.chunks import COARSE_BUCKETS, COARSE_FROM
from monitor.store.points.reduce import reduce_curve
from monitor.store.points.smoothing import Average, reach
from monitor.store.sql.schema import RUNS

X_AXES: Final = ("step", "epoch", "wall_time", "relative")

Floats = NDArray[np.float64]


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
    if not 1 <= width <= 100_000:
        raise WireError("width", f"must lie between 1 and 100000 pixels, got {width}")
    if not 0 <= smoothing < 1:
        raise WireError("smoothing", f"must lie in [0, 1), got {smoothing}")
    for name, end in (("lo", lo), ("hi", hi)):
        if end is not None and math.isnan(end):
            raise WireError(name, "must be a number, got nan")
    origin = origin_of(connection, run_id, x)
    if x == "relative":
        lo, hi = (None if v is None else v * 1000 + origin for v in (lo, hi))
    axis = "wall_time" if x == "relative" else x
    low, high = -math.inf if lo is None else lo, math.inf if hi is None else hi
    try:
        chunk_reader = ChunkReader(connection, run_id, key, spans=smoothing == 0)
        found = _CurveReader(chunk_reader, axis, low, high, width, smoothing).read()
    except StaleSpan:
        # Spans only save time: do without.
        chunk_reader = ChunkReader(connection, run_id, key)
        found = _CurveReader(chunk_reader, axis, low, high, width, smoothing).read()
    xs = (found.x - origin) / 1000 if x == "relative" else found.x
    total = round(found.total * chunk_reader.logged)
    return Curve(key, x, xs, found.y, len(xs), total, found.smoothed if smoothing > 0 else None)


def origin_of(connection: Connection, run_id: str, x: str) -> int:
    """When a run began, for the axis `relative`; 0 for the others.

    Raises:
        WireError: there is no such axis.
    """
    if x not in X_AXES:
        raise WireError("x", f"must be one of {', '.join(X_AXES)}, got {x!r}")
    if x != "relative":
        return 0
    return int(connection.execute(select(RUNS.c.created_ms).where(RUNS.c.run_id == run_id)).scalar_one())


def on_axis(points: Points, axis: str) -> Floats:
    """The points' coordinates in steps, epochs (NaN where a point has none) or milliseconds (`wall_time`)."""
    if axis == "step":
        return points.steps.astype(np.float64)
    if axis == "epoch":
        return np.full(len(points), np.nan) if points.epochs is None else points.epochs
    return points.times.astype(np.float64)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Points of a curve sorted by x, reduced or not. `total` is the number of points they stand for."""

    x: Floats
    y: Floats
    total: int
    smoothed: Floats | None = None


class _CurveReader:
    """Collects candidate points of one curve and reduces them to a screen."""

    def __init__(
        self, chunk_reader: ChunkReader, axis: str, lo: float, hi: float, width: int, smoothing: float
    ) -> None:
        self.chunks, self.axis, self.lo, self.hi, self.width = chunk_reader, axis, lo, hi, width
        self.smoothing = smoothing
        self.first, self.last = RANGES[axis]
        self.rows = [row for row in chunk_reader.rows if row[self.first] is not None]
        self.shown = shown = self._opened(self._seen(self.rows), self._inside)
        self.left = max(lo, min((row[self.first] for row in shown), default=0))
        self.right = min(hi, max((row[self.last] for row in shown), default=0))
        self.shown = self._opened(shown, lambda row: self._fine_enough(row, row["sketch_n"]))

    def _seen(self, rows: Iterable[Overview]) -> list[Overview]:
        """The rows that overlap the window."""
        return [
            row
            for row in rows
            if row[self.first] is not None and row[self.first] <= self.hi and row[self.last] >= self.lo
        ]

    def _opened(self, rows: list[Overview], enough: Callable[[Overview], bool]) -> list[Overview]:
        """The rows, with each span that is not enough replaced by what it covers."""
        while any(row["level"] and not enough(row) for row in rows):
            rows = self._seen(
                part for row in rows for part in (self.chunks.below(row) if row["level"] and not enough(row) else [row])
            )
        return rows

    def _inside(self, row: Overview) -> bool:
        """True if the row lies fully in the window, and no newer attempt hides any of it."""
        return self.lo <= row[self.first] and row[self.last] <= self.hi and self.chunks.whole(row)

    def read(self) -> _Piece:
        """Read the curve."""
        pieces = self._smoothed() if self.smoothing > 0 else self._plain()
        found = _join(_sorted(pieces))
        index = reduce_curve(found.x, found.y, self.width, lo=self.left, hi=self.right)
        return _Piece(
            found.x[index], found.y[index], found.total, None if found.smoothed is None else found.smoothed[index]
        )

    def _plain(self) -> list[_Piece]:
        coarse = [
            row for row in self.shown if row["sketch_n"] >= COARSE_FROM and self._fine_enough(row, COARSE_BUCKETS)
        ]
        taken = {row["seq"] for row in coarse}  # unique: rows that do not overlap have different first chunks
        fine = [row for row in self.shown if row["seq"] not in taken and self._fine_enough(row, row["sketch_n"])]
        taken.update(row["seq"] for row in fine)
        times, epochs = self.axis == "wall_time", self.axis == "epoch"
        sketches = self.chunks.coarse(coarse, times=times, epochs=epochs)
        sketches += self.chunks.sketches(fine, times=times, epochs=epochs)
        pieces = [_Piece(*self._axis(found), row["n"]) for row, found in zip(coarse + fine, sketches, strict=True)]
        return pieces + self._unpacked([row for row in self.shown if row["seq"] not in taken])

    def _unpacked(self, rows: list[Overview]) -> list[_Piece]:
        pieces = []
        for some in portions(rows):
            x, y = self._points(some)
            if (x[1:] >= x[:-1]).all():
                a, b = self._window(x)
                index = a + reduce_curve(x[a:b], y[a:b], self.width, lo=self.left, hi=self.right, again=True)
                pieces.append(_Piece(x[index], y[index], b - a))
            else:
                inside = (x >= self.lo) & (x <= self.hi)
                pieces.append(_Piece(x[inside], y[inside], int(np.count_nonzero(inside))))
        return pieces

    def _fine_enough(self, row: Overview, buckets: int) -> bool:
        """True if the row lies fully in the window, and each of its buckets is narrower than a pixel."""
        pixel = (self.right - self.left) / self.width
        return self._inside(row) and buckets > 0 and (row[self.last] - row[self.first]) / buckets <= pixel

    def _smoothed(self) -> list[_Piece]:
        """The average needs every point, but only the visible ones of a sorted piece are kept in memory."""
        rows = sorted((row for row in self.rows if row[self.first] <= self.hi), key=lambda r: (r[self.first], r["seq"]))
        apart = all((a[self.last], a["seq"]) <= (b[self.first], b["seq"]) for a, b in itertools.pairwise(rows))
        if apart:
            rows = self._remembered(rows)
            try:
                return list(self._averaged(Average(self.smoothing), (self._points(some) for some in portions(rows))))
            except _OutOfOrder:
                pass
        rows.sort(key=lambda row: row["seq"])
        x, y = self._points(rows)
        order = np.argsort(x, kind="stable")
        return list(self._averaged(Average(self.smoothing), [(x[order], y[order])]))

    def _remembered(self, rows: list[Overview]) -> list[Overview]:
        """The rows of the window, and before it as many as the average still remembers."""
        missing, start = reach(self.smoothing), len(rows)
        while start and missing > 0:
            start -= 1
            row = rows[start]
            if row[self.last] < self.lo and self.chunks.whole(row):
                missing -= row["finite"]
        return rows[start:]

    def _averaged(self, average: Average, pieces: Iterable[tuple[Floats, Floats]]) -> Iterator[_Piece]:
        end = -math.inf
        for x, y in pieces:
            if not len(x):
                continue
            if x[0] < end or not (x[1:] >= x[:-1]).all():
                raise _OutOfOrder
            end = x[-1]
            a, b = self._window(x)
            index = a + reduce_curve(x[a:b], y[a:b], self.width, lo=self.left, hi=self.right, again=True)
            yield _Piece(x[index], y[index], b - a, average.extend(y, index))

    def _points(self, rows: Sequence[Overview]) -> tuple[Floats, Floats]:
        return self._axis(self.chunks.points(rows, times=self.axis == "wall_time", epochs=self.axis == "epoch"))

    def _window(self, x: Floats) -> tuple[int, int]:
        """Start and end index of the window in sorted x."""
        a, b = int(np.searchsorted(x, self.lo)), int(np.searchsorted(x, self.hi, side="right"))
        return a, max(a, b)

    def _axis(self, points: Points) -> tuple[Floats, Floats]:
        """The points' coordinates on the chosen axis. Points without an epoch are dropped on the epoch axis."""
        x = on_axis(points, self.axis)
        if self.axis != "epoch":
            return x, points.values
        has = ~np.isnan(x)
        return x[has], points.values[has]


class _OutOfOrder(Exception):
    """A piece goes back on the axis, which its row does not tell."""


def _sorted(pieces: list[_Piece]) -> list[_Piece]:
    """Sort the pieces by their first x, so that points need no sorting if the pieces do not overlap."""
    return sorted((piece for piece in pieces if len(piece.x)), key=lambda piece: float(piece.x[0]))


def _join(pieces: list[_Piece]) -> _Piece:
    x = np.concatenate([np.empty(0), *(piece.x for piece in pieces)])
    y = np.concatenate([np.empty(0), *(piece.y for piece in pieces)])
    smoothed = np.concatenate([np.empty(0), *(piece.smoothed for piece in pieces if piece.smoothed is not None)])
    total = sum(piece.total for piece in pieces)
    if not (x[1:] >= x[:-1]).all():
        order = np.argsort(x, kind="stable")
        x, y = x[order], y[order]
        smoothed = smoothed[order] if len(smoothed) else smoothed
    return _Piece(x, y, total, smoothed if len(smoothed) == len(x) else None)
