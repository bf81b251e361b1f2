"""The checks of the linter; each is a function of a subject, and gives a problem or None."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from monitor.losses.lint.pieces import along, kink
from monitor.losses.lint.report import Problem
from monitor.losses.profiles.layout import Array, Fixed, Slice
from monitor.losses.profiles.subject import Subject, number
from monitor.losses.specs.torch_modules import torch_name

BATCH: Final = 6
POINTWISE: Final = frozenset({"regression", "gaussian", "count", "binary", "probability", "margin", "distance"})
"""Kinds of one number for each example: only there does a broadcast go unnoticed."""
SCORES: Final = frozenset({"classification", "log_probs", "binary", "probability", "margin", "multilabel"})
"""Kinds in which more is always better for the right answer."""
USED: Final = {"count": 20.0, "boxes": 5.0, "probability": 25.0, "sequence": 20.0, "distance": 100.0, "margin": 60.0}
"""Errors that occur in use, at most, by kind; 120 elsewhere, so that a logit far off, or an unscaled target, counts."""
EXTREME: Final = 120.0


def batch(subject: Subject, seed: int, *, n: int = BATCH, scale: float = 1.0) -> tuple[Array, Fixed]:
    """A random batch of predictions and targets; regressions lie around their targets."""
    rng = np.random.default_rng(seed)
    fixed = subject.kind.targets(rng, n)
    z = rng.normal(0, scale, (n, subject.kind.width))
    if subject.kind.name in ("regression", "gaussian"):
        z[:, 0] += np.asarray(fixed[0], float)
    return z, fixed


def example(fixed: Fixed, i: int) -> Fixed:
    """One example's targets."""
    return tuple(item[i : i + 1] for item in fixed)


def backward(subject: Subject, z: Array, fixed: Fixed, dtype: str = "float64") -> tuple[float, Array | None]:
    """The loss of a batch and its gradient to the callable's first argument; None where there is none."""
    inputs = list(subject.inputs(z, fixed, dtype))
    first = inputs[0].detach().clone().requires_grad_(True)  # type: ignore[attr-defined]  # a torch tensor
    result = subject.function(dtype)(first, *inputs[1:])
    value = number(subject.name, result)
    if not getattr(result, "requires_grad", False):
        return value, None
    result.backward()  # type: ignore[attr-defined]  # a torch tensor
    return value, None if first.grad is None else np.asarray(first.grad.double().numpy())


def no_gradient(subject: Subject) -> Problem | None:
    """Training needs a gradient."""
    if subject.backend != "torch":
        return None
    values = []
    for seed in range(6):
        value, gradient = backward(subject, *batch(subject, seed))
        values.append(value)
        if gradient is not None and np.abs(gradient).max() > 0:
            return None
    how = "it has no gradient: nothing connects the result to the prediction"
    if gradient is not None:
        how = f"its gradient is exactly 0 for {len(values)} random batches, whose losses run from {min(values):.3g} to "
        how += f"{max(values):.3g}"
    return Problem(
        check="no_gradient",
        evidence=f"{how[0].upper()}{how[1:]}.",
        mend="Take out detach(), item(), no_grad, argmax, round or a comparison between the prediction and the result.",
    )


def broadcast(subject: Subject) -> Problem | None:
    """The mean over all pairs of examples, instead of over the examples."""
    if subject.kind.name not in POINTWISE:
        return None
    z, fixed = batch(subject, 1)
    each = np.array(
        [[subject.value(z[i : i + 1], example(fixed, j)) for j in range(BATCH)] for i in range(BATCH)], float
    )
    got = subject.value(z, fixed)
    for word, by in (("mean", np.mean), ("sum", np.sum)):
        own, crossed = float(by(np.diag(each))), float(by(each))
        if (
            math.isfinite(got)
            and abs(got - crossed) <= 1e-6 * abs(crossed)
            and abs(own - crossed) > 1e-3 * abs(crossed)
        ):
            return Problem(
                check="broadcast",
                evidence=f"For {BATCH} examples it gives {got:.4g}, the {word} over all {BATCH} x {BATCH} pairs of a "
                f"prediction and a target; the {word} over the examples is {own:.4g}.",
                mend="Give both the same shape, by squeeze(-1) or view_as: (n, 1) against (n,) is broadcast to (n, n).",
            )
    return None


