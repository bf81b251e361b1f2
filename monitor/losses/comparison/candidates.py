"""The losses that `advise` chooses from, as plain numpy functions that `profile` measures.

They are written for clarity and numerical stability, and do not need torch; tests compare them with torch's own losses
where those exist.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.losses.comparison.boxes import deltas_loss, numpy_loss
from monitor.losses.specs.boxes import BoxIoU, CIoU, DIoU, GIoU
from monitor.losses.specs.regression import MAE, Huber, Quantile, Residual
from monitor.losses.specs.robust import LogCosh

Array = NDArray[np.floating]
Labels = NDArray[np.integer]
Function = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Choice:
    """One loss to choose from.

    Attributes:
        name: the loss, as `parse` accepts it or as it is commonly written.
        kind: how `profile` calls it.
        fn: the function.
        torch: how to write it in torch.
        note: what measuring the function cannot show, one sentence; may be empty.
        weighted: the rare class is weighted by the imbalance; only considered if there is one.
        probabilities: the model's outputs are probabilities, or the targets themselves.
        train: the name that `compare` uses, if `name` contains placeholders for the data.
    """

    name: str
    kind: str
    fn: Function | None
    torch: str
    note: str = ""
    _: KW_ONLY
    weighted: bool = False
    probabilities: bool = True
    train: str = ""


def mse(prediction: Array, target: Array) -> object:
    """Squared error."""
    return np.mean((prediction - target) ** 2)


def _residual(spec: Residual) -> Function:
    """The mean of a specification's own function."""

    def mean(prediction: Array, target: Array) -> object:
        return np.mean(spec.element_in(np, prediction - target))

    return mean


mae, huber, log_cosh, quantile = (_residual(spec) for spec in (MAE(), Huber(1.0), LogCosh(), Quantile(0.9)))


def cauchy(prediction: Array, target: Array) -> object:
    """`ln(1 + r**2)`: the likelihood of a Cauchy distribution; far outliers are ignored. Black and Anandan 1996."""
    size = np.abs(prediction - target)
    return np.mean(2 * np.log(np.hypot(size, np.ones_like(size))))


def poisson(log_rate: Array, count: Array) -> object:
    """Poisson likelihood of a log rate."""
    return np.mean(np.exp(log_rate) - count * log_rate)


def _log_probs(logits: Array) -> Array:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _true(values: Array, labels: Labels) -> Array:
    return np.asarray(values[np.arange(len(labels)), labels])


def cross_entropy(logits: Array, labels: Labels) -> object:
    """`-ln p` of the true class."""
    return -np.mean(_true(_log_probs(logits), labels))


def smoothed_cross_entropy(logits: Array, labels: Labels, smoothing: float = 0.1) -> object:
    """Cross-entropy with label smoothing 0.1."""
    log_probs = _log_probs(logits)
    return -np.mean((1 - smoothing) * _true(log_probs, labels) + smoothing * log_probs.mean(axis=1))


def focal(logits: Array, labels: Labels, gamma: float = 2.0) -> object:
    """Focal loss at gamma 2."""
    log_p = _true(_log_probs(logits), labels)
    return -np.mean((1 - np.exp(log_p)) ** gamma * log_p)


def generalised_cross_entropy(logits: Array, labels: Labels, q: float = 0.7) -> object:
    """`(1 - p**q) / q`, bounded. Zhang and Sabuncu 2018, arXiv:1805.07836."""
    return np.mean((1 - np.exp(q * _true(_log_probs(logits), labels))) / q)


def multi_margin(scores: Array, labels: Labels) -> object:
    """Crammer and Singer's hinge with margin 1, averaged over classes as torch does it."""
    gaps = np.maximum(0, 1 - _true(scores, labels)[:, None] + scores)
    gaps[np.arange(len(labels)), labels] = 0
    return np.mean(gaps.sum(axis=1) / scores.shape[1])


def binary_cross_entropy(logits: Array, target: Array) -> object:
    """Binary cross-entropy of logits."""
    return np.mean(np.maximum(logits, 0) - logits * target + np.log1p(np.exp(-np.abs(logits))))


def binary_focal(logits: Array, target: Array, gamma: float = 2.0) -> object:
    """Binary focal loss at gamma 2."""
    signed = np.where(target > 0.5, logits, -logits)
    log_p = -(np.maximum(-signed, 0) + np.log1p(np.exp(-np.abs(signed))))
    return -np.mean((1 - np.exp(log_p)) ** gamma * log_p)


