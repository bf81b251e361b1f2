"""What is logged at one step, as a row of the sketch of the parts: total, parts, and the weights from there on."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from monitor.roles import Role
from monitor.rules.points import ROLE_CODES, WEIGHT, EnginePoints
from monitor.rules.state import TRAIN, State

_PART = ROLE_CODES[Role.PART]


def take_rows(state: State, points: EnginePoints) -> Iterator[int]:
    """Take in the points that concern the parts.

    The sketch begins with the first point of a part, or with a weight; totals from before are not in it.

    Yields:
        The position of each point before which a row closed a bucket; the rest is taken in when the next one is asked
        for.
    """
    wanted = np.flatnonzero((points.role == TRAIN) | (points.role >= _PART))
    if state.parts is None:
        of_parts = np.flatnonzero(points.role >= _PART)
        wanted = wanted[wanted >= (of_parts[0] if len(of_parts) else len(points))]
    if not len(wanted):
        return
    parts, places = state.own_parts(), dict[int, int]()
    which = np.zeros(len(wanted), "u2") if points.part is None else points.part[wanted]
    columns = (points.role[wanted], points.step[wanted], points.value[wanted], which)
    for i, role, step, value, k in zip(wanted.tolist(), *(column.tolist() for column in columns), strict=True):
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
