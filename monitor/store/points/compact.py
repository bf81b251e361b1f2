"""Merges small chunks, so that a run logged point by point ends as compact as one logged in bulk.

Chunks belong to size classes (under 64 points, 2,048, 32,768, 2^18). When the newest chunks of a class and the smaller
ones after them together reach the class's bound, they become one chunk of the next class. So every point is rewritten
at most four times, however long the series grows. A series keeps the sizes of its newest unfinished chunks (`tails`),
so that a write need not read them. When a run has ended, `merge_all` merges what is left.

Only chunks of one attempt that are neighbours in order of arrival are merged. The result takes the place of the first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import Integer, bindparam, select

from monitor.store.points import chunk_rows, chunks, spans
from monitor.store.points.series import SeriesState
from monitor.store.sql.link import Link, Statement
from monitor.store.sql.schema import CHUNKS, SERIES

BOUNDS: Final = (64, 2048, 32_768, 2**18)
"""Points at which the chunks of a size class are merged. A point is rewritten once per class."""
FULL: Final = BOUNDS[-1]
"""A chunk of at least this many points is not merged again."""

_NEWEST: Final = Statement(
    select(CHUNKS)
    .where(*chunk_rows.of_series(CHUNKS))
    .order_by(CHUNKS.c.seq.desc())
    .limit(bindparam("few", type_=Integer))
)
_PLACES: Final = Statement(
    select(CHUNKS.c.series, CHUNKS.c.seq, CHUNKS.c.attempt, CHUNKS.c.n)
    .where(CHUNKS.c.run_id == bindparam("run"))
    .order_by(CHUNKS.c.series, CHUNKS.c.seq)
)
_NO_TAILS: Final = Statement(
    SERIES.update()
    .where(SERIES.c.run_id == bindparam("run"))
    .values(tails=bindparam("none", type_=SERIES.c.tails.type))
)


def plan_merge(sizes: Sequence[int]) -> tuple[int, list[int]]:
    """Decide what to merge at the end of a series.

    Args:
        sizes: points of the newest unfinished chunks, oldest first.

    Returns:
        How many of the newest chunks become one (0: none), and the sizes afterwards.

    >>> plan_merge([64, 1, 62, 1])
    (3, [64, 64])
    """
    merged, after = 0, list(sizes)
    for bound in BOUNDS:
        start, total = len(after), 0
        while start and after[start - 1] < bound:
            start -= 1
            total += after[start]
        if total >= bound and len(after) - start > 1:
            merged += len(after) - start - (1 if merged else 0)
            after[start:] = [total]
    unfinished = len(after)
    while unfinished and after[unfinished - 1] < FULL:
        unfinished -= 1
    return merged, after[unfinished:]


def merge_tail(link: Link, run_id: str, state: SeriesState, size: int) -> None:
    """Account for a chunk that was just stored at the end of a series, and merge if due."""
    few, state.tails = plan_merge([*state.tails, size])
    if few:
        rows = link.ask(_NEWEST, {"run": run_id, "series": state.series, "few": few}).all()
        chunk_rows.replace(link, rows[::-1], chunks.decode(rows[::-1]))
    # No chunk is unfinished, so none of them will be merged again.
    if not state.tails and state.next_seq >= spans.FAN:
        spans.extend(link, run_id, state.series)


def merge_all(link: Link, run_id: str) -> int:
    """Merge all neighbouring chunks of a run that are not full, and cover them by spans.

    Returns how many chunks that saved.
    """
    places = [tuple(row.values()) for row in link.ask(_PLACES, {"run": run_id}).all()]
    saved, changed = 0, set()
    for series, low, high, count in _groups(places):  # type: ignore[arg-type]  # four integers
        rows = chunk_rows.read(link, run_id, series, low, high)
        chunk_rows.replace(link, rows, chunks.decode(rows))
        saved += count - 1
        changed.add(series)
    for number, count in Counter(place[0] for place in places).items():
        if count >= spans.FAN:
            if number in changed:
                spans.forget(link, run_id, number)
            spans.extend(link, run_id, number)
    link.tell(_NO_TAILS, {"run": run_id, "none": []})
    return saved


def _groups(places: Sequence[tuple[int, int, int, int]]) -> Iterator[tuple[int, int, int, int]]:
    """Neighbours to merge, as (series, first seq, last seq, chunks).

    A group has less than `FULL` points before its last chunk.
    """
    group: list[tuple[int, int, int, int]] = []
    total = 0
    for place in [*places, (-1, 0, 0, 0)]:
        series, _, attempt, n = place
        fits = group and group[0][0] == series and group[0][2] == attempt and total < FULL and n < FULL
        if not fits:
            if len(group) > 1:
                yield group[0][0], group[0][1], group[-1][1], len(group)
            group, total = [], 0
        group.append(place)
        total += n
