"""Turns the points of a batch into chunks and series summaries.

Each series gets one small chunk; nothing is rewritten.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import bindparam, or_, select

from monitor.domain import Points
from monitor.roles import NOTHING, Reading, Said
from monitor.store.points import chunks, naming
from monitor.store.points.attempts import limits
from monitor.store.points.chunks import Summary
from monitor.store.points.compact import merge_tail
from monitor.store.points.series import NAMES, SeriesState
from monitor.store.sql.link import Answer, Link, Row, Statement
from monitor.store.sql.schema import CHUNKS, SERIES
from monitor.wire import Columns

_MANY_KEYS: Final = 128
"""With more keys than this, all series of the run are read instead of naming each."""
_SUMMARY = [CHUNKS.c[name] for name in ("seq", "attempt", *chunks.SUMMARY_COLUMNS)]
_SERIES = select(*(SERIES.c[name] for name in NAMES)).where(SERIES.c.run_id == bindparam("run"))
_ALL_SERIES: Final = Statement(_SERIES)
_SUMMARIES: Final = Statement(
    select(*_SUMMARY)
    .where(CHUNKS.c.run_id == bindparam("run"), CHUNKS.c.series == bindparam("series"))
    .order_by(CHUNKS.c.seq)
)
_ONE_CHUNK: Final = Statement(
    select(CHUNKS).where(
        CHUNKS.c.run_id == bindparam("run"), CHUNKS.c.series == bindparam("series"), CHUNKS.c.seq == bindparam("at")
    )
)
_KEPT: Final = ("series", "key", "role", "judged")
"""Columns of a series that do not change when points are added."""
_UPDATE: Final = Statement(
    SERIES.update()
    .where(SERIES.c.run_id == bindparam("in_run"), SERIES.c.series == bindparam("in_series"))
    .values({name: bindparam(name) for name in NAMES if name not in _KEPT})
)
_NEW_CHUNKS: Final = Statement(CHUNKS.insert(), CHUNKS.c.keys())
_NEW_SERIES: Final = Statement(SERIES.insert(), ("run_id", *NAMES))


@functools.cache
def _some_series(count: int) -> Statement:
    """The statement that reads `count` series by their keys."""
    return Statement(_SERIES.where(or_(*(SERIES.c.key == bindparam(f"key{i}") for i in range(count)))))


@dataclass(frozen=True, slots=True)
class Appended:
    """What a batch's points did to their series.

    Attributes:
        states: one per key of the batch that has points, by the key's index in the batch.
        series_count: the run's number of series afterwards.
        late: points whose step is below one already seen in their series.
        reading: the roles read from the names of all series, if the batch brought new names; else None.
        moved: True if existing series changed their roles, so that the run must be judged again.
    """

    states: Mapping[int, SeriesState]
    series_count: int
    late: int
    reading: Reading | None = None
    moved: bool = False


def ask_series(link: Link, run_id: str, keys: Sequence[str]) -> Answer:
    """Request the summaries of series. The answer may also contain other series of the run."""
    if len(keys) > _MANY_KEYS:
        return link.ask(_ALL_SERIES, {"run": run_id})
    # Pad to a power of two by repeating the last key: few distinct statements, so few for the database to plan.
    count = 1 << (len(keys) - 1).bit_length()
    named = {f"key{i}": keys[min(i, len(keys) - 1)] for i in range(count)}
    return link.ask(_some_series(count), {"run": run_id, **named})


def append_points(
    link: Link,
    run_id: str,
    attempt: int,
    keys: Sequence[str],
    columns: Columns,
    series_count: int,
    asked: Answer | None = None,
    said: Callable[[], Said] = lambda: NOTHING,
) -> Appended:
    """Store the points of one batch, which all belong to one attempt.

    Args:
        keys: names that `columns.key` refers to.
        columns: n >= 1 points in the order in which they were logged.
        series_count: the run's number of series so far; new ones are numbered from there.
        asked: the answer of `ask_series` for these keys in this transaction.
        said: returns what the user said about the names; called only if there are new ones.
    """
    parts = split(columns)
    found = (asked or ask_series(link, run_id, [keys[k] for k in parts])).all()
    known = {state.key: state for state in map(SeriesState.from_row, found)}
    fresh = [keys[k] for k in parts if keys[k] not in known]
    reading, moved = None, False
    if fresh:
        reading, moved = naming.number(link, run_id, fresh, attempt, known, said())
    late, rows = 0, []
    for k, points in parts.items():
        state = known[keys[k]]
        row = chunks.encode(points)
        late += _count_in(link, run_id, state, attempt, points, Summary.from_row(row))
        rows.append({**row, "run_id": run_id, "series": state.series, "seq": state.next_seq, "attempt": attempt})
        state.next_seq += 1
    _save(link, run_id, [known[keys[k]] for k in parts], rows, set(fresh), attempt)
    return Appended({k: known[keys[k]] for k in parts}, series_count + len(fresh), late, reading, moved)


def split(columns: Columns) -> dict[int, Points]:
    """The points of each key, in order of arrival. Keys are in the order of their first point."""
    keys = columns.key
    if not len(keys):
        return {}
    # A single series needs no sorting.
    if (keys == keys[0]).all():
        return {int(keys[0]): Points(columns.step, columns.value, columns.time_ms, columns.epoch)}
    order = np.argsort(keys, kind="stable")
    sorted_keys = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], sorted_keys[1:] != sorted_keys[:-1]]))
    ends = np.append(starts[1:], len(keys))
    found = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        index = order[start:end]
        found.append((int(index[0]), int(sorted_keys[start]), _take(columns, index)))
    found.sort(key=lambda part: part[0])
    return {key: points for _, key, points in found}


def _take(columns: Columns, index: NDArray[np.intp]) -> Points:
    epoch = None if columns.epoch is None else columns.epoch[index]
    return Points(columns.step[index], columns.value[index], columns.time_ms[index], epoch)


def _count_in(link: Link, run_id: str, state: SeriesState, attempt: int, points: Points, summary: Summary) -> int:
    """Update a series' summary with points that are about to be stored. Returns how many of them are late."""
    if attempt < state.attempt:  # of an earlier attempt: `_save` recounts the series once the points are stored
        state.tails, state.attempts = [], max(state.attempts, 2)
        return 0
    newer = attempt > state.attempt or state.attempts == 0
    # True if this batch moves the step from which older attempts are hidden, so that points may leave the curve.
    hides = state.attempts > (0 if newer else 1) and (newer or summary.first_step < state.cut_step)
    if newer:
        state.attempt, state.attempts, state.tails = attempt, state.attempts + 1, []
        state.cut_step = summary.first_step
    state.cut_step = min(state.cut_step, summary.first_step)
    if hides and state.last_step is not None and summary.first_step <= state.last_step:
        before = state.count
        recount(link, run_id, state)
        state.thinned = round(state.thinned * state.count / before)  # it is unknown where the downsampled points lay
    return _extend(state, points, summary)


