"""Decisions whose mistakes cost differently: the best threshold, and the expected cost."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from monitor.errors import LossError
from monitor.losses.specs.parameters import number


def cost_threshold(
    false_alarm: float, miss: float, scores: ArrayLike | None = None, labels: ArrayLike | None = None
) -> float:
    """The score above which it is cheapest to predict positive.

    Without data, this is the threshold for calibrated probabilities: the cost of a false alarm over the sum of both
    costs. No other threshold costs less (Elkan 2001, The Foundations of Cost-Sensitive Learning). With data, it is the
    threshold with the lowest cost on them, for scores of any scale; use validation data.

    Args:
        false_alarm: cost of a false positive, > 0.
        miss: cost of a false negative, > 0.
        scores: (n,) outputs of a model, higher for positive.
        labels: (n,) 1 for positive, 0 for negative.

    Raises:
        LossError: a cost is not above 0, or scores and labels do not fit together.

    Example:
        >>> round(cost_threshold(1, 10), 4)
        0.0909
        >>> cost_threshold(1, 10, [-2.0, 0.0, 1.0, 3.0], [0, 0, 1, 1])
        0.5
    """
    _checked(false_alarm, miss)
    if scores is None or labels is None:
        return false_alarm / (false_alarm + miss)
    out, positive = _pair(scores, labels)
    order = np.argsort(out, kind="stable")
    ranked, positive = out[order], positive[order]
    missed = np.concatenate([[0.0], np.cumsum(positive)])
    alarms = (~positive).sum() - np.concatenate([[0.0], np.cumsum(~positive)])
    cost = miss * missed + false_alarm * alarms
    # No threshold separates two equal scores.
    cost[1:-1][ranked[1:] == ranked[:-1]] = np.inf
    k = int(np.argmin(cost))
    if 0 < k < len(ranked):
        middle = float(ranked[k - 1] / 2 + ranked[k] / 2)  # halved first: the sum of two large scores overflows
        return middle if ranked[k - 1] <= middle < ranked[k] else float(ranked[k - 1])
    return math.nextafter(float(ranked[0]), -math.inf) if k == 0 else float(ranked[-1])


def expected_cost(
    scores: ArrayLike, labels: ArrayLike, false_alarm: float, miss: float, *, threshold: float | None = None
) -> float:
    """The mean cost of predicting positive above a threshold.

    Args:
        scores: (n,) probabilities, or any scores if a threshold is given.
        labels: (n,) 1 for positive, 0 for negative.
        false_alarm: cost of a false positive, > 0.
        miss: cost of a false negative, > 0.
        threshold: default `cost_threshold(false_alarm, miss)`.

    Raises:
        LossError: a cost is not above 0, or scores and labels do not fit together.

    Example:
        >>> expected_cost([0.05, 0.2, 0.6, 0.9], [0, 0, 1, 1], 1, 10)
        0.25
    """
    limit = cost_threshold(false_alarm, miss) if threshold is None else threshold
    _checked(false_alarm, miss)
    out, positive = _pair(scores, labels)
    found = out > limit
    return float((false_alarm * (found & ~positive) + miss * (~found & positive)).mean())


def _checked(false_alarm: float, miss: float) -> None:
    number("costs", "cost of a false alarm", false_alarm, above=0)
    number("costs", "cost of a miss", miss, above=0)


def _pair(scores: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    out, given = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if out.ndim != 1 or out.shape != given.shape or not len(out) or not np.isfinite(out).all():
        raise LossError(
            "costs", f"scores have shape {out.shape}, labels {given.shape}", "give as many finite scores as labels"
        )
    if not np.isin(given, (0, 1)).all():
        raise LossError("costs", "a label is neither 0 nor 1", "write 1 for positive and 0 for negative")
    return out, given == 1
