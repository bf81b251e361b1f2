"""The losses that `advise` chooses from, as plain numpy functions that `profile` measures.

They are written for clarity and numerical stability, and do not need torch; tests compare them with torch's own losses
where those exist.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.losses.comparison.boxes import deltas_loss, numpy_loss
from monitor.losses.specs.boxes import BoxIoU, CIoU, DIoU, GIoU

Array = NDArray[np.floating]
Labels = NDArray[np.integer]


@dataclass(frozen=True, slots=True, kw_only=True)
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
    fn: Callable[..., object] | None
    torch: str
    note: str = ""
    weighted: bool = False
    probabilities: bool = True
    train: str = ""


def mse(prediction: Array, target: Array) -> object:
    """Squared error."""
    return np.mean((prediction - target) ** 2)


def mae(prediction: Array, target: Array) -> object:
    """Absolute error."""
    return np.mean(np.abs(prediction - target))


def huber(prediction: Array, target: Array) -> object:
    """Huber's loss at delta 1."""
    size = np.abs(prediction - target)
    return np.mean(np.where(size <= 1, size * np.minimum(size, 1) / 2, size - 0.5))


def log_cosh(prediction: Array, target: Array) -> object:
    """`ln cosh r`, computed without overflow."""
    size = np.abs(prediction - target)
    return np.mean(size + np.log1p(np.exp(-2 * size)) - np.log(2.0).astype(size.dtype))


def cauchy(prediction: Array, target: Array) -> object:
    """`ln(1 + r**2)`: the likelihood of a Cauchy distribution; far outliers are ignored. Black and Anandan 1996."""
    size = np.abs(prediction - target)
    return np.mean(2 * np.log(np.hypot(size, np.ones_like(size))))


def quantile(prediction: Array, target: Array, q: float = 0.9) -> object:
    """The pinball loss at q = 0.9."""
    residual = target - prediction
    return np.mean(np.maximum(q * residual, (q - 1) * residual))


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


def _regression(name: str, fn: Callable[..., object], torch: str, note: str = "") -> Choice:
    return Choice(name=name, kind="regression", fn=fn, torch=torch, note=note)


_BCE = Choice(name="binary_cross_entropy", kind="binary", fn=binary_cross_entropy, torch="torch.nn.BCEWithLogitsLoss()")
_BINARY_FOCAL = Choice(
    name="focal(gamma=2)", kind="binary", fn=binary_focal, torch="torchvision.ops.sigmoid_focal_loss"
)
_POS_WEIGHT = Choice(
    name="binary_cross_entropy(pos_weight={imbalance:g})",
    train="binary_cross_entropy(pos_weight=20)",
    kind="binary",
    fn=binary_cross_entropy,
    torch="torch.nn.BCEWithLogitsLoss(pos_weight=negatives / positives)",
    note="Its probabilities are those of balanced classes; shift the logit by the log odds of the rate.",
    weighted=True,
)
_BINARY = (_BCE, _BINARY_FOCAL, _POS_WEIGHT)
_CE = Choice(name="cross_entropy", kind="classification", fn=cross_entropy, torch="torch.nn.CrossEntropyLoss()")
_SMOOTHED = Choice(
    name="cross_entropy(label_smoothing=0.1)",
    kind="classification",
    fn=smoothed_cross_entropy,
    torch="torch.nn.CrossEntropyLoss(label_smoothing=0.1)",
    note="Smoothing raises the loss's floor; validate without it.",
)
_FOCAL = Choice(
    name="focal(gamma=2)",
    kind="classification",
    fn=focal,
    torch="torchvision.ops.sigmoid_focal_loss, or ((1 - p) ** 2 * -log p).mean()",
    note="Probabilities come out less certain than the truth; calibrate them if they are used.",
)
_CLASSES = (
    _CE,
    _SMOOTHED,
    _FOCAL,
    Choice(
        name="generalised_cross_entropy(q=0.7)",
        kind="classification",
        fn=generalised_cross_entropy,
        torch="((1 - p_true ** 0.7) / 0.7).mean()",
        note="It starts slowly with many classes, because its gradient is small where the true class is improbable.",
    ),
    Choice(
        name="multi_margin",
        kind="classification",
        fn=multi_margin,
        torch="torch.nn.MultiMarginLoss()",
        probabilities=False,
    ),
    Choice(
        name="cross_entropy(balanced=True)",
        kind="classification",
        fn=cross_entropy,
        torch="torch.nn.CrossEntropyLoss(weight=1 / class_counts)",
        note="Its probabilities are those of balanced classes; add ln(prior) to the logits to undo it.",
        weighted=True,
    ),
)
_MSE = _regression("mse", mse, "torch.nn.MSELoss()", "It predicts the mean.")
_MAE = _regression("mae", mae, "torch.nn.L1Loss()", "It predicts the median.")

