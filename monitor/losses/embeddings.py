"""Measures how embeddings use their space: alignment, uniformity and effective rank."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitor.errors import LossError

POINT: Final = -0.5
"""Uniformity above which embeddings are close to one point: their mean squared distance is below about a quarter."""
FEW: Final = 0.1
"""Share of the usable directions below which few are used."""
MOST: Final = 2000
"""Embeddings used to measure uniformity, at most; of more, evenly spaced ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingHealth:
    """How embeddings lie on the unit sphere.

    Attributes:
        alignment: mean squared distance of a positive pair, from 0 (best) to 4; None without pairs.
        uniformity: log of the mean of `exp(-2 d**2)` over all pairs; 0 if all are at one point.
        effective_rank: the number of directions they spread along.
        collapse: what is wrong, in words; "" if nothing is.
    """

    alignment: float | None
    uniformity: float
    effective_rank: float
    collapse: str

    def to_dict(self) -> dict[str, float]:
        """The numbers, ready for `log()`."""
        return {name: value for name, value in asdict(self).items() if isinstance(value, float)}


def embedding_health(embeddings: ArrayLike, positives: ArrayLike | None = None) -> EmbeddingHealth:
    """Measure embeddings, each scaled to length 1.

    Args:
        embeddings: (n, dimensions), n >= 2; finite.
        positives: for each, the embedding it should be close to; same shape.

    Raises:
        LossError: wrong shape, not finite, or an embedding of length zero.

    Example:
        >>> embedding_health([[1.0, 0.0], [0.9, 0.1], [1.0, 0.1]]).collapse
        'they lie close to one point'

    Source:
        Wang, Isola, Understanding contrastive representation learning through alignment and uniformity on the
        hypersphere (ICML 2020); Roy, Vetterli, The effective rank (EUSIPCO 2007); Jing et al., Understanding
        dimensional collapse in contrastive self-supervised learning (ICLR 2022).
    """
    z = _unit(embeddings)
    alignment = None
    if positives is not None:
        other = _unit(positives)
        if other.shape != z.shape:
            raise LossError("positives", f"has shape {other.shape}, the embeddings {z.shape}", "give one for each")
        alignment = float(np.mean(np.sum((z - other) ** 2, axis=1)))
    some = z[:: -(-len(z) // MOST)]
    above = np.triu_indices(len(some), 1)
    squared = np.maximum(2 - 2 * (some @ some.T)[above], 0.0)
    uniformity = float(np.log(np.mean(np.exp(-2 * squared))))
    values = np.linalg.svd(z, compute_uv=False)
    shares = values[values > 0] / values.sum()
    rank = math.exp(-float(np.sum(shares * np.log(shares))))
    room = min(z.shape)
    collapse = ""
    if uniformity > POINT:
        collapse = "they lie close to one point"
    elif rank < max(FEW * room, 1.5):
        collapse = f"they lie along about {rank:.0f} of {z.shape[1]} directions"
    return EmbeddingHealth(alignment=alignment, uniformity=uniformity, effective_rank=rank, collapse=collapse)


def _unit(given: ArrayLike) -> NDArray[np.float64]:
    detached = given.detach().cpu() if hasattr(given, "detach") else given
    z = np.asarray(detached, dtype=float)
    if z.ndim != 2 or len(z) < 2 or not z.shape[1]:
        raise LossError("embeddings", f"has shape {z.shape}", "give (n, dimensions), n of 2 or more")
    length = np.linalg.norm(z, axis=1, keepdims=True)
    if not np.isfinite(length).all() or not length.all():
        raise LossError("embeddings", "holds one that is not finite or has no length", "look at the last layer")
    unit: NDArray[np.float64] = z / length
    return unit
