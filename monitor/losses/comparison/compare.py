"""Train the same small model under several losses, with seeds, and rank them with intervals."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitor.errors import LossError
from monitor.losses.comparison.threads import one_torch_thread
from monitor.losses.comparison.trainable import TorchLoss, resolve
from monitor.losses.comparison.training import METRICS, Split, Training, better_high, metric_task, score
from monitor.losses.specs.parameters import fraction, whole

DataSet = tuple[ArrayLike, ArrayLike]
Data = str | DataSet | Callable[[np.random.Generator], DataSet]

SKLEARN: tuple[str, ...] = ("breast_cancer", "diabetes", "digits", "iris", "wine")
"""Data sets that scikit-learn carries with it."""

_T95: tuple[float, ...] = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131),
    *(2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""97.5 % quantiles of Student's distribution for 1 to 30 degrees of freedom; 1.96 is taken beyond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One loss's result.

    Attributes:
        loss: its name.
        mean: of the metric on clean test data, over seeds.
        low, high: 95 % interval of the mean (Student's t over seeds).
        scores: the metric of each seed, in the seeds' order; NaN where training diverged.
        behind: how much worse than the best loss, with the 95 % interval of the paired difference; zeros for the best.
        clear: the interval of the difference to the best excludes zero.
    """

    loss: str
    mean: float
    low: float
    high: float
    scores: tuple[float, ...]
    behind: tuple[float, float, float] = (0.0, 0.0, 0.0)
    clear: bool = False

    def to_dict(self) -> dict[str, object]:
        """The entry as strict JSON data; what is not finite becomes None."""

        def plain(value: float) -> float | None:
            return value if math.isfinite(value) else None

        return {
            "loss": self.loss,
            "mean": plain(self.mean),
            "low": plain(self.low),
            "high": plain(self.high),
            "scores": [plain(item) for item in self.scores],
            "behind": [plain(item) for item in self.behind],
            "clear": self.clear,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The ranking, best first, and what was done to get it."""

    task: str
    metric: str
    seeds: tuple[int, ...]
    label_noise: float
    outliers: float
    epochs: int
    entries: tuple[Entry, ...]

    def to_dict(self) -> dict[str, object]:
        """The comparison as strict JSON data."""
        return {
            "task": self.task,
            "metric": self.metric,
            "higher_is_better": better_high(self.metric),
            "seeds": list(self.seeds),
            "label_noise": self.label_noise,
            "outliers": self.outliers,
            "epochs": self.epochs,
            "entries": [item.to_dict() for item in self.entries],
        }

    def to_markdown(self) -> str:
        """The ranking as a Markdown table."""
        lines = [f"| loss | {self.metric} | 95 % interval | behind the best |", "|---|---|---|---|"]
        for item in self.entries:
            gap, low, high = item.behind
            behind = "best" if item is self.entries[0] else f"{gap:.4g} ({low:.4g} to {high:.4g})"
            if item is not self.entries[0] and not item.clear:
                behind += ", not clear"
            lines.append(f"| {item.loss} | {item.mean:.4g} | {item.low:.4g} to {item.high:.4g} | {behind} |")
        return "\n".join([*lines, ""])


def compare(
    losses: Sequence[object] | Mapping[str, object],
    data: Data,
    seeds: int | Sequence[int] = 5,
    *,
    task: str | None = None,
    metric: str | None = None,
    label_noise: float = 0.0,
    outliers: float = 0.0,
    epochs: int = 30,
    hidden: int = 32,
    learning_rate: float = 1e-2,
) -> Comparison:
    """Train one small network (a hidden layer, Adam) under each loss and rank the losses on clean test data.

    For a seed, every loss gets the same split, the same damaged labels, the same initial weights and the same order of
    batches, so that differences are paired. Inputs and regression targets are standardised by the training part.

    Args:
        losses: names, specifications or torch callables; a mapping gives callables a name.
        data: (inputs, targets), a function of a generator that returns them, or the name of one of `SKLEARN`'s sets.
        seeds: how many (0, 1, ...), or which; at least 2.
        task: "classification" or "regression"; told from losses and targets where it is not given.
        metric: "accuracy", "balanced_accuracy", "mae", "rmse" or "median_error"; accuracy or mae by default.
        label_noise: share of training labels replaced by another class, 0 to 1.
        outliers: share of training targets moved by 10 to 30 standard deviations, 0 to 1.
        epochs: passes over the training data.
        hidden: width of the hidden layer.
        learning_rate: Adam's.

    Raises:
        LossError: losses or data that do not fit together, or a parameter that cannot be used.
    """
    named = _named(losses)
    chosen_seeds = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if len(chosen_seeds) < 2 or not named:
        raise LossError("compare", "it needs at least one loss and two seeds", "give seeds=5")
    fraction("compare", "label_noise", label_noise)
    fraction("compare", "outliers", outliers)
    whole("compare", "epochs", epochs, at_least=1)
    whole("compare", "hidden", hidden, at_least=1)
    kind = task or _task(named, data)
    used = metric or ("accuracy" if kind == "classification" else "mae")
    if used not in METRICS or metric_task(used) != kind:
        fitting = [name for name in METRICS if metric_task(name) == kind]
        raise LossError("compare", f"metric {used!r} does not fit {kind}", f"write one of {', '.join(fitting)}")
    scores: dict[str, list[float]] = {name: [] for name in named}
    for seed in chosen_seeds:
        rng = np.random.default_rng(seed)
        split = Split.make(*_arrays(data, rng), rng, task=kind, label_noise=label_noise, outliers=outliers)
        with one_torch_thread():
            for name, (function, _) in named.items():
                settings = Training(seed=seed, epochs=epochs, hidden=hidden, learning_rate=learning_rate)
                scores[name].append(score(function, split, used, settings, name=name))
    return Comparison(
        task=kind,
        metric=used,
        seeds=chosen_seeds,
        label_noise=label_noise,
        outliers=outliers,
        epochs=epochs,
        entries=_rank(scores, higher=better_high(used)),
    )


def _named(losses: Sequence[object] | Mapping[str, object]) -> dict[str, tuple[TorchLoss, str | None]]:
    found: dict[str, tuple[TorchLoss, str | None]] = {}
    given = losses.items() if isinstance(losses, Mapping) else [(None, item) for item in losses]
    for label, item in given:
        name, function, task = resolve(item)
        found[label or name] = (function, task)
    return found


def _task(named: Mapping[str, tuple[TorchLoss, str | None]], data: Data) -> str:
    """The task all losses agree on, or what the targets look like."""
    tasks = {task for _, task in named.values() if task}
    if len(tasks) > 1:
        raise LossError("compare", "regression and classification losses are mixed", "compare losses of one task")
    if tasks:
        return tasks.pop()
    _, targets = _arrays(data, np.random.default_rng(0))
    return "classification" if np.issubdtype(np.asarray(targets).dtype, np.integer) else "regression"


def _arrays(data: Data, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.generic]]:
    """Inputs (n, d) and targets (n,)."""
    if isinstance(data, str):
        if data not in SKLEARN:
            raise LossError(f"data={data!r}", "no such data set", f"write one of {', '.join(SKLEARN)}, or give arrays")
        try:
            from sklearn import datasets
        except ImportError as error:
            raise LossError(f"data={data!r}", "scikit-learn is not installed", "pip install scikit-learn") from error
        inputs, targets = getattr(datasets, f"load_{data}")(return_X_y=True)
    else:
        inputs, targets = data(rng) if callable(data) else data
    x, y = np.asarray(inputs, dtype=np.float64), np.asarray(targets).ravel()
    if x.ndim != 2 or len(x) != len(y) or len(x) < 20 or not np.isfinite(x).all():
        problem = f"inputs have shape {x.shape}, targets {y.shape}"
        raise LossError("compare", problem, "give at least 20 finite rows: inputs (n, d) and targets (n,)")
    return x, y


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95 % interval of the mean by Student's t; NaN where a value is NaN.

    Source: Student 1908, doi:10.2307/2331554.

    Example:
        >>> [round(item, 2) for item in interval([1.0, 2.0, 3.0])]
        [2.0, -0.48, 4.48]
    """
    if any(math.isnan(item) for item in values):
        return math.nan, math.nan, math.nan
    mean, freedom = statistics.fmean(values), len(values) - 1
    factor = _T95[freedom - 1] if freedom <= len(_T95) else 1.96
    half = factor * statistics.stdev(values) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def _rank(scores: Mapping[str, Sequence[float]], *, higher: bool) -> tuple[Entry, ...]:
    """Best mean first; those that diverged last."""
    sign = 1.0 if higher else -1.0

    def key(name: str) -> float:
        mean = interval(scores[name])[0]
        return math.inf if math.isnan(mean) else -sign * mean

    order = sorted(scores, key=key)
    best = scores[order[0]]
    found = []
    for name in order:
        mean, low, high = interval(scores[name])
        behind = (0.0, 0.0, 0.0)
        if name != order[0]:
            behind = interval([sign * (b - own) for b, own in zip(best, scores[name], strict=True)])
        found.append(
            Entry(
                loss=name,
                mean=mean,
                low=low,
                high=high,
                scores=tuple(scores[name]),
                behind=behind,
                clear=name != order[0] and (behind[1] > 0 or math.isnan(behind[1])),
            )
        )
    return tuple(found)
