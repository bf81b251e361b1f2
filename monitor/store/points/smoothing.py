"""Exponential moving averages over a series that arrives in pieces, evaluated only at the points shown.

With weight w, an average that has seen the sum S = sum of w^age * y is carried over n further points by S' = w^n * S +
(their own sum). So the average is not needed at every point. One matrix product (rows of 64 values times the weights)
gives the sums at the ends of the rows; a shown point adds what lies between the start of its row and itself.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_ROW = 64
"""Values per row of the matrix product."""
_AT_ONCE = 16_384
"""Shown points that are evaluated together; each takes a row of memory."""


class Average:
    """A debiased exponential moving average: it is not pulled towards zero at the start.

    Values that are not finite are skipped, as if they had not been logged.

    Args:
        weight: of the past, in [0, 1); 0 returns the values themselves.

    Source:
        Debiasing as in Adam (Kingma and Ba, 2015, section 3).

    >>> Average(0.5).extend(np.array([1.0, 3.0]), np.arange(2)).round(4).tolist()
    [1.0, 2.3333]
    """

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self._sum = 0.0  # (1 - w) * sum of w^age * y
        self._count = 0  # finite values seen

    def extend(self, y: NDArray[np.float64], at: NDArray[np.intp]) -> NDArray[np.float64]:
        """Continue over a piece, and return the average at some of its points.

        Args:
            y: float64 (n,), the next piece.
            at: (m,), indices into y.

        Returns:
            float64 (m,); NaN before the first finite value.
        """
        good = np.isfinite(y)
        if not good.all():
            at = np.cumsum(good)[at] - 1  # the last finite value up to here; -1: none in this piece
            y = y[good]
        return self._over_finite(y, at)

    def _over_finite(self, y: NDArray[np.float64], at: NDArray[np.intp]) -> NDArray[np.float64]:
        n, w = len(y), self.weight
        whole = n // _ROW
        powers = w ** np.arange(_ROW + 1.0)
        table = y[: whole * _ROW].reshape(whole, _ROW)
        tail = np.zeros(_ROW)
        tail[: n - whole * _ROW] = y[whole * _ROW :]
        carried = np.append(self._sum, table @ (powers[-2::-1] * (1 - w)))
        _accumulate(carried, float(powers[-1]))

        def sums(index: NDArray[np.intp]) -> NDArray[np.float64]:
            row, column = np.divmod(index, _ROW)
            inside = np.where((row == whole)[:, None], tail, table[np.minimum(row, whole - 1)] if whole else tail)
            lag = column[:, None] - np.arange(_ROW)
            kernel = np.where(lag >= 0, powers[np.maximum(lag, 0)] * (1 - w), 0.0)
            return np.where(index < 0, self._sum, powers[column + 1] * carried[row] + (inside * kernel).sum(axis=1))

        found = [sums(at[i : i + _AT_ONCE]) for i in range(0, len(at), _AT_ONCE)]
        counts = self._count + at + 1
        self._sum = float(sums(np.array([n - 1]))[0])
        self._count += n
        with np.errstate(invalid="ignore", divide="ignore"):
            # 1 - weight**count, without cancellation for weights close to 1.
            mass = -np.expm1(counts * math.log(w)) if w else np.sign(counts)
            return np.where(counts > 0, np.concatenate([np.empty(0), *found]) / mass, np.nan)


def reach(weight: float) -> int:
    """How many finite values back an average remembers. Earlier ones do not change a single bit of it.

    >>> reach(0.0), reach(0.9)
    (1, 380)
    """
    # weight**n = e**-40, about 4e-18: below the precision of a float64.
    return 1 if weight == 0 else math.ceil(-40 / math.log(weight))


def _accumulate(sums: NDArray[np.float64], weight: float) -> None:
    """s[i] += weight * s[i - 1], in place. Doubles the stride: log n steps, and none whose factor is negligible."""
    stride, factor = 1, weight
    while stride < len(sums) and factor > 1e-300:
        sums[stride:] += factor * sums[:-stride]
        stride, factor = 2 * stride, factor * factor
