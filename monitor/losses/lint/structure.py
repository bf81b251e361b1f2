"""Checks of how the loss treats the target, the axes and the mask of a batch."""

from __future__ import annotations

import numpy as np

from monitor.domain.formats import number
from monitor.losses.lint.batches import AROUND_TARGETS, SCORES, batch
from monitor.losses.lint.report import Problem
from monitor.losses.profiles.layout import Array
from monitor.losses.profiles.subject import Subject


def ignores_target(subject: Subject) -> Problem | None:
    """Other targets must change the loss."""
    if subject.kind.name not in SCORES | AROUND_TARGETS | {"count", "distribution", "multilabel_index"}:
        return None
    z, fixed = batch(subject, 13)
    values = [subject.value(z, (batch(subject, seed)[1][0], *fixed[1:])) for seed in range(13, 18)]
    if not np.isfinite(values).all() or np.ptp(values) > 0:
        return None
    return Problem(
        check="target",
        evidence=f"It does not look at the target: five batches of other targets all cost {number(values[0])}.",
        mend="Look for a wrong index, a target that is not used, or a name that is used twice.",
    )


def wrong_axis(subject: Subject) -> Problem | None:
    """A softmax over the batch: shifting a class in all examples changes nothing, shifting all classes of one does."""
    if subject.kind.name not in ("classification", "masked_classes", "multilabel"):
        return None
    z, fixed = batch(subject, 5)
    rng = np.random.default_rng(6)
    start = subject.value(z, fixed)
    by_class = subject.value(z + 3 * rng.normal(0, 1, (1, z.shape[1])), fixed)
    by_example = subject.value(z + 3 * rng.normal(0, 1, (len(z), 1)), fixed)
    same = 1e-9 * max(1.0, abs(start))
    if not abs(by_class - start) <= same < 1e-3 < abs(by_example - start):
        return None
    turn, _ = np.linalg.qr(rng.normal(0, 1, (z.shape[1], z.shape[1])))
    if abs(subject.value(z @ turn, fixed) - start) <= same:
        return None  # distances between embeddings
    return Problem(
        check="axis",
        evidence=f"More of one class in all {len(z)} examples changes nothing, more of all classes in one example "
        f"moves the loss from {number(start)} to {number(by_example)}: the softmax runs over the batch.",
        mend="Normalise over the classes: dim=1 or dim=-1, not dim=0.",
    )


def mask(subject: Subject) -> Problem | None:
    """Examples that are masked out must change nothing."""
    if not subject.kind.name.startswith("masked"):
        return None
    z, fixed = batch(subject, 8, n=8)
    keep = np.array([1, 1, 1, 0, 1, 0, 0, 0], float)
    own = keep > 0
    alone = subject.value(z[own], tuple(item[own] for item in fixed))

    def padded(moved: Array) -> float:
        return subject.value(moved, (*fixed[:-1], keep))

    got, moved = padded(z), padded(z + 5 * (~own[:, None]) * np.random.default_rng(9).normal(0, 1, z.shape))
    if not np.isfinite([alone, got, moved]).all():
        return None
    near = 1e-4 * max(abs(alone), 1e-9)
    if abs(moved - got) > near:
        evidence = (
            f"Other predictions for examples that are masked out change the loss from {number(got)} to {number(moved)}."
        )
        change = "Multiply each example's loss by the mask before it is summed."
    elif abs(got - alone) > near and subject.reduction != "sum":
        evidence = f"Four examples cost {number(alone)}; with four more that are masked out they cost {number(got)}."
        change = "Divide by the sum of the mask, not by the size of the batch."
    else:
        return None
    return Problem(check="mask", evidence=evidence, mend=change)
