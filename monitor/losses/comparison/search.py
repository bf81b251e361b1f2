"""Search over families of losses and their parameters, with an honest answer if none is clearly best."""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitor.domain.formats import number
from monitor.errors import LossError
from monitor.losses.comparison.compare import Comparison, Data, arrays, collected, compare, t95
from monitor.losses.comparison.described import describe
from monitor.losses.comparison.judges import USUAL
from monitor.losses.comparison.module import module, source
from monitor.losses.comparison.training import TEST_SHARE
from monitor.losses.specs.parameters import plain_fields, whole
from monitor.losses.specs.robust import Barron
from monitor.losses.specs.search import golden

if TYPE_CHECKING:
    from torch import nn

Array = NDArray[np.float64]

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "regression": (
        *("mse", "mae", "huber(0.1)", "huber(0.3)", "huber(1.0)", "log_cosh"),
        *("cauchy(0.1)", "cauchy(0.3)", "cauchy(1.0)", "barron(-2.0, 0.3)"),
    ),
    "classification": (
        *("cross_entropy", "cross_entropy(label_smoothing=0.05)", "cross_entropy(label_smoothing=0.2)"),
        *("cross_entropy(balanced=True)", "focal(1.0)", "focal(2.0)", "multi_margin"),
        *("generalised_cross_entropy(0.3)", "generalised_cross_entropy(0.7)"),
    ),
    "binary": (
        *("binary_cross_entropy", "binary_cross_entropy(pos_weight=3.0)", "binary_cross_entropy(pos_weight=10.0)"),
        *("focal(1.0)", "focal(2.0)", "hinge"),
    ),
    "counts": ("poisson_nll", "mse", "mae", "huber(1.0)"),
    "ranking": ("ranknet", "bpr", "listnet", "mse", "margin_ranking(0.5)", "margin_ranking(1.0)"),
    "metric": ("triplet(1.0)", "triplet(0.3)", "contrastive(1.0)", "contrastive(2.0)", "cosine_embedding"),
}
"""The losses of each task, with parameters. The first is the usual one, kept unless another is clearly better.
Scales are in standard deviations of the targets.
"""
FRESH = 1000
"""The first seed of the confirmation, whose splits the halving has not seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The result of a search.

    Attributes:
        task, metric: as in `Comparison`.
        loss: the recommended loss: the challenger if it is clearly better than the usual one, else the usual one.
        usual, challenger: the two losses of the final comparison.
        clear: the challenger is clearly better.
        said: the answer in a sentence or two.
        gain: how much better it was, with the 95% interval over seeds.
        rungs: the losses left after each round of halving, best first.
        unit: standard deviation of a regression's targets, the unit of the scales in `loss`; 1 for other tasks.
        final: the comparison of the last losses with fresh seeds.
    """

    task: str
    metric: str
    loss: str
    usual: str
    challenger: str
    clear: bool
    said: str
    gain: tuple[float, float, float]
    rungs: tuple[tuple[str, ...], ...]
    unit: float
    final: Comparison

    def module(self) -> nn.Module:
        """The loss as a torch module of (outputs, targets), in the targets' own unit."""
        return module(self.loss, self.task, unit=self.unit)

    def source(self) -> str:
        """The source of a file with that module."""
        return source(self.loss, self.task, unit=self.unit, why=f"{self.loss}: found by `monitor losses search`.")

    def to_dict(self) -> dict[str, object]:
        """The search as strict JSON data; values that are not finite become None."""
        return {**plain_fields(self), "final": self.final.to_dict()}

    def to_markdown(self) -> str:
        """The answer, and a table of the last losses."""
        rounds = " → ".join(str(len(rung)) for rung in self.rungs)
        return "\n".join([self.said, "", self.final.to_markdown(), f"Losses left in each round: {rounds}.", ""])


