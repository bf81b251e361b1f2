"""The metrics that judge compared losses, each with its tasks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.errors import LossError
from monitor.losses.comparison.boxes import overlap
from monitor.losses.comparison.costs import expected_cost

Array = NDArray[np.float64]

LIST = 20
"""Rows per list of a ranking, unless the lists are given."""


@dataclass(frozen=True, slots=True)
class Judge:
    """A metric.

    Attributes:
        name: as the user writes it.
        tasks: the tasks it fits.
        measure: a function of outputs (n,) or (n, k) and targets, on test data.
        higher: a higher value is better.
        in_units: it is in the targets' unit, so standardisation is undone.
    """

    name: str
    tasks: tuple[str, ...]
    measure: Callable[[Array, Array], float]
    _: KW_ONLY
    higher: bool
    in_units: bool = False


def _labels(out: Array) -> Array:
    return out.argmax(axis=1).astype(float) if out.ndim > 1 else (out > 0).astype(float)


def _accuracy(out: Array, y: Array) -> float:
    return float((_labels(out) == y).mean())


def _balanced(out: Array, y: Array) -> float:
    found = _labels(out)
    return float(np.mean([(found[y == label] == label).mean() for label in np.unique(y)]))


def _iou(out: Array, y: Array) -> float:
    found, right = out > 0, y > 0.5
    either = (found | right).sum()
    return float((found & right).sum() / either) if either else 1.0


def _mean_iou(out: Array, y: Array) -> float:
    return float(overlap(np, out, y).mean())


def _mae(out: Array, y: Array) -> float:
    return float(np.abs(out - y).mean())


def _rmse(out: Array, y: Array) -> float:
    return math.sqrt(float(((out - y) ** 2).mean()))


def _median(out: Array, y: Array) -> float:
    return float(np.median(np.abs(out - y)))


def _deviance(out: Array, y: Array) -> float:
    """Mean Poisson deviance of predicted rates; 0 is perfect."""
    rate = np.maximum(out, 1e-6)
    return float(2 * np.mean(np.where(y > 0, y * np.log(np.maximum(y, 1e-12) / rate), 0.0) - y + rate))


def ndcg(scores: Array, relevance: Array, *, at: int = 10) -> float:
    """Normalised discounted cumulative gain of one list.

    Source: Järvelin and Kekäläinen 2002, doi:10.1145/582415.582418, with gains of `2**relevance - 1`.

    Example:
        >>> ndcg(np.array([3.0, 2.0, 1.0]), np.array([2.0, 1.0, 0.0]))
        1.0
    """
    discount = 1 / np.log2(np.arange(2, min(at, len(scores)) + 2))
    gain = 2.0**relevance - 1
    best = float((np.sort(gain)[::-1][:at] * discount).sum())
    return float((gain[np.argsort(-scores, kind="stable")][:at] * discount).sum()) / best if best > 0 else 1.0


def recall(scores: Array, relevance: Array, *, at: int = 10) -> float:
    """The share of a list's relevant items that are ranked among the first."""
    liked = relevance > 0
    return float(liked[np.argsort(-scores, kind="stable")][:at].sum() / liked.sum()) if liked.any() else 1.0


def _by_list(one: Callable[[Array, Array], float]) -> Callable[[Array, Array], float]:
    def over(out: Array, y: Array) -> float:
        starts = range(0, len(y) - LIST + 1, LIST)
        return float(np.mean([one(out[i : i + LIST], y[i : i + LIST]) for i in starts]))

    return over


def _retrieval(out: Array, y: Array) -> float:
    """How often an example's nearest neighbour, by cosine similarity of the embeddings, has the same label."""
    unit = out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)
    near = unit @ unit.T
    np.fill_diagonal(near, -np.inf)
    return float((y[near.argmax(axis=1)] == y).mean())


METRICS: Mapping[str, Judge] = {
    item.name: item
    for item in (
        Judge("accuracy", ("classification", "binary"), _accuracy, higher=True),
        Judge("balanced_accuracy", ("classification", "binary"), _balanced, higher=True),
        Judge("iou", ("binary",), _iou, higher=True),
        Judge("mean_iou", ("boxes",), _mean_iou, higher=True),
        Judge("mae", ("regression", "counts"), _mae, higher=False, in_units=True),
        Judge("rmse", ("regression", "counts"), _rmse, higher=False, in_units=True),
        Judge("median_error", ("regression", "counts"), _median, higher=False, in_units=True),
        Judge("deviance", ("counts",), _deviance, higher=False),
        Judge("ndcg", ("ranking",), _by_list(ndcg), higher=True),
        Judge("recall", ("ranking",), _by_list(recall), higher=True),
        Judge("retrieval", ("metric",), _retrieval, higher=True),
    )
}
USUAL: Mapping[str, str] = {
    "classification": "accuracy",
    "binary": "balanced_accuracy",
    "boxes": "mean_iou",
    "regression": "mae",
    "counts": "deviance",
    "ranking": "ndcg",
    "metric": "retrieval",
}
"""The default metric of each task."""


def pinball(q: float) -> Judge:
    """The quantile loss itself: the only metric that asks for a quantile."""

    def measure(out: Array, y: Array) -> float:
        return float(np.maximum(q * (y - out), (q - 1) * (y - out)).mean())

    return Judge(f"pinball({q:g})", ("regression",), measure, higher=False, in_units=True)


def cost(false_alarm: float, miss: float) -> Judge:
    """The mean cost of wrong decisions at an output threshold of 0; `compare` shifts outputs so that 0 is cheapest."""

    def measure(out: Array, y: Array) -> float:
        return expected_cost(out, y, false_alarm, miss, threshold=0.0)

    return Judge(f"cost({false_alarm:g}:{miss:g})", ("binary",), measure, higher=False)


def judge_named(name: str, task: str) -> Judge:
    """The metric of this name.

    Raises:
        LossError: it is unknown, or does not fit the task.
    """
    quantile = re.fullmatch(r"pinball\((0?\.\d+)\)", name)
    found = pinball(float(quantile[1])) if quantile else METRICS.get(name)
    if found is None or task not in found.tasks:
        fitting = [item.name for item in METRICS.values() if task in item.tasks]
        raise LossError("compare", f"metric {name!r} does not fit {task}", f"write one of {', '.join(fitting)}")
    return found
