"""Reads the chunks of one series within one read transaction: their summaries, their sketches and their points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, Select, bindparam, func, literal_column, select

from monitor.domain import Points
from monitor.errors import SeriesNotFound, StoreError
from monitor.store.points import chunks
from monitor.store.points.attempts import limits
from monitor.store.sql.schema import CHUNKS, SERIES, SPANS, Packed

RANGES: Final = {
    "step": ("first_step", "last_step"),
    "epoch": ("first_epoch", "last_epoch"),
    "wall_time": ("first_time", "last_time"),
}
"""Axis -> the columns of a chunk's row that hold its range on that axis."""
PORTION: Final = 2**19
"""Points processed together, unless one chunk has more. Keeps memory small and caches warm."""
FETCHED: Final = 2**20
"""Points fetched per statement when all are wanted: a few MiB packed, and few round trips."""
_AT_ONCE: Final = 500
"""Most chunks that one statement names."""
_HUGE_PAGE: Final = 2**21
_LAST: Final = 2**63 - 1

_SERIES: Final = select(SERIES.c.series, SERIES.c.key).where(SERIES.c.run_id == bindparam("run"))
_ONE_SERIES: Final = select(SERIES.c.series, SERIES.c.count, SERIES.c.thinned).where(
    SERIES.c.run_id == bindparam("run"), SERIES.c.key == bindparam("key")
)
_OF_SERIES = (CHUNKS.c.run_id == bindparam("run"), CHUNKS.c.series == bindparam("series"))
_PLACED = ("seq", "attempt", "n", "ordered", "sketch_n", *(name for pair in RANGES.values() for name in pair))
_CHUNK_ROWS = select(literal_column("0").label("level"), CHUNKS.c.finite, *(CHUNKS.c[c] for c in _PLACED)).where(
    *_OF_SERIES
)
_OVERVIEW: Final = _CHUNK_ROWS.order_by(CHUNKS.c.seq)
_WITHIN: Final = _CHUNK_ROWS.where(CHUNKS.c.seq.between(bindparam("low"), bindparam("high"))).order_by(CHUNKS.c.seq)
_ON_LEVEL = (
    SPANS.c.run_id == bindparam("run"), SPANS.c.series == bindparam("series"), SPANS.c.level == bindparam("on")
)  # fmt: skip
_TOP: Final = select(func.max(SPANS.c.level)).where(*_ON_LEVEL[:2])
_SPANS_WITHIN: Final = (
    select(SPANS.c.level, SPANS.c.last_seq, *(SPANS.c[c] for c in _PLACED))
    .where(*_ON_LEVEL, SPANS.c.seq.between(bindparam("low"), bindparam("high")))
    .order_by(SPANS.c.seq)
)
SPANS_FROM: Final = 2**21
"""Points of a series from which on a curve uses spans."""
_BLOBS: Final[dict[tuple[str, ...], Select[tuple[object, ...]]]] = {
    more: select(*(CHUNKS.c[c] for c in ("seq", "n", "steps", "vals", *more)))
    .where(*_OF_SERIES, CHUNKS.c.seq.in_(bindparam("seqs", expanding=True)))
    .order_by(CHUNKS.c.seq)
    for more in ((), ("times",), ("epochs",), ("times", "epochs"))
}
"""Statement by the columns it reads besides steps and values."""
_HEAD: Final = func.substr(CHUNKS.c.sketch, literal_column("1"), literal_column(str(chunks.COARSE_BYTES)), type_=Packed)
_SPAN_HEAD: Final = func.substr(
    SPANS.c.sketch, literal_column("1"), literal_column(str(chunks.COARSE_BYTES)), type_=Packed
)
_FINE, _COARSE = (
    select(CHUNKS.c.seq, sketch).where(*_OF_SERIES, CHUNKS.c.seq.in_(bindparam("seqs", expanding=True)))
    for sketch in (CHUNKS.c.sketch, _HEAD)
)
_SPAN_FINE, _SPAN_COARSE = (
    select(SPANS.c.seq, sketch).where(*_ON_LEVEL, SPANS.c.seq.in_(bindparam("seqs", expanding=True)))
    for sketch in (SPANS.c.sketch, _SPAN_HEAD)
)

Overview = Mapping[str, int]
"""A chunk's row without its packed columns; or a span's, whose `level` is not 0. Its epochs are floats or None."""


class StaleSpan(Exception):
    """A span does not match what it covers: a process of the previous version, which has no spans, changed chunks."""


def find_series(connection: Connection, run_id: str, key: str) -> tuple[int, int, int]:
    """The number of a series within its run, its point count, and how many points downsampling removed."""
    found = connection.execute(_ONE_SERIES, {"run": run_id, "key": key}).one_or_none()
    if found is None:
        known = connection.execute(_SERIES, {"run": run_id}).all()
        raise SeriesNotFound(run_id, key, tuple(row.key for row in known))
    series, count, thinned = found
    return series, count, thinned


