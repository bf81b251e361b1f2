"""Sketches of many chunks at once. A curve then costs only what a screen shows, however long its series is.

Sixteen neighbouring chunks of a series make a span of level 1, sixteen spans of a level one of the next. A span has a
range and a sketch like a chunk's, of up to 2,048 buckets, made from the sketches of what it covers. At each level the
spans cover the series from its first chunk on without gaps, so a reader takes the highest level first, and the rest
from the level below.

Only chunks that will not be merged any more are covered. If steps go back in a chunk, or another attempt follows it,
its span has no sketch, and a reader looks below it. If chunks are merged or downsampled later, the spans of their
series are rebuilt.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from sqlalchemy import bindparam, func, select

from monitor.domain import Points
from monitor.store.points import chunk_rows, chunks
from monitor.store.points.chunk_rows import of_series
from monitor.store.points.reduce import reduce_curve
from monitor.store.sql.link import Link, Row, Statement
from monitor.store.sql.schema import CHUNKS, SPANS

FAN: Final = 16
"""Chunks or spans that one span covers."""

_PLACED: Final = (
    "seq", "attempt", "n", "ordered", "sketch_n", "first_step", "last_step", "first_time", "last_time", "first_epoch",
    "last_epoch",
)  # fmt: skip
_OF: Final = of_series(SPANS)[:2]
_ENDS: Final = Statement(
    select(SPANS.c.level, func.max(SPANS.c.last_seq).label("last_seq")).where(*_OF).group_by(SPANS.c.level)
)
_CHUNKS, _SPANS = (
    Statement(
        select(*(table.c[name] for name in names))
        .where(*of_series(table), table.c.seq > bindparam("after"))
        .order_by(table.c.seq)
    )
    for table, names in ((CHUNKS, _PLACED), (SPANS, (*_PLACED, "last_seq")))
)
_CHUNK_SKETCHES, _SPAN_SKETCHES = (
    Statement(
        select(table.c.seq, table.c.sketch)
        .where(*of_series(table), table.c.seq.between(bindparam("low"), bindparam("high")))
        .order_by(table.c.seq)
    )
    for table in (CHUNKS, SPANS)
)
_INSERT: Final = Statement(SPANS.insert(), SPANS.c.keys())
_FORGET: Final = Statement(SPANS.delete().where(*_OF))


def extend(link: Link, run_id: str, series: object) -> None:
    """Cover a series' chunks by spans, as far as they fill them. None of the chunks may be merged any more."""
    place: dict[str, object] = {"run": run_id, "series": series}
    ends = {row["level"]: row["last_seq"] for row in link.ask(_ENDS, place).all()}
    level = 0
    while True:
        where = {**place, "level": level, "after": ends.get(level + 1, -1)}
        found: list[dict[str, Any]] = link.ask(_SPANS if level else _CHUNKS, where).all()
        if len(found) < FAN:
            return
        for start in range(0, len(found) - FAN + 1, FAN):
            row = _span(link, place, level, found[start : start + FAN])
            link.tell(_INSERT, {"run_id": run_id, "series": series, "level": level + 1, **row})
        level += 1


def forget(link: Link, run_id: str, series: object) -> None:
    """Delete the spans of a series whose chunks have changed."""
    link.tell(_FORGET, {"run": run_id, "series": series})


def _span(link: Link, place: Row, level: int, covered: Sequence[dict[str, Any]]) -> dict[str, object]:
    """The row of a span over neighbours of one level, without its key."""
    last = covered[-1]
    epochs = [row[name] for row in covered for name in ("first_epoch", "last_epoch") if row[name] is not None]
    ordered = all(row["ordered"] for row in covered) and all(
        a["last_step"] <= b["first_step"] for a, b in pairwise(covered)
    )
    one_attempt = all(row["attempt"] == last["attempt"] for row in covered)
    sketched = all(row["sketch_n"] or (level == 0 and row["n"] < chunks.SKETCH_FROM) for row in covered)
    buckets, sketch = 0, None
    if ordered and one_attempt and sketched:
        buckets, sketch = _sketch(_shown(link, place, level, covered), [row["n"] for row in covered])
    return {
        "seq": covered[0]["seq"],
        "last_seq": last.get("last_seq", last["seq"]),
        "attempt": max(row["attempt"] for row in covered),
        "n": sum(row["n"] for row in covered),
        "ordered": ordered,
        "first_step": min(row["first_step"] for row in covered),
        "last_step": max(row["last_step"] for row in covered),
        "first_time": min(row["first_time"] for row in covered),
        "last_time": max(row["last_time"] for row in covered),
        "first_epoch": min(epochs, default=None),
        "last_epoch": max(epochs, default=None),
        "sketch_n": buckets,
        "sketch": sketch,
    }


def _shown(link: Link, place: Row, level: int, covered: Sequence[dict[str, Any]]) -> list[Points]:
    """The points that the sketch of each neighbour shows; all points of a chunk too short for a sketch."""
    where = {**place, "level": level, "low": covered[0]["seq"], "high": covered[-1]["seq"]}
    rows = link.ask(_SPAN_SKETCHES if level else _CHUNK_SKETCHES, where).all()
    found: dict[object, Any] = {row["seq"]: row["sketch"] for row in rows}
    shown = []
    for row in covered:
        sketch = found[row["seq"]]
        if sketch is None:
            shown.append(
                chunks.decode(link.ask(chunk_rows.RANGE, {**place, "low": row["seq"], "high": row["seq"]}).all())
            )
        else:
            shown.append(chunks.decode_sketch(sketch, times=True, epochs=row["first_epoch"] is not None))
    return shown


def _sketch(shown: Sequence[Points], lengths: Sequence[int]) -> tuple[int, bytes]:
    """One sketch of several neighbours. Each gets buckets in proportion to the number of points that it stands for.

    Args:
        shown: the points of each neighbour's sketch.
        lengths: how many points each has, shown or not.
    """
    epochs = None
    if any(points.epochs is not None for points in shown):
        epochs = np.concatenate([np.full(len(p), np.nan) if p.epochs is None else p.epochs for p in shown])
    joined = Points(
        np.concatenate([points.steps for points in shown]),
        np.concatenate([points.values for points in shown]),
        np.concatenate([points.times for points in shown]),
        epochs,
    )
    starts = np.cumsum(lengths) - lengths
    place = np.concatenate(
        [start + np.linspace(0, n - 1, len(p)) for start, n, p in zip(starts.tolist(), lengths, shown, strict=True)]
    )
    fine, coarse = (
        chunks.take(joined, reduce_curve(place, joined.values, width, again=True))
        for width in (chunks.MAX_BUCKETS, chunks.COARSE_BUCKETS)
    )
    return chunks.MAX_BUCKETS, chunks.pack_sketch(fine, coarse)
