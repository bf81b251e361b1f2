"""Points of a batch become chunks and series summaries: one small chunk a series, never a rewritten tail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, select

from monitor.domain import Points
from monitor.roles import Role, role_of
from monitor.store import chunks
from monitor.store.attempts import limits
from monitor.store.chunks import Summary
from monitor.store.compact import merge_tail
from monitor.store.schema import CHUNKS, SERIES
from monitor.store.series import NAMES, SeriesState
from monitor.wire import Columns

JUDGED: Final = (Role.TRAIN, Role.VAL, Role.GRAD_NORM, Role.LR)
"""Roles that the engine judges, by the first series that has them."""

_MANY_KEYS: Final = 200
_SUMMARY = [CHUNKS.c[name] for name in ("seq", "attempt", *chunks.SUMMARY_COLUMNS)]
_ALL_SERIES = select(*(SERIES.c[name] for name in NAMES)).where(SERIES.c.run_id == bindparam("run"))
_SOME_SERIES = _ALL_SERIES.where(SERIES.c.key.in_(bindparam("keys", expanding=True)))
_SUMMARIES = (
    select(*_SUMMARY)
    .where(CHUNKS.c.run_id == bindparam("run"), CHUNKS.c.series == bindparam("series"))
    .order_by(CHUNKS.c.seq)
)
_ONE_CHUNK = select(CHUNKS).where(
    CHUNKS.c.run_id == bindparam("run"), CHUNKS.c.series == bindparam("series"), CHUNKS.c.seq == bindparam("at")
)
_UPDATE = SERIES.update().where(SERIES.c.run_id == bindparam("in_run"), SERIES.c.series == bindparam("in_series"))
_JUDGED_ROLES = select(SERIES.c.role).where(SERIES.c.run_id == bindparam("run"), SERIES.c.judged)


@dataclass(frozen=True, slots=True)
class Appended:
    """What a batch's points did to their series.

    Attributes:
        states: one for each key of the batch that has points, by its index in the batch's keys.
        series_count: the run's number of series afterwards.
        late: points that lay before a step already seen of their series.
    """

    states: Mapping[int, SeriesState]
    series_count: int
    late: int


def append_points(
    connection: Connection, run_id: str, attempt: int, keys: Sequence[str], columns: Columns, series_count: int
) -> Appended:
    """Store the points of one batch, which all belong to one attempt.

    Args:
        keys: names that `columns.key` refers to.
        columns: n >= 1 points in the order in which they were logged.
        series_count: series the run has so far; new ones are numbered from there.
    """
    parts = split(columns)
    known = _load(connection, run_id, [keys[k] for k in parts])
    fresh = [keys[k] for k in parts if keys[k] not in known]
    if fresh:
        for state in _first_states(connection, run_id, fresh, attempt, series_count):
            known[state.key] = state
    late, rows = 0, []
    for k, points in parts.items():
        state = known[keys[k]]
        row = chunks.encode(points)
        late += _count_in(connection, run_id, state, attempt, points, Summary.from_row(row))
        rows.append({**row, "run_id": run_id, "series": state.series, "seq": state.next_seq, "attempt": attempt})
        state.next_seq += 1
    _save(connection, run_id, [known[keys[k]] for k in parts], rows, set(fresh), attempt)
    return Appended({k: known[keys[k]] for k in parts}, series_count + len(fresh), late)


def split(columns: Columns) -> dict[int, Points]:
    """The points of each key, in order of arrival; keys in order of their first point."""
    keys = columns.key
    if not len(keys):
        return {}
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


def _load(connection: Connection, run_id: str, keys: Sequence[str]) -> dict[str, SeriesState]:
    if len(keys) > _MANY_KEYS:
        rows = connection.execute(_ALL_SERIES, {"run": run_id})
    else:
        rows = connection.execute(_SOME_SERIES, {"run": run_id, "keys": list(keys)})
    states = (SeriesState.from_row(row) for row in rows.mappings().all())  # type: ignore[arg-type]  # keys are strings
    return {state.key: state for state in states}


def _first_states(
    connection: Connection, run_id: str, keys: Sequence[str], attempt: int, series_count: int
) -> list[SeriesState]:
    judged = set(connection.execute(_JUDGED_ROLES, {"run": run_id}).scalars())
    states = []
    for number, key in enumerate(keys, start=series_count + 1):
        role = role_of(key)
        binds = role in JUDGED and str(role) not in judged
        if binds:
            judged.add(str(role))
        states.append(
            SeriesState(
                series=number, key=key, role=str(role), judged=binds, attempt=attempt, cut_step=2**63 - 1, attempts=0
            )
        )
    return states


def _count_in(
    connection: Connection, run_id: str, state: SeriesState, attempt: int, points: Points, summary: Summary
) -> int:
    """Bring a series' summary up to date with points that are about to be stored; how many of them are late."""
    if attempt < state.attempt:  # of an attempt that was given up: counted again once it is stored
        state.tails, state.attempts = [], max(state.attempts, 2)
        return 0
    newer = attempt > state.attempt or state.attempts == 0
    hides = state.attempts > (0 if newer else 1) and summary.first_step < (state.cut_step if not newer else 2**63 - 1)
    if newer:
        state.attempt, state.attempts, state.tails = attempt, state.attempts + 1, []
        state.cut_step = summary.first_step
    state.cut_step = min(state.cut_step, summary.first_step)
    if hides and state.last_step is not None and summary.first_step <= state.last_step:
        recount(connection, run_id, state)
    return _extend(state, points, summary)


def _extend(state: SeriesState, points: Points, summary: Summary) -> int:
    late = state.count_late(points, summary.ordered)
    state.sample(points)
    state.add(summary)
    return late


def recount(connection: Connection, run_id: str, state: SeriesState) -> None:
    """Count a series again from its chunks, where its newest attempt begins to hide steps from `cut_step` on."""
    place = {"run": run_id, "series": state.series}
    rows = connection.execute(_SUMMARIES, place).mappings().all()
    hidden_from = limits([(state.attempt, state.cut_step), *((row["attempt"], row["first_step"]) for row in rows)])
    state.clear()
    state.cut_sparkline(state.cut_step)
    for row in rows:
        limit = hidden_from[row["attempt"]]
        if limit is None or row["last_step"] < limit:
            state.add(Summary.from_row(row))  # type: ignore[arg-type]  # keys are strings
        elif row["first_step"] < limit:
            full = connection.execute(_ONE_CHUNK, {**place, "at": row["seq"]}).mappings().one()
            points = chunks.decode([full])  # type: ignore[list-item]  # keys are strings
            state.add(Summary.of(chunks.take(points, points.steps < limit)))


def _save(
    connection: Connection,
    run_id: str,
    states: Sequence[SeriesState],
    rows: Sequence[dict[str, object]],
    fresh: set[str],
    attempt: int,
) -> None:
    connection.execute(CHUNKS.insert(), list(rows))
    for state, row in zip(states, rows, strict=True):
        size = row["n"]
        assert isinstance(size, int)
        if attempt == state.attempt:
            merge_tail(connection, run_id, state, size)
        else:
            recount(connection, run_id, state)
    new = [{"run_id": run_id, **state.to_row()} for state in states if state.key in fresh]
    old = [
        {"in_run": run_id, "in_series": state.series, **state.to_row()} for state in states if state.key not in fresh
    ]
    if new:
        connection.execute(SERIES.insert(), new)
    if old:
        connection.execute(_UPDATE, old)