def search(
    data: Data,
    *,
    task: str | None = None,
    metric: str | None = None,
    seeds: int = 16,
    epochs: int = 30,
    hidden: int = 32,
) -> Search:
    """Find a loss for data: train many losses briefly, drop the worse half, train the rest longer, and so on.

    The last challenger is then compared with the task's usual loss on fresh splits. It wins only if it is clearly
    better: if the 95% interval of the paired difference excludes 0. The interval is wider than the plain one over
    seeds because splits of the same data overlap (Nadeau and Bengio 2003, doi:10.1023/A:1024068626366). For a
    regression, Barron's general loss is fitted to validation residuals and joins the search.

    Args:
        task: one of `FAMILIES`; inferred from the data by default.
        metric: as for `compare`. A regression is judged by the mean absolute error, and the challenger must not be
            clearly worse by the root mean square: the first favours medians, the second means.
        seeds: fresh splits for the confirmation, at least 3.
        epochs: passes over the training data in the last round and the confirmation.

    Raises:
        LossError: the data or the task are unusable.

    Source: successive halving; Jamieson and Talwalkar 2016, arXiv:1502.07943.
    """
    whole("search", "seeds", seeds, at_least=3)
    whole("search", "epochs", epochs, at_least=1)
    data = collected(data)
    x, y = arrays(data, np.random.default_rng(0))
    kind = task or ("regression" if y.ndim == 2 else describe(x, y).task)
    if kind not in FAMILIES:
        raise LossError(f"task={kind!r}", "no such task", f"write one of {', '.join(FAMILIES)}")
    judge = metric or USUAL[kind]

    def trained(losses: Sequence[str], rows: Sequence[int], share: float, by: str = judge) -> Comparison:
        passes = max(1, round(share * epochs))
        return compare(losses, data, rows, task=kind, metric=by, epochs=passes, hidden=hidden)

    usual, *others = FAMILIES[kind]
    if kind == "regression":
        others.append(_fitted(data, epochs, hidden))
    rungs = [(usual, *others)]
    for rows, share in ((range(2), 1 / 3), (range(2, 5), 2 / 3), (range(5, 9), 1.0)):
        ranked = [item.loss for item in trained(rungs[-1], rows, share).entries if not math.isnan(item.mean)]
        rungs.append(tuple(ranked[: max(3, math.ceil(len(rungs[-1]) / 2))]))
    challenger = next((loss for loss in rungs[-1] if loss != usual), others[0])
    fresh = range(FRESH, FRESH + seeds)
    final = trained(tuple(dict.fromkeys((usual, *rungs[-1]))), fresh, 1.0)
    overlap = 0.0 if callable(data) else TEST_SHARE / (1 - TEST_SHARE)
    gain = _gain(final, challenger, usual, overlap)
    clear = gain[1] > 0
    against = None
    if clear and kind == "regression" and metric is None:
        against = _gain(trained((usual, challenger), fresh, 1.0, "rmse"), challenger, usual, overlap)
        clear = not against[2] < 0
    return Search(
        task=kind, metric=judge, loss=challenger if clear else usual, usual=usual, challenger=challenger, clear=clear,
        gain=gain, said=_said(final, challenger, usual, gain, clear=clear), rungs=tuple(rungs),
        unit=float(y.astype(np.float64).std(axis=0).mean()) or 1.0 if kind == "regression" else 1.0, final=final,
    )  # fmt: skip


def _fitted(data: Data, epochs: int, hidden: int) -> str:
    """Barron's loss, fitted to the test residuals of networks trained with Huber's loss on the first seeds."""
    kept: list[Array] = []

    def keep(out: Array, y: Array) -> float:
        kept.append((out - y).ravel())
        return 0.0

    compare(["huber(0.3)"], data, range(2), task="regression", metric=keep, epochs=epochs, hidden=hidden)
    found = fit_barron(np.concatenate(kept))
    return f"barron({found.alpha:g}, {found.scale:g})"


