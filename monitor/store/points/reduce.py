"""Reduces curves to what a screen shows. Pure functions of arrays."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from monitor.store.points.chunks import ascending, gap_starts

_MANY = 200
"""Points per pixel above which one call per pixel is faster than working on all of them at once."""


def reduce_curve(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    width: int,
    *,
    lo: float = -math.inf,
    hi: float = math.inf,
    again: bool = False,
) -> NDArray[np.intp]:
    """Select the points a screen needs: the extremes and the first gap of every pixel, and both ends.

    Args:
        x: float64 (n,), ascending, within lo and hi.
        y: float64 (n,), with NaN and infinities.
        width: pixels, >= 1.
        lo: where the screen begins; infinite: at the first point.
        hi: where it ends; infinite: at the last point.
        again: True if the result will be reduced once more together with other points. The point after a gap is then
            kept too, so that two gaps do not merge into one.

    Returns:
        Ascending indices, at most about 4 per pixel; all of them if n is at most 2 per pixel.
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
    """The borders between pixels, (width - 1,)."""
    return np.linspace(left, right, width + 1, dtype=np.float64)[1:-1]


def _extremes(x: NDArray[np.float64], y: NDArray[np.float64], borders: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices of the lowest and the highest point of every pixel; the first of equals."""
    starts = np.concatenate([[0], np.searchsorted(x, borders)])
    starts = starts[np.append(starts[1:] > starts[:-1], starts[-1] < len(x))]  # drop empty pixels
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
