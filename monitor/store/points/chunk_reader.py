"""Reads the chunks of one series within one read transaction: their summaries, their sketches and their points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from sqlalchemy import ColumnElement, Connection, LargeBinary, Select, bindparam, func, literal_column, select

from monitor.domain import Points
from monitor.errors import SeriesNotFound, StoreError
from monitor.store.points import chunks
from monitor.store.points.attempts import limits
from monitor.store.points.chunk_rows import of_series
from monitor.store.sql.schema import CHUNKS, SERIES, SPANS

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
_LAST: Final = 2**63 - 1

_SERIES: Final = select(SERIES.c.series, SERIES.c.key).where(SERIES.c.run_id == bindparam("run"))
_ONE_SERIES: Final = select(SERIES.c.series, SERIES.c.count, SERIES.c.thinned).where(
    SERIES.c.run_id == bindparam("run"), SERIES.c.key == bindparam("key")
)
_PLACED = ("seq", "attempt", "n", "ordered", "sketch_n", *(name for pair in RANGES.values() for name in pair))
_CHUNK_ROWS, _SPAN_ROWS = (
    select(*more, *(table.c[c] for c in _PLACED))
    .where(*of_series(table), table.c.seq.between(bindparam("low"), bindparam("high")))
    .order_by(table.c.seq)
    for table, more in (
        (CHUNKS, (literal_column("0").label("level"), CHUNKS.c.finite)),
        (SPANS, (SPANS.c.level, SPANS.c.last_seq)),
    )
)
_TOP: Final = select(func.max(SPANS.c.level)).where(*of_series(SPANS)[:2])
SPANS_FROM: Final = 2**21
"""Points of a series from which on a curve uses spans."""
_BLOBS: Final[dict[tuple[str, ...], Select[tuple[object, ...]]]] = {
    more: select(*(CHUNKS.c[c] for c in ("seq", "n", "steps", "vals", *more)))
    .where(*of_series(CHUNKS), CHUNKS.c.seq.in_(bindparam("seqs", expanding=True)))
    .order_by(CHUNKS.c.seq)
    for more in ((), ("times",), ("epochs",), ("times", "epochs"))
}
"""Statement by the columns it reads besides steps and values."""


def _sketches(most: int = 0) -> dict[bool, Select[int, bytes]]:
    """The statements that read the packed sketches, or their first bytes, of chunks (False) and of spans (True)."""
    found: dict[bool, Select[int, bytes]] = {}
    for table in (CHUNKS, SPANS):
        sketch: ColumnElement[bytes] = table.c.sketch
        if most:
            sketch = func.substr(sketch, literal_column("1"), literal_column(str(most)), type_=LargeBinary)
        some = table.c.seq.in_(bindparam("seqs", expanding=True))
        found[table is SPANS] = select(table.c.seq, sketch).where(*of_series(table), some)
    return found


_FINE: Final = _sketches()
_COARSE: Final = _sketches(chunks.COARSE_BYTES)
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
        found = self._covering() if spans and count >= SPANS_FROM else self._between(0, _LAST)
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
        found = self._between(span["seq"], span["last_seq"], span["level"] - 1)
        if sum(row["n"] for row in found) != span["n"]:
            raise StaleSpan
        return found

    def _covering(self) -> list[Overview]:
        """The series in as few rows as possible. A span without a sketch is replaced by what it covers."""
        top = self._connection.execute(_TOP, self._place).scalar_one()
        found: list[Overview] = []
        end = -1
        for level in range(top or 0, 0, -1):
            rows = self._between(end + 1, _LAST, level)
            found += rows
            end = rows[-1]["last_seq"] if rows else end
        found += self._between(end + 1, _LAST)
        while any(row["level"] and not row["sketch_n"] for row in found):
            found = [
                part for row in found for part in (self._below(row) if row["level"] and not row["sketch_n"] else [row])
            ]
        return found

    def _between(self, low: int, high: int, level: int = 0) -> list[Overview]:
        """The chunks, or the spans of a level, whose `seq` lies between two."""
        place = {**self._place, "level": level, "low": low, "high": high}
        found = self._connection.execute(_SPAN_ROWS if level else _CHUNK_ROWS, place)
        return list(found.mappings())  # type: ignore[arg-type]  # keys are strings

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
        found = chunks.room(total, times=times, epochs=with_epochs)
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
            for place, sketch in self._packed(_FINE, rows)
        }
        return [found[row["level"], row["seq"]] for row in rows]

    def coarse(self, rows: Sequence[Overview], *, times: bool, epochs: bool) -> list[Points]:
        """The coarse sketches of some chunks and spans, in the order of `rows`; full sketches where there is none."""
        found = {place: chunks.decode_coarse(head, epochs=epochs) for place, head in self._packed(_COARSE, rows)}
        whole = [row for row in rows if found[row["level"], row["seq"]] is None]
        instead = iter(self.sketches(whole, times=times, epochs=epochs))
        return [next(instead) if (head := found[row["level"], row["seq"]]) is None else head for row in rows]

    def _packed(
        self, statements: Mapping[bool, Select[int, bytes]], rows: Sequence[Overview]
    ) -> Iterator[tuple[tuple[int, int], bytes]]:
        """((level, seq), packed sketch or its head) of each row."""
        for level in {row["level"] for row in rows}:
            seqs = [row["seq"] for row in rows if row["level"] == level]
            for i in range(0, len(seqs), _AT_ONCE):
                place = {**self._place, "level": level, "seqs": seqs[i : i + _AT_ONCE]}
                for seq, sketch in self._connection.execute(statements[level > 0], place):
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
