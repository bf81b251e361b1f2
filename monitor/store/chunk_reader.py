"""Reading the chunks of one series within one read transaction: which there are, what they show, and their points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from sqlalchemy import Connection, Row, Select, bindparam, func, literal_column, select

from monitor.domain import Points
from monitor.errors import SeriesNotFound, StoreError
from monitor.store import chunks
from monitor.store.attempts import limits
from monitor.store.schema import CHUNKS, SERIES, Packed

RANGES: Final = {
    "step": ("first_step", "last_step"),
    "epoch": ("first_epoch", "last_epoch"),
    "wall_time": ("first_time", "last_time"),
}
"""The columns of a chunk's row that say where it lies on an axis."""
PORTION: Final = 2**19
"""Points that are worked on together, unless one chunk has more: memory stays small, and caches warm."""
_FETCHED: Final = 2**20
"""Points that are fetched with one statement where all are wanted: a few MiB packed, and few answers to wait for."""
_AT_ONCE: Final = 500
_HUGE_PAGE: Final = 2**21

_SERIES: Final = select(SERIES.c.series, SERIES.c.key).where(SERIES.c.run_id == bindparam("run"))
_ONE_SERIES: Final = select(SERIES.c.series, SERIES.c.count, SERIES.c.thinned).where(
    SERIES.c.run_id == bindparam("run"), SERIES.c.key == bindparam("key")
)
_OF_SERIES = (CHUNKS.c.run_id == bindparam("run"), CHUNKS.c.series == bindparam("series"))
_OVERVIEW: Final = (
    select(
        *(CHUNKS.c[c] for c in ("seq", "attempt", "n", "finite", "ordered", "sketch_n")),
        *(CHUNKS.c[c] for pair in RANGES.values() for c in pair),
    )
    .where(*_OF_SERIES)
    .order_by(CHUNKS.c.seq)
)
_BLOBS: Final[dict[tuple[str, ...], Select[tuple[object, ...]]]] = {
    more: select(*(CHUNKS.c[c] for c in ("seq", "n", "steps", "vals", *more)))
    .where(*_OF_SERIES, CHUNKS.c.seq.in_(bindparam("seqs", expanding=True)))
    .order_by(CHUNKS.c.seq)
    for more in ((), ("times",), ("epochs",), ("times", "epochs"))
}
"""Statements by the columns that are read besides steps and values."""
_HEAD: Final = func.substr(CHUNKS.c.sketch, literal_column("1"), literal_column(str(chunks.COARSE_BYTES)), type_=Packed)
_FINE, _COARSE = (
    select(CHUNKS.c.seq, sketch)
    .where(*_OF_SERIES, CHUNKS.c.seq.in_(bindparam("seqs", expanding=True)))
    .order_by(CHUNKS.c.seq)
    for sketch in (CHUNKS.c.sketch, _HEAD)
)

Overview = Mapping[str, int]
"""A chunk's row without its columns; the epochs in it are floats, or None."""


def find_series(connection: Connection, run_id: str, key: str) -> tuple[int, int, int]:
    """The number of a series within its run, its points, and how many more there were before it was thinned.

    Raises:
        SeriesNotFound: the run has no such series.
    """
    found = connection.execute(_ONE_SERIES, {"run": run_id, "key": key}).one_or_none()
    if found is None:
        known = connection.execute(_SERIES, {"run": run_id}).all()
        raise SeriesNotFound(run_id, key, tuple(row.key for row in known))
    series, count, thinned = found
    return series, count, thinned


