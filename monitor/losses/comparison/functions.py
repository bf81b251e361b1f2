"""The torch function that a specification describes, if it has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from monitor.errors import LossError
from monitor.losses.comparison.boxes import distance
from monitor.losses.profiles.kinds import TORCH_KINDS
from monitor.losses.specs.boxes import BOX_KINDS
from monitor.losses.specs.classification import BinaryCrossEntropy, CrossEntropy
from monitor.losses.specs.composite import Composite
from monitor.losses.specs.likelihood import KLDivergence
from monitor.losses.specs.margin import Hinge
from monitor.losses.specs.metric import Contrastive, InfoNCE
from monitor.losses.specs.overlap import Dice, Focal, Tversky
from monitor.losses.specs.ranking import BPR, RankNet
from monitor.losses.specs.regression import Residual
from monitor.losses.specs.robust import GeneralisedCrossEntropy
from monitor.losses.specs.spec import LossSpec
from monitor.losses.specs.torch_modules import torch_name

if TYPE_CHECKING:
    from torch import Tensor

Function = Callable[..., "Tensor"]


def torch_function(spec: LossSpec, *, binary: bool = False) -> Function:
    """The torch function with the specification's settings, called as in torch.

    Args:
        binary: for losses over classes, use one logit and targets of 0 and 1 instead of logits and labels.

    Raises:
        LossError: the kind is not a single torch function.

    Example:
        >>> import torch
        >>> from monitor.losses import parse
        >>> float(torch_function(parse("rmse"))(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0])))
        1.4142135381698608
    """
    if binary and spec.kind == "cross_entropy":
        return _module(BinaryCrossEntropy())
    if isinstance(spec, Focal):
        return _focal(spec, binary=binary)
    if isinstance(spec, Composite):
        return _composite(spec)
    if spec.kind not in _OWN:
        return _module(spec)
    kind, own = _OWN[spec.kind]
    function = own(spec)
    function.__name__ = spec.kind
    function.loss_kind = kind  # type: ignore[attr-defined]  # read by profile and check
    function.loss_backend = "torch"  # type: ignore[attr-defined]  # read by profile and check
    return function


def weighted(parts: Sequence[tuple[float, Function]]) -> Function:
    """The sum of functions that are called the same way, each with its factor."""

    def composite(*arguments: Tensor) -> Tensor:
        return cast("Tensor", sum(weight * part(*arguments) for weight, part in parts))

    return composite


def _composite(spec: Composite) -> Function:
    """The weighted sum of parts that are called the same way."""
    parts = [(spec.weight(name), torch_function(part)) for name, part in spec.parts.items()]
    composite = weighted(parts)
    kinds = {_kind(part) for _, part in parts}
    if len(kinds) > 1:
        raise LossError(spec.kind, f"its parts are called as {' and '.join(sorted(kinds))}", "measure each on its own")
    composite.loss_kind = kinds.pop()  # type: ignore[attr-defined]  # read by profile and check
    composite.loss_backend = "torch"  # type: ignore[attr-defined]  # read by profile and check
    return composite


def _kind(function: Function) -> str:
    return str(getattr(function, "loss_kind", None) or TORCH_KINDS.get(torch_name(function) or "", "regression"))


_MODULES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "cross_entropy": ("CrossEntropyLoss", ("label_smoothing",)),
    "language_model": ("CrossEntropyLoss", ()),
    "binary_cross_entropy": ("BCEWithLogitsLoss", ()),
    "multi_margin": ("MultiMarginLoss", ("p", "margin")),
    "huber": ("HuberLoss", ("delta",)),
    "mae": ("L1Loss", ()),
    "mse": ("MSELoss", ()),
    "smooth_l1": ("SmoothL1Loss", ("beta",)),
    "poisson_nll": ("PoissonNLLLoss", ("log_input", "full")),
    "gaussian_nll": ("GaussianNLLLoss", ("full", "eps")),
    "kl_divergence": ("KLDivLoss", ()),
    "triplet": ("TripletMarginLoss", ("margin",)),
    "cosine_embedding": ("CosineEmbeddingLoss", ("margin",)),
    "margin_ranking": ("MarginRankingLoss", ("margin",)),
    "multilabel_margin": ("MultiLabelMarginLoss", ()),
    "ctc": ("CTCLoss", ()),
}
"""torch's own module of each kind, and the parameters that both call by the same name."""


def _module(spec: LossSpec) -> Function:
    """Torch's own module with the specification's settings."""
    import torch

    if spec.kind not in _MODULES:
        fix = f"take one of {', '.join([*_MODULES, *sorted(_OWN)])}"
        raise LossError(spec.kind, "it is not a single function of torch", fix)
    name, shared = _MODULES[spec.kind]
    settings = {key: getattr(spec, key) for key in ("reduction", *shared)}
    if isinstance(spec, CrossEntropy):
        if spec.balanced:
            return _balanced(spec)
        settings["weight"] = None if spec.class_weights is None else torch.tensor(spec.class_weights)
    elif isinstance(spec, BinaryCrossEntropy):
        settings["pos_weight"] = torch.tensor(spec.pos_weight)
    elif isinstance(spec, KLDivergence):
        settings["reduction"] = "mean" if spec.per_element else "batchmean"
    module: Function = getattr(torch.nn, name)(**settings)
    return module