def summed(subject: Subject) -> Problem | None:
    """A sum over the batch, where a mean was meant."""
    if subject.reduction != "sum":
        return None
    z, fixed = batch(subject, 2)
    once, twice = (subject.value(np.tile(z, (k, 1)), _tiled(fixed, k)) for k in (1, 4))
    return Problem(
        check="sum",
        evidence=f"Four times the same examples cost {twice:.4g} instead of {once:.4g}: the examples are summed.",
        mend="Average over them (.mean()), or the step grows with the batch; keep the sum only inside an example.",
    )


def _tiled(fixed: Fixed, times: int) -> Fixed:
    return tuple(np.concatenate([item] * times) for item in fixed)


def reversed_sign(subject: Subject) -> Problem | None:
    """A better prediction costs more, all the way."""
    worse, better = [], []
    for line in subject.kind.slices:
        if subject.kind.name in SCORES or subject.kind.name in ("triplet", "ranking", "sequence"):
            values = along(subject, line, (-8, -3, -1, 0, 1, 3, 8))
        elif subject.kind.name in ("regression", "gaussian", "boxes", "paired"):
            values = along(subject, line, (0, 0.3, 1, 3) if subject.kind.name == "boxes" else (0, 0.5, 1, 3, 8))
        else:
            return None
        if not np.isfinite(values).all():
            return None
        steps = np.diff(values)
        worse.append(bool((steps <= 1e-12).all() and values[0] - values[-1] > 1e-9))
        better.append((values[0], values[-1]))
    if not worse or not all(worse):
        return None
    good, bad = better[0]
    return Problem(
        check="sign",
        evidence=f"A right prediction costs {good:.4g}, a wrong one {bad:.4g}: training makes the model worse.",
        mend="Reverse the sign: return the loss, not the score; 1 - overlap, -log p.",
    )


def unbounded(subject: Subject) -> Problem | None:
    """A loss that has no lowest value is never done."""
    reach = subject.kind.reach
    for line in subject.kind.slices:
        for sign in (1.0, -1.0):
            if subject.kind.name == "distance" and float(line.z(sign * reach)[0]) < 0:
                continue  # there are no negative distances
            values = along(subject, line, [sign * reach * share for share in (0.01, 0.1, 1.0)])
            if np.isfinite(values).all() and values[2] < min(-1.0, 5 * values[1]) and values[1] < values[0]:
                return Problem(
                    check="unbounded",
                    evidence=f"It falls without end ({line.name}): {values[1]:.4g} at error {sign * reach / 10:g}, "
                    f"{values[2]:.4g} at {sign * reach:g}.",
                    mend="Look at the sign of each term, or clamp it (a hinge, a square): the model would run away.",
                )
    return None


def minimiser(subject: Subject) -> Problem | None:
    """For a regression, the target itself is the best prediction."""
    if subject.kind.name not in ("regression", "gaussian"):
        return None
    line = subject.kind.slices[0]
    target = float(str(line.fixed[0][0]))
    for moved in (0.0, 0.7, 2.0):
        fixed = (np.array([target + moved]), *line.fixed[1:])
        errors = np.array([-3.0, -1.0, -0.3, -0.1, 0.0, 0.1, 0.3, 1.0, 3.0])
        values = np.array([subject.value(np.array([[target + moved + e]]), fixed) for e in errors])
        values = np.where(np.isfinite(values), values, np.inf)
        best = int(values.argmin())
        around = max(values[1], values[7]) - values[best]  # a smoothed quantile may lie a little beside its target
        if not math.isfinite(values[4]) or values[4] - values[best] <= max(1e-9, 0.05 * min(around, 1e300)):
            continue
        return Problem(
            check="minimiser",
            evidence=f"For a target of {target + moved:g} the prediction {target + moved + errors[best]:g} costs "
            f"{values[best]:.4g}, the target itself {values[4]:.4g}.",
            mend="The lowest loss must be at the target: look for a wrong sign, factor or order of the arguments.",
        )
    return None


