"""Read the corpus: curves, labels, and what follows from both.

`labels.csv` holds what a person saw on the plots: the conditions of a run, how sure, and why. Onsets are computed from
the curve here. What a condition means is in README.md beside this file.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
HERE = Path(__file__).resolve().parent
SPLITS = ("dev", "held", "dev-2", "held-2", "held-3")
CONDITIONS = ("nan", "divergence", "overfitting", "stagnation", "oscillation", "spike", "convergence")
CALM = frozenset({"healthy", "convergence", "improving"})
LABELS = (*CONDITIONS, "improving", "healthy")

# A run with the label on the left counts neither way for those on the right, unless it has them too.
LEAVES_OPEN = {
    "healthy": {"convergence", "improving"},
    "oscillation": {"overfitting", "spike", "convergence", "improving", "divergence"},
    "stagnation": {"convergence", "spike"},
    "divergence": {"spike", "stagnation", "oscillation"},
    "overfitting": {"spike"},
}
NO_CONVERGENCE = {"healthy", "overfitting", "oscillation"}  # runs of these count neither way for convergence


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One labelled run; `train` (n, 2) and `val` (m, 2) are rows of (step, loss), the others None where not logged."""

    run_id: str
    source: str
    unit: str
    train: Array
    val: Array
    labels: frozenset[str]
    open: frozenset[str]
    confidence: str
    reason: str
    lr: Array | None = None
    grad_norm: Array | None = None

    def truth(self, condition: str) -> bool | None:
        """True or False where the label is clear, None where the run does not count for `condition`."""
        if condition == "convergence" and self.labels & NO_CONVERGENCE:
            return None
        if condition in self.labels:
            return True
        left_open = self.open.union(*(LEAVES_OPEN.get(label, set()) for label in self.labels))
        return None if condition in left_open else False

    @property
    def calm(self) -> bool:
        return bool(CALM & self.labels) and "spike" not in self.labels

    def nan_step(self) -> float | None:
        """First step at which either loss is not finite."""
        bad = [curve[~np.isfinite(curve[:, 1]), 0] for curve in (self.train, self.val)]
        steps = np.concatenate(bad)
        return float(steps.min()) if len(steps) else None

    def overfitting_onset(self) -> float | None:
        """Step of the lowest smoothed validation loss, None where the label is not given."""
        val = self.val[np.isfinite(self.val[:, 1])]
        if "overfitting" not in self.labels or not len(val):
            return None
        smooth = running_median(val[:, 1], min(15, max(1, len(val) // 12)))
        return float(val[int(smooth.argmin()), 0])

    def divergence_onset(self) -> float | None:
        """First step after the lowest smoothed training loss at which it is above by a quarter of its size."""
        train = self.train[np.isfinite(self.train[:, 1])]
        if "divergence" not in self.labels:
            return None
        if len(train):
            smooth = running_median(train[:, 1], max(1, len(train) // 25))
            lowest = int(smooth.argmin())
            above = np.nonzero(smooth[lowest:] - smooth[lowest] > 0.25 * abs(smooth[lowest]))[0]
            if len(above):
                return float(train[lowest + above[0], 0])
        return self.nan_step()


def running_median(values: Array, width: int) -> Array:
    """Centred running median of `values` (n,); the window is cut at both ends."""
    half = min(width // 2, len(values) // 2)
    if half == 0:
        return values
    n = len(values)
    whole = np.median(np.lib.stride_tricks.sliding_window_view(values, 2 * half + 1), axis=1) if n > 2 * half else []
    ends = [i for i in range(n) if i < half or i >= n - half]
    out = np.empty(n)
    out[half : n - half] = whole
    out[ends] = [np.median(values[max(0, i - half) : i + half + 1]) for i in ends]
    return out


def load(split: str) -> list[Run]:
    """All labelled runs of one of `SPLITS`, those of low confidence too.

    Raises:
        ValueError: a run has no label, a label has no run, or a label is unknown.
    """
    with gzip.open(HERE / f"{split}.jsonl.gz", "rt", encoding="utf-8") as file:
        records = {row["run_id"]: row for row in map(json.loads, file)}
    with (HERE / "labels.csv").open(encoding="utf-8", newline="") as file:
        labels = {row["run_id"]: row for row in csv.DictReader(file) if row["split"] == split}
    if odd := records.keys() ^ labels.keys():
        raise ValueError(f"labels.csv and {split}.jsonl.gz differ in {', '.join(sorted(odd))}; label what was trained")
    return [_run(records[run_id], labels[run_id]) for run_id in records]


def curve_of(points: Iterable[tuple[float, float | str]]) -> Array:
    """Rows of (step, value) of one series of a record."""
    return np.array([[float(step), float(value)] for step, value in points]).reshape(-1, 2)


def _run(record: Mapping[str, Any], label: dict[str, str]) -> Run:
    names = frozenset(label["labels"].split())
    left_open = frozenset(label["open"].split())
    if unknown := (names | left_open) - set(LABELS):
        raise ValueError(f"labels.csv: {label['run_id']} has {', '.join(sorted(unknown))}; known: {', '.join(LABELS)}")
    curves = {key: curve_of(record[key]) for key in ("train", "val", "lr", "grad_norm") if key in record}
    return Run(
        run_id=label["run_id"],
        source=str(record["source"]),
        unit=str(record["unit"]),
        labels=names,
        open=left_open,
        confidence=label["confidence"],
        reason=label["reason"],
        **curves,
    )
