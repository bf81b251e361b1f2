"""Checks of the loss and its gradient as numbers: autograd, overflow, and a logarithm of the wrong argument."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from monitor.domain.formats import number
from monitor.losses.lint.batches import AROUND_TARGETS, SCORES, backward, batch
from monitor.losses.lint.report import Problem
from monitor.losses.profiles.layout import Array, Fixed, Slice, sigmoid
from monitor.losses.profiles.subject import Subject

USED: Final = {
    "count": 20.0, "boxes": 5.0, "probability": 25.0, "sequence": 20.0, "distance": 100.0, "margin": 60.0, "free": 20.0
}  # fmt: skip
"""The largest errors in practice, by kind; 120 elsewhere, enough for a logit far off or an unscaled target."""
EXTREME: Final = 120.0
STEPS: Final = (1e-5, 2e-5, 2e-3)
"""Steps of finite differences. If the slopes of all steps agree, there is neither a kink nor rounding noise, even if
the loss casts to float32."""


def gradients(subject: Subject) -> Problem | None:
    """Autograd must agree with finite differences at random places away from kinks.

    A custom backward must agree everywhere. Without one, a difference comes from a detach(), which is intended if it
    keeps a weight or a target constant; it is a problem only if little of the slope is left, or its direction is wrong.
    """
    if subject.backend != "torch" or subject.kind.name in ("sequence", "boxes", "distance", "free"):
        return None  # the coordinates of the argument cannot move freely
    pairs: list[tuple[float, float]] = []
    for seed in range(5):
        z, fixed = batch(subject, 20 + seed, n=3)
        arguments = subject.kind.arguments(z, fixed)
        _, found = backward(subject, z, fixed)
        if not found:
            return None
        for at in list(np.ndindex(arguments[0].shape))[:6]:
            slopes = [_difference(subject, arguments, at, step) for step in STEPS]
            size = max(abs(slopes[0]), abs(float(found[0][at])))
            if all(map(math.isfinite, slopes)) and size > 1e-7 and np.ptp(slopes) < 2e-3 * size:
                pairs.append((float(found[0][at]), slopes[0]))
    wrong = [(got, right) for got, right in pairs if abs(got - right) > 1e-2 * max(abs(got), abs(right))]
    if len(wrong) <= len(pairs) / 3 or not (_own_backward(subject) or _useless(pairs)):
        return None
    got, right = wrong[0]
    return Problem(
        check="gradient",
        evidence=f"Autograd differs from finite differences at {len(wrong)} of {len(pairs)} places: {number(got)} "
        f"instead of {number(right)}.",
        mend="Correct the backward of your own autograd.Function, or take out a detach() or no_grad inside.",
    )


def _useless(pairs: list[tuple[float, float]]) -> bool:
    """Whether a step along the gradient hardly lowers the loss."""
    got, right = np.array(pairs).T
    along = float(got @ right) / max(float(np.linalg.norm(got) * np.linalg.norm(right)), 1e-300)
    return along < 0.3 or float(np.linalg.norm(got - right)) > 0.9 * float(np.linalg.norm(right))


def _own_backward(subject: Subject) -> bool:
    """Whether a Python autograd.Function lies between the prediction and the loss."""
    import torch

    inputs = list(subject.inputs(*batch(subject, 20, n=3)))
    inputs[0] = inputs[0].detach().requires_grad_(True)  # type: ignore[attr-defined]  # a torch tensor
    queue, seen = [getattr(subject.call(inputs), "grad_fn", None)], set()
    while queue:
        node = queue.pop()
        if node is None or node in seen:
            continue
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            return True
        seen.add(node)
        queue.extend(item for item, _ in node.next_functions)
    return False


def _difference(subject: Subject, arguments: Fixed, at: tuple[int, ...], step: float) -> float:
    """The central difference in one coordinate of the first argument."""
    import torch

    found = []
    for sign in (1.0, -1.0):
        first = arguments[0].copy()
        first[at] += sign * step
        tensors = [torch.from_numpy(np.array(item, order="C")) for item in (first, *arguments[1:])]
        with torch.no_grad():
            found.append(float(subject.call(tensors)))  # type: ignore[arg-type]  # one number
    return (found[0] - found[1]) / (2 * step)


def overflow(subject: Subject) -> Problem | None:
    """NaN or infinity, in value or gradient, where predictions lie in practice; in float32.

    A score is evaluated in a batch, as in training: an overlap of masks is not tested on a single perfect pixel.
    """
    reach = USED.get(subject.kind.name, EXTREME)
    for line in subject.kind.slices:
        inside = math.isfinite(subject.at(line, 0.0)) or math.isfinite(subject.at(line, 0.5))
        positive = float(str(line.fixed[0][0])) if subject.kind.name == "regression" else 0.0
        for size in (0.0, 0.1, 1.0, 10.0, 0.5 * reach, reach):
            for error in {size, -size} if inside else set():
                if size > reach or (positive > 0 and positive + error <= 0):
                    continue  # around a positive target, only positive predictions make sense
                bad = _not_finite(subject, *_among_others(subject, line, error, positive))
                if bad:
                    return _overflows(f"In float32 {bad} at error {error:g} ({line.name}).")
    if subject.kind.name == "triplet":
        bad = _not_finite(subject, np.ones((2, subject.kind.width)), ())
        if bad:
            return _overflows(f"In float32 {bad} where the embeddings are equal, as collapsed or repeated ones are.")
    return None


def _overflows(evidence: str) -> Problem:
    return Problem(
        check="overflow",
        evidence=evidence,
        mend="Use log_softmax, logsigmoid, softplus or logaddexp instead of log and exp, and add a small number under "
        "a root or a division.",
    )


def _not_finite(subject: Subject, z: Array, fixed: Fixed) -> str:
    """What is NaN or infinite in float32, the loss or its gradient; empty if nothing is."""
    if subject.backend != "torch":
        value = subject.value(z, fixed, "float32")
        found: list[Array] = []
    else:
        value, found = backward(subject, z, fixed, "float32")
    if not math.isfinite(value):
        return f"the loss is {value:g}"
    bad = [float(gradient[~np.isfinite(gradient)][0]) for gradient in found if not np.isfinite(gradient).all()]
    return f"the gradient is {bad[0]:g}" if bad else ""


def _among_others(subject: Subject, line: Slice, error: float, positive: float) -> tuple[Array, Fixed]:
    """A batch with one example at an error: among random others for scores, others equally far off for a regression.

    So a correlation is not computed from one example, or from equal predictions.
    """
    z, fixed = line.z(error)[None], line.fixed
    if subject.kind.name in SCORES:
        others, targets = batch(subject, 11)
    elif subject.kind.name in AROUND_TARGETS and positive == 0:
        targets = subject.kind.targets(np.random.default_rng(11), 5)
        others = np.asarray(targets[0], float)[:, None] + error
    else:
        return z, fixed
    return np.concatenate([z, others]), tuple(np.concatenate(pair) for pair in zip(fixed, targets, strict=True))


def target_logged(subject: Subject) -> Problem | None:
    """The logarithm of the target instead of the prediction: steep, and linear in the probability."""
    if subject.kind.name not in ("binary", "probability"):
        return None
    z = np.linspace(-3, 3, 7)
    for line in subject.kind.slices:
        values = np.array([subject.value(np.array([[point]]), line.fixed) for point in z])
        slopes = np.diff(values) / np.diff(sigmoid(z))
        if not np.isfinite(slopes).all() or abs(slopes[0]) < 5 or np.ptp(slopes) > 1e-6 * abs(slopes[0]):
            continue
        return Problem(
            check="order",
            evidence=f"The loss is a straight line in the predicted probability, of slope {number(slopes[0], 3)} "
            f"({line.name}): it takes the logarithm of the target.",
            mend="Give the prediction first and the target second to the cross-entropy inside.",
        )
    return None
