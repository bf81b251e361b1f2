"""Losses of pairs and lists, formed within a batch by labels or relevance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from monitor.losses.comparison.functions import torch_function
from monitor.losses.specs.metric import Contrastive, InfoNCE
from monitor.losses.specs.ranking import BPR, RankNet
from monitor.losses.specs.spec import LossSpec

if TYPE_CHECKING:
    from torch import Tensor

Batch = Callable[["Tensor", "Tensor"], "Tensor"]


def _all_pairs(labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Every pair of a batch once: two indices, and whether the labels are equal."""
    import torch

    left, right = torch.triu_indices(len(labels), len(labels), 1)
    return left, right, labels[left] == labels[right]


def _contrastive(spec: LossSpec) -> Batch:
    assert isinstance(spec, Contrastive)

    def contrastive(z: Tensor, labels: Tensor) -> Tensor:
        left, right, same = _all_pairs(labels)
        distance = ((z[left] - z[right]) ** 2).sum(1).add(1e-12).sqrt()
        apart = (spec.margin - distance).clamp(min=0) ** spec.p
        return (same * distance**spec.p + ~same * apart).mean()

    return contrastive


def _cosine(spec: LossSpec) -> Batch:
    function = torch_function(spec)

    def cosine(z: Tensor, labels: Tensor) -> Tensor:
        left, right, same = _all_pairs(labels)
        return function(z[left], z[right], 2 * same.to(z.dtype) - 1)

    return cosine


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
    "contrastive": _contrastive,
    "cosine_embedding": _cosine,
    "triplet": _triplet,
    "info_nce": _info_nce,
}
"""Losses of embeddings (n, d) and labels (n,), by kind."""


def _ordered(relevance: Tensor) -> tuple[Tensor, Tensor]:
    """Every pair of a list whose first item belongs above the second."""
    above, below = (relevance[:, None] > relevance).nonzero(as_tuple=True)
    return above, below


def _pairwise(spec: LossSpec) -> Batch:
    assert isinstance(spec, (BPR, RankNet))

    def pairwise(scores: Tensor, relevance: Tensor) -> Tensor:
        import torch

        liked = (relevance > 0).to(scores.dtype) if isinstance(spec, BPR) else relevance
        above, below = _ordered(liked)
        if len(above) == 0:
            return 0.0 * scores.sum()
        return torch.nn.functional.softplus(-spec.scale * (scores[above] - scores[below])).mean()

    return pairwise


def _margin(spec: LossSpec) -> Batch:
    function = torch_function(spec)

    def margin(scores: Tensor, relevance: Tensor) -> Tensor:
        import torch

        above, below = _ordered(relevance)
        return function(scores[above], scores[below], torch.ones(len(above))) if len(above) else 0.0 * scores.sum()

    return margin


RANKING: Mapping[str, Callable[[LossSpec], Batch]] = {
    "bpr": _pairwise,
    "ranknet": _pairwise,
    "listnet": torch_function,
    "margin_ranking": _margin,
}
"""Losses of scores (n,) and relevances (n,) of one list, by kind."""
