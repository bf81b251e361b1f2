"""The whole measurement of a loss, and finding a loss by its name."""

from __future__ import annotations

import contextlib
import importlib
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from monitor.errors import LossError
from monitor.losses.profiles import border, convexity, cost, equivariance, influence, kinks, precision, steepness
from monitor.losses.profiles.kinds import CLASSES, TORCH_KINDS, kind_named
from monitor.losses.profiles.lines import Line, trace
from monitor.losses.profiles.report import LossProfile
from monitor.losses.profiles.subject import LossFunction, Subject, examine
from monitor.losses.threads import one_torch_thread
from monitor.losses.torch_modules import torch_name

DRAWN = 5.0
"""Pictures show errors from -5 to 5."""


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
    """Measure what a loss function is like; nothing is looked up.

    Args:
        fn: a torch or numpy callable that returns one number; it is called with batches of float64 and narrower types.
        kind: how it is called: "regression" (prediction, target), "classification" (logits, labels), "margin" (score,
            label -1 or 1), "pairwise" (left, right, label), or one of `profiles.kinds.KINDS`. Known for torch's own
            losses; "regression" otherwise.
        classes: number of classes in the batches, for losses that hold one weight per class.
        rng: source of the sampled predictions; a fixed seed where it is not given, so that a profile repeats itself.
        name: what to call it in the report.
        target: for regressions, the target around which the errors are laid; 0 where it is not given. Give one where
            the loss is only defined for positive targets.
        samples: chords to try in the search for violations of convexity.
        backend: "numpy", "torch" or "auto".
        clock: seconds, for the cost.

    Returns:
        the profile; about 0.2 s for a simple loss.

    Raises:
        LossError: the callable returns no single number, does not fit the kind, is NaN everywhere, or is random.

    Example:
        >>> huber = lambda p, t: np.where(abs(p - t) <= 1, 0.5 * (p - t) ** 2, abs(p - t) - 0.5).mean()
        >>> found = profile(huber, kind="regression")
        >>> found.symmetric, found.border_growth, found.convex, found.kinks
        (True, 'linear', True, ())
    """
    chosen = kind or TORCH_KINDS.get(torch_name(fn) or "", "regression")
    generator = rng if rng is not None else np.random.default_rng(0)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        subject = examine(fn, kind_named(chosen, target=target, classes=classes), name=name, backend=backend)
        with one_torch_thread() if subject.backend == "torch" else contextlib.nullcontext():
            return _measure(subject, trace(subject), generator, samples, clock)


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
    moved = equivariance.equivariance(subject, rng)
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
    """The loss over the errors that pictures show."""
    errors = np.linspace(-DRAWN, DRAWN, 161)
    values = line.many(errors)
    keep = np.isfinite(values)
    return {"error": tuple(errors[keep].tolist()), "loss": tuple(values[keep].tolist())}


def load(path: str, **settings: object) -> LossFunction:
    """A loss by its dotted name: `torch.nn.HuberLoss` with `delta=1.0`, or `mypackage.losses.my_loss`.

    Args:
        path: module and attribute; a class is called with the settings, a function gets them bound.
        settings: parameters.

    Raises:
        LossError: the module or attribute is not there, or the settings do not fit.

    Example:
        >>> load("math.fsum").__name__
        'fsum'
    """
    import functools

    module_name, _, attribute = path.replace(":", ".").rpartition(".")
    if not module_name:
        raise LossError(path, "it has no module", "write it as torch.nn.HuberLoss or mymodule.my_loss")
    try:
        found: object = getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        raise LossError(path, f"there is no module {error.name}", "check the spelling, or install it") from error
    except AttributeError as error:
        raise LossError(path, f"{module_name} has no {attribute}", "check the spelling") from error
    try:
        if isinstance(found, type):
            found = found(**settings)
        elif settings:
            found = functools.partial(cast(LossFunction, found), **settings)
    except TypeError as error:
        raise LossError(path, str(error), "check the settings' names and values") from error
    if not callable(found):
        raise LossError(
            path, f"it is a {type(found).__name__}", "name a function, or a class whose instances can be called"
        )
    return found