def _gain(found: Comparison, challenger: str, usual: str, overlap: float) -> tuple[float, float, float]:
    """How much better the challenger is, with the 95% interval for overlapping splits."""
    scores = {item.loss: item.scores for item in found.entries}
    sign = 1.0 if found.higher else -1.0
    gaps = [sign * (own - other) for own, other in zip(scores[challenger], scores[usual], strict=True)]
    if any(math.isnan(gap) for gap in gaps):
        return math.nan, math.nan, math.nan
    mean = statistics.fmean(gaps)
    half = t95(len(gaps) - 1) * statistics.stdev(gaps) * math.sqrt(1 / len(gaps) + overlap)
    return mean, mean - half, mean + half


def _said(found: Comparison, challenger: str, usual: str, gain: tuple[float, float, float], *, clear: bool) -> str:
    means = {item.loss: item.mean for item in found.entries}
    by = f"{number(gain[0], 3)} ({number(gain[1], 3)} to {number(gain[2], 3)}, {len(found.seeds)} fresh splits)"
    if clear:
        return (
            f"Take {challenger}: {found.metric} {number(means[challenger])} against {number(means[usual])} of "
            f"{usual}, better by {by}."
        )
    if math.isnan(gain[0]):
        return f"No clear winner: keep {usual}. The training with {challenger} or {usual} gave NaN."
    if gain[1] > 0:
        return (
            f"No clear winner: keep {usual}. By mae {challenger} is better by {by}, by rmse {usual} is clearly better: "
            "errors lean to one side, so the mean and the median differ. Choose by which of them you need."
        )
    if gain[0] <= 0:
        behind = f"the next, {challenger}, is behind by {number(-gain[0], 3)}"
        return f"No clear winner: keep {usual}. No loss did better; {behind}."
    return f"No clear winner: keep {usual}. {challenger} is better by {by}, which may be chance."


SHAPES = np.linspace(0.0, 2.0, 41)
"""Shapes to try; below 0 the loss is not the likelihood of any distribution."""


def fit_barron(residuals: ArrayLike) -> Barron:
    """The shape and scale under which the residuals are most likely.

    Use residuals of validation data: those of training data are too small. A shape near 2 means normal tails, near 0
    tails as heavy as Cauchy's.

    Source: Barron 2019, arXiv:1701.03077, equation 16.

    Raises:
        LossError: fewer than 20 residuals, or all of them 0.

    Example:
        >>> found = fit_barron(np.random.default_rng(0).normal(0, 3, 5000))
        >>> found.alpha > 1.7, 2.5 < found.scale < 3.5
        (True, True)
    """
    r = np.asarray(residuals, dtype=np.float64).ravel()
    r = r[np.isfinite(r)]
    if len(r) < 20 or not r.any():
        raise LossError("fit_barron", f"{len(r)} finite residuals", "give at least 20, not all of them 0")
    # Most residuals may be 0, so the usual size is the median of the others.
    usual = math.log(float(np.median(np.abs(r[r != 0]))))

    def cost(shape: float, log_scale: float) -> float:
        scaled = Barron(shape, math.exp(log_scale)).element(r)
        return float(scaled.mean()) + log_scale + _log_partition(shape)

    best: tuple[float, float, float] | None = None
    for shape in map(float, SHAPES):
        log_scale = golden(functools.partial(cost, shape), usual - 4, usual + 4, rounds=40)
        found = cost(shape, log_scale), shape, log_scale
        best = found if best is None else min(best, found)
    assert best is not None
    return Barron(round(best[1], 4), float(f"{math.exp(best[2]):.4g}"))


@functools.cache
def _log_partition(shape: float) -> float:
    """The logarithm of the integral of `exp(-loss)` at scale 1; `x = sinh(t)` reaches far into the tails."""
    t: NDArray[np.float64] = np.linspace(-40, 40, 8001)
    with np.errstate(over="ignore"):
        density = np.exp(-Barron(shape, 1.0).element(np.sinh(t))) * np.cosh(t)
    return math.log(float(density.sum()) * float(t[1] - t[0]))
