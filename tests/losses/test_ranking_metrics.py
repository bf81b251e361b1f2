"""Metrics of rankings, held against scikit-learn's and against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import losses
from monitor.errors import LossError


@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(1, 40))
def test_ndcg_is_that_of_scikit_learn_and_recall_is_counted(seed: int, items: int, at: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    scores, relevance = rng.normal(size=(5, items)), rng.integers(0, 4, (5, items))
    relevance[:, 0] += 1
    found = losses.ranking_metrics(scores, relevance, at=at)
    assert found[f"ndcg@{at}"] == pytest.approx(metrics.ndcg_score(2.0**relevance - 1, scores, k=at))
    top = np.argsort(-scores, axis=1)[:, :at]
    counted = [np.isin(top[u], np.flatnonzero(relevance[u])).sum() / (relevance[u] > 0).sum() for u in range(5)]
    assert found[f"recall@{at}"] == pytest.approx(np.mean(counted))
    assert 0 <= found[f"mrr@{at}"] <= found[f"hit_rate@{at}"] <= 1


def test_what_is_excluded_is_neither_recommended_nor_wanted() -> None:
    found = losses.ranking_metrics([9.0, 2.0, 1.0], [1, 1, 0], at=1, exclude=[True, False, False])
    assert found == {"ndcg@1": 1.0, "recall@1": 1.0, "mrr@1": 1.0, "hit_rate@1": 1.0}


def test_a_constant_model_is_no_better_than_chance_wherever_the_liked_items_stand() -> None:
    liked = np.zeros((400, 100))
    liked[:, :10] = 1
    assert losses.ranking_metrics(np.zeros((400, 100)), liked)["recall@10"] < 0.35


@pytest.mark.parametrize(
    ("scores", "relevance", "words"),
    [([[1.0]], [[0.0]], "no item above 0"), ([[np.nan]], [[1.0]], "NaN"), ([[1.0, 2.0]], [[1.0]], "shape")],
)
def test_what_cannot_be_ranked_is_refused(scores: object, relevance: object, words: str) -> None:
    with pytest.raises(LossError, match=words):
        losses.ranking_metrics(scores, relevance)  # type: ignore[arg-type]  # the mistake
