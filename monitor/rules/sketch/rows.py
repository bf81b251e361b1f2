"""Takes in rows of the sketch of the parts: what was logged at one step, and the weights from there on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.roles import Role
from monitor.rules.sketch.noise import Floats
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
    which = np.zeros(len(wanted), "u2") if points.part is None else points.part[wanted]
    few = _Points(
        state.own_parts(), points.names, points.role[wanted], points.step[wanted], points.value[wanted], which
    )
    for at in range(0, len(wanted), AHEAD):
        for closed in few.take(at, min(at + AHEAD, len(wanted))):
            yield int(wanted[closed])


def take_point(state: State, points: EnginePoints, closed: Callable[[], None]) -> None:
    """`take_rows` for a single point; calls `closed` if a row closed a bucket."""
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
        closed()
    if role == TRAIN:
        parts.add_total(value)
    else:
        parts.add(place, value)


class _Points:
    """The points that concern the parts; arrays of shape (n,)."""

    def __init__(
        self, parts: Parts, names: Sequence[str], role: NDArray[np.uint8], step: Floats, value: Floats,
        which: NDArray[np.uint16],
    ) -> None:  # fmt: skip
        self.parts, self.names, self.places = parts, names, dict[int, int]()
        self.role, self.step, self.value, self.which = role, step, value, which

    def take(self, at: int, stop: int) -> Iterator[int]:
        """Take in a span: complete rows in bulk if possible, the rest one point at a time."""
        rows = self._whole_rows(at, stop) if stop - at > FEW else None
        if rows is None:
            yield from self._one_by_one(at, stop)
            return
        yield from self._one_by_one(at, at + rows.begin)
        if self.parts.close_row(float(rows.steps[0])):
            yield at + rows.begin
        for closed in rows.take(self.parts):
            yield at + closed
        yield from self._one_by_one(at + rows.stop, stop)

    def _whole_rows(self, at: int, stop: int) -> WholeRows | None:
        role, which = self.role[at:stop], self.which[at:stop]
        named = role >= _PART
        place = np.zeros(stop - at, np.intp)
        for k in np.flatnonzero(np.bincount(which[named])).tolist():
            known = self.parts.find(self.names[k])
            if known is None or (known < MOST and not self.parts.parts[known].seen):
                return None
            place[named & (which == k)] = known
        return WholeRows.of(self.parts, role, self.step[at:stop], self.value[at:stop], place)

    def _one_by_one(self, at: int, stop: int) -> Iterator[int]:
        """Take in points of any kind."""
        parts, places = self.parts, self.places
        columns = (column[at:stop].tolist() for column in (self.role, self.step, self.value, self.which))
        for i, role, step, value, k in zip(range(at, stop), *columns, strict=True):
            if role >= _PART and k not in places:
                places[k] = parts.index(self.names[k])
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