def direction(subject: Subject) -> Problem | None:
    """For scores, a step towards the right answer must not cost more than it did."""
    if subject.kind.name not in SCORES:
        return None
    for line in subject.kind.slices:
        errors = [0.0, 0.5, 1.0, 2.0, 4.0]
        values = along(subject, line, errors)
        if np.isfinite(values).all() and (np.diff(values) < -1e-9 * np.abs(values[:-1])).any():
            k = int(np.argmin(np.diff(values)))
            return Problem(
                check="direction",
                evidence=f"A more wrong answer costs less ({line.name}): {values[k]:.4g} at error {errors[k]:g}, "
                f"{values[k + 1]:.4g} at {errors[k + 1]:g}.",
                mend="Look for a wrong sign, index or order of the arguments.",
            )
    return None


_SQUASHED: Final[tuple[tuple[str, str, Callable[[int], tuple[float, float]], str], ...]] = (
    (
        "classification",
        "softmax (or a sigmoid) stands before a cross-entropy that applies its own",
        lambda c: (math.log1p((c - 1) / math.e), math.log1p((c - 1) * math.exp(1 / (c - 1)))),
        "Give it the raw logits.",
    ),
    (
        "classification",
        "nll_loss is given probabilities, not their logarithm",
        lambda _: (-1.0, 0.0),
        "Use log_softmax before nll_loss, or cross_entropy on the raw logits.",
    ),
    (
        "binary",
        "a sigmoid stands before a binary cross-entropy that applies its own",
        lambda _: (math.log1p(math.exp(-1)), math.log(2)),
        "Give it the raw logits, or use binary_cross_entropy on the probabilities.",
    ),
)


def squashed(subject: Subject) -> Problem | None:
    """A loss over scores that no prediction, however sure, brings near its lowest value."""
    if subject.kind.name not in ("classification", "binary", "multilabel"):
        return None
    line = subject.kind.slices[0]
    best, start, worst = along(subject, line, (-EXTREME, 0.0, EXTREME))
    if not all(map(math.isfinite, (best, start, worst))):
        return None
    for kind, what, levels, mend in _SQUASHED:
        if subject.kind.name != kind:
            continue
        low, high = levels(subject.kind.width)
        if abs(best - low) < 1e-6 and abs(worst - high) < 1e-6:
            return Problem(
                check="squashed",
                evidence=f"{what[0].upper()}{what[1:]}: a sure and right answer costs {best:.3g}, a sure and wrong one "
                f"{worst:.3g}, and nothing lies beyond.",
                mend=mend,
            )
    further = subject.at(line, 2 * EXTREME)
    if best > 0.15 * start and best > 1e-6 and abs(further - worst) <= 1e-3 * abs(worst):
        return Problem(
            check="squashed",
            evidence=f"The best reachable value is {best:.3g}, for a sure and right answer; an undecided one costs "
            f"{start:.3g}.",
            mend="Look for a softmax or sigmoid that is applied twice.",
        )
    return None


def gradients(subject: Subject) -> Problem | None:
    """What autograd gives against finite differences, at random places away from kinks."""
    if subject.backend != "torch" or subject.kind.name in ("sequence", "boxes", "distance"):
        return None  # not each coordinate of the argument is free
    wrong: list[tuple[float, float]] = []
    tried = 0
    for seed in range(5):
        z, fixed = batch(subject, 20 + seed, n=3)
        arguments = subject.kind.arguments(z, fixed)
        _, gradient = backward(subject, z, fixed)
        if gradient is None:
            return None
        for at in list(np.ndindex(arguments[0].shape))[:6]:
            slopes = [_difference(subject, arguments, at, step) for step in (1e-5, 2e-5)]
            size = max(abs(slopes[0]), abs(float(gradient[at])))
            if not all(map(math.isfinite, slopes)) or size < 1e-7 or abs(slopes[0] - slopes[1]) > 1e-3 * size:
                continue
            tried += 1
            if abs(slopes[0] - float(gradient[at])) > 1e-2 * size:
                wrong.append((float(gradient[at]), slopes[0]))
    if len(wrong) <= tried / 3:
        return None
    got, right = wrong[0]
    return Problem(
        check="gradient",
        evidence=f"Autograd differs from finite differences at {len(wrong)} of {tried} places: {got:.4g} instead of "
        f"{right:.4g}.",
        mend="Correct the backward of your own autograd.Function, or take out a detach() or no_grad inside.",
    )


