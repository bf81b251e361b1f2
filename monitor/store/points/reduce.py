"""Curves reduced to what a screen shows. Pure functions of arrays."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from monitor.store.points.chunks import ascending, gap_starts

_MANY = 200
"""Points a pixel from which a call a pixel is faster than work on all of them."""


def reduce_curve(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    width: int,
    *,
    lo: float = -math.inf,
    hi: float = math.inf,
    again: bool = False,
) -> NDArray[np.intp]:
    """Which points a screen needs: of every pixel the lowest, the highest and the first of a gap, and both ends.

    Args:
        x: float64 (n,), never going back, within lo and hi.
        y: float64 (n,), with NaN and infinities.
        width: pixels, >= 1.
        lo: where the screen begins; infinite: at the first point.
        hi: where it ends; infinite: at the last point.
        again: the chosen points will be reduced once more, together with others; the one after a gap is kept too, so
            that two gaps do not look like one.

    Returns:
        Indices in ascending order, at most about 4 a pixel; all of them where n is within 2 a pixel.
    """
    n = len(x)
    if n <= 2 * width:
        return np.arange(n)
    left, right = float(x[0] if lo == -math.inf else lo), float(x[-1] if hi == math.inf else hi)
    borders = _borders(left, right, width)
    picked = [np.array([0, n - 1], dtype=np.intp)]
    bad = ~np.isfinite(y)
    if not bad.any():
        return ascending([*picked, _extremes(x, y, borders)])
    gaps = gap_starts(y)
    kind = np.where(np.isnan(y[gaps]), 0, np.sign(y[gaps])).astype(np.int64)
    _, first = np.unique(np.searchsorted(borders, x[gaps], side="right") * 3 + kind + 1, return_index=True)
    picked.append(gaps[first])
    keep = np.flatnonzero(~bad)
    if again:
        after = np.searchsorted(keep, gaps[first])
        picked.append(keep[after[after < len(keep)]])
    if len(keep) > 2 * width:
        keep = keep[_extremes(x[keep], y[keep], borders)]
    return ascending([*picked, keep])


def _borders(left: float, right: float, width: int) -> NDArray[np.float64]:
    """Where one pixel ends and the next begins, (width - 1,)."""
    return np.linspace(left, right, width + 1, dtype=np.float64)[1:-1]


def _extremes(x: NDArray[np.float64], y: NDArray[np.float64], borders: NDArray[np.float64]) -> NDArray[np.intp]:
    """The lowest and the highest point of every pixel, the first of equals."""
    starts = np.concatenate([[0], np.searchsorted(x, borders)])
    starts = starts[np.append(starts[1:] > starts[:-1], starts[-1] < len(x))]  # of pixels that hold a point
    if len(y) < _MANY * len(starts):
        lengths = np.diff(starts, append=len(y))
        low, high = (
            np.flatnonzero(y == np.repeat(extreme.reduceat(y, starts), lengths)) for extreme in (np.minimum, np.maximum)
        )
        return np.concatenate([found[np.searchsorted(found, starts)] for found in (low, high)])
    found = []
    for start, end in itertools.pairwise([*starts.tolist(), len(y)]):
        part = y[start:end]
        found += [start + part.argmin(), start + part.argmax()]
    return np.array(found, dtype=np.intp)
