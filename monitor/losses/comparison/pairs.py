"""Losses of pairs and lists, formed within a batch by labels or relevance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from monitor.losses.comparison.functions import torch_function
from monitor.losses.specs.metric import InfoNCE
from monitor.losses.specs.ranking import BPR
from monitor.losses.specs.spec import LossSpec

if TYPE_CHECKING:
    from torch import Tensor

Batch = Callable[["Tensor", "Tensor"], "Tensor"]


def _all_pairs(labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Every pair of a batch once: two indices, and whether the labels are equal."""
    import torch

    left, right = torch.triu_indices(len(labels), len(labels), 1)
    return left, right, labels[left] == labels[right]


def _alike(spec: LossSpec) -> Batch:
    """A loss of similar and dissimilar pairs, of all pairs of a batch."""
    function = torch_function(spec)

    def alike(z: Tensor, labels: Tensor) -> Tensor:
        left, right, same = _all_pairs(labels)
        return function(z[left], z[right], 2 * same.to(z.dtype) - 1)

    return alike


def _triplet(spec: LossSpec) -> Batch:
    function = torch_function(spec)

    def triplet(z: Tensor, labels: Tensor) -> Tensor:
        import torch

        left, right, same = _all_pairs(labels)
        anchor, positive = left[same], right[same]
        negative = torch.randint(len(z), anchor.shape)
        other = labels[negative] != labels[anchor]
        if not bool(other.any()):
            return 0.0 * z.sum()
        return function(z[anchor[other]], z[positive[other]], z[negative[other]])

    return triplet


def _info_nce(spec: LossSpec) -> Batch:
    """Each example's positives are the others with its label (Khosla et al. 2020, arXiv:2004.11362, equation 2)."""
    assert isinstance(spec, InfoNCE)

    def info_nce(z: Tensor, labels: Tensor) -> Tensor:
        import torch

        unit = torch.nn.functional.normalize(z, dim=1)
        own = torch.eye(len(z), dtype=torch.bool)
        logits = (unit @ unit.T / spec.temperature).masked_fill(own, -1e9)
        same = (labels[:, None] == labels) & ~own
        known = same.any(1)
        if not bool(known.any()):
            return 0.0 * z.sum()
        each = (logits.log_softmax(1) * same).sum(1)[known] / same.sum(1)[known]
        return -each.mean()

    return info_nce


METRIC: Mapping[str, Callable[[LossSpec], Batch]] = {
    "contrastive": _alike,
    "cosine_embedding": _alike,
    "triplet": _triplet,
    "info_nce": _info_nce,
}
"""Losses of embeddings (n, d) and labels (n,), by kind."""


def _ordered(spec: LossSpec) -> Batch:
    """A loss of two items in the right order, of every pair of a list whose first item belongs above the second."""
    function = torch_function(spec)

    def ordered(scores: Tensor, relevance: Tensor) -> Tensor:
        known = (relevance > 0).to(scores.dtype) if isinstance(spec, BPR) else relevance
        above, below = (known[:, None] > known).nonzero(as_tuple=True)
        return function(scores[above], scores[below], scores.new_ones(len(above))) if len(above) else 0.0 * scores.sum()

    return ordered


RANKING: Mapping[str, Callable[[LossSpec], Batch]] = {
    "bpr": _ordered,
    "ranknet": _ordered,
    "listnet": torch_function,
    "margin_ranking": _ordered,
}
"""Losses of scores (n,) and relevances (n,) of one list, by kind."""
