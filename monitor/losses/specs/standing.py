"""Ranks runs with different losses, as far as that can be known.

Within a family, each loss bounds a common quantity, whatever the model's errors look like: a mean absolute error is at
most the root mean square, a focal loss at most the cross-entropy. A run is better than another if its whole interval is
below the other's. Overlapping intervals are a tie, as they always are for one model. Losses of different families are
not comparable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import singledispatch
from typing import Final

from monitor.losses.specs.boxes import BOX_KINDS, BoxIoU, BoxLoss
from monitor.losses.specs.classification import BinaryCrossEntropy, CrossEntropy, LanguageModel
from monitor.losses.specs.likelihood import KLDivergence
from monitor.losses.specs.overlap import Dice, Focal, IoU, Tversky, jaccard
from monitor.losses.specs.regression import MAE, MSE, Huber, Quantile, SmoothL1
from monitor.losses.specs.robust import RMSE, GeneralisedCrossEntropy, LogCosh
from monitor.losses.specs.spec import LossSpec, known

HINT: Final = "log one metric in all runs"
TAILS: Final = 3.0
"""The ratio of root mean square to mean absolute error, at most: 1 for errors of equal size, 1.25 for normal ones, 2.7
if one in twenty is 20 times too large. Without it, an absolute error could never beat a squared one.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Bounds of a loss on its family's scale.

    Attributes:
        family: losses of one family can be compared, on the same task.
        low, high: bounds of the family's quantity; lower is better.
    """

    family: str
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The ranking of several losses.

    Attributes:
        best: the run that beats every other; None if there is none.
        tied: if there is no best run, the ones that no other beats, best first.
        why: if there is no best run, a sentence why; else empty.
    """

    best: str | None
    tied: tuple[str, ...] = ()
    why: str = ""


def standing(results: Mapping[str, tuple[LossSpec | Mapping[str, object], float]]) -> Standing:
    """The best of several runs, by their losses.

    Args:
        results: by run name, the loss's specification (or its dictionary) and its value.

    Example:
        >>> from monitor.losses import MAE, MSE, CrossEntropy
        >>> standing({"a": (MSE(1.0), 0.485), "b": (MAE(target_std=1.0), 0.544)}).tied
        ('b', 'a')
        >>> standing({"a": (MSE(1.0), 0.04), "b": (MAE(target_std=1.0), 0.544)}).best
        'a'
        >>> standing({"a": (MSE(1.0), 0.485), "b": (CrossEntropy(10), 0.2)}).why
        'mse and cross_entropy are not comparable: log one metric in all runs, such as accuracy or R2.'
    """
    found = {name: known(spec) for name, (spec, _) in results.items()}
    specs = {name: spec for name, spec in found.items() if spec is not None}
    if len(specs) < len(found):
        missing = ", ".join(name for name in found if name not in specs)
        return Standing(best=None, why=f"the loss function of {missing} is not known, so it is not comparable.")
    exact = _alike(specs, {name: value for name, (_, value) in results.items()})
    if exact is not None:
        placed = {name: Bounds(family="", low=value, high=value) for name, value in exact.items()}
    else:
        bounded = {name: bounds(spec, results[name][1]) for name, spec in specs.items()}
        placed = {name: item for name, item in bounded.items() if item is not None}
        if len(placed) < len(results) or len({item.family for item in placed.values()}) > 1:
            return Standing(best=None, why=_unlike(specs))
    return _best({name: item for name, item in placed.items() if math.isfinite(item.low)})


def _best(placed: Mapping[str, Bounds]) -> Standing:
    order = sorted(placed, key=lambda name: placed[name].high)
    if len(order) < 2:
        return Standing(best=order[0] if order else None)
    first = placed[order[0]]
    tied = [name for name in order if name == order[0] or placed[name].low <= first.high * (1 + 1e-9)]
    if len(tied) == 1:
        return Standing(best=order[0])
    why = f"converted to one scale, their losses cannot be distinguished: {HINT}."
    return Standing(best=None, tied=tuple(tied), why=why if first.family else "their losses are the same.")


