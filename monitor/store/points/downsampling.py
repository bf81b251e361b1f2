"""Downsamples the curves of old runs on request: fewer points, the same picture.

Every chunk keeps what a screen would show of it, given its share of pixels: the lowest and the highest point of every
pixel, the first point of a gap, and both ends. So a series keeps its best value, its extremes and its last value, with
their steps. It cannot be undone. The run shows how many points were removed (`warnings["thinned"]`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from sqlalchemy import bindparam, select

from monitor.store.points import chunk_rows, chunks, compact, spans
from monitor.store.points.append import recount
from monitor.store.points.reduce import reduce_curve
from monitor.store.points.series import NAMES, SeriesState
from monitor.store.sql.link import Link, Statement
from monitor.store.sql.schema import CHUNKS, SERIES

LEAST: Final = 500
"""Fewest points per series that may be requested; fewer would not draw a curve."""
_A_PIXEL: Final = 4
"""Points that a pixel keeps: both extremes, a gap and what follows it."""

_STATES: Final = Statement(
    select(*(SERIES.c[name] for name in NAMES)).where(SERIES.c.run_id == bindparam("run")).order_by(SERIES.c.series)
)
_SIZES: Final = Statement(select(CHUNKS.c.seq, CHUNKS.c.n).where(*chunk_rows.of_series(CHUNKS)).order_by(CHUNKS.c.seq))
_COUNTED: Final = Statement(
    SERIES.update()
    .where(SERIES.c.run_id == bindparam("run"), SERIES.c.series == bindparam("in_series"))
    .values({name: bindparam(name) for name in ("count", "nan_count", "inf_count", "thinned")})
)


def thin_run(link: Link, run_id: str, points: int) -> tuple[int, int]:
    """Downsample all series with more than twice `points` points. Memory use is that of one chunk.

    Args:
        points: about how many points of each series to keep.

    Returns:
        Points kept and points removed, over all series and attempts.
    """
    compact.merge_all(link, run_id)
    # The merge comes first because every chunk, however small, keeps the points of at least one pixel.
    kept = left_out = 0
    for values in link.ask(_STATES, {"run": run_id}).all():
        state = SeriesState.from_row(values)
        sizes = [
            (row["seq"], int(str(row["n"]))) for row in link.ask(_SIZES, {"run": run_id, "series": state.series}).all()
        ]
        before = sum(n for _, n in sizes)
        after = before
        if before > 2 * points:
            after = sum(_thin_chunk(link, run_id, state.series, at, n * points / before) for at, n in sizes)
            spans.forget(link, run_id, state.series)
            _count_again(link, run_id, state)
        kept, left_out = kept + after, left_out + before - after
    compact.merge_all(link, run_id)
    return kept, left_out


def _thin_chunk(link: Link, run_id: str, series: int, at: object, share: float) -> int:
    rows = chunk_rows.read(link, run_id, series, at, at)
    points = chunks.decode(rows)
    width = max(1, round(share / _A_PIXEL))
    index = reduce_curve(np.arange(float(len(points))), points.values, width)
    if len(index) < len(points):
        chunk_rows.replace(link, rows, chunks.take(points, index))
    return len(index)


def _count_again(link: Link, run_id: str, state: SeriesState) -> None:
    """Update only the counts: extremes and the last value are unchanged, and the sparkline still fits."""
    before = state.count
    recount(link, run_id, state)
    state.thinned += before - state.count
    counts = {name: getattr(state, name) for name in ("count", "nan_count", "inf_count", "thinned")}
    link.tell(_COUNTED, {"run": run_id, "in_series": state.series, **counts})