def soft_dice(logits: Array, target: Array) -> object:
    """Soft Dice loss of a batch of pixels, smoothed by 1."""
    p = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
    return 1 - (2 * np.sum(p * target) + 1) / (np.sum(p) + np.sum(target) + 1)


def contrastive(left: Array, right: Array, label: Array) -> object:
    """Hadsell's contrastive loss with margin 1."""
    distance = np.sqrt(((left - right) ** 2).sum(axis=1))
    return np.mean(np.where(label > 0, distance**2, np.maximum(0, 1 - distance) ** 2))


def cosine_embedding(left: Array, right: Array, label: Array) -> object:
    """Cosine distance for similar pairs, positive cosine for dissimilar ones."""
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    cosine = (left * right).sum(axis=1) / np.maximum(norms, 1e-8)
    return np.mean(np.where(label > 0, 1 - cosine, np.maximum(0, cosine)))


def triplet(anchor: Array, positive: Array, negative: Array) -> object:
    """Triplet loss with margin 1."""
    near = np.sqrt(((anchor - positive) ** 2).sum(axis=1))
    far = np.sqrt(((anchor - negative) ** 2).sum(axis=1))
    return np.mean(np.maximum(0, near - far + 1))


def tversky(logits: Array, target: Array, alpha: float = 0.3, beta: float = 0.7) -> object:
    """Tversky's loss of a batch of pixels, smoothed by 1; a miss costs more than a false alarm."""
    p = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
    both, alarms, misses = np.sum(p * target), np.sum(p * (1 - target)), np.sum((1 - p) * target)
    return 1 - (both + 1) / (both + alpha * alarms + beta * misses + 1)


def soft_iou(logits: Array, target: Array) -> object:
    """Soft intersection over union of a batch of pixels, smoothed by 1."""
    return tversky(logits, target, 1.0, 1.0)


def bce_dice(logits: Array, target: Array) -> object:
    """Binary cross-entropy plus soft Dice."""
    return binary_cross_entropy(logits, target) + soft_dice(logits, target)  # type: ignore[operator]  # two numbers


_BCE = Choice("binary_cross_entropy", "binary", binary_cross_entropy, "torch.nn.BCEWithLogitsLoss()")
_BINARY_FOCAL = Choice("focal(gamma=2)", "binary", binary_focal, "torchvision.ops.sigmoid_focal_loss")
_POS_WEIGHT = Choice(
    "binary_cross_entropy(pos_weight={imbalance:g})",
    "binary",
    binary_cross_entropy,
    "torch.nn.BCEWithLogitsLoss(pos_weight=negatives / positives)",
    "Its probabilities are those of balanced classes; shift the logit by the log odds of the rate.",
    weighted=True,
    train="binary_cross_entropy(pos_weight=20)",
)
_BINARY = (_BCE, _BINARY_FOCAL, _POS_WEIGHT)
_CE = Choice("cross_entropy", "classification", cross_entropy, "torch.nn.CrossEntropyLoss()")
_SMOOTHED = Choice(
    "cross_entropy(label_smoothing=0.1)",
    "classification",
    smoothed_cross_entropy,
    "torch.nn.CrossEntropyLoss(label_smoothing=0.1)",
    "Smoothing raises the loss's floor; validate without it.",
)
_FOCAL = Choice(
    "focal(gamma=2)",
    "classification",
    focal,
    "torchvision.ops.sigmoid_focal_loss, or ((1 - p) ** 2 * -log p).mean()",
    "Probabilities come out less certain than the truth; calibrate them if they are used.",
)
_MSE = Choice("mse", "regression", mse, "torch.nn.MSELoss()", "It predicts the mean.")
_MAE = Choice("mae", "regression", mae, "torch.nn.L1Loss()", "It predicts the median.")