def _extend(state: SeriesState, points: Points, summary: Summary) -> int:
    late = state.count_late(points, summary.ordered)
    state.sample(points)
    state.add(summary)
    return late


def recount(link: Link, run_id: str, state: SeriesState) -> None:
    """Recount a series from its chunks after its newest attempt hid steps from `cut_step` on."""
    place = {"run": run_id, "series": state.series}
    rows = link.ask(_SUMMARIES, place).all()
    hidden_from = limits([(state.attempt, state.cut_step), *(_range(row)[:2] for row in rows)])
    state.clear()
    state.cut_sparkline(state.cut_step)
    for row in rows:
        attempt, first_step, last_step = _range(row)
        limit = hidden_from[attempt]
        if limit is None or last_step < limit:
            state.add(Summary.from_row(row))
        elif first_step < limit:
            points = chunks.decode(link.ask(_ONE_CHUNK, {**place, "at": row["seq"]}).all())
            state.add(Summary.of(chunks.take(points, points.steps < limit)))


def _range(row: Row) -> tuple[int, int, int]:
    """A chunk's attempt, first step and last step."""
    attempt, first, last = row["attempt"], row["first_step"], row["last_step"]
    assert isinstance(attempt, int)
    assert isinstance(first, int)
    assert isinstance(last, int)
    return attempt, first, last


def _save(
    link: Link,
    run_id: str,
    states: Sequence[SeriesState],
    rows: Sequence[dict[str, object]],
    fresh: set[str],
    attempt: int,
) -> None:
    link.tell(_NEW_CHUNKS, *rows)
    for state, row in zip(states, rows, strict=True):
        size = row["n"]
        assert isinstance(size, int)
        if attempt == state.attempt:
            merge_tail(link, run_id, state, size)
        else:
            recount(link, run_id, state)
    new = [{"run_id": run_id, **state.to_row()} for state in states if state.key in fresh]
    old = [
        {"in_run": run_id, "in_series": state.series, **state.to_row()} for state in states if state.key not in fresh
    ]
    if new:
        link.tell(_NEW_SERIES, *new)
    if old:
        link.tell(_UPDATE, *old)