class ChunkReader:
    """The chunks of a series that show something.

    Args:
        attempt: the points that this attempt logged, hidden ones too; None for the curve, on which the newest attempt's
            points win.

    Attributes:
        rows: overviews in order of arrival; those whose points are all hidden are left out.
        logged: how many points each of those of the curve stands for; 1.0 unless the series was thinned.

    Raises:
        SeriesNotFound: the run has no such series.
    """

    def __init__(self, connection: Connection, run_id: str, key: str, attempt: int | None = None) -> None:
        self._connection = connection
        series, count, thinned = find_series(connection, run_id, key)
        self.logged = (count + thinned) / count if count else 1.0
        self._place: dict[str, object] = {"run": run_id, "series": series}
        found: list[Overview] = list(connection.execute(_OVERVIEW, self._place).mappings())  # type: ignore[arg-type]  # keys are strings
        if attempt is None:
            self._hidden_from = limits((row["attempt"], row["first_step"]) for row in found)
        else:
            self._hidden_from = {}
            found = [row for row in found if row["attempt"] == attempt]
        self.rows = [row for row in found if self._shows(row)]

    def whole(self, row: Overview) -> bool:
        """True where no newer attempt hides any point of the chunk."""
        limit = self._hidden_from.get(row["attempt"])
        return limit is None or row["last_step"] < limit

    def points(self, rows: Sequence[Overview], *, times: bool, epochs: bool) -> Points:
        """The visible points of some chunks, one after the other in the order of `rows`.

        Args:
            times: False to leave them out, as zeros.
            epochs: False to leave them out, as None.
        """
        total = sum(row["n"] for row in rows)
        with_epochs = epochs and any(row["first_epoch"] is not None for row in rows)
        found = _room(total, times=times, epochs=with_epochs)
        at = 0
        for some in portions(rows, _FETCHED):
            for blobs in self._blobs(some, times=times, epochs=with_epochs):
                end = at + int(str(blobs["n"]))
                chunks.decode_into(blobs, chunks.take(found, slice(at, end)), times=times)
                at = end
        return self._visible(found, rows)

    def sketches(self, rows: Sequence[Overview], *, times: bool, epochs: bool) -> list[Points]:
        """The sketches of some chunks, in the order of `rows`."""
        found = {
            seq: chunks.decode_sketch(sketch, times=times, epochs=epochs) for seq, sketch in self._packed(_FINE, rows)
        }
        return [found[row["seq"]] for row in rows]

    def coarse(self, rows: Sequence[Overview], *, times: bool, epochs: bool) -> list[Points]:
        """The coarse sketches of some chunks, in the order of `rows`; the whole sketch of one that has no coarse."""
        found = {seq: chunks.decode_coarse(head, epochs=epochs) for seq, head in self._packed(_COARSE, rows)}
        whole = [row for row in rows if found[row["seq"]] is None]
        instead = iter(self.sketches(whole, times=times, epochs=epochs))
        return [next(instead) if (head := found[row["seq"]]) is None else head for row in rows]

    def _packed(self, statement: Select[int, bytes], rows: Sequence[Overview]) -> Iterator[Row[int, bytes]]:
        for i in range(0, len(rows), _AT_ONCE):
            place = {**self._place, "seqs": [row["seq"] for row in rows[i : i + _AT_ONCE]]}
            yield from self._connection.execute(statement, place)

    def _shows(self, row: Overview) -> bool:
        limit = self._hidden_from.get(row["attempt"])
        return limit is None or row["first_step"] < limit

    def _blobs(self, rows: Sequence[Overview], *, times: bool, epochs: bool) -> list[chunks.Row]:
        more = (*(("times",) if times else ()), *(("epochs",) if epochs else ()))
        place = {**self._place, "seqs": [row["seq"] for row in rows]}
        found = {row["seq"]: row for row in self._connection.execute(_BLOBS[more], place).mappings()}
        if len(found) != len(rows):
            went = len(rows) - len(found)
            raise StoreError(f"run {self._place['run']}: {went} chunks went while they were read")
        return [found[row["seq"]] for row in rows]  # type: ignore[misc]  # keys are strings

    def _visible(self, points: Points, rows: Sequence[Overview]) -> Points:
        if all(self.whole(row) for row in rows):
            return points
        keep = np.ones(len(points), np.bool_)
        at = 0
        for row in rows:
            end = at + row["n"]
            limit = self._hidden_from.get(row["attempt"])
            if limit is not None:
                keep[at:end] = points.steps[at:end] < limit
            at = end
        return chunks.take(points, keep)


def _room(total: int, *, times: bool, epochs: bool) -> Points:
    """Arrays for so many points: large ones in one block that begins where a huge page may, as every new page costs."""
    columns = 3 if times else 2
    size = 8 * columns * total
    spare = _HUGE_PAGE if size > _HUGE_PAGE else 0
    block = np.empty(size + spare, np.uint8)
    start = -block.ctypes.data % _HUGE_PAGE if spare else 0
    parts = block[start : start + size].view(np.int64).reshape(columns, total)
    return Points(
        parts[0],
        parts[1].view(np.float64),
        parts[2] if times else np.zeros(total, np.int64),
        np.full(total, np.nan) if epochs else None,
    )


def portions(rows: Sequence[Overview], size: int = PORTION) -> Iterator[list[Overview]]:
    """Cut rows into neighbours of together at most `size` points, or one chunk that has more."""
    some: list[Overview] = []
    total = 0
    for row in rows:
        if some and (total + row["n"] > size or len(some) == _AT_ONCE):
            yield some
            some, total = [], 0
        some.append(row)
        total += row["n"]
    if some:
        yield some
