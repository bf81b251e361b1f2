"""How strongly a configuration value is associated with a result, over some runs.

The strength is the correlation ratio of the result's ranks: how far the groups of runs that share a value lie apart.
Unlike a correlation it also finds what is best in the middle, as a learning rate is. Numbers that differ from run to
run are put into groups of equal size. Spearman's rank correlation next to it says the direction. Neither says anything
of a cause: with few runs, or values that were changed together, both mislead.

Source:
    Fisher (1925), Statistical Methods for Research Workers, on the correlation ratio and its distribution by chance.
    Spearman (1904), The proof and measurement of association between two things, American Journal of Psychology 15.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard.fields import Value, is_number

LEAST: Final = 6
"""Runs below which nothing is said."""
_GROUPS: Final = 5
"""Groups of numbers that differ from run to run, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """The association of a field with a result.

    Attributes:
        field: as a query names it.
        strength: 0 to 1.
        direction: rank correlation, in [-1, 1]; None for texts.
        count: runs that have both.
        chance: a strength below this is common where there is no connection at all (95%).
    """

    field: str
    strength: float
    direction: float | None
    count: int
    chance: float


def ranked(columns: Mapping[str, Sequence[Value]], result: Sequence[Value]) -> tuple[Importance, ...]:
    """The fields that vary, strongest first.

    >>> rates, losses = [1, 1, 2, 2, 3, 3], [5.0, 5.1, 1.0, 1.1, 5.2, 5.3]
    >>> [found] = ranked({"config.lr": rates, "config.seed": [0] * 6}, losses)
    >>> found.field, round(found.strength, 2), round(found.direction, 2), found.count
    ('config.lr', 0.96, 0.48, 6)
    """
    found = [each for field, values in columns.items() if (each := _of(field, values, result)) is not None]
    return tuple(sorted(found, key=lambda each: -each.strength))


def _of(field: str, values: Sequence[Value], result: Sequence[Value]) -> Importance | None:
    pairs = [(v, float(r)) for v, r in zip(values, result, strict=True) if v is not None and is_number(r)]
    if len(pairs) < LEAST or len({v for v, _ in pairs}) < 2:
        return None
    ranks = _ranks(np.array([r for _, r in pairs]))
    numbers = np.array([float(v) for v, _ in pairs if is_number(v)])
    ordered = len(numbers) == len(pairs)
    groups = _grouped(numbers) if ordered else [str(v) for v, _ in pairs]
    kinds = len(set(groups))
    if kinds > len(pairs) // 2 or kinds < 2:  # nearly unique values would explain everything and mean nothing
        return None
    strength = _ratio(groups, ranks)
    if not math.isfinite(strength):
        return None
    free = kinds - 1
    chance = min(1.0, math.sqrt((free + 1.645 * math.sqrt(2 * free)) / (len(pairs) - 1)))
    direction = _correlation(_ranks(numbers), ranks) if ordered else None
    return Importance(field=field, strength=strength, direction=direction, count=len(pairs), chance=chance)


def _grouped(numbers: NDArray[np.float64]) -> list[str]:
    """Runs that share a number; where most differ, groups of equal size in their order."""
    if len(np.unique(numbers)) <= len(numbers) // 2:
        return [repr(each) for each in numbers.tolist()]
    most = max(2, min(_GROUPS, len(numbers) // 3))
    return [str(int(place)) for place in _ranks(numbers) * most // len(numbers)]


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 0; equal values share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts + 1) / 2)[places], dtype=np.float64)


def _correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    left, right = left - left.mean(), right - right.mean()
    size = math.sqrt(float((left**2).sum() * (right**2).sum()))
    return float((left * right).sum()) / size if size else 0.0


def _ratio(groups: Sequence[str], ranks: NDArray[np.float64]) -> float:
    total = float(((ranks - ranks.mean()) ** 2).sum())
    names = np.array(groups)
    between = sum(
        float((names == name).sum()) * (float(ranks[names == name].mean()) - float(ranks.mean())) ** 2
        for name in set(groups)
    )
    return math.sqrt(min(1.0, between / total)) if total else math.nan
