"""The kinds of loss that can be profiled, each as a layout of predictions and targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from monitor.errors import LossError
from monitor.losses.profiles.layout import (
    Array,
    Fixed,
    Kind,
    Slice,
    first_column,
    integers,
    line_through,
    log_softmax,
    one_hot,
    sigmoid,
    whole_rows,
)

CLASSES = 5
FEATURES = 4
FRAMES = 6


def _regression(name: str, call: str, targets: Callable[[np.random.Generator, int], Fixed], fixed: Fixed) -> Kind:
    base = np.zeros(1) if name == "count" else np.asarray(fixed[0], dtype=np.float64)
    return Kind(
        name=name,
        call=call,
        error="prediction minus target" if name != "count" else "log of the predicted rate, for a count of 1",
        width=1,
        arguments=first_column,
        targets=targets,
        slices=(line_through("error", np.ones(1), fixed, base),),
        moves_target=True,
        location="constant",
    )


def regression(target: float = 0.0) -> Kind:
    """`fn(prediction, target)`, both (n,); the slice goes through one target."""
    call = "fn(prediction (n,), target (n,))"
    return _regression("regression", call, lambda rng, n: (target + rng.normal(0, 2, n),), (np.array([target]),))


def count() -> Kind:
    """`fn(log_rate, count)`, both (n,)."""
    call = "fn(log_rate (n,), count (n,))"
    return _regression("count", call, lambda rng, n: (rng.poisson(2.0, n).astype(np.float64),), (np.ones(1),))


def gaussian() -> Kind:
    """`fn(mean, target, variance)`, each (n,), at variance 1."""
    call = "fn(mean (n,), target (n,), variance (n,))"
    return _regression("gaussian", call, lambda rng, n: (rng.normal(0, 2, n), np.ones(n)), (np.zeros(1), np.ones(1)))


def masked() -> Kind:
    """`fn(prediction, target, mask)`, each (n,), the mask of 0 and 1."""
    call = "fn(prediction (n,), target (n,), mask (n,) of 0 and 1)"
    return _regression("masked", call, lambda rng, n: (rng.normal(0, 2, n), np.ones(n)), (np.zeros(1), np.ones(1)))


def masked_classes(classes: int = CLASSES) -> Kind:
    """`fn(logits, labels, mask)`, (n, classes), (n,) integers, and (n,) of 0 and 1."""
    plain = classification(classes)
    return replace(
        plain,
        name="masked_classes",
        call=f"fn(logits (n, {classes}), labels (n,) int, mask (n,) of 0 and 1)",
        targets=lambda rng, n: (*plain.targets(rng, n), np.ones(n)),
        slices=tuple(replace(line, fixed=(*line.fixed, np.ones(1))) for line in plain.slices),
    )


def _classification(name: str, call: str, classes: int, arguments: Callable[[Array, Fixed], Fixed]) -> Kind:
    return Kind(
        name=name,
        call=call,
        error="how far the true class's logit lies below the others",
        width=classes,
        arguments=arguments,
        targets=lambda rng, n: (rng.integers(0, classes, n),),
        slices=(line_through("true class", one_hot(classes, 0, -1.0), (integers(0),)),),
        location="slope",
    )


def classification(classes: int = CLASSES) -> Kind:
    """`fn(logits, labels)`, (n, classes) and (n,) integers."""
    return _classification("classification", f"fn(logits (n, {classes}), labels (n,) int)", classes, whole_rows)


def log_probs(classes: int = CLASSES) -> Kind:
    """`fn(log_probabilities, labels)`; the logits behind them are varied."""
    call = f"fn(log_probabilities (n, {classes}), labels (n,) int)"
    return _classification("log_probs", call, classes, lambda z, fixed: (log_softmax(z), *fixed))


def distribution(classes: int = CLASSES) -> Kind:
    """`fn(log_probabilities, probabilities)`, both (n, classes); the logits behind the prediction are varied."""

    def targets(rng: np.random.Generator, n: int) -> Fixed:
        return (np.exp(log_softmax(rng.normal(0, 1, (n, classes)))),)

    return Kind(
        name="distribution",
        call=f"fn(log_probabilities (n, {classes}), probabilities (n, {classes}))",
        error="how far the true class's logit lies below the others",
        width=classes,
        arguments=lambda z, fixed: (log_softmax(z), *fixed),
        targets=targets,
        slices=(line_through("one-hot target", one_hot(classes, 0, -1.0), (one_hot(classes, 0)[None],)),),
        location="slope",
    )


def _two_sided(
    name: str,
    call: str,
    low: float,
    arguments: Callable[[Array, Fixed], Fixed],
    *,
    distance: bool = False,
    reach: float = 1000.0,
) -> Kind:
    """One number per example and a label of `low` or 1."""
    sign = 1.0 if distance else -1.0
    names = ("like pair", "unlike pair") if distance else ("positive", "negative")
    return Kind(
        name=name,
        call=call,
        error="how far the score lies on the wrong side",
        width=1,
        arguments=arguments,
        targets=lambda rng, n: (np.where(rng.random(n) < 0.5, low, 1.0),),
        slices=(
            line_through(names[0], np.array([sign]), (np.ones(1),)),
            line_through(names[1], np.array([-sign]), (np.full(1, low),)),
        ),
        location="" if distance else "slope",
        reach=reach,
    )


def binary() -> Kind:
    """`fn(logit, target)`, both (n,), targets 0 and 1."""
    return _two_sided("binary", "fn(logit (n,), target (n,) of 0 and 1)", 0.0, first_column)


def probability() -> Kind:
    """`fn(probability, target)`, both (n,); the logit behind the probability is varied."""
    call = "fn(probability (n,), target (n,) of 0 and 1)"
    return _two_sided("probability", call, 0.0, lambda z, fixed: (sigmoid(z[:, 0]), *fixed), reach=25.0)


def margin() -> Kind:
    """`fn(score, label)`, both (n,), labels -1 and 1."""
    return _two_sided("margin", "fn(score (n,), label (n,) of -1 and 1)", -1.0, first_column)


def distance() -> Kind:
    """`fn(distance, label)`, both (n,); label 1 for similar pairs, -1 for dissimilar ones."""
    return _two_sided("distance", "fn(distance (n,), label (n,) of -1 and 1)", -1.0, first_column, distance=True)


def multilabel(classes: int = CLASSES) -> Kind:
    """`fn(logits, targets)`, both (n, classes), targets 0 and 1."""
    return Kind(
        name="multilabel",
        call=f"fn(logits (n, {classes}), targets (n, {classes}) of 0 and 1)",
        error="how far one right label's logit lies below zero",
        width=classes,
        arguments=whole_rows,
        targets=lambda rng, n: ((rng.random((n, classes)) < 0.5).astype(np.float64),),
        slices=(line_through("one label", one_hot(classes, 0, -1.0), (one_hot(classes, 0)[None],)),),
        location="slope",
    )


def multilabel_index(classes: int = CLASSES) -> Kind:
    """`fn(scores, labels)`, both (n, classes): the integers of the right labels first, then -1."""

    def targets(rng: np.random.Generator, n: int) -> Fixed:
        found = np.full((n, classes), -1, dtype=np.int64)
        for row in found:
            chosen = rng.permutation(classes)[: rng.integers(1, classes)]
            row[: len(chosen)] = chosen
        return (found,)

    return Kind(
        name="multilabel_index",
        call=f"fn(scores (n, {classes}), labels (n, {classes}) int, padded with -1)",
        error="how far the right label's score lies below the others",
        width=classes,
        arguments=whole_rows,
        targets=targets,
        slices=(line_through("one label", one_hot(classes, 0, -1.0), (integers(0, *[-1] * (classes - 1))[None],)),),
        location="slope",
    )


def pairwise() -> Kind:
    """`fn(left, right, label)`, embeddings (n, 4) twice and labels -1 and 1."""
    base = np.concatenate([one_hot(FEATURES, 0), one_hot(FEATURES, 0)])
    direction = one_hot(2 * FEATURES, FEATURES + 1)
    return Kind(
        name="pairwise",
        call=f"fn(left (n, {FEATURES}), right (n, {FEATURES}), label (n,) of -1 and 1)",
        error="distance at which the right embedding is moved away from the left one",
        width=2 * FEATURES,
        arguments=lambda z, fixed: (z[:, :FEATURES], z[:, FEATURES:], *fixed),
        targets=lambda rng, n: (np.where(rng.random(n) < 0.5, -1.0, 1.0),),
        slices=(
            line_through("like pair", direction, (np.ones(1),), base),
            line_through("unlike pair", direction, (-np.ones(1),), base),
        ),
    )


def ranking() -> Kind:
    """`fn(first, second, label)`, each (n,); label 1 if the first should be higher."""
    return Kind(
        name="ranking",
        call="fn(first (n,), second (n,), label (n,) of -1 and 1)",
        error="how far the score that should be higher lies below the other",
        width=2,
        arguments=lambda z, fixed: (z[:, 0], z[:, 1], *fixed),
        targets=lambda rng, n: (np.where(rng.random(n) < 0.5, -1.0, 1.0),),
        slices=(line_through("first should win", np.array([-0.5, 0.5]), (np.ones(1),)),),
    )


def _no_targets(rng: np.random.Generator, n: int) -> Fixed:  # noqa: ARG001 - the signature of `Kind.targets`
    return ()


def triplet() -> Kind:
    """`fn(anchor, positive, negative)`, embeddings (n, 4) each."""

    def z(error: float) -> Array:
        unit = one_hot(FEATURES, 0)
        return np.concatenate([0 * unit, (1 + max(error, 0.0)) * unit, (1 + max(-error, 0.0)) * unit])

    return Kind(
        name="triplet",
        call=f"fn(anchor (n, {FEATURES}), positive (n, {FEATURES}), negative (n, {FEATURES}))",
        error="distance to the positive minus distance to the negative",
        width=3 * FEATURES,
        arguments=lambda z, _: (z[:, :FEATURES], z[:, FEATURES : 2 * FEATURES], z[:, 2 * FEATURES :]),
        targets=_no_targets,
        slices=(Slice(name="triplet", z=z, fixed=()),),
    )


BESIDE = np.random.default_rng(3).normal(0, 1, (2, 5, FEATURES))
"""Other pairs in a batch of paired embeddings: a single pair would have nothing to be distinguished from."""


def paired() -> Kind:
    """`fn(left, right)`, both (n, 4) embeddings; row i of one matches row i of the other and no other row."""
    base, direction = one_hot(FEATURES, 0), one_hot(FEATURES, 0, -1.0)

    def arguments(z: Array, fixed: Fixed) -> Fixed:
        return np.concatenate([z, BESIDE[0]]), np.concatenate([fixed[0], BESIDE[1]])

    return Kind(
        name="paired",
        call=f"fn(left (n, {FEATURES}), right (n, {FEATURES}))",
        error="how far the left embedding is moved away from its partner",
        width=FEATURES,
        arguments=arguments,
        targets=lambda rng, n: (rng.normal(0, 1, (n, FEATURES)),),
        slices=(line_through("pair", direction, (base[None],), base),),
    )


def boxes() -> Kind:
    """`fn(boxes, targets)`, each (n, 4) as x1, y1, x2, y2; centre and log size are varied."""
    target = np.array([[0.2, 0.3, 1.2, 1.4]])

    def arguments(z: Array, fixed: Fixed) -> Fixed:
        centre, half = z[:, :2] + np.array([0.7, 0.85]), np.exp(np.clip(z[:, 2:], -3, 3)) / 2
        return (np.concatenate([centre - half, centre + half], axis=1), *fixed)

    return Kind(
        name="boxes",
        call="fn(boxes (n, 4), targets (n, 4)), as x1, y1, x2, y2",
        error="how far the box lies to the right of the target",
        width=4,
        arguments=arguments,
        targets=lambda _, n: (np.repeat(target, n, 0),),
        slices=(line_through("box", one_hot(4, 0), (target,)),),
        reach=20.0,
    )


def sequence() -> Kind:
    """`fn(log_probabilities, targets, input_lengths, target_lengths)`, like torch.nn.CTCLoss."""
    lengths = integers(1, 2, 3)[None], integers(FRAMES), integers(3)
    direction = np.zeros((FRAMES, CLASSES))
    direction[:, 1:4] = -1.0

    def arguments(z: Array, fixed: Fixed) -> Fixed:
        return (np.ascontiguousarray(log_softmax(z.reshape(-1, FRAMES, CLASSES)).transpose(1, 0, 2)), *fixed)

    def targets(rng: np.random.Generator, n: int) -> Fixed:
        return rng.integers(1, CLASSES, (n, 3)), np.full(n, FRAMES), np.full(n, 3)

    return Kind(
        name="sequence",
        call=f"fn(log_probabilities ({FRAMES}, n, {CLASSES}), targets (n, 3), input_lengths (n,), target_lengths (n,))",
        error="how far the logits of the target's symbols lie below the others",
        width=FRAMES * CLASSES,
        arguments=arguments,
        targets=targets,
        slices=(line_through("one target", direction.ravel(), lengths),),
    )


_BY_CLASSES: Mapping[str, Callable[[int], Kind]] = {
    "classification": classification,
    "distribution": distribution,
    "log_probs": log_probs,
    "masked_classes": masked_classes,
    "multilabel": multilabel,
    "multilabel_index": multilabel_index,
}
_FIXED: Mapping[str, Callable[[], Kind]] = {
    item.__name__: item
    for item in (
        binary,
        boxes,
        count,
        distance,
        gaussian,
        margin,
        masked,
        paired,
        pairwise,
        probability,
        ranking,
        sequence,
        triplet,
    )
}
KINDS: tuple[str, ...] = ("regression", *sorted({*_BY_CLASSES, *_FIXED}))
"""Every kind that `profile` accepts."""

TORCH_KINDS: Mapping[str, str] = {
    "BCELoss": "probability",
    "BCEWithLogitsLoss": "binary",
    "CTCLoss": "sequence",
    "CosineEmbeddingLoss": "pairwise",
    "CrossEntropyLoss": "classification",
    "GaussianNLLLoss": "gaussian",
    "HingeEmbeddingLoss": "distance",
    "HuberLoss": "regression",
    "KLDivLoss": "distribution",
    "L1Loss": "regression",
    "LinearCrossEntropyLoss": "classification",
    "MSELoss": "regression",
    "MarginRankingLoss": "ranking",
    "MultiLabelMarginLoss": "multilabel_index",
    "MultiLabelSoftMarginLoss": "multilabel",
    "MultiMarginLoss": "classification",
    "NLLLoss": "log_probs",
    "PoissonNLLLoss": "count",
    "SmoothL1Loss": "regression",
    "SoftMarginLoss": "margin",
    "TripletMarginLoss": "triplet",
    "TripletMarginWithDistanceLoss": "triplet",
}
"""The kind of each of torch's own losses."""


def kind_named(name: str, *, target: float | None = None, classes: int = CLASSES) -> Kind:
    """The kind of this name; `target` moves the regression's slice, `classes` is the number of logits.

    Raises:
        LossError: the name is unknown, or there are fewer than two classes.
    """
    if name in _BY_CLASSES:
        if classes < 2:
            raise LossError(f"kind={name!r}", f"classes is {classes}", "give at least 2")
        return _BY_CLASSES[name](classes)
    if name == "regression":
        return regression(0.0 if target is None else target)
    if name not in _FIXED:
        raise LossError(f"kind={name!r}", "no such kind", f"write one of {', '.join(KINDS)}")
    return _FIXED[name]()