_OF_DATA: Final = frozenset(
    {"target_std", "target_variance", "target_mean", "constant_loss", "zero_loss", "priors", "positive_rate",
     "perfect_loss", "fresh_loss", "target_entropy", "classes", "candidates", "items"}
)  # fmt: skip
"""Parameters that describe the data, not the function."""


def _alike(specs: Mapping[str, LossSpec], values: Mapping[str, float]) -> Mapping[str, float] | None:
    """Values of one function, as the share left to perfect if their data differ; None if the functions differ."""
    if not all(spec.comparable for spec in specs.values()):
        return None
    if len({(spec.kind, repr(spec.params())) for spec in specs.values()}) == 1:
        return values
    if len({_function(spec) for spec in specs.values()}) > 1:
        return None
    left = {name: spec.skill(values[name]) for name, spec in specs.items()}
    found = {name: 1 - score for name, score in left.items() if score is not None}
    return found if len(found) == len(left) else None


def _function(spec: LossSpec) -> str:
    """The function without the data; square roots and constant factors do not matter."""
    if isinstance(spec, (MSE, RMSE)):
        return "square"
    if isinstance(spec, SmoothL1):
        return "absolute" if spec.beta == 0 else f"huber {spec.beta}"
    if isinstance(spec, Huber):
        return f"huber {spec.delta}"
    if isinstance(spec, MAE) or (isinstance(spec, Quantile) and spec.q == 0.5):
        return "absolute"
    return repr((spec.kind, {key: value for key, value in spec.params().items() if key not in _OF_DATA}))


def _unlike(specs: Mapping[str, LossSpec]) -> str:
    names = list(dict.fromkeys(spec.name for spec in specs.values()))
    kinds = {spec.kind for spec in specs.values()}
    fit = [metric for metric, those in _METRICS.items() if kinds & those] or ["accuracy", "R2"]
    what = f"{names[0]} with these settings is" if len(names) == 1 else f"{' and '.join(names)} are"
    return f"{what} not comparable: {HINT}, such as {' or '.join(fit)}."


_METRICS: Final = {
    "accuracy": {"cross_entropy", "binary_cross_entropy", "focal", "generalised_cross_entropy", "hinge",
                 "multi_margin", "multilabel_margin", "kl_divergence"},
    "R2": {"mse", "rmse", "mae", "huber", "smooth_l1", "log_cosh", "cauchy", "barron", "quantile", "gaussian_nll",
           "poisson_nll"},
    "mean IoU": {"dice", "iou", "tversky", *BOX_KINDS},
    "bits per byte": {"language_model"},
    "word error rate": {"ctc"},
    "NDCG or recall at 10": {"bpr", "ranknet", "listnet", "margin_ranking"},
    "recall at 1": {"info_nce", "contrastive", "triplet", "cosine_embedding"},
}  # fmt: skip
"""A metric that judges a task whatever its loss, with the kinds of losses used for it."""


def bounds(spec: LossSpec, loss: float) -> Bounds | None:
    """Bounds of the family's quantity for this loss; None if the loss has no family.

    The quantities: for regression the mean absolute error over the targets' spread, for classes the cross-entropy in
    nats, for masks the intersection-over-union loss.

    Example:
        >>> from monitor.losses import MSE, Focal
        >>> bounds(MSE(4.0), 1.0)
        Bounds(family='errors over the spread of the targets', low=0.16666666666666666, high=0.5)
    """
    if spec.reduction == "sum" or not spec.comparable or math.isnan(loss):
        return None
    if math.isinf(loss):
        return None if loss < 0 else _family(spec)
    return _bounds(spec, max(loss, 0.0) if spec.floor == 0 else loss)


