"""Curves reduced to what a screen shows, and smoothed before that. Pure functions of arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from tsdownsample import MinMaxDownsampler

from monitor.store.chunks import gap_starts

_BLOCK = 64


def reduce_curve(x: NDArray[np.float64], y: NDArray[np.float64], width: int) -> NDArray[np.intp]:
    """Which points a screen needs: of every pixel the lowest, the highest and the first of a gap, and both ends.

    Args:
        x: float64 (n,), never going back.
        y: float64 (n,), with NaN and infinities.
        width: pixels, >= 1.

    Returns:
        Indices in ascending order, at most about 4 a pixel; all of them where n is within 2 a pixel.
    """
    n = len(x)
    if n <= 2 * width:
        return np.arange(n)
    picked = [np.array([0, n - 1], dtype=np.intp)]
    bad = ~np.isfinite(y)
    finite = y
    if bad.any():
        gaps = gap_starts(y)
        kind = np.where(np.isnan(y[gaps]), 0, np.sign(y[gaps])).astype(np.int64)
        _, first = np.unique(_pixels(x[gaps], x[0], x[-1], width) * 3 + kind + 1, return_index=True)
        picked.append(gaps[first])
        keep = np.flatnonzero(~bad)
        if len(keep) <= 2 * width:
            return np.unique(np.concatenate([*picked, keep]))
        finite, x = y[keep], x[keep]
        picked.append(keep[_extremes(x, finite, width)])
    else:
        picked.append(_extremes(x, finite, width))
    return np.unique(np.concatenate(picked))


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


def _pixels(x: NDArray[np.float64], low: float, high: float, width: int) -> NDArray[np.int64]:
    span = high - low
    if span <= 0:
        return np.zeros(len(x), np.int64)
    return np.minimum((x - low) / span * width, width - 1).astype(np.int64)


def _extremes(x: NDArray[np.float64], y: NDArray[np.float64], width: int) -> NDArray[np.intp]:
    if x[-1] <= x[0]:
        return np.array([int(y.argmin()), int(y.argmax())])
    index: NDArray[np.uint64] = MinMaxDownsampler().downsample(x, y, n_out=2 * width)
    return index.astype(np.intp)
