"""Curves reduced to what a screen shows, and smoothed before that. Pure functions of arrays."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from monitor.store.chunks import gap_starts

_BLOCK = 64


def reduce_curve(
    x: NDArray[np.float64], y: NDArray[np.float64], width: int, *, lo: float = -math.inf, hi: float = math.inf
) -> NDArray[np.intp]:
    """Which points a screen needs: of every pixel the lowest, the highest and the first of a gap, and both ends.

    Args:
        x: float64 (n,), never going back, within lo and hi.
        y: float64 (n,), with NaN and infinities.
        width: pixels, >= 1.
        lo: where the screen begins; infinite: at the first point.
        hi: where it ends; infinite: at the last point.

    Returns:
        Indices in ascending order, at most about 4 a pixel; all of them where n is within 2 a pixel.
    """
    n = len(x)
    if n <= 2 * width:
        return np.arange(n)
    left, right = float(x[0] if lo == -math.inf else lo), float(x[-1] if hi == math.inf else hi)
    picked = [np.array([0, n - 1], dtype=np.intp)]
    bad = ~np.isfinite(y)
    if not bad.any():
        return np.unique(np.concatenate([*picked, _extremes(x, y, _borders(left, right, width))]))
    gaps = gap_starts(y)
    kind = np.where(np.isnan(y[gaps]), 0, np.sign(y[gaps])).astype(np.int64)
    borders = _borders(left, right, width)
    _, first = np.unique(np.searchsorted(borders, x[gaps], side="right") * 3 + kind + 1, return_index=True)
    keep = np.flatnonzero(~bad)
    if len(keep) > 2 * width:
        keep = keep[_extremes(x[keep], y[keep], borders)]
    return np.unique(np.concatenate([*picked, gaps[first], keep]))


def smooth(y: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """Exponential moving average without the pull towards zero at the start.

    Values that are not finite are left out: the average goes on as it was.

    Args:
        y: float64 (n,).
        weight: of the past, in [0, 1); 0 gives the values themselves.

    Returns:
        float64 (n,); NaN before the first finite value.

    Source:
        Debiasing as in Adam (Kingma and Ba, 2015, section 3), with the weights of missing values left out.

    >>> smooth(np.array([1.0, 3.0]), 0.5).round(4).tolist()
    [1.0, 2.3333]
    """
    good = np.isfinite(y)
    if good.all():
        smoothed = _decayed_sum(y, weight)
        smoothed *= 1 - weight
        biased = min(len(y), 1 if weight == 0 else math.ceil(-40 / math.log(weight)))  # then 1 to the last bit
        smoothed[:biased] /= 1 - weight ** np.arange(1.0, biased + 1)
        return smoothed
    total = _decayed_sum(np.where(good, y, 0.0), weight)
    mass = _decayed_sum(good.astype(np.float64), weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(mass > 0, total / mass, np.nan)


def _decayed_sum(y: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """s[i] = weight * s[i - 1] + y[i]: a matrix product inside each block, and the same sum over the blocks' ends."""
    n = len(y)
    if n <= _BLOCK:
        return _kernel(weight, n) @ y
    blocks = -(-n // _BLOCK)
    padded = np.zeros(blocks * _BLOCK)
    padded[:n] = y
    inner = padded.reshape(blocks, _BLOCK) @ _kernel(weight, _BLOCK).T
    carried = _decayed_sum(inner[:, -1], weight**_BLOCK)
    inner[1:] += carried[:-1, None] * weight ** np.arange(1, _BLOCK + 1)
    return inner.reshape(-1)[:n]


def _kernel(weight: float, n: int) -> NDArray[np.float64]:
    lag = np.arange(n)[:, None] - np.arange(n)[None, :]
    return np.where(lag >= 0, weight ** np.maximum(lag, 0), 0.0)


def _borders(left: float, right: float, width: int) -> NDArray[np.float64]:
    """Where one pixel ends and the next begins, (width - 1,)."""
    return np.linspace(left, right, width + 1, dtype=np.float64)[1:-1]


def _extremes(x: NDArray[np.float64], y: NDArray[np.float64], borders: NDArray[np.float64]) -> NDArray[np.intp]:
    """The lowest and the highest point of every pixel; a call a pixel is as fast as any library from 10^5 points on."""
    starts = np.unique(np.concatenate([[0], np.searchsorted(x, borders)]))
    ends = [*starts[1:].tolist(), len(x)]
    found = []
    for start, end in zip(starts.tolist(), ends, strict=True):
        if start < end:
            part = y[start:end]
            found += [start + part.argmin(), start + part.argmax()]
    return np.array(found, dtype=np.intp)
