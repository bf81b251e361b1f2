"""Ranking metrics at the top of the list, over all items."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitor.errors import LossError


def ranking_metrics(
    scores: ArrayLike, relevance: ArrayLike, *, at: int = 10, exclude: ArrayLike | None = None
) -> dict[str, float]:
    """NDCG, recall, mean reciprocal rank and hit rate of the top items, ready for `log()`: `{"ndcg@10": ...}`.

    Score all items, not a sample: with samples, two models can change places. Ties are broken at random, but
    reproducibly. Users without a relevant item are left out.

    Args:
        scores: (users, items), or (items,) for one list; higher ranks first.
        relevance: same shape, >= 0; graded for NDCG, whose gain is `2**relevance - 1`.
        at: number of top items, >= 1.
        exclude: same shape, true for items not to recommend, such as those seen in training.

    Raises:
        LossError: the shapes differ, a score is NaN, or no user has a relevant item.

    Example:
        >>> ranking_metrics([[3.0, 2.0, 1.0]], [[0, 1, 0]], at=2)
        {'ndcg@2': 0.6309297535714575, 'recall@2': 1.0, 'mrr@2': 0.5, 'hit_rate@2': 1.0}

    Source:
        Jarvelin, Kekalainen, Cumulated gain-based evaluation of IR techniques (2002); Krichene, Rendle, On sampled
        metrics for item recommendation (KDD 2020), for the sampling.
    """
    found, wanted = np.atleast_2d(_array(scores)), np.atleast_2d(_array(relevance))
    if found.shape != wanted.shape or found.ndim != 2:
        raise LossError("relevance", f"has shape {wanted.shape}, the scores {found.shape}", "give one for each score")
    if np.isnan(found).any():
        raise LossError("scores", "hold NaN", "look at the model's output; -inf puts an item last")
    if at < 1:
        raise LossError("ranking_metrics", f"at is {at}", "take at least 1")
    if exclude is not None:
        out = np.atleast_2d(_array(exclude)).astype(bool)
        found, wanted = np.where(out, -np.inf, found), np.where(out, 0.0, wanted)
    users = (wanted > 0).any(axis=1)
    if not users.any():
        raise LossError("relevance", "has no item above 0", "give the items that each user liked")
    shuffled = np.random.default_rng(0).permutation(found.shape[1])
    found, wanted = found[users][:, shuffled], wanted[users][:, shuffled]
    top = np.argsort(-found, axis=1, kind="stable")[:, :at]
    gain, liked = 2.0**wanted - 1, wanted > 0
    hits = np.take_along_axis(liked, top, axis=1)
    discount = 1 / np.log2(np.arange(2, top.shape[1] + 2))
    best = np.sort(gain, axis=1)[:, ::-1][:, : top.shape[1]] @ discount
    first = np.where(hits.any(axis=1), 1 / (hits.argmax(axis=1) + 1), 0.0)
    return {
        f"ndcg@{at}": float(np.mean(np.take_along_axis(gain, top, axis=1) @ discount / best)),
        f"recall@{at}": float(np.mean(hits.sum(axis=1) / liked.sum(axis=1))),
        f"mrr@{at}": float(np.mean(first)),
        f"hit_rate@{at}": float(np.mean(hits.any(axis=1))),
    }


def _array(given: ArrayLike) -> NDArray[np.float64]:
    detached = given.detach().cpu() if hasattr(given, "detach") else given
    found: NDArray[np.float64] = np.asarray(detached, dtype=float)
    return found
