"""Metric learning losses: similar items close in the embedding, dissimilar ones far apart."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from monitor.domain import formats
from monitor.losses.specs.parameters import between, checked, exponent, fraction, number, whole
from monitor.losses.specs.spec import LossSpec


@dataclass(frozen=True, slots=True)
class Contrastive(LossSpec):
    """Contrastive loss of a pair at distance d: `d**p` for a similar pair, `max(0, m - d)**p` for a dissimilar one.

    With positive rate r, one distance for all pairs costs at best `r (1 - r) m**2` (p = 2, at `d = (1 - r) m`) or
    `min(r, 1 - r) m` (p = 1, on a kink). Embeddings that have collapsed to a point cost `(1 - r) m**p`. What a fresh
    network costs depends on the scale of its embeddings, so there is no initial level.

    Args:
        margin: m, in units of distance, > 0.
        positive_rate: share of similar pairs, strictly between 0 and 1; 1/2 by default.
        p: exponent, 2 as in the paper, 1 as in torch.nn.HingeEmbeddingLoss.

    Source: Hadsell, Chopra and LeCun 2006, doi:10.1109/CVPR.2006.100; minimised by hand over d.

    Example:
        >>> Contrastive(1.0).chance_level
        0.25
    """

    margin: float = checked(1.0, number, above=0)
    _: KW_ONLY
    positive_rate: float | None = checked(None, fraction, open_ends=True)
    p: int = checked(2, exponent)

    kind: ClassVar[str] = "contrastive"

    @property
    def _rate(self) -> float:
        return 0.5 if self.positive_rate is None else self.positive_rate

    @property
    def chance_level(self) -> float:
        """One distance for every pair."""
        if self.p == 2:
            return self._rate * (1 - self._rate) * self.margin**2
        return min(self._rate, 1 - self._rate) * self.margin

    @property
    def initial_level(self) -> float | None:
        """Unknown: it depends on the scale of the embeddings."""
        return None

    @property
    def collapsed_level(self) -> float:
        """All embeddings at one point."""
        return (1 - self._rate) * self.margin**self.p

    @property
    def unit(self) -> str:
        """Distances."""
        return "squared distance" if self.p == 2 else "distance"

    @property
    def chance_formula(self) -> str:
        """In terms of the rate of similar pairs."""
        return "r (1 - r) margin^2" if self.p == 2 else "min(r, 1 - r) margin"

    def _traps(self) -> tuple[str, ...]:
        return (
            f"A loss that stays at {formats.number(self.collapsed_level, 3)} means that all embeddings have "
            "collapsed to one point.",
            "Mining hard pairs raises the loss while the model improves.",
        )


@dataclass(frozen=True, slots=True)
class CosineEmbedding(LossSpec):
    """Cosine loss of a pair: `1 - cos` for a similar pair, `max(0, cos - m)` for a dissimilar one.

    Random embeddings in many dimensions have cosine near 0 and cost `r + (1 - r) max(0, -m)`. One cosine for all pairs
    costs at best `(1 - m) min(r, 1 - r)`, at cos = m or 1.

    Args:
        margin: m, -1 to 1.
        positive_rate: share of similar pairs r, strictly between 0 and 1; 1/2 by default.

    Source: torch.nn.CosineEmbeddingLoss' documentation; minimised by hand over the cosine.

    Example:
        >>> CosineEmbedding(0.0).chance_level
        0.5
    """

    margin: float = checked(0.0, between, low=-1, high=1)
    _: KW_ONLY
    positive_rate: float | None = checked(None, fraction, open_ends=True)

    kind: ClassVar[str] = "cosine_embedding"
    _ceiling: ClassVar[float] = 2.0
    _unit: ClassVar[str] = "1"
    _chance_formula: ClassVar[str] = "(1 - margin) min(r, 1 - r)"
    _own_traps: ClassVar[tuple[str, ...]] = (
        "Embeddings after a ReLU have only positive cosines and start below the random level for similar pairs.",
    )

    @property
    def _rate(self) -> float:
        return 0.5 if self.positive_rate is None else self.positive_rate

    @property
    def chance_level(self) -> float:
        """One cosine for every pair."""
        return (1 - self.margin) * min(self._rate, 1 - self._rate)

    @property
    def initial_level(self) -> float:
        """Cosines of 0, as for random embeddings in many dimensions."""
        return self._rate + (1 - self._rate) * max(0.0, -self.margin)


@dataclass(frozen=True, slots=True)
class InfoNCE(LossSpec):
    """Contrastive cross-entropy of one positive among N candidates, logits divided by a temperature t.

    Equal similarities cost ln N. With cosine similarities the logits lie within 1/t of 0, so nothing scores below
    `ln(1 + (N - 1) exp(-2 / t))`, with the positive at cosine 1 and all others at -1. If the temperature is too high
    for certainty, the floor is far above 0.

    Args:
        candidates: N, including the positive, >= 2; for in-batch negatives the batch size (SimCLR: 2 batch - 1).
        temperature: t, > 0.
        normalized: similarities are cosines; otherwise the floor is 0.

    Source: van den Oord et al. 2018, arXiv:1807.03748, equation 4; the bound by inserting the extreme cosines.

    Example:
        >>> round(InfoNCE(256, temperature=0.1).chance_level, 3)
        5.545
        >>> round(InfoNCE(2, temperature=1.0).floor, 4)
        0.1269
    """

    candidates: int | None = checked(None, whole, at_least=2)
    _: KW_ONLY
    temperature: float = checked(0.1, number, above=0)
    normalized: bool = True

    kind: ClassVar[str] = "info_nce"
    _chance_formula: ClassVar[str] = "ln {self.candidates}"
    _own_traps: ClassVar[tuple[str, ...]] = (
        "ln(candidates) grows with the batch: runs with different batch sizes can only be compared by skill.",
        "Random embeddings start above ln(candidates) at low temperature, by about 1 / (2 dims temperature^2).",
        "A loss at ln(candidates) for long means collapsed embeddings.",
    )

    @property
    def chance_level(self) -> float | None:
        """Equal similarities."""
        return None if self.candidates is None else math.log(self.candidates)

    @property
    def floor(self) -> float:
        """Extreme cosines."""
        if self.candidates is None or not self.normalized:
            return 0.0
        return math.log1p((self.candidates - 1) * math.exp(-2 / self.temperature))


@dataclass(frozen=True, slots=True)
class Triplet(LossSpec):
    """Triplet loss `max(0, d(a, p) - d(a, n) + m)`; equal distances, and collapsed embeddings, cost the margin m.

    Random embeddings cost at least m on average (Jensen's inequality: the hinge is convex, the distances alike).

    Args:
        margin: m, in units of distance, > 0.

    Source: Schroff et al. 2015, arXiv:1503.03832.

    Example:
        >>> Triplet(0.2).chance_level
        0.2
    """

    margin: float = checked(1.0, number, above=0)

    kind: ClassVar[str] = "triplet"
    _unit: ClassVar[str] = "distance"
    _chance_formula: ClassVar[str] = "margin"

    @property
    def chance_level(self) -> float:
        """Equal distances."""
        return self.margin

    @property
    def initial_level(self) -> float | None:
        """Unknown: it depends on the scale of the embeddings; at least the margin."""
        return None

    def _traps(self) -> tuple[str, ...]:
        return (
            f"A loss that stays at {self.margin:g}, the margin, means that all embeddings have collapsed to one point.",
            "Mining hard triplets keeps the loss near the margin while the model improves.",
        )
