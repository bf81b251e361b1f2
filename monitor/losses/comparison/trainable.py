"""Losses by name as torch callables, and as a small model is trained with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from monitor.errors import LossError
from monitor.losses.comparison.boxes import decoded, encoded
from monitor.losses.comparison.functions import torch_function, weighted
from monitor.losses.comparison.pairs import METRIC, RANKING
from monitor.losses.specs.boxes import BOX_KINDS
from monitor.losses.specs.composite import Composite
from monitor.losses.specs.parsing import parse
from monitor.losses.specs.spec import LossSpec

if TYPE_CHECKING:
    from torch import Tensor

TorchLoss = Callable[["Tensor", "Tensor"], "Tensor"]

_REGRESSION = ("regression",)
_BINARY = ("binary",)
TASKS: Mapping[str, tuple[str, ...]] = {
    "cross_entropy": ("classification", "binary"),
    "language_model": ("classification",),
    "focal": ("classification", "binary"),
    "generalised_cross_entropy": ("classification",),
    "multi_margin": ("classification",),
    "binary_cross_entropy": ("binary", "ranking"),
    "hinge": _BINARY,
    "dice": _BINARY,
    "iou": _BINARY,
    "tversky": _BINARY,
    "mse": ("regression", "counts", "ranking", "boxes"),
    "rmse": _REGRESSION,
    "mae": ("regression", "counts", "boxes"),
    "huber": ("regression", "counts", "boxes"),
    "smooth_l1": ("regression", "boxes"),
    "log_cosh": _REGRESSION,
    "cauchy": _REGRESSION,
    "barron": _REGRESSION,
    "quantile": _REGRESSION,
    "poisson_nll": ("counts",),
    **dict.fromkeys(BOX_KINDS, ("boxes",)),
    **dict.fromkeys(METRIC, ("metric",)),
    **dict.fromkeys(RANKING, ("ranking",)),
}
"""The tasks that a small model can be trained for with each kind, the usual one first."""


def tasks_of(spec: LossSpec) -> tuple[str, ...]:
    """The tasks of a specification; for a composite, the tasks that all its parts share.

    Example:
        >>> tasks_of(parse("composite(bce=bce, dice=dice)"))
        ('binary',)
    """
    if isinstance(spec, Composite):
        each = [tasks_of(part) for part in spec.parts.values()]
        return tuple(task for task in each[0] if all(task in other for other in each))
    return TASKS.get(spec.kind, ())


def resolve(loss: object, task: str | None = None) -> tuple[str, TorchLoss, tuple[str, ...]]:
    """A loss as (name, callable, tasks); no tasks if only the user knows them.

    Args:
        loss: a string for `parse`, a specification, or a torch callable of (logits, labels) or (prediction, target).
        task: the task to train; default its first one.

    Raises:
        LossError: a small model cannot be trained with the specification, or not for this task.

    Example:
        >>> resolve("huber(0.5)")[0], resolve("cross_entropy(label_smoothing=0.1)")[2][0]
        ('huber(0.5)', 'classification')
    """
    if isinstance(loss, (str, LossSpec)):
        spec = parse(loss) if isinstance(loss, str) else loss
        tasks = tasks_of(spec)
        if not tasks:
            raise LossError(spec.kind, "compare cannot train with it", f"take one of {', '.join(TASKS)}")
        if task is not None and task not in tasks:
            raise LossError(spec.kind, f"it is not for {task}", f"it trains {' or '.join(tasks)}")
        return (loss if isinstance(loss, str) else spec.name), trainer(spec, task or tasks[0]), tasks
    if not callable(loss):
        raise LossError(repr(loss), "it is not a loss", "give a name, a specification or a torch callable")
    name = repr(loss) if hasattr(loss, "state_dict") else str(getattr(loss, "__name__", type(loss).__name__))
    return name, _of_boxes(cast(TorchLoss, loss)) if task == "boxes" else cast(TorchLoss, loss), ()


def trainer(spec: LossSpec, task: str) -> TorchLoss:
    """The loss of a model's outputs and a batch's targets.

    Args:
        spec: a specification with this task.
        task: "regression" and "binary" take (n,), "classification" (n, classes), "counts" the logarithm of the rate,
            "ranking" scores and relevances of one list (n,), "metric" embeddings (n, d) and labels (n,), "boxes" the
            outputs that `decoded` turns into boxes, and boxes (n, 4).
    """
    if isinstance(spec, Composite):
        return weighted([(spec.weight(name), trainer(part, task)) for name, part in spec.parts.items()])
    if spec.kind in METRIC:
        return METRIC[spec.kind](spec)
    if spec.kind in RANKING:
        return RANKING[spec.kind](spec)
    return _fed(torch_function(spec, binary=task == "binary"), spec.kind, task)


def _fed(function: TorchLoss, kind: str, task: str) -> TorchLoss:
    """A torch function that receives the inputs it expects."""
    if task == "boxes":  # the other losses receive encoded boxes
        return _of_boxes(function) if kind in BOX_KINDS else _of_deltas(function)
    if task == "counts" and kind != "poisson_nll":
        return lambda out, y: function(out.clamp(max=20).exp(), y)
    if task == "binary" and kind == "hinge":
        return lambda out, y: function(out, 2 * y - 1)
    return function


def _of_boxes(function: TorchLoss) -> TorchLoss:
    """Turn a loss of boxes into one of a network's outputs."""
    import torch

    return lambda out, y: function(decoded(torch, out), y)


def _of_deltas(function: TorchLoss) -> TorchLoss:
    """A regression of a network's outputs to the outputs that would yield the target boxes."""
    import torch

    return lambda out, y: function(out, encoded(torch, y))
