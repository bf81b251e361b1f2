"""The checks of the linter; each takes a subject and returns a problem or None."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from monitor.domain.formats import number
from monitor.errors import LossError
from monitor.losses.lint.batches import AROUND_TARGETS, BATCH, POINTWISE, SCORES, batch, no_gradient
from monitor.losses.lint.free import FREE
from monitor.losses.lint.numbers import EXTREME, gradients, overflow, target_logged
from monitor.losses.lint.pieces import kink
from monitor.losses.lint.report import Problem
from monitor.losses.lint.structure import ignores_target, mask, wrong_axis
from monitor.losses.profiles.layout import Fixed
from monitor.losses.profiles.subject import Subject
from monitor.losses.specs.torch_modules import torch_name


def example(fixed: Fixed, i: int) -> Fixed:
    """One example's targets."""
    return tuple(item[i : i + 1] for item in fixed)


def broadcast(subject: Subject) -> Problem | None:
    """The loss averages over all pairs of examples instead of over the examples."""
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
                evidence=f"For {BATCH} examples it gives {number(got)}, the {word} over all {BATCH} x {BATCH} pairs of "
                f"a prediction and a target; the {word} over the examples is {number(own)}.",
                mend="Give both the same shape, by squeeze(-1) or view_as: (n, 1) against (n,) is broadcast to (n, n).",
            )
    return None


def summed(subject: Subject) -> Problem | None:
    """The loss sums over the batch instead of averaging."""
    z, fixed = batch(subject, 2)
    once, twice = (subject.value(np.tile(z, (k, 1)), _tiled(fixed, k)) for k in (1, 4))
    if not abs(twice - 4 * once) <= 1e-6 * abs(twice) or abs(once) < 1e-9 or _sums_outputs(subject):
        return None
    return Problem(
        check="sum",
        evidence=f"Four times the same examples cost {number(twice)} instead of {number(once)}: "
        "the examples are summed.",
        mend="Average over them (.mean()), or the step grows with the batch; keep the sum only inside an example.",
    )


def _sums_outputs(subject: Subject) -> bool:
    """Whether a regression sums each example's outputs and averages over examples, which inputs (n,) cannot show."""
    if subject.kind.name not in ("regression", "multilabel"):
        return False
    rng = np.random.default_rng(10)
    pair = [rng.normal(0, 1, (BATCH, 3)) for _ in range(2)]
    wide = replace(subject.kind, width=3, arguments=lambda z, fixed: (z, *fixed))
    try:
        once, four = (
            replace(subject, kind=wide).value(np.tile(pair[0], (k, 1)), (np.tile(pair[1], (k, 1)),)) for k in (1, 4)
        )
    except Exception:
        return False
    return abs(four - once) <= 1e-6 * abs(once)


def _tiled(fixed: Fixed, times: int) -> Fixed:
    return tuple(np.concatenate([item] * times) for item in fixed)


def reversed_sign(subject: Subject) -> Problem | None:
    """Better predictions cost more throughout."""
    worse, better = [], []
    for line in subject.kind.slices:
        if subject.kind.name in SCORES or subject.kind.name in ("triplet", "ranking", "sequence"):
            values = subject.along(line, (-8, -3, -1, 0, 1, 3, 8))
        elif subject.kind.name in AROUND_TARGETS | {"boxes", "paired"}:
            values = subject.along(line, (0, 0.3, 1, 3) if subject.kind.name == "boxes" else (0, 0.5, 1, 3, 8))
            other = subject.along(line, (0, -0.5, -1, -3, -8)) if subject.kind.name in AROUND_TARGETS else values
            if (np.diff(other) > 1e-12).any():
                return None  # falling on one side alone is not a wrong sign
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
        evidence=f"A right prediction costs {number(good)}, a wrong one {number(bad)}: training makes the model worse.",
        mend="Reverse the sign: return the loss, not the score; 1 - overlap, -log p.",
    )


def unbounded(subject: Subject) -> Problem | None:
    """A loss without a lowest value can be lowered forever."""
    reach = subject.kind.reach
    for line in subject.kind.slices:
        for sign in (1.0, -1.0):
            if subject.kind.name == "distance" and float(line.z(sign * reach)[0]) < 0:
                continue  # there are no negative distances
            values = subject.along(line, [sign * reach * share for share in (0.01, 0.1, 1.0)])
            if np.isfinite(values).all() and values[2] < min(-1.0, 5 * values[1]) and values[1] < values[0]:
                return Problem(
                    check="unbounded",
                    evidence=f"It falls without end ({line.name}): {number(values[1])} at error {sign * reach / 10:g}, "
                    f"{number(values[2])} at {sign * reach:g}.",
                    mend="Look at the sign of each term, or clamp it (a hinge, a square): the model would run away.",
                )
    return None


