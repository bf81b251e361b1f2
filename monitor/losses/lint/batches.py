"""Random batches to check a loss with, and the loss's gradient on a batch."""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor.domain import formats
from monitor.losses.lint.report import Problem
from monitor.losses.profiles.layout import Array, Fixed
from monitor.losses.profiles.subject import Subject, differentiable, number

BATCH: Final = 6
AROUND_TARGETS: Final = frozenset({"regression", "gaussian", "masked"})
"""Kinds whose prediction should be the target."""
OVER_CLASSES: Final = frozenset({"classification", "log_probs", "masked_classes"})
POINTWISE: Final = frozenset({*AROUND_TARGETS, "count", "binary", "probability", "margin", "distance"})
"""Kinds with one number per example: only there does an accidental broadcast go unnoticed."""
SCORES: Final = frozenset({*OVER_CLASSES, "binary", "probability", "margin", "multilabel"})
"""Kinds in which a higher score for the right answer is always better."""


def batch(subject: Subject, seed: int, *, n: int = BATCH, scale: float = 1.0) -> tuple[Array, Fixed]:
    """A random batch of predictions and targets; regression predictions lie around their targets."""
    rng = np.random.default_rng(seed)
    fixed = subject.kind.targets(rng, n)
    z = rng.normal(0, scale, (n, subject.kind.width))
    if subject.kind.name in AROUND_TARGETS:
        z[:, 0] += np.asarray(fixed[0], float)
    return z, fixed


def backward(subject: Subject, z: Array, fixed: Fixed, dtype: str = "float64") -> tuple[float, list[Array]]:
    """The loss of a batch, and its gradient with respect to each argument with predictions; empty if it has none."""
    inputs = list(subject.inputs(z, fixed, dtype))
    for k in range(len(inputs) - len(fixed) or 1):
        inputs[k] = inputs[k].detach().clone().requires_grad_(True)  # type: ignore[attr-defined]  # a torch tensor
    result = subject.call(inputs, dtype)
    value = number(subject.name, result)
    if not differentiable(result):
        return value, []
    result.backward()  # type: ignore[attr-defined]  # a torch tensor
    found = []
    for item in inputs[: len(inputs) - len(fixed) or 1]:
        grad = item.grad  # type: ignore[attr-defined]  # a torch tensor
        found.append(np.zeros(item.shape) if grad is None else np.asarray(grad.double().numpy()))  # type: ignore[attr-defined]
    return value, found


def no_gradient(subject: Subject) -> Problem | None:
    """Training needs a gradient."""
    if subject.backend != "torch":
        return None
    mend = "Take out detach(), item(), no_grad, argmax, round or a comparison between the prediction and the result."
    values = []
    for seed in range(6):
        z, fixed = batch(subject, seed)
        subject.value(z, fixed)
        try:
            value, found = backward(subject, z, fixed)
        except RuntimeError as error:
            said = str(error).strip().splitlines()[0]
            return Problem(check="no_gradient", evidence=f"The backward pass fails: {said.rstrip('.')}.", mend=mend)
        values.append(value)
        if any(np.abs(gradient).max() > 0 for gradient in found):
            return None
    how = "It has no gradient: nothing connects the result to the prediction"
    if found:
        ends = f"{formats.number(min(values), 3)} to {formats.number(max(values), 3)}"
        how = f"Its gradient is exactly 0 for {len(values)} random batches, whose losses run from {ends}"
    return Problem(check="no_gradient", evidence=f"{how}.", mend=mend)