CHOICES: dict[str, tuple[Choice, ...]] = {
    "regression": (
        _MSE,
        _MAE,
        _regression("huber(delta=1)", huber, "torch.nn.HuberLoss(delta=1.0)"),
        _regression("log_cosh", log_cosh, "(r + softplus(-2 * r) - log(2)).mean(), r = |error|"),
        _regression(
            "cauchy",
            cauchy,
            "torch.log1p((p - y) ** 2).mean() / 2",
            "Start from a prediction near the targets, because far errors hardly pull.",
        ),
    ),
    "quantile": (
        _regression("quantile(q=0.9)", quantile, "torch.maximum(q * (y - p), (q - 1) * (y - p)).mean()"),
        _MAE,
        _MSE,
    ),
    "classification": _CLASSES,
    "binary": _BINARY,
    "cost": (
        _BCE,
        Choice(
            name="binary_cross_entropy(pos_weight={cost:g})",
            train="binary_cross_entropy(pos_weight=10)",
            kind="binary",
            fn=binary_cross_entropy,
            torch="torch.nn.BCEWithLogitsLoss(pos_weight=cost of a miss / cost of a false alarm)",
            note="Its threshold is 0 on the logit; the probabilities are no longer those of the data.",
        ),
        _BINARY_FOCAL,
        Choice(name="hinge", kind="margin", fn=None, torch="relu(1 - y * score).mean(), y of -1 and 1"),
    ),
    "segmentation": (
        *_BINARY,
        Choice(
            name="dice",
            kind="binary",
            fn=soft_dice,
            torch="1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)",
            note="It is one number for the whole batch, not a mean over pixels; small batches make it jumpy.",
        ),
        Choice(
            name="iou", kind="binary", fn=soft_iou, torch="1 - (i + 1) / (p.sum() + y.sum() - i + 1), i = (p * y).sum()"
        ),
        Choice(
            name="tversky(alpha=0.3, beta=0.7)",
            kind="binary",
            fn=tversky,
            torch="1 - (i + 1) / (i + 0.3 * (p * (1 - y)).sum() + 0.7 * ((1 - p) * y).sum() + 1), i = (p * y).sum()",
            note="A miss costs more than a false alarm.",
        ),
        Choice(
            name="composite(bce=binary_cross_entropy, dice=dice)",
            kind="binary",
            fn=bce_dice,
            torch="BCEWithLogitsLoss()(z, y) + dice(z, y)",
        ),
    ),
    "detection": (
        *(
            Choice(name=spec.kind, kind="boxes", fn=numpy_loss(spec), torch=torch, note=note)
            for spec, torch, note in (
                (GIoU(), "torchvision.ops.generalized_box_iou_loss", ""),
                (DIoU(), "torchvision.ops.distance_box_iou_loss", ""),
                (CIoU(), "torchvision.ops.complete_box_iou_loss", ""),
                (BoxIoU(), "1 - intersection / union", "It has no gradient where the boxes do not touch."),
            )
        ),
        *(
            Choice(name=name, kind="boxes", fn=deltas_loss(fn), torch=f"{torch} of centre and log size")
            for name, fn, torch in (
                ("smooth_l1", huber, "torch.nn.SmoothL1Loss()"),
                ("mae", mae, "torch.nn.L1Loss()"),
                ("mse", mse, "torch.nn.MSELoss()"),
            )
        ),
    ),
    "metric": (
        Choice(name="contrastive(margin=1)", kind="pairwise", fn=contrastive, torch="d ** 2 and relu(1 - d) ** 2"),
        Choice(name="cosine_embedding", kind="pairwise", fn=cosine_embedding, torch="torch.nn.CosineEmbeddingLoss()"),
        Choice(name="triplet(margin=1)", kind="triplet", fn=triplet, torch="torch.nn.TripletMarginLoss(margin=1.0)"),
        Choice(
            name="info_nce",
            kind="classification",
            fn=cross_entropy,
            torch="torch.nn.functional.cross_entropy(a @ b.T / 0.1, torch.arange(len(a)))",
            note="It is cross-entropy over the batch's similarities, and wants large batches.",
        ),
    ),
    "ranking": (
        Choice(
            name="bpr", kind="ranking", fn=None, torch="-logsigmoid(liked - sampled).mean()",
            note="It knows liked and not liked only; grades are lost.",
        ),
        Choice(name="ranknet", kind="ranking", fn=None, torch="softplus(below - above).mean(), all pairs of a list"),
        Choice(
            name="listnet", kind="ranking", fn=None,
            torch="-(relevance.softmax(-1) * scores.log_softmax(-1)).sum(-1).mean()",
        ),
        _regression("mse", mse, "torch.nn.MSELoss()", "It spends effort on the grades."),
    ),
    "language": (_CE, _SMOOTHED, _FOCAL),
    "counts": (
        Choice(name="poisson_nll", kind="count", fn=poisson, torch="torch.nn.PoissonNLLLoss()"),
        _regression("mse", mse, "torch.nn.MSELoss()", "It lets counts be negative, unless the model gives logarithms."),
    ),
}  # fmt: skip
"""The losses worth considering for each task."""
