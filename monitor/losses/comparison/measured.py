"""The scores of `advise`'s candidates in training; written by `benchmarks/bench_advice.py`."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from monitor.domain.formats import number

CONDITIONS: Mapping[str, str] = {
    "clean": "",
    "label_noise": "with wrong labels in training",
    "outliers": "with outliers in training",
    "imbalance": "with one class a twentieth as frequent",
}
"""How each condition is worded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One candidate's result under one condition.

    Attributes:
        gap: distance to the best candidate, as a share of the best.
        deficit: how far it is behind the best candidate for certain (the low end of the paired interval), as a share of
            the best; 0 for the best and for what cannot be distinguished from it.
        said: a sentence with the figures.
    """

    gap: float
    deficit: float
    said: str


@functools.cache
def _table() -> Mapping[str, Mapping[str, Mapping[str, object]]]:
    found: Mapping[str, Mapping[str, Mapping[str, object]]] = json.loads(
        (Path(__file__).parent / "measured.json").read_text(encoding="utf-8")
    )
    return found


def conditions(task: str) -> tuple[str, ...]:
    """The conditions that were trained for a task."""
    return tuple(_table()[task])


def results(task: str, condition: str) -> Mapping[str, Measured]:
    """Every candidate's result, by the name it was trained under.

    Example:
        >>> min(results("ranking", "clean").values(), key=lambda item: item.deficit).deficit
        0.0
    """
    entry = _table()[task][condition]
    rows = entry["losses"]
    assert isinstance(rows, Mapping)
    known = {name: (float(value), float(half), float(gap)) for name, (value, half, gap) in rows.items()}
    sign = 1.0 if entry["higher"] else -1.0
    best = max(known.values(), key=lambda item: sign * item[0])
    metric = str(entry["metric"]).replace("_", " ")
    where = f"{entry['data']} {CONDITIONS[condition]}".strip()
    found = {}
    for name, (value, half, gap) in known.items():
        behind = f"the best has {number(best[0], 3)}" + ("" if gap else ", which may be chance")
        behind = "the best of all" if value == best[0] else behind
        said = f"{metric} {number(value, 3)} ± {number(half, 2)} ({where}); {behind}"
        size = max(abs(best[0]), 1e-9)
        away = sign * (best[0] - value) / size
        found[name] = Measured(gap=away, deficit=gap / size, said=said)
    return found
