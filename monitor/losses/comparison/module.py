"""A loss as a torch module, and as source code that needs only torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from monitor.errors import LossError
from monitor.losses.comparison.trainable import tasks_of, trainer
from monitor.losses.specs.parsing import parse
from monitor.losses.specs.spec import LossSpec

if TYPE_CHECKING:
    from torch import Tensor, nn


def module(loss: str | LossSpec, task: str | None = None, *, unit: float = 1.0) -> nn.Module:
    """A torch module that takes a model's outputs and the targets.

    Args:
        loss: a name or a specification that `compare` can train with.
        task: as for `compare`; default the loss's first one.
        unit: for a regression, the size of an error of 1 in the targets' unit. Outputs and targets are divided by it.

    Raises:
        LossError: the loss is unknown, or does not fit the task.

    Example:
        >>> import torch
        >>> float(module("huber(0.5)", unit=10.0)(torch.tensor([30.0]), torch.tensor([0.0])))
        1.375
    """
    import torch

    spec = parse(loss) if isinstance(loss, str) else loss
    tasks = tasks_of(spec)
    chosen = task or (tasks[0] if tasks else "")
    if chosen not in tasks:
        raise LossError(spec.kind, f"it is not for {chosen or 'training'}", f"it trains {' or '.join(tasks)}")
    function = trainer(spec, chosen)
    size = unit if chosen == "regression" else 1.0

    class Loss(torch.nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
        def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
            return function(outputs, targets) if size == 1 else function(outputs / size, targets / size)

        def extra_repr(self) -> str:
            said = loss if isinstance(loss, str) else spec.name
            return said if size == 1 else f"{said}, unit={size:g}"

    return Loss()


def source(loss: str, task: str, *, unit: float = 1.0, why: str = "") -> str:
    """The source of a file with the same loss as a class `Loss`.

    It needs only torch, except for losses that form pairs within a batch: those need this package.
    """
    body = _body(parse(loss), task)
    if task == "regression" and body is not None:
        body = f"r = (outputs - targets) / {unit!r}\n        {body}"
    needs = "" if body is not None else "from monitor.losses import module\n"
    if body is None:
        body = f"return self.loss(outputs, targets)\n\n{_INIT.format(loss=loss, task=task)}"
    return _FILE.format(why=why or loss, needs=needs, body=body)


_FILE = '''"""{why}"""

import torch
{needs}

class Loss(torch.nn.Module):
    def forward(self, outputs, targets):
        {body}
'''
_INIT = """    def __init__(self):
        super().__init__()
        self.loss = module({loss!r}, {task!r})"""

_RESIDUAL: Mapping[str, str] = {
    "mse": "return (r**2).mean()",
    "mae": "return r.abs().mean()",
    "log_cosh": "return (r.abs() + torch.log1p(torch.exp(-2 * r.abs())) - 0.6931471805599453).mean()",
    "huber": "return torch.nn.functional.huber_loss(r, torch.zeros_like(r), delta={delta!r})",
    "cauchy": "return {scale!r} ** 2 / 2 * torch.log1p((r / {scale!r}) ** 2).mean()",
}
_OTHER: Mapping[str, str] = {
    "poisson_nll": "return torch.nn.functional.poisson_nll_loss(outputs, targets)",
    "binary_cross_entropy": "weight = torch.tensor({pos_weight!r}, device=outputs.device)\n        "
    "return torch.nn.functional.binary_cross_entropy_with_logits(outputs, targets, pos_weight=weight)",
    "generalised_cross_entropy": "log_p = outputs.log_softmax(1).gather(1, targets[:, None])\n        "
    "return ((1 - torch.exp({q!r} * log_p)) / {q!r}).mean()",
}


def _body(spec: LossSpec, task: str) -> str | None:
    """The statements of `forward`, or None for a loss that is not written out."""
    settings = dict(spec.params())
    if spec.kind == "barron" and task == "regression":
        return _barron(float(str(settings["alpha"])), float(str(settings["scale"])))
    if spec.kind == "cross_entropy" and task == "classification" and not settings.get("balanced"):
        smoothing = settings["label_smoothing"]
        return f"return torch.nn.functional.cross_entropy(outputs, targets, label_smoothing={smoothing!r})"
    known: Mapping[str, str] = _RESIDUAL if task == "regression" else _OTHER
    if spec.kind not in known or (spec.kind == "binary_cross_entropy" and task != "binary"):
        return None
    return known[spec.kind].format(**settings)


def _barron(alpha: float, scale: float) -> str:
    """Barron's loss at this shape, with its limits at 2 and 0."""
    squared = f"x = (r / {scale!r}) ** 2\n        "
    if abs(alpha - 2) < 1e-6:
        return f"{squared}return (x / 2).mean()"
    if abs(alpha) < 1e-6:
        return f"{squared}return torch.log1p(x / 2).mean()"
    away = abs(alpha - 2)
    return f"{squared}return {away / alpha!r} * ((x / {away!r} + 1) ** {alpha / 2!r} - 1).mean()"
