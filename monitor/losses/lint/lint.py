"""The linter: call a loss function as training would, and say what is wrong with it."""

from __future__ import annotations

import contextlib
import warnings
from typing import Final

import numpy as np

from monitor.errors import LossError
from monitor.losses.comparison.threads import one_torch_thread
from monitor.losses.lint.checks import batch, problems
from monitor.losses.lint.kind import probable_kinds, usual_backend
from monitor.losses.lint.pieces import along
from monitor.losses.lint.report import LintReport, Problem
from monitor.losses.profiles.kinds import CLASSES, kind_named
from monitor.losses.profiles.subject import LossFunction, Subject, examine, name_of

POSITIVE: Final = 3.0
"""A regression that is not defined around 0 (a logarithm, a relative error) is tried around this."""


def check(
    fn: LossFunction, kind: str | None = None, *, classes: int = CLASSES, name: str | None = None, backend: str = "auto"
) -> LintReport:
    """What is wrong with a loss function, each problem with its evidence and the mend.

    Args:
        fn: a torch or numpy callable, called as training calls it: (prediction, target).
        kind: how it is called, one of `profiles.kinds.KINDS`; told from its parameters and what it accepts otherwise.
        classes: number of classes in the batches.
        name: what to call it in the report.
        backend: "numpy", "torch" or "auto".

    Raises:
        LossError: it is no callable, or no kind of call fits it.

    Example:
        >>> check(lambda p, t: -np.mean((p - t) ** 2), name="mine").problems[0].check
        'sign'
        >>> check(lambda p, t: np.mean(np.abs(p - t))).ok
        True
    """
    label = name or (name_of(fn) if callable(fn) else repr(fn))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if kind is not None:
            return _one(fn, kind, label, classes, backend)
        return _likeliest(fn, label, classes, backend)


def _likeliest(fn: LossFunction, label: str, classes: int, backend: str) -> LintReport:
    """The report under the first kind whose call works and means something."""
    said, others = probable_kinds(fn)
    refused: list[LossError] = []
    for kind in (*said, *others):
        try:
            found = _one(fn, kind, label, classes, backend)
            if kind == "classification" and not _over_classes(fn, label, classes, backend):
                continue  # it broadcasts labels like numbers
        except LossError as error:
            refused.append(error)
            turned = _turned(fn, label, classes, backend, (kind,)) if kind in said else None
            if turned is not None:
                return turned
            continue
        return found if found.ok else _as_a_score(fn, found, classes, backend)
    turned = _turned(fn, label, classes, backend, ("classification", "binary", "regression"))
    if turned is not None:
        return turned
    if not refused:
        raise LossError(label, "it cannot be called", "give a function of (prediction, target)")
    raise refused[0]


def _over_classes(fn: LossFunction, label: str, classes: int, backend: str) -> bool:
    """Whether labels are used as classes: a shift of all scores, or another numbering, changes nothing.

    Weights break the second, one-against-all losses the first; numbers that are subtracted break both.
    """
    subject = _examined(fn, "classification", label, classes, backend)
    z, fixed = batch(subject, 7)
    start = subject.value(z, fixed)
    shifted = subject.value(z + 0.7, fixed)
    turned = subject.value(np.roll(z, 1, axis=1), ((np.asarray(fixed[0], int) + 1) % classes,))
    return any(abs(value - start) <= 1e-6 * max(1.0, abs(start)) for value in (shifted, turned))


def _as_a_score(fn: LossFunction, found: LintReport, classes: int, backend: str) -> LintReport:
    """A function whose best prediction is not the target, because it takes a score, a probability or a rate."""
    if found.kind != "regression" or "minimiser" not in {item.check for item in found.problems}:
        return found
    for kind in ("binary", "margin", "probability", "count"):
        try:
            other = _one(fn, kind, found.name, classes, backend)
            subject = _examined(fn, kind, found.name, classes, backend)
        except LossError:
            continue
        if other.ok and (_counts(subject) if kind == "count" else _rises(subject)):
            return other
    return found


def _rises(subject: Subject) -> bool:
    """Whether the loss never falls from a right answer to a wrong one, and a right one costs next to nothing."""
    for line in subject.kind.slices:
        values = along(subject, line, np.linspace(-10, 10, 21).tolist())
        if not np.isfinite(values).all() or (np.diff(values) < -1e-9).any() or values[0] > 0.05 * values[10]:
            return False
    return True


def _counts(subject: Subject) -> bool:
    """Whether the best prediction is the logarithm of the count."""
    grid = np.linspace(-1, 4, 501)
    for count in (1.0, 3.0, 20.0):
        values = [subject.value(np.array([[z]]), (np.array([count]),)) for z in grid]
        if abs(float(grid[int(np.argmin(values))]) - np.log(count)) > 0.02:
            return False
    return True


def _turned(fn: LossFunction, label: str, classes: int, backend: str, kinds: tuple[str, ...]) -> LintReport | None:
    """A function that only works when the target comes first."""

    def swapped(prediction: object, target: object) -> object:
        return fn(target, prediction)

    for kind in kinds:
        try:
            _examined(swapped, kind, label, classes, backend)
        except LossError:
            continue
        problem = Problem(
            check="order",
            evidence=f"It fails as fn(prediction, target), and works as fn(target, prediction) ({kind}).",
            mend="Take the prediction first, as torch does, or pass the arguments by name.",
        )
        return LintReport(name=label, kind=kind, problems=(problem,))
    return None


def _one(fn: LossFunction, kind: str, label: str, classes: int, backend: str) -> LintReport:
    try:
        subject = _examined(fn, kind, label, classes, backend)
    except LossError as error:
        problem = _unusable(error)
        if problem is None:
            raise
        return LintReport(name=label, kind=kind, problems=(problem,))
    with one_torch_thread() if subject.backend == "torch" else contextlib.nullcontext():
        return LintReport(name=label, kind=kind, problems=problems(subject))


def _examined(fn: LossFunction, kind: str, label: str, classes: int, backend: str) -> Subject:
    """The subject; a regression that is NaN around 0 is laid around a positive target."""
    chosen = usual_backend(fn) if backend == "auto" else backend

    def at(target: float | None) -> Subject:
        made = kind_named(kind, target=target, classes=classes)
        try:
            return examine(fn, made, name=label, backend=chosen)
        except LossError:
            if backend != "auto" or chosen == "auto":
                raise
            return examine(fn, made, name=label)

    if kind != "regression":
        return at(None)
    try:
        subject = at(None)
    except LossError:
        return at(POSITIVE)
    line = subject.kind.slices[0]
    return subject if np.isfinite(along(subject, line, (-1.0, 0.0, 1.0))).all() else at(POSITIVE)


def _unusable(error: LossError) -> Problem | None:
    """What `examine` refuses, where it is the loss's own fault and not that of the kind."""
    text = str(error)
    for key, check_name in (("not one number", "shape"), ("gives different losses", "random")):
        if key in text:
            problem, _, mend = text.partition(": ")[2].partition("; ")
            return Problem(
                check=check_name, evidence=f"{problem[0].upper()}{problem[1:]}.", mend=f"{mend[0].upper()}{mend[1:]}."
            )
    return None
