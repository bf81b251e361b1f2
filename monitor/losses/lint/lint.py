"""The linter: calls a loss function as training would, and reports what is wrong with it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from monitor.domain import formats
from monitor.errors import LossError
from monitor.losses.lint.arguments import Called, in_order, needed
from monitor.losses.lint.batches import batch
from monitor.losses.lint.checks import problems
from monitor.losses.lint.free import FREE, free_kinds
from monitor.losses.lint.kind import probable_kinds, usual_backend
from monitor.losses.lint.report import LintReport, Problem
from monitor.losses.profiles.kinds import CLASSES, kind_named
from monitor.losses.profiles.layout import Kind, first_column
from monitor.losses.profiles.subject import LossFunction, Subject, examine, loss_of, name_of, number, one_torch_thread

POSITIVE: Final = 3.0
"""A regression that is not defined around 0 (a logarithm, a relative error) is tried around this target."""


def check(
    fn: LossFunction, kind: str | None = None, *, classes: int = CLASSES, name: str | None = None, backend: str = "auto"
) -> LintReport:
    """Find out what is wrong with a loss function; each problem comes with evidence and a fix.

    Args:
        fn: a torch or numpy callable, called as training calls it: (prediction, target).
        kind: how to call it, one of `profiles.kinds.KINDS`, or "free" if only the number of arguments is known; by
            default it is inferred from the parameters and from the calls that work.
        classes: number of classes in the batches.
        backend: "numpy", "torch" or "auto".

    Raises:
        LossError: it is not callable, or no kind of call fits.

    Example:
        >>> check(lambda p, t: -np.mean((p - t) ** 2), name="mine").problems[0].check
        'sign'
        >>> check(lambda p, t: np.mean(np.abs(p - t))).ok
        True
    """
    label = name or (name_of(fn) if callable(fn) else repr(fn))
    linter = _Linter(fn=fn, name=label, classes=classes, backend=backend)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return linter.likeliest() if kind is None else linter.report(kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Linter:
    """One loss, and the ways to call it.

    Attributes:
        fn, name, classes, backend: as in `check`.
    """

    fn: LossFunction
    name: str
    classes: int
    backend: str

    def likeliest(self) -> LintReport:
        """The report for the first kind whose call works and makes sense."""
        refused: list[LossError] = []
        for kind in probable_kinds(self.fn):
            try:
                found = self.report(kind)
                if kind in ("classification", "masked_classes") and not _over_classes(self.subject(kind)):
                    continue  # it broadcasts labels as if they were numbers
            except LossError as error:
                refused.append(error)
                continue
            return found if found.ok else self._as_a_score(found)
        for kind in ("classification", "binary", "regression"):
            with contextlib.suppress(LossError):
                return replace(self, fn=Called(self.fn, (1, 0))).turned(kind)
        nowhere = next((error for error in refused if "for every error tried" in str(error)), refused[0])
        problem = _unusable(nowhere)
        if problem is None:
            raise nowhere
        return LintReport(name=self.name, kind="", problems=(problem,))

    def turned(self, kind: str) -> LintReport:
        """The report for a function that works only if the target comes first."""
        self.subject(kind)
        return LintReport(name=self.name, kind=kind, problems=(_order("it fails"),))

    def report(self, kind: str) -> LintReport:
        """The report for the loss, called as this kind."""
        try:
            subject = self.subject(kind)
        except LossError as error:
            problem = _unusable(error)
            if problem is None or "for every error tried" in str(error):
                raise
            return LintReport(name=self.name, kind=kind, problems=(problem,))
        with one_torch_thread() if subject.backend == "torch" else contextlib.nullcontext():
            found = problems(subject)
        if in_order(self.fn, kind)[1]:
            found = (*self._own_order(subject), *found)
        return LintReport(name=self.name, kind=kind, problems=found, notes=_notes(subject))

    def subject(self, kind: str) -> Subject:
        """The loss, called as this kind; a regression that is NaN around 0 gets a positive target."""
        if kind == FREE:
            return self._free()
        if kind != "regression":
            return self._at(kind_named(kind, classes=self.classes))
        try:
            subject = self._at(kind_named(kind))
        except LossError:
            return self._at(kind_named(kind, target=POSITIVE))
        line = subject.kind.slices[0]
        finite = np.isfinite(subject.along(line, (-1.0, 0.0, 1.0))).all()
        return subject if finite else self._at(kind_named(kind, target=POSITIVE))

    def _at(self, kind: Kind) -> Subject:
        fn, _ = in_order(self.fn, kind.name)
        chosen = usual_backend(self.fn) if self.backend == "auto" else self.backend
        try:
            return examine(fn, kind, name=self.name, backend=chosen, averages=True)
        except LossError:
            if self.backend != "auto" or chosen == "auto":
                raise
            return examine(fn, kind, name=self.name, averages=True)

    def _free(self) -> Subject:
        refused = LossError(self.name, "no call of it works", "wrap it as a function of (prediction, target)")
        for kind in free_kinds(self.fn, len(needed(self.fn))):
            try:
                return self._at(kind)
            except LossError as error:
                refused = error
        raise refused

    def _own_order(self, subject: Subject) -> tuple[Problem, ...]:
        """The problem of taking the target first, if the order matters for this loss."""
        z, fixed = batch(subject, 12)
        usual = replace(subject, fn=self.fn, casts={})
        try:
            plain = usual.value(z, fixed)
        except Exception:
            return (_order("it fails"),)
        own = subject.value(z, fixed)
        if abs(plain - own) <= 1e-9 * abs(own):
            return ()
        return (_order(f"it gives {formats.number(plain)} instead of {formats.number(own)}"),)

    def _as_a_score(self, found: LintReport) -> LintReport:
        """The report for a function that takes a score, a probability or a rate, so its minimum is off the target."""
        checks = {item.check for item in found.problems}
        if found.kind != "regression" or not ("minimiser" in checks or checks == {"kink"}):
            return found
        for kind in ("binary", "margin", "probability", "count"):
            try:
                other, subject = self.report(kind), self.subject(kind)
            except LossError:
                continue
            fits = {"count": _counts, "probability": _ends}.get(kind, _rises)
            if other.ok and fits(subject):
                return other
        return found


def _order(what: str) -> Problem:
    return Problem(
        check="order",
        evidence=f"It takes the target first: called as fn(prediction, target), {what}.",
        mend="Take the prediction first, as torch does, or pass the arguments by name.",
    )


def _notes(subject: Subject) -> tuple[str, ...]:
    found = []
    if subject.kind.name == FREE:
        found.append(f"Called as {subject.kind.call}. What a right prediction is was not known, and not checked.")
    inputs = subject.inputs(*batch(subject, 0))
    shape = tuple(getattr(loss_of(subject.function("float64")(*inputs)), "shape", ()))
    if shape and int(np.prod(shape)) > 1:
        found.append("It returns one loss for each example: their mean was checked. Average them before backward().")
    return tuple(found)


def _over_classes(subject: Subject) -> bool:
    """Whether labels are used as classes: shifting all scores, or renumbering the classes, changes nothing.

    Class weights break the second, one-against-all losses the first; losses that subtract the labels break both.
    """
    z, fixed = batch(subject, 7)
    start = subject.value(z, fixed)
    shifted = subject.value(z + 0.7, fixed)
    numbered = (np.asarray(fixed[0], int) + 1) % subject.kind.width
    turned = subject.value(np.roll(z, 1, axis=1), (numbered, *fixed[1:]))
    return any(abs(value - start) <= 1e-6 * max(1.0, abs(start)) for value in (shifted, turned))


def _rises(subject: Subject) -> bool:
    """Whether the loss never falls from a right answer to a wrong one, and a right answer costs almost nothing."""
    for line in subject.kind.slices:
        values = subject.along(line, np.linspace(-10, 10, 21))
        if not np.isfinite(values).all() or (np.diff(values) < -1e-9).any() or values[0] > 0.05 * values[10]:
            return False
    return True


def _ends(subject: Subject) -> bool:
    """Whether the loss rises, and is constant above 1 and below 0: it clamps probabilities."""
    outside = [number(subject.name, subject.call(_tensors(subject, p))) for p in (1.5, 4.0, -0.5, -4.0)]
    alike = (abs(a - b) <= 1e-6 * abs(a) or not np.isfinite(a + b) for a, b in (outside[:2], outside[2:]))
    return all(alike) and _rises(subject)


def _tensors(subject: Subject, probability: float) -> Sequence[object]:
    raw = replace(subject, kind=replace(subject.kind, arguments=first_column))
    return raw.inputs(np.array([[probability]]), subject.kind.slices[0].fixed)


def _counts(subject: Subject) -> bool:
    """Whether the best prediction is the logarithm of the count."""
    grid = np.linspace(-1, 4, 501)
    for count in (1.0, 3.0, 20.0):
        values = [subject.value(np.array([[z]]), (np.array([count]),)) for z in grid]
        if abs(float(grid[int(np.argmin(values))]) - np.log(count)) > 0.02:
            return False
    return True


def _unusable(error: LossError) -> Problem | None:
    """The problem behind an error of `examine`, if it is the loss's own fault and not the kind's."""
    text = str(error)
    for key, check_name in (
        ("not one number", "shape"), ("gives different losses", "random"), ("for every error tried", "overflow"),
    ):  # fmt: skip
        if key in text:
            problem, _, mend = text.partition(": ")[2].partition("; ")
            if check_name == "overflow":
                mend = "look for 0 * log(0) and 0 / 0: use xlogy, or clamp"
            return Problem(
                check=check_name, evidence=f"{problem[0].upper()}{problem[1:]}.", mend=f"{mend[0].upper()}{mend[1:]}."
            )
    return None