def _difference(subject: Subject, arguments: Fixed, at: tuple[int, ...], step: float) -> float:
    """The central difference in one coordinate of the first argument."""
    import torch

    found = []
    for sign in (1.0, -1.0):
        first = arguments[0].copy()
        first[at] += sign * step
        tensors = [torch.from_numpy(np.ascontiguousarray(item)) for item in (first, *arguments[1:])]
        with torch.no_grad():
            found.append(float(subject.function("float64")(*tensors)))  # type: ignore[arg-type]  # one number
    return (found[0] - found[1]) / (2 * step)


def overflow(subject: Subject) -> Problem | None:
    """NaN or infinity, in value or gradient, where predictions lie in use; in float32.

    A score stands among others, as it does in training: an overlap of masks is not asked for one perfect pixel.
    """
    reach = USED.get(subject.kind.name, EXTREME)
    for line in subject.kind.slices:
        inside = math.isfinite(subject.at(line, 0.0)) or math.isfinite(subject.at(line, 0.5))
        positive = float(str(line.fixed[0][0])) if subject.kind.name == "regression" else 0.0
        for size in (0.0, 0.1, 1.0, 10.0, 0.5 * reach, reach):
            for error in {size, -size} if inside else set():
                if size > reach or (positive > 0 and positive + error <= 0):
                    continue  # a regression that is laid around a positive target knows no other predictions
                value, gradient = _among_others(subject, line, error)
                what = "loss" if not math.isfinite(value) else "gradient"
                if math.isfinite(value) and (gradient is None or np.isfinite(gradient).all()):
                    continue
                bad = value if gradient is None or what == "loss" else float(gradient[~np.isfinite(gradient)][0])
                return Problem(
                    check="overflow",
                    evidence=f"In float32 the {what} is {bad:g} at error {error:g} ({line.name}).",
                    mend="Use log_softmax, logsigmoid, softplus or logaddexp instead of log and exp, and add a small "
                    "number under a root or a division.",
                )
    return None


def _among_others(subject: Subject, line: Slice, error: float) -> tuple[float, Array | None]:
    """The loss and its gradient in float32, of one example at an error, with others around for scores."""
    z, fixed = line.z(error)[None], line.fixed
    if subject.kind.name in SCORES:
        others, targets = batch(subject, 11)
        z = np.concatenate([z, others])
        fixed = tuple(np.concatenate([own, other]) for own, other in zip(fixed, targets, strict=True))
    if subject.backend != "torch":
        return subject.value(z, fixed, "float32"), None
    return backward(subject, z, fixed, "float32")


def mutates(subject: Subject) -> Problem | None:
    """The arguments must be as they were after the call."""
    z, fixed = batch(subject, 3)
    inputs = subject.inputs(z, fixed)
    before = [np.array(item, copy=True) for item in inputs]
    subject.function("float64")(*inputs)
    for k, (was, now) in enumerate(zip(before, inputs, strict=True)):
        if not np.array_equal(was, np.asarray(now), equal_nan=was.dtype.kind == "f"):
            return Problem(
                check="mutates",
                evidence=f"It changes its argument {k + 1} in place.",
                mend="Work on a copy: the next reader of that tensor, autograd among them, gets other numbers.",
            )
    return None


CHECKS: Final[tuple[Callable[[Subject], Problem | None], ...]] = (
    no_gradient, reversed_sign, broadcast, squashed, minimiser, direction, unbounded, overflow, gradients, kink, summed,
    mutates,
)  # fmt: skip
IMPLIED: Final = {"sign": {"unbounded", "minimiser", "direction"}, "broadcast": {"minimiser", "sum"}}
"""What need not be said where a graver thing is."""
_NEEDS_GRADIENT: Final = {"gradient", "kink", "direction", "minimiser", "squashed", "overflow"}


def problems(subject: Subject) -> tuple[Problem, ...]:
    """All that is wrong with a loss, the gravest first, without what follows from something graver."""
    found = [problem for test in CHECKS if (problem := test(subject)) is not None]
    if torch_name(subject.fn) is not None:  # torch's own sums are asked for
        found = [item for item in found if item.check != "sum"]
    names = {item.check for item in found}
    hidden = {name for graver in names for name in IMPLIED.get(graver, ())}
    hidden |= _NEEDS_GRADIENT if "no_gradient" in names else set()
    return tuple(item for item in found if item.check not in hidden)
