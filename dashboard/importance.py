"""How much a value of the configuration goes along with a result, over some runs.

Numbers: Spearman's rank correlation, which asks only whether one rises with the other. Texts and truth values: the
correlation ratio of the result's ranks, which says how far the groups lie apart. Both lie between 0 and 1 in size, and
both say nothing of a cause: with few runs, or values that were changed together, they mislead.

Source:
    Spearman (1904), The proof and measurement of association between two things, American Journal of Psychology 15.
    Fisher (1925), Statistical Methods for Research Workers, on the correlation ratio.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard.fields import Value

LEAST: Final = 4
"""Runs below which nothing is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """How a field goes along with a result.

    Attributes:
        field: as a query names it.
        strength: in [-1, 1] for numbers, where the sign says the direction; in [0, 1] for texts.
        count: runs that have both.
        chance: a strength below this is common where there is no connection at all (95 %).
        ordered: True for numbers.
    """

    field: str
    strength: float
    count: int
    chance: float
    ordered: bool


def ranked(columns: dict[str, Sequence[Value]], result: Sequence[Value]) -> tuple[Importance, ...]:
    """The fields that vary, the strongest first.

    Args:
        columns: by field the value of each run.
        result: of each run, in the same order.

    >>> found = ranked({"config.lr": [1, 2, 3, 4, 5], "config.seed": [0, 0, 0, 0, 0]}, [5.0, 4.0, 3.0, 2.0, 1.0])
    >>> [(each.field, each.strength, each.count) for each in found]
    [('config.lr', -1.0, 5)]
    """
    found = [each for field, values in columns.items() if (each := _of(field, values, result)) is not None]
    return tuple(sorted(found, key=lambda each: -abs(each.strength)))


def _of(field: str, values: Sequence[Value], result: Sequence[Value]) -> Importance | None:
    pairs = [(v, float(r)) for v, r in zip(values, result, strict=True) if v is not None and _finite(r)]
    kinds = {v for v, _ in pairs}
    if len(pairs) < LEAST or len(kinds) < 2:
        return None
    results = _ranks(np.array([r for _, r in pairs]))
    ordered = all(_finite(v) for v, _ in pairs)
    if ordered:
        strength = _correlation(_ranks(np.array([float(v) for v, _ in pairs])), results)  # type: ignore[arg-type]  # `ordered` says so
        chance = min(1.0, 1.96 / math.sqrt(len(pairs) - 1))
    else:
        if len(kinds) > len(pairs) // 2:  # a name of its own for each run explains everything and nothing
            return None
        strength = _ratio([v for v, _ in pairs], results)
        chance = min(1.0, math.sqrt((len(kinds) - 1 + 1.96 * math.sqrt(2 * (len(kinds) - 1))) / (len(pairs) - 1)))
    if not math.isfinite(strength):
        return None
    return Importance(field=field, strength=strength, count=len(pairs), chance=chance, ordered=ordered)


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 0; equal values share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts + 1) / 2)[places], dtype=np.float64)


def _correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    left, right = left - left.mean(), right - right.mean()
    size = math.sqrt(float((left**2).sum() * (right**2).sum()))
    return float((left * right).sum()) / size if size else math.nan


def _ratio(groups: Sequence[Value], ranks: NDArray[np.float64]) -> float:
    total = float(((ranks - ranks.mean()) ** 2).sum())
    names = np.array([str(group) for group in groups])
    between = sum(
        float((names == name).sum()) * (float(ranks[names == name].mean()) - float(ranks.mean())) ** 2
        for name in set(names.tolist())
    )
    return math.sqrt(between / total) if total else math.nan
