"""Adversarial attacks on the inputs, and training methods that resist them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.errors import LossError
from monitor.losses.specs.parameters import number

if TYPE_CHECKING:
    from torch import Tensor

ATTACKS = ("fgsm", "pgd")
ATTACKED = ("classification", "binary", "regression")
STEPS = 10
"""Steps of projected gradient descent."""
INNER = 3
"""Steps towards the attacked inputs during training."""

Model = Callable[["Tensor"], "Tensor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """A bounded change of the inputs that makes the task's usual loss as large as possible.

    Every model is attacked with the usual loss, whatever loss it was trained with: a model whose own loss is flat would
    only appear safe.

    Attributes:
        name: "fgsm", one step along the sign of the gradient (Goodfellow, Shlens, Szegedy 2014, arXiv:1412.6572), or
            "pgd", ten smaller steps from a random start, which is stronger (Madry et al. 2017, arXiv:1706.06083).
        eps: the largest change of an input, in its standard deviations.
        task: one of `ATTACKED`.
    """

    name: str
    eps: float
    task: str

    def __post_init__(self) -> None:
        if self.name not in ATTACKS:
            raise LossError("compare", f"attack is {self.name!r}", f"write one of {', '.join(ATTACKS)}")
        number("compare", "eps", self.eps, above=0)
        if self.task not in ATTACKED:
            raise LossError("compare", f"{self.task} has no attack", f"attack one of {', '.join(ATTACKED)}")

    def inputs(self, model: Model, x: Tensor, y: Tensor, free: Tensor) -> Tensor:
        """The attacked inputs (n, d).

        Args:
            model: returns outputs (n, k).
            y: labels or targets, as used in training.
            free: (d,) 1 for inputs that may change, 0 for constant ones.
        """
        import torch

        step, count = (self.eps, 1) if self.name == "fgsm" else (self.eps / 4, STEPS)
        start = x if self.name == "fgsm" else x + free * self.eps * (2 * torch.rand_like(x) - 1)
        return _ascent(lambda z: usual(model(z), y, self.task), x, start, step * free, self.eps, count)


def _ascent(
    loss: Callable[[Tensor], Tensor], x: Tensor, start: Tensor, step: Tensor | float, eps: float, count: int
) -> Tensor:
    """Take steps along the sign of the gradient and stay within `eps` of x."""
    import torch

    found = start.detach()
    for _ in range(count):
        found.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(found), found)
        found = (x + (found + step * gradient.sign() - x).clamp(-eps, eps)).detach()
    return found


def usual(out: Tensor, y: Tensor, task: str) -> Tensor:
    """The task's usual loss of outputs (n, k)."""
    from torch.nn import functional

    if task == "classification":
        return functional.cross_entropy(out, y)
    shaped = y.reshape(out.shape)
    if task == "binary":
        return functional.binary_cross_entropy_with_logits(out, shaped)
    return functional.mse_loss(out, shaped)


@dataclass(frozen=True, slots=True)
class Defence:
    """Training on attacked inputs. It needs the model, so it is not a loss of outputs and targets.

    Attributes:
        name: as the user wrote it.
        eps: of the attack.
        task: "classification" or "binary".
        beta: weight of the second term of TRADES; None for plain adversarial training.
    """

    name: str
    eps: float
    task: str
    beta: float | None

    def loss(self, model: Model, x: Tensor, y: Tensor) -> Tensor:
        """The loss of a batch."""
        import torch

        step = self.eps / 2
        if self.beta is None:
            attacked = _ascent(lambda z: usual(model(z), y, self.task), x, x, step, self.eps, INNER)
            return usual(model(attacked), y, self.task)
        clean = model(x)
        fixed, start = clean.detach(), x + 0.001 * torch.randn_like(x)
        attacked = _ascent(lambda z: self._apart(fixed, model(z)), x, start, step, self.eps, INNER)
        return usual(clean, y, self.task) + self.beta * self._apart(clean, model(attacked))

    def _apart(self, clean: Tensor, attacked: Tensor) -> Tensor:
        """The distance between the predicted probabilities (Kullback-Leibler)."""
        import torch

        if self.task == "binary":
            clean, attacked = (torch.cat([torch.zeros_like(z), z], 1) for z in (clean, attacked))
        return torch.nn.functional.kl_div(
            attacked.log_softmax(1), clean.log_softmax(1), reduction="batchmean", log_target=True
        )


_DEFENCE = re.compile(r"(trades|adversarial)(?:\((?:beta=)?(\d+(?:\.\d*)?)\))?")


def is_defence(loss: object) -> bool:
    """Whether it is `trades`, `trades(6)` or `adversarial`."""
    return isinstance(loss, str) and _DEFENCE.fullmatch(loss) is not None


def defence(loss: object, attack: Attack | None, task: str) -> Defence | None:
    """The defence of this name, or None if it is a loss.

    Source: Zhang et al., Theoretically Principled Trade-off between Robustness and Accuracy (ICML 2019),
    arXiv:1901.08573, equation 5; here with three steps towards the attacked inputs.

    Raises:
        LossError: there is no attack, or the task has no such training.
    """
    found = _DEFENCE.fullmatch(loss) if isinstance(loss, str) else None
    if found is None:
        return None
    if attack is None:
        raise LossError(found[0], "it trains against an attack, and none is given", "give an attack (fgsm) and its eps")
    if task == "regression":
        raise LossError(found[0], "it is not for regression", "it trains classification or binary")
    return Defence(found[0], attack.eps, task, float(found[2] or 6) if found[1] == "trades" else None)


def attack_of(name: str | None, eps: float | None, task: str) -> Attack | None:
    """The requested attack, or None.

    Raises:
        LossError: one of the two is missing or unusable.
    """
    if name is None and eps is None:
        return None
    if name is None or eps is None:
        raise LossError("compare", "an attack has a name and an eps", "give both, such as fgsm and 0.1")
    return Attack(name=name, eps=eps, task=task)
