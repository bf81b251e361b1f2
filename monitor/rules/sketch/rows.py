"""Takes in rows of the sketch of the parts: what was logged at one step, and the weights from there on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from monitor.roles import Role
from monitor.rules.sketch.parts import MOST, Parts
from monitor.rules.sketch.points import ROLE_CODES, WEIGHT, EnginePoints
from monitor.rules.sketch.state import TRAIN, State
from monitor.rules.sketch.whole_rows import FEW, WholeRows

AHEAD: Final = 2048
"""Points processed at a time."""
_PART: Final = ROLE_CODES[Role.PART]


def take_rows(state: State, points: EnginePoints) -> Iterator[int]:
    """Take in the points that concern the parts.

    The sketch begins with the first part or weight; earlier totals are not in it.

    Yields:
        The position of each point before which a row closed a bucket. Points from there on are taken in only when the
        next position is requested.
    """
    wanted = np.flatnonzero((points.role == TRAIN) | (points.role >= _PART))
    if state.parts is None:
        of_parts = np.flatnonzero(points.role >= _PART)
        wanted = wanted[wanted >= (of_parts[0] if len(of_parts) else len(points))]
    if not len(wanted):
        return
    parts, few = state.own_parts(), points.at(wanted)
    for at in range(0, len(wanted), AHEAD):
        for closed in _span(parts, few.at(slice(at, at + AHEAD))):
            yield int(wanted[at + closed])


def take_point(state: State, points: EnginePoints, closed: Callable[[Parts], None]) -> None:
    """`take_rows` for a single point; calls `closed` with the parts if a row closed a bucket."""
    role, step, value = int(points.role[0]), float(points.step[0]), float(points.value[0])
    if (state.parts is None or role != TRAIN) and role < _PART:
        return
    parts = state.own_parts()
    place = parts.index(points.names[0 if points.part is None else int(points.part[0])]) if role >= _PART else MOST
    if role == WEIGHT:
        parts.weigh(place, value)
        return
    if not math.isfinite(step):
        return
    if step != parts.row_step and parts.close_row(step):
        closed(parts)
    if role == TRAIN:
        parts.add_total(value)
    else:
        parts.add(place, value)


def _span(parts: Parts, points: EnginePoints) -> Iterator[int]:
    """Take in points: complete rows in bulk if possible, the rest one at a time."""
    rows = _whole_rows(parts, points) if len(points) > FEW else None
    if rows is None:
        yield from _one_by_one(parts, points)
        return
    yield from _one_by_one(parts, points, 0, rows.begin)
    if parts.close_row(float(rows.steps[0])):
        yield rows.begin
    yield from rows.take(parts)
    yield from _one_by_one(parts, points, rows.stop)


def _whole_rows(parts: Parts, points: EnginePoints) -> WholeRows | None:
    named = points.role >= _PART
    place = np.zeros(len(points), np.intp)
    if points.part is not None:
        for k in np.flatnonzero(np.bincount(points.part[named])).tolist():
            known = parts.find(points.names[k])
            if known is None or (known < MOST and not parts.parts[known].seen):
                return None
            place[named & (points.part == k)] = known
    return WholeRows.of(parts, points.role, points.step, points.value, place)


def _one_by_one(parts: Parts, points: EnginePoints, at: int = 0, stop: int | None = None) -> Iterator[int]:
    """Take in points of any kind."""
    places: dict[int, int] = {}
    which = np.zeros(len(points), np.uint16) if points.part is None else points.part
    columns = (column[at:stop].tolist() for column in (points.role, points.step, points.value, which))
    for i, (role, step, value, k) in enumerate(zip(*columns, strict=True), start=at):
        if role >= _PART and k not in places:
            places[k] = parts.index(points.names[k])
        if role == WEIGHT:
            parts.weigh(places[k], value)
            continue
        if not math.isfinite(step):
            continue
        if step != parts.row_step and parts.close_row(step):
            yield i
        if role == TRAIN:
            parts.add_total(value)
        else:
            parts.add(places[k], value)