def minimiser(subject: Subject) -> Problem | None:
    """In a regression, the target itself must be the best prediction."""
    if subject.kind.name not in AROUND_TARGETS:
        return None
    line = subject.kind.slices[0]
    target = float(str(line.fixed[0][0]))
    flat: list[float] = []
    targets = (0.0, 0.7, 2.0, -2.0)
    for moved in targets:
        fixed = (np.array([target + moved]), *line.fixed[1:])
        errors = np.array([-3.0, -1.0, -0.3, -0.1, 0.0, 0.1, 0.3, 1.0, 3.0])
        values = np.array([subject.value(np.array([[target + moved + e]]), fixed) for e in errors])
        values = np.where(np.isfinite(values), values, np.inf)
        if np.ptp(values) == 0:
            flat.append(target + moved)
        best = int(values.argmin())
        around = max(values[1], values[7]) - values[best]  # a smoothed quantile may lie slightly off its target
        if not math.isfinite(values[4]) or values[4] - values[best] <= max(1e-9, 0.05 * min(around, 1e300)):
            continue
        return Problem(
            check="minimiser",
            evidence=f"For a target of {target + moved:g} the prediction {target + moved + errors[best]:g} costs "
            f"{number(values[best])}, the target itself {number(values[4])}.",
            mend="The lowest loss must be at the target: look for a wrong sign, factor or order of the arguments.",
        )
    if not 0 < len(flat) < len(targets):
        return None
    return Problem(
        check="minimiser",
        evidence=f"For a target of {flat[0]:g} every prediction costs the same.",
        mend="Look for a mask or a clamp that takes such examples out.",
    )


def direction(subject: Subject) -> Problem | None:
    """For scores, a step towards the right answer must not cost more."""
    if subject.kind.name not in SCORES:
        return None
    for line in subject.kind.slices:
        errors = [0.0, 0.5, 1.0, 2.0, 4.0]
        values = subject.along(line, errors)
        if np.isfinite(values).all() and (np.diff(values) < -1e-9 * np.abs(values[:-1])).any():
            k = int(np.argmin(np.diff(values)))
            return Problem(
                check="direction",
                evidence=f"A more wrong answer costs less ({line.name}): {number(values[k])} at error {errors[k]:g}, "
                f"{number(values[k + 1])} at {errors[k + 1]:g}.",
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
    """A loss over scores that even the most confident prediction does not bring near its lowest value."""
    if subject.kind.name not in ("classification", "binary", "multilabel"):
        return None
    line = subject.kind.slices[0]
    best, start, worst = subject.along(line, (-EXTREME, 0.0, EXTREME))
    if not all(map(math.isfinite, (best, start, worst))):
        return None
    for kind, what, levels, mend in _SQUASHED:
        if subject.kind.name != kind:
            continue
        low, high = levels(subject.kind.width)
        if abs(best - low) < 1e-6 and abs(worst - high) < 1e-6:
            return Problem(
                check="squashed",
                evidence=f"{what[0].upper()}{what[1:]}: a sure and right answer costs {number(best, 3)}, a sure and "
                f"wrong one {number(worst, 3)}, and nothing lies beyond.",
                mend=mend,
            )
    further = subject.at(line, 2 * EXTREME)
    if best > 0.15 * start and best > 1e-6 and abs(further - worst) <= 1e-3 * abs(worst):
        return Problem(
            check="squashed",
            evidence=f"The best reachable value is {number(best, 3)}, for a sure and right answer; an undecided one "
            f"costs {number(start, 3)}.",
            mend="Look for a softmax or sigmoid that is applied twice.",
        )
    return None


def mutates(subject: Subject) -> Problem | None:
    """The call must not change its arguments."""
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
    no_gradient, ignores_target, reversed_sign, wrong_axis, broadcast, target_logged, squashed, minimiser, direction,
    unbounded, overflow, gradients, kink, mask, summed, mutates,
)  # fmt: skip
ANY_LAYOUT: Final = frozenset({no_gradient, overflow, summed, mutates})
"""Checks that need no right prediction, for losses for which it is not known."""
IMPLIED: Final = {
    "sign": {"unbounded", "minimiser", "direction", "squashed"},
    "target": {"unbounded", "minimiser", "direction", "squashed", "sign"},
    "broadcast": {"minimiser", "sum"},
    "order": {"overflow", "squashed", "direction"},
}
"""Checks that follow from a more serious problem and need not be reported with it."""
_NEEDS_GRADIENT: Final = frozenset({gradients, kink, direction, minimiser, squashed, overflow})


def problems(subject: Subject) -> tuple[Problem, ...]:
    """All problems of a loss, most serious first, without those that follow from a more serious one.

    Raises:
        LossError: the loss itself raises for some predictions.
    """
    found: list[Problem] = []
    for test in CHECKS:
        if subject.kind.name == FREE and test not in ANY_LAYOUT:
            continue
        if test in _NEEDS_GRADIENT and any(item.check == "no_gradient" for item in found):
            continue
        try:
            problem = test(subject)
        except LossError:
            raise
        except Exception as error:
            said = str(error).strip().partition("\n")[0] or type(error).__name__
            fix = f"choose the kind that fits; {subject.kind.name} calls {subject.kind.call}"
            raise LossError(subject.name, f"calling it failed: {said}", fix) from error
        found.extend([] if problem is None else [problem])
    if torch_name(subject.fn) is not None:  # torch's own losses sum only if the user asks for it
        found = [item for item in found if item.check != "sum"]
    hidden = {name for item in found for name in IMPLIED.get(item.check, ())}
    return tuple(item for item in found if item.check not in hidden)
