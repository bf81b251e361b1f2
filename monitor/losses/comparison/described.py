"""The properties of data that matter for choosing a loss: tails, outliers, wrong labels, imbalance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitor.domain.formats import number
from monitor.domain.plain import Row
from monitor.errors import LossError

Array = NDArray[np.float64]

NEIGHBOURS = 10  # of each row
MOST = 4000
"""Rows measured at most; larger data are sampled at random."""
OUTLYING = 8.0
"""An error this many times the usual size (1.4826 median absolute deviations) is an outlier; 1 in 1e15 if normal."""
AGREED = 0.7
"""A label is suspicious if at least this share of its neighbours agrees on one other label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described(Row):
    """The measurements.

    Attributes:
        task: "regression", "counts", "classification" or "binary".
        rows: of the data.
        classes: number of distinct labels; None for a regression.
        imbalance: examples of the most frequent class per example of the rarest; 1 for a regression.
        label_noise: share of labels that most of their neighbours contradict; 0 for a regression.
        outliers: share of targets far from those of their neighbours; 0 for classes.
        tails: root mean square error over mean absolute error: 1.25 for normal errors, more for heavy tails; None for
            classes.
    """

    task: str
    rows: int
    classes: int | None = None
    imbalance: float = 1.0
    label_noise: float = 0.0
    outliers: float = 0.0
    tails: float | None = None

    def __str__(self) -> str:
        said = f"{self.rows:,} rows for {self.task}"
        if self.tails is not None:
            return f"{said}: {100 * self.outliers:.2g}% outliers, tails of {self.tails:.3g} (normal errors: 1.25)."
        return (
            f"{said}: {self.classes} classes, {number(self.imbalance, 3)} of the most frequent for one of the "
            f"rarest, {100 * self.label_noise:.2g}% of the labels contradicted by their neighbours."
        )


def describe(inputs: ArrayLike, targets: ArrayLike, *, rng: np.random.Generator | None = None) -> Described:
    """Measure data by their nearest neighbours, without training a model.

    Args:
        inputs: (n, d), numbers.
        targets: (n,) numbers or labels; (n, k) numbers, of which the column with the most outliers counts.
        rng: samples the rows of large data; seeded with 0 by default.

    Raises:
        LossError: fewer than 30 rows, inputs that are not finite, or targets that are all equal.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(0, 1, (500, 2))
        >>> found = describe(x, x[:, 0] + np.where(np.arange(500) % 20 == 0, 50, 0.1 * rng.normal(size=500)))
        >>> found.task, round(found.outliers, 2)
        ('regression', 0.05)
    """
    x, y = np.asarray(inputs, dtype=np.float64), np.asarray(targets)
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if x.ndim != 2 or y.ndim > 2 or len(x) != len(y) or len(x) < 30 or not np.isfinite(x).all():
        raise LossError("describe", f"inputs have shape {x.shape}, targets {y.shape}", "give at least 30 finite rows")
    if (y == y[0]).all():
        raise LossError("describe", "all targets are equal, so there is nothing to learn", "choose targets that vary")
    generator = rng if rng is not None else np.random.default_rng(0)
    rows = len(x)
    if rows > MOST:
        chosen = generator.permutation(rows)[:MOST]
        x, y = x[chosen], y[chosen]
    near = _neighbours(x)
    if y.ndim == 2:
        columns = [_regression(column, near, rows, counts=False) for column in y.T.astype(np.float64)]
        return max(columns, key=lambda found: found.outliers or 0.0)
    values, counts = np.unique(y, return_counts=True)
    whole = y.dtype.kind in "iubUSO" or bool(np.all(y == np.round(y)))
    if whole and len(values) <= max(2, min(100, len(y) // 10)) and counts.max() > 1 and not _graded(y, values):
        return Described(
            task="binary" if len(values) == 2 else "classification",
            rows=rows,
            classes=len(values),
            imbalance=float(counts.max() / counts.min()),
            label_noise=_contradicted(y, near, values),
        )
    return _regression(y.astype(np.float64), near, rows, counts=whole and bool(y.min() >= 0))


def _graded(y: NDArray[np.generic], values: NDArray[np.generic]) -> bool:
    """Whether whole numbers are counts, not labels: stored as floats, with more than 20 distinct values."""
    return y.dtype.kind == "f" and len(values) > 20


def _neighbours(x: Array) -> NDArray[np.integer]:
    """The nearest rows of each row, without itself, on standardised inputs; (n, NEIGHBOURS)."""
    spread = x.std(axis=0)
    z = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    squared = (z**2).sum(axis=1)
    found = []
    for start in range(0, len(z), 500):
        block = z[start : start + 500]
        distance = squared - 2 * block @ z.T
        distance[np.arange(len(block)), start + np.arange(len(block))] = np.inf
        found.append(np.argpartition(distance, NEIGHBOURS, axis=1)[:, :NEIGHBOURS])
    return np.concatenate(found)


def _contradicted(y: NDArray[np.generic], near: NDArray[np.integer], values: NDArray[np.generic]) -> float:
    labels = np.searchsorted(values, y)
    votes = np.zeros((len(labels), len(values)))
    for k in range(near.shape[1]):
        votes[np.arange(len(labels)), labels[near[:, k]]] += 1
    votes[np.arange(len(labels)), labels] = 0
    return float((votes.max(axis=1) >= AGREED * near.shape[1]).mean())


def _regression(y: Array, near: NDArray[np.integer], rows: int, *, counts: bool) -> Described:
    middle = np.median(y[near], axis=1)
    around = 1.4826 * np.median(np.abs(y[near] - middle[:, None]), axis=1)
    residual = y - middle
    residual = residual - np.median(residual)
    usual = 1.4826 * float(np.median(np.abs(residual)))
    # At the edge of the data, neighbours are far apart and differ for that reason alone.
    far = np.abs(residual) > OUTLYING * np.maximum(usual, around)
    size = float(np.abs(residual).mean())
    return Described(
        task="counts" if counts else "regression",
        rows=rows,
        outliers=float(far.mean()) if usual > 0 else 0.0,
        tails=float(np.sqrt((residual**2).mean()) / size) if size > 0 else None,
    )
