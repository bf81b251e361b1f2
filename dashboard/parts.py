"""The parts of a composite loss on common steps: weighted, with their shares, and what cannot be said of them.

A part is a series `loss/<name>`. What it adds to the total is its value times its weight: the weight of the newest
`weights` event at or before the step; before the first one that of the loss' specification, and 1 where none was given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard.fields import is_number
from monitor.domain import Curve, Json, formats
from monitor.roles import JUDGED_PARTS
from monitor.wire import Event

Array = NDArray[np.float64]

GRID: Final = 600
"""Steps at which reduced parts are compared."""
PREFIX: Final = "loss/"


@dataclass(frozen=True, slots=True)
class Weighting:
    """The weights of the parts as they were told.

    Attributes:
        base: by part, before the first change.
        changes: step and weights by part, in the order of the steps.
        source: where they come from, for a caption.
    """

    base: Mapping[str, float]
    changes: tuple[tuple[float, Mapping[str, float]], ...]
    source: str

    def at(self, name: str, x: Array) -> Array:
        """A part's weight at every step.

        Args:
            name: of the part, without `loss/`.
            x: steps (n,), rising.
        """
        found = np.full(len(x), self.base.get(name, 1.0))
        for step, weights in self.changes:
            if name in weights:
                found[x >= step] = weights[name]
        return found

    @property
    def dynamic(self) -> bool:
        """True where a weight changed during the run."""
        return len({tuple(sorted(weights.items())) for _, weights in self.changes}) > 1


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The parts of a loss at common steps; all arrays have shape (n,).

    Attributes:
        x: steps.
        values: weighted value by part; 0 where a part was not logged yet or no more, NaN where one is not finite.
        weights: weight by part.
        total: the whole loss at the same steps, NaN where it is not known; None where none was logged.
        reduced: names that are moving averages here, since they have more points than are drawn.
    """

    x: Array
    values: Mapping[str, Array]
    weights: Mapping[str, Array]
    total: Array | None
    reduced: tuple[str, ...]

    @property
    def sum(self) -> Array:
        """The sum of the weighted parts, NaN where one is not finite."""
        return np.asarray(np.sum(list(self.values.values()), axis=0), np.float64)

    @property
    def negative(self) -> Mapping[str, int]:
        """How often a weighted part lies below zero, by part; only those that do."""
        counts = {name: int((values < 0).sum()) for name, values in self.values.items()}
        return {name: n for name, n in counts.items() if n}

    def shares(self) -> Mapping[str, Array]:
        """Each part's share of the sum, in [0, 1]; NaN where the sum is 0 or not finite. For parts that are >= 0."""
        whole = self.sum
        with np.errstate(invalid="ignore", divide="ignore"):
            return {name: np.where(whole > 0, values / whole, np.nan) for name, values in self.values.items()}


def weighting(events: Sequence[Event], spec: Json | None) -> Weighting:
    """The weights that a run told: its `weights` events, and its loss' specification for what came before them."""
    params = (spec or {}).get("params")
    base = _numbers(params.get("weights")) if isinstance(params, Mapping) else {}
    changes = []
    for event in events:
        step, weights = event.data.get("step"), _numbers(event.data.get("weights"))
        if event.kind == "weights" and isinstance(step, int | float) and weights:
            changes.append((float(step), weights))
    source = "weights as logged" if changes else "weights of the loss' specification" if base else "not weighted"
    return Weighting(base, tuple(sorted(changes, key=lambda change: change[0])), source)


def _numbers(given: object) -> dict[str, float]:
    """Part to weight, under the part's short name; what is not a finite number is left out."""
    if not isinstance(given, Mapping):
        return {}
    return {str(name).removeprefix(PREFIX): float(value) for name, value in given.items() if is_number(value)}


def average_weight(points: int) -> float:
    """Weight of the moving average that reaches over one step of the grid; 0 for a series that is drawn whole."""
    return 0.0 if points <= GRID else 1.0 - GRID / points


def aligned(curves: Mapping[str, Curve], weights: Weighting, total: Curve | None) -> Parts:
    """Parts that were logged at their own steps, read at common ones.

    Args:
        curves: by part, without `loss/`; over steps; one that is reduced has a moving average.
        total: the whole loss over steps.
    """
    steps = [c.x for c in curves.values()]
    x = np.unique(np.concatenate(steps)) if steps else np.empty(0)
    if len(x) > 2 * GRID:
        x = np.linspace(x[0], x[-1], GRID)
    known = {name: weights.at(name, x) for name in curves}
    values = {name: _read(curve, x, outside=0.0) * known[name] for name, curve in curves.items()}
    reduced = tuple(name for name, curve in curves.items() if curve.shown < curve.total)
    return Parts(x, values, known, None if total is None else _read(total, x, outside=np.nan), reduced)


def _read(curve: Curve, x: Array, *, outside: float) -> Array:
    """A curve at other steps, on straight lines between its points; what is not finite stays a gap."""
    if not len(curve.x):
        return np.full(len(x), outside)
    y = curve.y
    if curve.shown < curve.total and curve.smoothed is not None:
        y = np.where(np.isfinite(curve.y), curve.smoothed, np.nan)
    y = np.where(np.isfinite(y), y, np.nan)
    return np.interp(x, curve.x, y, left=outside, right=outside)


def captions(parts: Parts, weights: Weighting) -> tuple[str, ...]:
    """What the reader has to know of the picture, a phrase each."""
    said = [weights.source]
    if len(parts.values) > JUDGED_PARTS:
        said.append(f"the rules judge {JUDGED_PARTS} of the {len(parts.values)} parts, those that were logged first")
    if weights.changes and len(parts.x) and weights.changes[0][0] > parts.x[0] and not weights.base:
        said.append(f"before step {formats.step(weights.changes[0][0])} no weight was logged: counted as 1")
    if parts.reduced:
        said.append(f"moving averages of {', '.join(parts.reduced)}, which have more points than are drawn")
    gaps = int(np.isnan(parts.sum).sum())
    if gaps:
        said.append(f"a gap at {formats.count(gaps, 'step')} where a part is not finite")
    return (*said, *_against_total(parts))


def _against_total(parts: Parts) -> list[str]:
    """Whether the weighted parts add up to the total that was logged."""
    if parts.total is None:
        return ["no total was logged"]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = parts.sum / parts.total
    ratios = ratios[np.isfinite(ratios)]
    if not len(ratios):
        return []
    middle = float(np.median(ratios))
    if abs(middle - 1) < 0.01:
        return ["the parts add up to the total"]
    return [f"the parts add up to {middle:.3g} times the total (median); a part or a weight is missing, or not told"]