def _family(spec: LossSpec) -> Bounds | None:
    """The bounds of an infinite loss, which is infinitely bad on every scale."""
    found = _bounds(spec, spec.chance_level or 1.0)
    return None if found is None else Bounds(family=found.family, low=math.inf, high=math.inf)


@singledispatch
def _bounds(_spec: LossSpec, _loss: float) -> Bounds | None:
    """One function per family; by default a loss has no family."""
    return None


def _errors(std: float | None, low: float, high: float) -> Bounds | None:
    if std is None:
        return None
    return Bounds(family="errors over the spread of the targets", low=low / std, high=high / std)


@_bounds.register
def _mse(spec: MSE, loss: float) -> Bounds | None:
    root = math.sqrt(max(loss, 0.0))
    std = None if spec.target_variance is None else math.sqrt(spec.target_variance)
    return _errors(std, root / TAILS, root)


@_bounds.register
def _rmse(spec: RMSE, loss: float) -> Bounds | None:
    return _errors(spec.target_std, loss / TAILS, loss)


@_bounds.register
def _mae(spec: MAE, loss: float) -> Bounds | None:
    return _errors(spec.target_std, loss, loss)


@_bounds.register
def _quantile(spec: Quantile, loss: float) -> Bounds | None:
    return _errors(spec.target_std, 2 * loss, 2 * loss) if spec.q == 0.5 else None


def _convex(std: float | None, loss: float, inverse: float, slope: float) -> Bounds | None:
    """For a loss that is convex in the error (Jensen), below half its square, and below a line through zero."""
    return _errors(std, max(loss / slope, math.sqrt(2 * loss) / TAILS), inverse)


@_bounds.register
def _huber(spec: Huber, loss: float) -> Bounds | None:
    delta = spec.delta
    inverse = math.sqrt(2 * loss) if loss <= delta**2 / 2 else loss / delta + delta / 2
    return _convex(spec.target_std, loss, inverse, delta)


@_bounds.register
def _smooth(spec: SmoothL1, loss: float) -> Bounds | None:
    if spec.beta == 0:
        return _errors(spec.target_std, loss, loss)
    return _huber(Huber(spec.beta, target_std=spec.target_std), loss * spec.beta)


@_bounds.register
def _log_cosh(spec: LogCosh, loss: float) -> Bounds | None:
    inverse = loss + math.log1p(math.sqrt(-math.expm1(-2 * loss)))
    return _convex(spec.target_std, loss, inverse, 1.0)


def _nats(classes: int | None, low: float, high: float) -> Bounds | None:
    return None if classes is None else Bounds(family=f"nats over {classes:,} classes", low=low, high=high)


def _spread_of(weights: tuple[float, ...], shares: tuple[float, ...] | None) -> tuple[float, float]:
    """The factors by which a weighted mean can be off, at most: mean weight over the largest, and over the smallest.

    Args:
        weights, shares: of the classes; if the shares are unknown, the mean weight may be anything in between.
    """
    used = [(w, p) for w, p in zip(weights, shares or (1.0,) * len(weights), strict=True) if p > 0]
    least, most = min(w for w, _ in used), max(w for w, _ in used)
    mean = math.fsum(w * p for w, p in used)
    smallest, largest = (least, most) if shares is None else (mean, mean)
    return smallest / most, math.inf if least == 0 else largest / least


@_bounds.register
def _cross_entropy(spec: CrossEntropy, loss: float) -> Bounds | None:
    if spec.classes is None:
        return None
    low = high = 1.0
    weight = spec._weight()
    if weight or (spec.balanced and spec.priors is None):
        if weight is None or spec.reduction != "mean":
            return None
        low, high = _spread_of(weight, None if spec.priors is None else spec._prior())
    smooth = spec.label_smoothing
    if not smooth:
        return _nats(spec.classes, low * loss, high * loss)
    if weight or smooth == 1:
        return None
    # The smoothed part is at least ln C (Jensen), and the label's own share of it is already part of the loss.
    rest = max(loss - smooth * math.log(spec.classes), 0.0) / (1 - smooth)
    return _nats(spec.classes, 0.0, min(rest, loss / (1 - smooth + smooth / spec.classes)))


