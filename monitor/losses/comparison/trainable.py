"""Losses by name as torch callables that a small model can be trained with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from monitor.errors import LossError
from monitor.losses.specs.parsing import parse
from monitor.losses.specs.regression import Quantile
from monitor.losses.specs.spec import LossSpec

if TYPE_CHECKING:
    from torch import Tensor

TorchLoss = Callable[["Tensor", "Tensor"], "Tensor"]

TASKS: Mapping[str, str] = {
    "cross_entropy": "classification",
    "focal": "classification",
    "multi_margin": "classification",
    "huber": "regression",
    "mae": "regression",
    "mse": "regression",
    "quantile": "regression",
    "smooth_l1": "regression",
}
"""Kinds that `compare` can train with, and what for."""


def resolve(loss: object) -> tuple[str, TorchLoss, str | None]:
    """A loss as (name, callable, task); the task is None where only the user knows it.

    Args:
        loss: a string for `parse`, "generalised_cross_entropy" or "cauchy"; a specification; or a torch callable of
            (logits, labels) or (prediction, target).

    Raises:
        LossError: a specification that no small model of one output can be trained with.

    Example:
        >>> resolve("huber(0.5)")[0], resolve("cross_entropy(label_smoothing=0.1)")[2]
        ('huber(0.5)', 'classification')
    """
    if isinstance(loss, str) and loss in _EXTRA:
        function, task = _EXTRA[loss]
        return loss, function, task
    if isinstance(loss, (str, LossSpec)):
        spec = parse(loss) if isinstance(loss, str) else loss
        if spec.kind not in TASKS:
            raise LossError(spec.kind, "compare cannot train with it", f"take one of {', '.join([*TASKS, *_EXTRA])}")
        return (loss if isinstance(loss, str) else spec.name), _build(spec), TASKS[spec.kind]
    if not callable(loss):
        raise LossError(repr(loss), "it is no loss", "give a name, a specification or a torch callable")
    name = repr(loss) if hasattr(loss, "state_dict") else str(getattr(loss, "__name__", type(loss).__name__))
    return name, loss, None


def _generalised(logits: Tensor, labels: Tensor) -> Tensor:
    """Zhang and Sabuncu 2018, arXiv:1805.07836, at q = 0.7."""
    p = logits.softmax(1).gather(1, labels[:, None])[:, 0]
    return ((1 - (p + 1e-7) ** 0.7) / 0.7).mean()


def _cauchy(prediction: Tensor, target: Tensor) -> Tensor:
    return ((prediction - target) ** 2).log1p().mean()


_EXTRA: Mapping[str, tuple[TorchLoss, str]] = {
    "generalised_cross_entropy": (_generalised, "classification"),
    "cauchy": (_cauchy, "regression"),
}


def _build(spec: LossSpec) -> TorchLoss:
    """The function of torch with the specification's settings."""
    from torch import nn

    settings = spec.params()
    reduction = str(settings["reduction"])
    if spec.kind == "cross_entropy":
        return _cross_entropy(settings, reduction)
    if spec.kind == "focal":
        return _focal(settings)
    if isinstance(spec, Quantile):
        return _quantile(spec.q)
    plain: Mapping[str, Callable[[], TorchLoss]] = {
        "multi_margin": lambda: nn.MultiMarginLoss(p=settings["p"], margin=settings["margin"], reduction=reduction),
        "huber": lambda: nn.HuberLoss(delta=settings["delta"], reduction=reduction),
        "mae": lambda: nn.L1Loss(reduction=reduction),
        "mse": lambda: nn.MSELoss(reduction=reduction),
        "smooth_l1": lambda: nn.SmoothL1Loss(beta=settings["beta"], reduction=reduction),
    }
    return plain[spec.kind]()


def _cross_entropy(settings: Mapping[str, object], reduction: str) -> TorchLoss:
    import torch

    weights = settings["class_weights"]
    module: TorchLoss = torch.nn.CrossEntropyLoss(
        weight=None if weights is None else torch.tensor(weights),
        label_smoothing=settings["label_smoothing"],
        reduction=reduction,
    )
    return module


def _focal(settings: Mapping[str, object]) -> TorchLoss:
    gamma = float(str(settings["gamma"]))

    def focal(logits: Tensor, labels: Tensor) -> Tensor:
        log_p = logits.log_softmax(1).gather(1, labels[:, None])[:, 0]
        return -((1 - log_p.exp()) ** gamma * log_p).mean()

    return focal


def _quantile(q: float) -> TorchLoss:
    def pinball(prediction: Tensor, target: Tensor) -> Tensor:
        import torch

        residual = target - prediction
        return torch.maximum(q * residual, (q - 1) * residual).mean()

    return pinball
