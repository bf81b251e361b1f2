"""Train the same small model under several losses with several seeds, and rank them with intervals."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitor.domain.formats import number
from monitor.domain.repeats import T95
from monitor.errors import LossError
from monitor.losses.comparison.attacks import Attack, Defence, attack_of, defence, is_defence
from monitor.losses.comparison.fitting import Given, fitting, not_tested, unfair
from monitor.losses.comparison.trainable import TorchLoss, resolve
from monitor.losses.comparison.training import Split, Training, score
from monitor.losses.profiles.subject import one_torch_thread
from monitor.losses.specs.parameters import fraction, plain_fields, whole

DataSet = tuple[ArrayLike, ArrayLike]
Array = NDArray[np.float64]
Data = str | DataSet | Callable[[np.random.Generator], DataSet]

SKLEARN: tuple[str, ...] = ("breast_cancer", "diabetes", "digits", "iris", "wine")
"""Data sets that ship with scikit-learn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One loss's result.

    Attributes:
        loss: its name.
        mean: of the metric on clean test data, over seeds.
        low, high: 95% interval of the mean (Student's t over seeds).
        scores: the metric of each seed, in the seeds' order; NaN if training diverged.
        behind: how much worse it is than the best loss, with the 95% interval of the paired difference; zeros for the
            best.
        clear: the interval of the difference to the best excludes zero.
        clean: the mean of the metric without the attack; None if there is none.
    """

    loss: str
    mean: float
    low: float
    high: float
    scores: tuple[float, ...]
    behind: tuple[float, float, float] = (0.0, 0.0, 0.0)
    clear: bool = False
    clean: float | None = None

    def to_dict(self) -> dict[str, object]:
        """The entry as strict JSON data; values that are not finite become None."""
        return plain_fields(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The ranking, best first, and the settings behind it.

    Attributes:
        notes: what limits the ranking, a sentence each.
    """

    task: str
    metric: str
    higher: bool
    seeds: tuple[int, ...]
    label_noise: float
    outliers: float
    epochs: int
    entries: tuple[Entry, ...]
    attack: Attack | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """The comparison as strict JSON data."""
        return {
            "task": self.task,
            "metric": self.metric,
            "higher_is_better": self.higher,
            "seeds": list(self.seeds),
            "label_noise": self.label_noise,
            "outliers": self.outliers,
            "epochs": self.epochs,
            "attack": None if self.attack is None else {"name": self.attack.name, "eps": self.attack.eps},
            "entries": [item.to_dict() for item in self.entries],
            "notes": list(self.notes),
        }

    def to_markdown(self) -> str:
        """The ranking as a Markdown table."""
        under = "" if self.attack is None else f" under {self.attack.name}, eps {self.attack.eps:g}"
        lines = [f"| loss | {self.metric}{under} | 95% interval | behind the best |", "|---|---|---|---|"]
        if self.attack is not None:
            lines = [lines[0] + " without the attack |", lines[1] + "---|"]
        for item in self.entries:
            if math.isnan(item.mean):
                failed = [str(seed) for seed, value in zip(self.seeds, item.scores, strict=True) if math.isnan(value)]
                lines.append(f"| {item.loss} | not ranked | training gave NaN (seed {', '.join(failed)}) | |")
                lines[-1] += "" if self.attack is None else " |"
                continue
            gap, low, high = item.behind
            behind = "best" if item is self.entries[0] else f"{number(gap)} ({number(low)} to {number(high)})"
            if item is not self.entries[0] and not item.clear:
                behind += ", not clear"
            lines.append(
                f"| {item.loss} | {number(item.mean)} | {number(item.low)} to {number(item.high)} | {behind} |"
            )
            lines[-1] += "" if item.clean is None else f" {number(item.clean)} |"
        return "\n".join([*lines, "", *(f"- {note}" for note in self.notes)])


def compare(
    losses: Sequence[object] | Mapping[str, object],
    data: Data,
    seeds: int | Sequence[int] = 5,
    *,
    task: str | None = None,
    metric: str | Callable[[Array, Array], float] | None = None,
    higher: bool = True,
    label_noise: float = 0.0,
    outliers: float = 0.0,
    costs: tuple[float, float] | None = None,
    epochs: int = 30,
    hidden: int = 32,
    learning_rate: float = 1e-2,
    model: Callable[[int, int], object] | None = None,
    attack: str | None = None,
    eps: float | None = None,
) -> Comparison:
    """Train one small network (a hidden layer, Adam) under each loss and rank the losses on clean test data.

    For a seed, every loss gets the same split, the same corrupted labels, the same initial weights and the same order
    of batches, so that differences are paired. Inputs and regression targets are standardised by the training part.

    Args:
        losses: names, specifications or torch callables; a mapping names the callables.
        data: (inputs, targets), a function that takes a generator and returns them, a DataLoader, or the name of one of
            `SKLEARN`'s sets. Targets (n,), or (n, k) for a regression. For a ranking, every 20 consecutive rows are a
            list.
        seeds: how many (0, 1, ...), or which ones; at least 2.
        task: one of `judges.USUAL`; inferred from losses and targets by default.
        metric: one of `judges.METRICS`, "pinball(0.9)", or a function of outputs and targets. The default fits the task
            and the losses: a quantile is judged by its own pinball loss, skewed classes by balanced accuracy.
        higher: for a metric function, whether a higher value is better.
        label_noise: share of training labels replaced by another class, 0 to 1.
        outliers: share of training targets moved by 10 to 30 standard deviations, 0 to 1.
        costs: of a false alarm and of a miss; the metric is then the mean cost.
        learning_rate: Adam's.
        model: takes (inputs, outputs) and returns a torch module, instead of the network with a hidden layer.
        attack: "fgsm" or "pgd": the losses are ranked by their metric on attacked test inputs. The losses may then
            include "adversarial" and "trades(6)", which train against the attack.
        eps: the largest change of an input by the attack, in its standard deviations.

    Raises:
        LossError: losses and data do not fit together, or a parameter is unusable.
    """
    chosen_seeds = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if len(chosen_seeds) < 2 or not losses:
        raise LossError("compare", "it needs at least one loss and two seeds", "give seeds=5")
    fraction("compare", "label_noise", label_noise)
    fraction("compare", "outliers", outliers)
    whole("compare", "epochs", epochs, at_least=1)
    whole("compare", "hidden", hidden, at_least=1)
    data = collected(data)
    given: Given = list(losses.items()) if isinstance(losses, Mapping) else [(None, item) for item in losses]
    plain = [(label, item) for label, item in given if not is_defence(item)]
    kind = "binary" if costs is not None and task is None else task or _task(plain, data)
    against = attack_of(attack, eps, kind)
    named = dict(_function(label, item, kind, against) for label, item in given)
    targets = lambda: arrays(data, np.random.default_rng(0))[1]  # noqa: E731  # read only if the metric depends on them
    judge = fitting(metric, kind, plain, targets, costs, higher=higher)
    untested: Counter[float] = Counter()
    scores: dict[str, list[float]] = {name: [] for name in named}
    clean: dict[str, list[float]] = {name: [] for name in named}
    for seed in chosen_seeds:
        rng = np.random.default_rng(seed)
        split = Split.make(*arrays(data, rng), rng, task=kind, label_noise=label_noise, outliers=outliers)
        if kind in ("classification", "binary"):
            untested.update(set(split.train_y.tolist()) - set(split.test_y.tolist()))
        settings = Training(
            seed=seed, epochs=epochs, hidden=hidden, learning_rate=learning_rate, model=model, costs=costs,
            attack=against,
        )  # fmt: skip
        with one_torch_thread():
            for name, function in named.items():
                found, without = score(function, split, judge, settings, name=name)
                scores[name].append(found)
                clean[name].append(without)
    return Comparison(
        task=kind,
        metric=judge.name,
        higher=judge.higher,
        seeds=chosen_seeds,
        label_noise=label_noise,
        outliers=outliers,
        epochs=epochs,
        entries=_rank(scores, clean if against else {}, higher=judge.higher),
        attack=against,
        notes=(*unfair(judge, plain), *not_tested(untested, len(chosen_seeds))),
    )


def _function(label: str | None, loss: object, task: str, attack: Attack | None) -> tuple[str, TorchLoss | Defence]:
    """A loss's name and what trains with it."""
    against = defence(loss, attack, task)
    if against is not None:
        return label or against.name, against
    name, function, _ = resolve(loss, task)
    return label or name, function


def _task(given: Given, data: Data) -> str:
    """The task that all losses agree on, or the one that the targets suggest."""
    known = [tasks for _, item in given if (tasks := resolve(item)[2])]
    shared = [task for task in (known[0] if known else ()) if all(task in tasks for tasks in known)]
    if known and not shared:
        raise LossError("compare", "losses of different tasks are mixed", "compare losses of one task")
    if len(shared) == 1:
        return shared[0]
    _, targets = arrays(data, np.random.default_rng(0))
    labels = np.issubdtype(np.asarray(targets).dtype, np.integer) or targets.dtype.kind in "bUO"
    looks = "classification" if labels and targets.ndim == 1 else "regression"
    return looks if not shared or looks in shared else shared[0]


def arrays(data: Data, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.generic]]:
    """Inputs (n, d) and targets (n,) or (n, k)."""
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
    x, y = np.asarray(inputs, dtype=np.float64), np.asarray(targets)
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    wrong = y.dtype.kind == "f" and not np.isfinite(y).all()
    if x.ndim != 2 or len(x) != len(y) or len(x) < 20 or not np.isfinite(x).all() or y.ndim > 2 or wrong:
        problem = f"inputs have shape {x.shape}, targets {y.shape}" + (", with NaN among them" if wrong else "")
        raise LossError("compare", problem, "give at least 20 finite rows: inputs (n, d) and targets (n,)")
    return x, y


