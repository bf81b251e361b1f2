"""Aligns series whose steps are epochs with a training loss logged per iteration."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.wire import Columns

_LEAST: Final = 3
"""Points needed to see what a series counts."""
_APART: Final = 10
"""The training must count at least this many times further."""


def on_one_scale(points: Columns, train: int) -> tuple[NDArray[np.int64], tuple[int, ...]]:
    """The steps of all points on the scale of the training, and the series that were moved.

    A series that counts 1, 2, 3 ... while the training advances by many steps between its points counts epochs. Its
    points are moved to the training's current step.
    """
    steps = points.step.copy()
    own = np.flatnonzero(points.key == train)
    moved: list[int] = []
    if len(own) < _LEAST:
        return steps, ()
    reached = np.maximum.accumulate(points.step[own])
    for series in np.unique(points.key).tolist():
        at = np.flatnonzero(points.key == series)
        counted = points.step[at]
        if len(at) < _LEAST or (np.diff(counted) != 1).any() or counted[-1] * _APART > reached[-1]:
            continue
        before = np.searchsorted(own, at) - 1
        if before[0] < 0 or (np.diff(reached[before]) <= 0).any():
            continue
        steps[at] = reached[before]
        moved.append(series)
    return steps, tuple(moved)
