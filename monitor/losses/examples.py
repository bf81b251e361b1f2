"""Per-example losses: which examples make the loss, whose labels are doubtful, and how much one pulls the gradient."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitor.domain.formats import number

Array = NDArray[np.float64]

MOST: Final = 200_000
"""Examples that are tracked, at most."""
TOP: Final = 10  # worst examples listed per summary
SUSPECTS: Final = 200
"""Suspects that are listed, at most; those with the largest mean loss."""
QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_FEW: Final = 50
"""Number of examples below which no groups are searched for."""
_APART: Final = 0.7
"""Share of the variance between the two groups, at least; an exponential distribution has 0.65."""
_MOST_SUSPECTS: Final = 0.3
"""Share of the examples that can be suspects, at most: beyond it, it is unclear which group is the odd one."""
_LARGEST: Final = 0.01
"""Share of the examples that `top_share` is about."""


class ExampleLosses:
    """The latest and the mean loss of each example, and a summary of them.

    Suspects are examples whose mean loss over the training stands apart. A network learns what most labels agree on
    before it memorises exceptions, so wrong labels keep a high loss for long. The threshold is Otsu's; there are no
    suspects if the two groups account for less than `_APART` of the variance. Suspects may also be hard or rare
    examples: look at them before changing a label.

    Args:
        loss: what a run stores about its loss; used to compute gradient sizes.

    Example:
        >>> seen = ExampleLosses()
        >>> found = seen.add([f"img{i}" for i in range(100)], [9.0] * 4 + [0.1] * 96)
        >>> found["suspects"], round(found["top_share"], 2)
        (['img0', 'img1', 'img2', 'img3'], 0.2)

    Source:
        Arpit et al., A closer look at memorization in deep networks (ICML 2017); Otsu, A threshold selection method
        from gray-level histograms (1979). The limits are ours.
    """

    def __init__(self, loss: Mapping[str, object] | None = None) -> None:
        self.loss = loss
        self._row: dict[Hashable, int] = {}
        self._ids: list[str] = []
        self._last, self._sum, self._count = (np.zeros(1024) for _ in range(3))
        self._since = 0
        self._beyond = self._broken = 0

    def add(self, ids: Sequence[Hashable], values: Sequence[float] | Array) -> dict[str, Any] | None:
        """Add losses of some examples. Returns a summary once as many came in as there are examples, else None.

        Args:
            ids: n names or numbers of examples.
            values: n losses; those that are not finite are counted and dropped.
        """
        losses = np.asarray(values, np.float64).reshape(-1)
        if len(ids) != len(losses):
            raise ValueError(f"{len(ids)} ids, {len(losses)} losses")
        fine = np.isfinite(losses)
        self._broken += int(len(losses) - fine.sum())
        rows = np.array([self._row_of(each) if ok else -1 for each, ok in zip(ids, fine.tolist(), strict=True)], int)
        known = rows >= 0
        self._beyond += int(fine.sum() - known.sum())
        rows, losses = rows[known], losses[known]
        self._last[rows] = losses
        np.add.at(self._sum, rows, losses)
        np.add.at(self._count, rows, 1)
        self._since += len(rows)
        if not self._ids or self._since < len(self._ids):
            return None
        self._since = 0
        return self.summary()

    def summary(self) -> dict[str, Any]:
        """The summary to store: plain data of a few KiB, for any number of examples."""
        n = len(self._ids)
        last, mean = self._last[:n], self._sum[:n] / self._count[:n]
        size, total = np.abs(last), float(np.abs(last).sum())
        order = np.argsort(-last, kind="stable")
        largest = order[: max(1, round(_LARGEST * n))]
        suspects = _apart(mean)
        gradient = gradient_sizes(last, self.loss)
        pulled = None if gradient is None or not gradient.sum() else float(gradient.max() / gradient.sum())
        return {
            "n": n, "mean": float(last.mean()), "quantiles": np.quantile(last, QUANTILES).tolist(),
            "top": [[self._ids[i], float(last[i])] for i in order[:TOP]],
            "top_share": float(size[largest].sum() / total) if total else 0.0,
            "gradient_share": pulled,
            "suspects": [self._ids[i] for i in suspects[:SUSPECTS]], "suspect_count": len(suspects),
            "suspect_share": float(size[suspects].sum() / total) if total else 0.0,
            "beyond": self._beyond, "not_finite": self._broken,
        }  # fmt: skip

    def _row_of(self, name: Hashable) -> int:
        row = self._row.get(name)
        if row is None:
            row = len(self._ids)
            if row >= MOST:
                return -1
            self._row[name] = row
            self._ids.append(str(name))
            if row >= len(self._last):
                self._last, self._sum, self._count = (
                    np.resize(a, 2 * row) for a in (self._last, self._sum, self._count)
                )
                self._sum[row:] = self._count[row:] = 0
        return row


def gradient_sizes(losses: Array, loss: Mapping[str, object] | None) -> Array | None:
    """The size of each example's gradient at the model's output; None if the loss does not determine it.

    For a cross-entropy it is 1 - exp(-loss); for a squared error it is proportional to the root; for an absolute error
    it is the same for all.

    >>> gradient_sizes(np.array([1.0, 100.0]), {"kind": "mse"}).tolist()
    [1.0, 10.0]
    """
    kind = None if loss is None else loss.get("kind")
    if loss is not None and any(loss.get(name) for name in ("label_smoothing", "class_weights", "pos_weight")):
        return None
    if kind in ("cross_entropy", "binary_cross_entropy"):
        return -np.expm1(-np.maximum(losses, 0))
    if kind == "mse":
        return np.sqrt(np.maximum(losses, 0))
    return np.ones_like(losses) if kind == "mae" else None


def sentences(found: Mapping[str, Any]) -> list[str]:
    """A summary in plain words."""
    n, top = int(found["n"]), list(found["top"])
    said = [
        f"Of {n:,} {found.get('split', 'train')} examples, the largest 1% hold {found['top_share']:.0%} of the loss"
        + (
            f"; the largest is {top[0][0]} with {number(top[0][1])} (median {number(found['quantiles'][2])})."
            if top
            else "."
        )
    ]
    pulled = found["gradient_share"]
    if pulled is not None and pulled > max(0.05, 10 / n):
        said.append(f"One example makes {pulled:.0%} of the gradient at the output.")
    count = int(found["suspect_count"])
    if count:
        names = ", ".join(found["suspects"][:5]) + (" ..." if count > 5 else "")
        said.append(
            f"{count:,} stand apart and hold {found['suspect_share']:.0%} of it: look for wrong labels or broken data "
            f"in {names}."
        )
    for name, what in (("beyond", f"are beyond the {MOST:,} that are followed"), ("not_finite", "were not finite")):
        if found[name]:
            said.append(f"{found[name]:,} losses {what}.")
    return said


def _apart(mean: Array) -> NDArray[np.intp]:
    """The examples whose mean loss stands apart, largest first; none if the losses do not form two groups."""
    none: NDArray[np.intp] = np.empty(0, np.intp)
    n = len(mean)
    if n < _FEW:
        return none
    order = np.argsort(-mean, kind="stable")
    falling = mean[order]
    k = np.arange(1, n)
    upper = np.cumsum(falling)[:-1]
    gap = upper / k - (falling.sum() - upper) / (n - k)
    between = k * (n - k) * gap**2 / n**2
    at, spread = int(between.argmax()), float(falling.var())
    apart = spread > 0 and math.isfinite(spread) and between[at] >= _APART * spread and at + 1 <= _MOST_SUSPECTS * n
    return order[: at + 1] if apart else none
