"""The metric that fits the compared losses, and what it does not tell."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.errors import LossError
from monitor.losses.comparison.judges import USUAL, Judge, cost, judge_named, pinball
from monitor.losses.specs.composite import Composite
from monitor.losses.specs.parsing import spec_of
from monitor.losses.specs.regression import Quantile
from monitor.losses.specs.spec import LossSpec

Array = NDArray[np.float64]
Given = Sequence[tuple[str | None, object]]
"""Losses with their labels."""

SKEWED: Final = 3.0
"""Classes whose sizes differ by more than this factor are judged by balanced accuracy."""


def fitting(  # noqa: PLR0911  # one case a line
    metric: str | Callable[[Array, Array], float] | None,
    task: str,
    given: Given,
    targets: Callable[[], NDArray[np.generic]],
    costs: tuple[float, float] | None,
    *,
    higher: bool,
) -> Judge:
    """The requested metric, or one that fits the losses.

    Raises:
        LossError: no metric has this name, or none fits all losses.
    """
    if callable(metric):
        name = getattr(metric, "__name__", "metric")
        return Judge(str(name), (task,), metric, higher=higher)
    if metric is not None:
        return judge_named(metric, task)
    if costs is not None:
        return cost(*costs)
    specs = [spec_of(item) for _, item in given if isinstance(item, (str, LossSpec))]
    quantiles = {spec.q for spec in specs if isinstance(spec, Quantile)}
    if quantiles - {0.5}:
        return _pinball(quantiles)
    if task == "classification" and _skew(targets()) >= SKEWED:
        return judge_named("balanced_accuracy", task)
    if task == "binary" and any(set(_kinds(spec)) & {"dice", "iou", "tversky"} for spec in specs):
        return judge_named("iou", task)
    return judge_named(USUAL[task], task)


def unfair(judge: Judge, given: Given) -> Iterator[str]:
    """Say which losses must lose under a quantile's metric."""
    others = [label or str(item) for label, item in given if not _is_quantile(item)]
    if judge.name.startswith("pinball") and others:
        yield f"{judge.name} asks for a quantile, which {', '.join(others)} do not estimate: they must lose under it."


def not_tested(missing: Mapping[float, int], seeds: int) -> Iterator[str]:
    """Say how many classes are too rare to be tested.

    Args:
        missing: by class, the number of seeds whose test part has no example of it.
    """
    if missing:
        classes = "One class has" if len(missing) == 1 else f"{len(missing)} classes have"
        yield (
            f"{classes} no example in the test part of up to {max(missing.values())} of {seeds} seeds; the metric "
            "says nothing about it there. Give more examples of rare classes."
        )


def _kinds(spec: LossSpec) -> tuple[str, ...]:
    """The kinds of a specification and, for a composite, of its parts."""
    return tuple(part.kind for part in spec.parts.values()) if isinstance(spec, Composite) else (spec.kind,)


def _is_quantile(item: object) -> bool:
    return isinstance(item, (str, LossSpec)) and isinstance(spec_of(item), Quantile)


def _pinball(quantiles: Collection[float]) -> Judge:
    """The pinball loss of the one quantile that is compared."""
    if len(quantiles) == 1:
        return pinball(next(iter(quantiles)))
    # Each metric is minimised by one of them, and the others must lose under it.
    named = ", ".join(f"{q:g}" for q in sorted(quantiles))
    fix = f"compare one quantile at a time, or name the metric, such as pinball({max(quantiles):g})"
    raise LossError("compare", f"the losses estimate different quantiles ({named})", fix)


def _skew(targets: NDArray[np.generic]) -> float:
    counts = np.unique(targets, return_counts=True)[1]
    return float(counts.max() / counts.min())