class ChunkReader:
    """The chunks of a series that have visible points.

    Args:
        attempt: only the points of this attempt, hidden ones included; None for the curve, on which the newest
            attempt's points win.
        spans: True to get one row for the many chunks of a span; `below` returns what it covers.

    Attributes:
        rows: summaries in order of arrival, without those whose points are all hidden.
        logged: how many logged points each point of the curve stands for; 1.0 unless the series was downsampled.
    """

    def __init__(
        self, connection: Connection, run_id: str, key: str, attempt: int | None = None, *, spans: bool = False
    ) -> None:
        self._connection = connection
        series, count, thinned = find_series(connection, run_id, key)
        self.logged = (count + thinned) / count if count else 1.0
        self._place: dict[str, object] = {"run": run_id, "series": series}
        found = self._covering() if spans and count >= SPANS_FROM else self._ask(_OVERVIEW)
        if attempt is None:
            self._hidden_from = limits((row["attempt"], row["first_step"]) for row in found)
        else:
            self._hidden_from = {}
            found = [row for row in found if row["attempt"] == attempt]
        self.rows = [row for row in found if self._shows(row)]

    def below(self, span: Overview) -> list[Overview]:
        """The rows, one level down, that a span covers.

        Raises:
            StaleSpan: chunks were changed by a process that has no spans.
        """
        found = self._below(span)
        return [row for row in found if self._shows(row)]

    def _below(self, span: Overview) -> list[Overview]:
        where = {"low": span["seq"], "high": span["last_seq"]}
        level = span["level"] - 1
        found = self._ask(_SPANS_WITHIN, on=level, **where) if level else self._ask(_WITHIN, **where)
        if sum(row["n"] for row in found) != span["n"]:
            raise StaleSpan
        return found

    def _covering(self) -> list[Overview]:
        """The series in as few rows as possible. A span without a sketch is replaced by what it covers."""
        top = self._connection.execute(_TOP, self._place).scalar_one()
        found: list[Overview] = []
        end = -1
        for level in range(top or 0, 0, -1):
            rows = self._ask(_SPANS_WITHIN, on=level, low=end + 1, high=_LAST)
            found += rows
            end = rows[-1]["last_seq"] if rows else end
        found += self._ask(_WITHIN, low=end + 1, high=_LAST)
        while any(row["level"] and not row["sketch_n"] for row in found):
            found = [
                part for row in found for part in (self._below(row) if row["level"] and not row["sketch_n"] else [row])
            ]
        return found

    def _ask(self, statement: Select[Any], **more: int) -> list[Overview]:
        return list(self._connection.execute(statement, {**self._place, **more}).mappings())  # type: ignore[arg-type]  # keys are strings

    def whole(self, row: Overview) -> bool:
        """True if no newer attempt hides any point of the chunk."""
        limit = self._hidden_from.get(row["attempt"])
        return limit is None or row["last_step"] < limit

    def points(self, rows: Sequence[Overview], *, times: bool, epochs: bool) -> Points:
        """The visible points of some chunks, concatenated in the order of `rows`.

        Args:
            times: False to skip them; they are then zeros.
            epochs: False to skip them; they are then None.
        """
        total = sum(row["n"] for row in rows)
        with_epochs = epochs and any(row["first_epoch"] is not None for row in rows)
        found = _room(total, times=times, epochs=with_epochs)
        at = 0
        for some in portions(rows, FETCHED):
            for blobs in self.columns(some, times=times, epochs=with_epochs):
                end = at + int(str(blobs["n"]))
                chunks.decode_into(blobs, chunks.take(found, slice(at, end)), times=times)
                at = end
        return self._visible(found, rows)

    def sketches(self, rows: Sequence[Overview], *, times: bool, epochs: bool) -> list[Points]:
        """The sketches of some chunks and spans, in the order of `rows`."""
        found = {
            place: chunks.decode_sketch(sketch, times=times, epochs=epochs)
            for place, sketch in self._packed(_FINE, _SPAN_FINE, rows)
        }
        return [found[row["level"], row["seq"]] for row in rows]

    def coarse(self, rows: Sequence[Overview], *, times: bool, epochs: bool) -> list[Points]:
        """The coarse sketches of some chunks and spans, in the order of `rows`; full sketches where there is none."""
        found = {
            place: chunks.decode_coarse(head, epochs=epochs)
            for place, head in self._packed(_COARSE, _SPAN_COARSE, rows)
        }
        whole = [row for row in rows if found[row["level"], row["seq"]] is None]
        instead = iter(self.sketches(whole, times=times, epochs=epochs))
        return [next(instead) if (head := found[row["level"], row["seq"]]) is None else head for row in rows]

    def _packed(
        self, of_chunks: Select[int, bytes], of_spans: Select[int, bytes], rows: Sequence[Overview]
    ) -> Iterator[tuple[tuple[int, int], bytes]]:
        """((level, seq), packed sketch or its head) of each row."""
        for level in {row["level"] for row in rows}:
            seqs = [row["seq"] for row in rows if row["level"] == level]
            for i in range(0, len(seqs), _AT_ONCE):
                place = {**self._place, "seqs": seqs[i : i + _AT_ONCE], **({"on": level} if level else {})}
                for seq, sketch in self._connection.execute(of_spans if level else of_chunks, place):
                    yield (level, seq), sketch

    def _shows(self, row: Overview) -> bool:
        limit = self._hidden_from.get(row["attempt"])
        return limit is None or row["first_step"] < limit

    def columns(self, rows: Sequence[Overview], *, times: bool, epochs: bool) -> list[chunks.Row]:
        """The packed columns of some chunks, in the order of `rows`."""
        more = (*(("times",) if times else ()), *(("epochs",) if epochs else ()))
        place = {**self._place, "seqs": [row["seq"] for row in rows]}
        found = {row["seq"]: row for row in self._connection.execute(_BLOBS[more], place).mappings()}
        if len(found) != len(rows):
            went = len(rows) - len(found)
            raise StoreError(f"run {self._place['run']}: {went} chunks disappeared while they were read")
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
    """Arrays for `total` points.

    Large ones share one block that is aligned to huge pages, because page faults are costly.
    """
    # On a virtual machine, the first access to a page costs 4 µs, more than unpacking what it holds.
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
    """Split rows into groups of neighbours with at most `size` points; a larger chunk is a group of its own."""
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
