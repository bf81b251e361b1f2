"""Ranking losses: items that a user likes, or relevant documents, above the others."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from monitor.losses.specs.parameters import checked, number, whole
from monitor.losses.specs.spec import LossSpec


@dataclass(frozen=True, slots=True)
class _Pairwise(LossSpec):
    """`softplus(-s (x_i - x_j))` for an item i that should rank above an item j; equal scores cost ln 2."""

    _: KW_ONLY
    scale: float = checked(1.0, number, above=0)

    _chance_formula: ClassVar[str] = "ln 2"

    @property
    def chance_level(self) -> float:
        """Equal scores: every order is as likely as its reverse."""
        return math.log(2)


@dataclass(frozen=True, slots=True)
class BPR(_Pairwise):
    """Bayesian personalised ranking, `-ln sigmoid(x_ui - x_uj)` of a liked item i and a sampled item j.

    Args:
        scale: factor s of the difference, > 0.

    Source: Rendle et al. 2009, arXiv:1205.2618.

    Example:
        >>> round(BPR().chance_level, 4)
        0.6931
    """

    kind: ClassVar[str] = "bpr"
    _own_traps: ClassVar[tuple[str, ...]] = (
        "Sampled negatives are easy: judge by NDCG or recall over all items, not by this loss.",
        "Popular items alone bring the loss below ln 2; compare with a ranking by popularity.",
    )


@dataclass(frozen=True, slots=True)
class RankNet(_Pairwise):
    """RankNet: cross-entropy of the order of each pair of a query's documents with different relevance.

    Args:
        scale: factor s of the difference, > 0.

    Source: Burges et al. 2005, doi:10.1145/1102351.1102363.

    Example:
        >>> round(RankNet().chance_level, 4)
        0.6931
    """

    kind: ClassVar[str] = "ranknet"
    _own_traps: ClassVar[tuple[str, ...]] = (
        "Every pair counts alike, at the top of the list and at its end; judge by NDCG.",
    )


@dataclass(frozen=True, slots=True)
class ListNet(LossSpec):
    """ListNet's top-one loss: the cross-entropy between the softmax of the relevances and that of the scores.

    Equal scores cost ln N for a list of N. The floor is the entropy of the relevances' softmax, which is the target.

    Args:
        items: N, documents per list, >= 2.
        target_entropy: mean entropy of the softmax of the relevances, nats, 0 to ln N; 0 for one relevant document
            with all the mass. Without it the floor is unknown.

    Source: Cao et al. 2007, doi:10.1145/1273496.1273513; Gibbs' inequality for the floor.

    Example:
        >>> round(ListNet(10).chance_level, 4)
        2.3026
    """

    items: int | None = checked(None, whole, at_least=2)
    _: KW_ONLY
    target_entropy: float | None = checked(None, number, at_least=0)

    kind: ClassVar[str] = "listnet"
    _chance_formula: ClassVar[str] = "ln {self.items}"
    _own_traps: ClassVar[tuple[str, ...]] = (
        "The floor is the entropy of the relevances, not 0: flat relevances leave little to learn.",
    )

    @property
    def chance_level(self) -> float | None:
        """Equal scores."""
        return None if self.items is None else math.log(self.items)

    @property
    def floor(self) -> float | None:
        """The entropy of the targets."""
        return self.target_entropy