CHOICES: dict[str, tuple[Choice, ...]] = {
    "regression": (
        _MSE,
        _MAE,
        Choice("huber(delta=1)", "regression", huber, "torch.nn.HuberLoss(delta=1.0)"),
        Choice("log_cosh", "regression", log_cosh, "(r + softplus(-2 * r) - log(2)).mean(), r = |error|"),
        Choice(
            "cauchy", "regression", cauchy, "torch.log1p((p - y) ** 2).mean() / 2",
            "Start from a prediction near the targets, because far errors hardly pull.",
        ),
    ),
    "quantile": (
        Choice("quantile(q=0.9)", "regression", quantile, "torch.maximum(q * (y - p), (q - 1) * (y - p)).mean()"),
        _MAE,
        _MSE,
    ),
    "classification": (
        _CE,
        _SMOOTHED,
        _FOCAL,
        Choice(
            "generalised_cross_entropy(q=0.7)", "classification", generalised_cross_entropy,
            "((1 - p_true ** 0.7) / 0.7).mean()",
            "It starts slowly with many classes, because its gradient is small where the true class is improbable.",
        ),
        Choice("multi_margin", "classification", multi_margin, "torch.nn.MultiMarginLoss()", probabilities=False),
        Choice(
            "cross_entropy(balanced=True)", "classification", cross_entropy,
            "torch.nn.CrossEntropyLoss(weight=1 / class_counts)",
            "Its probabilities are those of balanced classes; add ln(prior) to the logits to undo it.", weighted=True,
        ),
    ),
    "binary": _BINARY,
    "cost": (
        _BCE,
        Choice(
            "binary_cross_entropy(pos_weight={cost:g})", "binary", binary_cross_entropy,
            "torch.nn.BCEWithLogitsLoss(pos_weight=cost of a miss / cost of a false alarm)",
            "Its threshold is 0 on the logit; the probabilities are no longer those of the data.",
            train="binary_cross_entropy(pos_weight=10)",
        ),
        _BINARY_FOCAL,
        Choice("hinge", "margin", None, "relu(1 - y * score).mean(), y of -1 and 1"),
    ),
    "segmentation": (
        *_BINARY,
        Choice(
            "dice", "binary", soft_dice, "1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)",
            "It is one number for the whole batch, not a mean over pixels; small batches make it jumpy.",
        ),
        Choice("iou", "binary", soft_iou, "1 - (i + 1) / (p.sum() + y.sum() - i + 1), i = (p * y).sum()"),
        Choice(
            "tversky(alpha=0.3, beta=0.7)", "binary", tversky,
            "1 - (i + 1) / (i + 0.3 * (p * (1 - y)).sum() + 0.7 * ((1 - p) * y).sum() + 1), i = (p * y).sum()",
            "A miss costs more than a false alarm.",
        ),
        Choice(
            "composite(bce=binary_cross_entropy, dice=dice)", "binary", bce_dice,
            "BCEWithLogitsLoss()(z, y) + dice(z, y)",
        ),
    ),
    "detection": (
        Choice("giou", "boxes", numpy_loss(GIoU()), "torchvision.ops.generalized_box_iou_loss"),
        Choice("diou", "boxes", numpy_loss(DIoU()), "torchvision.ops.distance_box_iou_loss"),
        Choice("ciou", "boxes", numpy_loss(CIoU()), "torchvision.ops.complete_box_iou_loss"),
        Choice(
            "box_iou", "boxes", numpy_loss(BoxIoU()), "1 - intersection / union",
            "It has no gradient where the boxes do not touch.",
        ),
        Choice("smooth_l1", "boxes", deltas_loss(huber), "torch.nn.SmoothL1Loss() of centre and log size"),
        Choice("mae", "boxes", deltas_loss(mae), "torch.nn.L1Loss() of centre and log size"),
        Choice("mse", "boxes", deltas_loss(mse), "torch.nn.MSELoss() of centre and log size"),
    ),
    "metric": (
        Choice("contrastive(margin=1)", "pairwise", contrastive, "d ** 2 and relu(1 - d) ** 2"),
        Choice("cosine_embedding", "pairwise", cosine_embedding, "torch.nn.CosineEmbeddingLoss()"),
        Choice("triplet(margin=1)", "triplet", triplet, "torch.nn.TripletMarginLoss(margin=1.0)"),
        Choice(
            "info_nce", "classification", cross_entropy,
            "torch.nn.functional.cross_entropy(a @ b.T / 0.1, torch.arange(len(a)))",
            "It is cross-entropy over the batch's similarities, and wants large batches.",
        ),
    ),
    "ranking": (
        Choice(
            "bpr", "ranking", None, "-logsigmoid(liked - sampled).mean()",
            "It knows liked and not liked only; grades are lost.",
        ),
        Choice("ranknet", "ranking", None, "softplus(below - above).mean(), all pairs of a list"),
        Choice("listnet", "ranking", None, "-(relevance.softmax(-1) * scores.log_softmax(-1)).sum(-1).mean()"),
        Choice("mse", "regression", mse, "torch.nn.MSELoss()", "It spends effort on the grades."),
    ),
    "language": (_CE, _SMOOTHED, _FOCAL),
    "counts": (
        Choice("poisson_nll", "count", poisson, "torch.nn.PoissonNLLLoss()"),
        Choice(
            "mse", "regression", mse, "torch.nn.MSELoss()",
            "It lets counts be negative, unless the model gives logarithms.",
        ),
    ),
}  # fmt: skip
"""The losses worth considering for each task."""