def collected(data: Data | Iterable[tuple[object, object]]) -> Data:
    """A DataLoader's batches as two arrays; anything else unchanged."""
    if isinstance(data, (str, tuple)) or callable(data):
        return data
    batches = [(np.asarray(x), np.asarray(y)) for x, y in data]
    if not batches:
        raise LossError("compare", "the data have no batch", "give (inputs, targets), or a DataLoader of pairs")
    inputs = np.concatenate([x.reshape(len(x), -1) for x, _ in batches])
    return inputs, np.concatenate([y for _, y in batches])


def t95(freedom: int) -> float:
    """The 97.5% quantile of Student's distribution; 1.96 beyond 30 degrees of freedom."""
    return T95[freedom - 1] if freedom <= len(T95) else 1.96


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95% interval of the mean by Student's t; NaN if any value is.

    Source: Student 1908, doi:10.2307/2331554.

    Example:
        >>> [round(item, 2) for item in interval([1.0, 2.0, 3.0])]
        [2.0, -0.48, 4.48]
    """
    if any(math.isnan(item) for item in values):
        return math.nan, math.nan, math.nan
    mean = statistics.fmean(values)
    half = t95(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def _rank(
    scores: Mapping[str, Sequence[float]], clean: Mapping[str, Sequence[float]], *, higher: bool
) -> tuple[Entry, ...]:
    """Entries by mean, best first; diverged ones last."""
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
                clean=interval(clean[name])[0] if name in clean else None,
            )
        )
    return tuple(found)