def _balanced(spec: CrossEntropy) -> Function:
    """Cross-entropy with each class weighted by one over its share of the batch."""

    def balanced(logits: Tensor, labels: Tensor) -> Tensor:
        import torch

        counts = torch.bincount(labels, minlength=logits.shape[1]).clamp(min=1).to(logits.dtype)
        smoothing = spec.label_smoothing
        return torch.nn.functional.cross_entropy(logits, labels, weight=1 / counts, label_smoothing=smoothing)

    balanced.loss_kind = "classification"  # type: ignore[attr-defined]  # read by profile and check
    return balanced


def _focal(spec: Focal, *, binary: bool) -> Function:
    def focal(logits: Tensor, labels: Tensor) -> Tensor:
        log_p = logits.log_softmax(1).gather(1, labels[:, None])[:, 0]
        return -((-log_p.expm1()).clamp(min=0) ** spec.gamma * log_p).mean()

    def binary_focal(logits: Tensor, target: Tensor) -> Tensor:
        import torch

        nll = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        weight = 1.0 if spec.alpha is None else spec.alpha * target + (1 - spec.alpha) * (1 - target)
        return (weight * (-torch.expm1(-nll)).clamp(min=0) ** spec.gamma * nll).mean()

    found: Function = binary_focal if binary else focal
    found.loss_kind = "binary" if binary else "classification"  # type: ignore[attr-defined]  # read by profile and check
    return found


def _residual(spec: Residual) -> Function:
    import torch

    return lambda prediction, target: spec.element_in(torch, prediction - target).mean()


def _rmse(_: LossSpec) -> Function:
    return lambda prediction, target: (((prediction - target) ** 2).mean() + 1e-12).sqrt()


def _generalised(spec: GeneralisedCrossEntropy) -> Function:
    def generalised(logits: Tensor, labels: Tensor) -> Tensor:
        log_p = logits.log_softmax(1).gather(1, labels[:, None])[:, 0]
        return ((1 - (spec.q * log_p).exp()) / spec.q).mean()

    return generalised


def _masks(weights: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Function:
    """An overlap loss of logits and a mask, smoothed by 1 as usual."""

    def overlap(logits: Tensor, target: Tensor) -> Tensor:
        p, y = logits.sigmoid().reshape(-1), target.reshape(-1)
        return 1 - weights((p * y).sum(), (p * (1 - y)).sum(), ((1 - p) * y).sum())

    return overlap


def _tversky(spec: Tversky) -> Function:
    return _masks(lambda both, alarm, miss: (both + 1) / (both + spec.alpha * alarm + spec.beta * miss + 1))


def _dice(spec: Dice) -> Function:
    def squared(logits: Tensor, target: Tensor) -> Tensor:
        p, y = logits.sigmoid().reshape(-1), target.reshape(-1)
        return 1 - (2 * (p * y).sum() + 1) / ((p**2).sum() + (y**2).sum() + 1)

    return squared if spec.squared else _tversky(Tversky(alpha=0.5, beta=0.5))


def _hinge(spec: Hinge) -> Function:
    power = 2 if spec.squared else 1
    return lambda score, label: ((spec.margin - label * score).clamp(min=0) ** power).mean()


def _pairwise(spec: BPR | RankNet) -> Function:
    def pairs(first: Tensor, second: Tensor, label: Tensor) -> Tensor:
        import torch

        return torch.nn.functional.softplus(-spec.scale * label * (first - second)).mean()

    return pairs


def _contrastive(spec: Contrastive) -> Function:
    def contrastive(left: Tensor, right: Tensor, label: Tensor) -> Tensor:
        distance = ((left - right) ** 2).sum(1).add(1e-12).sqrt()
        apart = (spec.margin - distance).clamp(min=0) ** spec.p
        like = (label > 0).to(left.dtype)
        return (like * distance**spec.p + (1 - like) * apart).mean()

    return contrastive


def _info_nce(spec: InfoNCE) -> Function:
    def info_nce(left: Tensor, right: Tensor) -> Tensor:
        import torch

        a, b = (torch.nn.functional.normalize(item, dim=1) for item in (left, right))
        return torch.nn.functional.cross_entropy(a @ b.T / spec.temperature, torch.arange(len(a)))

    return info_nce


def _listnet(_: LossSpec) -> Function:
    def listnet(scores: Tensor, relevance: Tensor) -> Tensor:
        return -(relevance.softmax(-1) * scores.log_softmax(-1)).sum(-1).mean()

    return listnet


def _box(spec: LossSpec) -> Function:
    def box(boxes: Tensor, targets: Tensor) -> Tensor:
        import torch

        found: Tensor = distance(torch, spec, boxes, targets, lambda value: value.detach()).mean()
        return found

    return box


_OWN: Mapping[str, tuple[str, Callable[..., Function]]] = {
    **dict.fromkeys(("barron", "cauchy", "log_cosh", "quantile"), ("regression", _residual)),
    "rmse": ("regression", _rmse),
    "generalised_cross_entropy": ("classification", _generalised),
    "dice": ("binary", _dice),
    "iou": ("binary", lambda _: _tversky(Tversky(alpha=1.0, beta=1.0))),
    "tversky": ("binary", _tversky),
    "hinge": ("margin", _hinge),
    **dict.fromkeys(("bpr", "ranknet"), ("ranking", _pairwise)),
    "listnet": ("distribution", _listnet),
    "contrastive": ("pairwise", _contrastive),
    "info_nce": ("paired", _info_nce),
    **dict.fromkeys(BOX_KINDS, ("boxes", _box)),
}
"""Losses that torch has no module for, by kind: how the function is called (`profiles.kinds`), and what makes it."""