@_bounds.register
def _binary(spec: BinaryCrossEntropy, loss: float) -> Bounds | None:
    if set(spec._weights()) == {1.0}:
        return _nats(2, loss, loss)
    if isinstance(spec.pos_weight, tuple):
        return None
    return _nats(2, loss / max(spec.pos_weight, 1.0), loss / min(spec.pos_weight, 1.0))


@_bounds.register
def _language(spec: LanguageModel, loss: float) -> Bounds | None:
    """Perplexity is the exponential of the mean nats."""
    if spec.unit == "perplexity" and loss <= 0:
        return None
    nats = spec.scaled(loss)
    return _nats(spec.vocab, nats, nats)


@_bounds.register
def _divergence(spec: KLDivergence, loss: float) -> Bounds | None:
    """Against one-hot targets it is the cross-entropy."""
    if spec.target_entropy != 0 or spec.classes is None:
        return None
    nats = loss * (spec.classes if spec.per_element else 1)
    return _nats(spec.classes, nats, nats)


@_bounds.register
def _focal(spec: Focal, loss: float) -> Bounds | None:
    """At most the cross-entropy of each example."""
    if spec.alpha is not None and spec.classes == 2 and spec.alpha in (0.0, 1.0):
        return None
    weights = (1.0,) if spec.alpha is None or spec.classes > 2 else (spec.alpha, 1 - spec.alpha)
    low, high = loss / max(weights), loss / min(weights)
    return _nats(spec.classes, low, _hull(high, spec.gamma))


def _hull(focal: float, gamma: float) -> float:
    """The highest mean cross-entropy for a mean focal loss: the least concave function above their curve.

    The curve from focal loss to nats lies above its asymptote (nats = focal loss) and is concave until it returns most
    steeply to it. The bound is searched over mixtures of two kinds of examples.
    """
    plain = Focal(gamma)
    alike = plain.scaled(focal)

    def mixed(low: float, high: float) -> float:
        a, b = plain._nats(low), plain._nats(high)
        if not a <= focal <= b or a == b:
            return 0.0
        share = (focal - a) / (b - a)
        return (1 - share) * low + share * high

    grid = [alike * 1.25**k for k in range(-40, 30)]
    return max([alike, *(mixed(low, high) for low in grid if low < alike for high in grid if high > alike)]) * 1.001


@_bounds.register
def _generalised(spec: GeneralisedCrossEntropy, loss: float) -> Bounds | None:
    """A concave function of the nats (Jensen), and bounded: it does not show how bad the worst examples are."""
    return _nats(spec.classes, spec.scaled(loss), math.inf)


def _masks(low: float, high: float) -> Bounds:
    return Bounds(family="masks", low=low, high=high)


@_bounds.register
def _iou(_spec: IoU, loss: float) -> Bounds:
    return _masks(loss, loss)


def _overlap(loss: float, small: float, large: float) -> Bounds:
    """Between the two weights; and, for a mean over batches, between the curve and its chord."""
    ends = (jaccard(loss, large), jaccard(loss, small), loss)
    return _masks(min(ends), max(ends))


@_bounds.register
def _boxes(spec: BoxLoss, loss: float) -> Bounds:
    """Penalties are never negative, so the missed overlap is at most the loss."""
    return Bounds(family="boxes", low=loss if isinstance(spec, BoxIoU) else 0.0, high=min(loss, 1.0))


@_bounds.register
def _dice(spec: Dice, loss: float) -> Bounds | None:
    return None if spec.squared else _overlap(loss, 0.5, 0.5)


@_bounds.register
def _tversky(spec: Tversky, loss: float) -> Bounds:
    return _overlap(loss, min(spec.alpha, spec.beta), max(spec.alpha, spec.beta))
