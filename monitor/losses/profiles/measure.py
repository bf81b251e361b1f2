"""The whole measurement of a loss, and loading a loss by its name."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import operator
import pkgutil
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import cast

import numpy as np

from monitor.errors import LossError
from monitor.losses.comparison.functions import torch_function
from monitor.losses.lint.checks import problems
from monitor.losses.profiles import border, convexity, cost, influence, kinks, precision, steepness
from monitor.losses.profiles.kinds import CLASSES, TORCH_KINDS, kind_named
from monitor.losses.profiles.report import LossProfile
from monitor.losses.profiles.subject import Line, LossFunction, Subject, examine, one_torch_thread, trace
from monitor.losses.specs.parsing import parse
from monitor.losses.specs.torch_modules import torch_name

DRAWN = 5.0
"""Plots show errors from -5 to 5."""


def profile(
    fn: LossFunction,
    kind: str | None = None,
    *,
    classes: int = CLASSES,
    rng: np.random.Generator | None = None,
    name: str | None = None,
    target: float | None = None,
    samples: int = 750,
    backend: str = "auto",
    clock: cost.Clock = time.perf_counter,
) -> LossProfile:
    """Measure the properties of a loss function by calling it; nothing is looked up.

    Args:
        fn: a torch or numpy callable that returns one number; it is called with batches of float64 and narrower types.
        kind: how to call it: "regression" (prediction, target), "classification" (logits, labels), "margin" (score,
            label -1 or 1), "pairwise" (left, right, label), or another of `profiles.kinds.KINDS`. Known for torch's own
            losses; "regression" otherwise.
        classes: number of classes in the batches, for losses with one weight per class.
        rng: source of the sampled predictions; seeded with 0 by default, so that a profile is reproducible.
        target: for regressions, the target of the measured example; default 0. Set it if the loss is defined for
            positive targets only.
        samples: chords to try in the search for violations of convexity.
        backend: "numpy", "torch" or "auto".

    Returns:
        the profile; about 0.2 s for a simple loss.

    Raises:
        LossError: the callable does not return a single number, does not fit the kind, is NaN everywhere, or is random.

    Example:
        >>> huber = lambda p, t: np.where(abs(p - t) <= 1, 0.5 * (p - t) ** 2, abs(p - t) - 0.5).mean()
        >>> found = profile(huber, kind="regression")
        >>> found.symmetric, found.border_growth, found.convex, found.kinks
        (True, 'linear', True, ())
    """
    chosen = kind or TORCH_KINDS.get(torch_name(fn) or "") or str(getattr(fn, "loss_kind", "regression"))
    generator = rng if rng is not None else np.random.default_rng(0)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        subject = examine(fn, kind_named(chosen, target=target, classes=classes), name=name, backend=backend)
        with one_torch_thread() if subject.backend == "torch" else contextlib.nullcontext():
            measured = _measure(subject, trace(subject), generator, samples, clock)
            return replace(measured, problems=problems(subject))


def _measure(
    subject: Subject, lines: Sequence[Line], rng: np.random.Generator, samples: int, clock: cost.Clock
) -> LossProfile:
    symmetric, symmetry_evidence = border.symmetry(lines)
    growth, growth_evidence = border.growth(lines)
    convex, convex_evidence = convexity.convexity(subject, lines, rng, samples=samples)
    smooth, places, kink_evidence = kinks.kinks(lines)
    steepest, steep_evidence = steepness.lipschitz(
        subject, lines, border.grows_like(growth_evidence), rng, jumps=bool(kink_evidence["jumps"])
    )
    outliers, outlier_evidence = influence.influence(subject, lines)
    stable, stable_evidence = precision.precision(subject, lines)
    moved = border.equivariance(subject, rng)
    relative, cost_evidence = cost.cost(subject, rng, clock)
    degree = moved["scale_degree"]
    return LossProfile(
        name=subject.name,
        kind=subject.kind.name,
        symmetric=symmetric,
        border_growth=growth,
        convex=convex,
        differentiable=smooth,
        kinks=places,
        lipschitz=steepest,
        outlier_influence=outliers,
        stable_in=stable,
        relative_cost=relative,
        shift_invariant=moved["shift_invariant"] is True,
        scale_degree=degree if isinstance(degree, float) else None,
        reduction=subject.reduction,
        evidence={
            "symmetric": symmetry_evidence,
            "domain": {line.slice.name: line.domain for line in lines},
            "border_growth": growth_evidence,
            "convex": convex_evidence,
            "differentiable": {"twice": kink_evidence["twice_differentiable"], "kinks": len(places)},
            "kinks": kink_evidence,
            "lipschitz": steep_evidence,
            "curvature": steepness.curvature(lines, places),
            "gradient": steepness.gradients(lines),
            "outlier_influence": outlier_evidence,
            "stable_in": stable_evidence,
            "equivariance": moved,
            "relative_cost": cost_evidence,
        },
        curve={line.slice.name: _drawn(line) for line in lines},
    )


def _drawn(line: Line) -> Mapping[str, tuple[float, ...]]:
    """The loss over the errors that plots show."""
    errors = np.linspace(-DRAWN, DRAWN, 161)
    values = line.many(errors)
    keep = np.isfinite(values)
    return {"error": tuple(errors[keep].tolist()), "loss": tuple(values[keep].tolist())}


def load(path: str, **settings: object) -> LossFunction:
    """Load a loss by its path: `torch.nn.HuberLoss`, `mypackage.losses.my_loss`, `./losses.py:my_loss`.

    Args:
        path: module and attribute, or file and attribute, or the name of a loss that `compare` can train with, such as
            `huber(0.5)`.
        settings: parameters, such as `delta=1.0`. A class is called with them, a function gets them bound.

    Raises:
        LossError: the loss does not exist, cannot be imported, or the settings do not fit.

    Example:
        >>> load("math.fsum").__name__
        'fsum'
    """
    found = _found(path)
    try:
        if isinstance(found, type):
            found = found(**settings)
        elif settings:
            found = functools.partial(cast(LossFunction, found), **settings)
    except Exception as error:  # a foreign class may raise anything; report it in one line
        raise LossError(path, _first_line(error), "check the settings' names and values") from error
    if not callable(found):
        raise LossError(
            path, f"it is a {type(found).__name__}", "name a function, or a class whose instances can be called"
        )
    return found


def _found(path: str) -> object:
    """The attribute of a file or module, or the loss of a plain name."""
    place, colon, attribute = path.rpartition(":")
    if path.endswith(".py") or place.endswith(".py"):
        file = Path(place if colon else path)
        if not colon or not attribute:
            raise LossError(path, "it names no function of the file", f"write it as {path.rstrip(':')}:my_loss")
        with _told(path):
            return operator.attrgetter(attribute)(_module_of(file))
    if ("." not in path and not colon) or "(" in path:
        return torch_function(parse(path))
    with _told(path):
        return pkgutil.resolve_name(path)


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    """Report whatever goes wrong while importing a user's module as a one-line LossError."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise LossError(path, f"there is no module {error.name}", "check the spelling, or install it") from error
    except AttributeError as error:
        where = getattr(error.obj, "__name__", "it")
        raise LossError(path, f"{where} has no {error.name}", "check the spelling") from error
    except OSError as error:
        raise LossError(path, (error.strerror or str(error)).lower(), "name a file of Python that exists") from error
    except (Exception, SystemExit) as error:  # raised by the module itself
        raise LossError(path, f"importing it failed: {_first_line(error)}", "mend the module") from error


def _module_of(file: Path) -> ModuleType:
    """Run a Python file as a module that can import its neighbours."""
    name = f"monitor_loss_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(2, "is not a Python file", str(file))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look up their module
    beside = str(file.resolve().parent)
    sys.path.append(beside)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(beside)
    return module


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__
