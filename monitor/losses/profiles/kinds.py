"""The kinds of loss that can be profiled, each as a layout of predictions and targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


def _around_targets(target: float) -> Iterator[Kind]:
    """Kinds whose best prediction is the target or the count; the slice of a regression goes through one target."""
    regression = Kind(
        name="regression",
        call="fn(prediction (n,), target (n,))",
        error="prediction minus target",
        width=1,
        arguments=first_column,
        targets=lambda rng, n: (target + rng.normal(0, 2, n),),
        slices=(line_through("error", np.ones(1), (np.array([target]),), np.array([target])),),
        moves_target=True,
        location="constant",
    )
    yield regression
    yield replace(
        regression,
        name="count",
        call="fn(log_rate (n,), count (n,))",
        error="log of the predicted rate, for a count of 1",
        targets=lambda rng, n: (rng.poisson(2.0, n).astype(np.float64),),
        slices=(line_through("error", np.ones(1), (np.ones(1),)),),
    )
    with_ones = replace(
        regression,
        targets=lambda rng, n: (rng.normal(0, 2, n), np.ones(n)),
        slices=(line_through("error", np.ones(1), (np.zeros(1), np.ones(1))),),
    )
    yield replace(with_ones, name="gaussian", call="fn(mean (n,), target (n,), variance (n,))")
    yield replace(with_ones, name="masked", call="fn(prediction (n,), target (n,), mask (n,) of 0 and 1)")


def _over_classes(classes: int) -> Iterator[Kind]:
    """Kinds with a score per class; for log-probabilities, the logits behind them are varied."""
    plain = Kind(
        name="classification",
        call=f"fn(logits (n, {classes}), labels (n,) int)",
        error="how far the true class's logit lies below the others",
        width=classes,
        arguments=whole_rows,
        targets=lambda rng, n: (rng.integers(0, classes, n),),
        slices=(line_through("true class", one_hot(classes, 0, -1.0), (integers(0),)),),
        location="slope",
    )
    yield plain
    log_probs = f"fn(log_probabilities (n, {classes})"
    yield replace(plain, name="log_probs", call=f"{log_probs}, labels (n,) int)", arguments=_log_softmax)
    yield replace(
        plain,
        name="masked_classes",
        call=f"fn(logits (n, {classes}), labels (n,) int, mask (n,) of 0 and 1)",
        targets=lambda rng, n: (*plain.targets(rng, n), np.ones(n)),
        slices=tuple(replace(line, fixed=(*line.fixed, np.ones(1))) for line in plain.slices),
    )
    one_right = one_hot(classes, 0)[None]
    yield replace(
        plain,
        name="distribution",
        call=f"{log_probs}, probabilities (n, {classes}))",
        arguments=_log_softmax,
        targets=lambda rng, n: (np.exp(log_softmax(rng.normal(0, 1, (n, classes)))),),
        slices=(line_through("one-hot target", one_hot(classes, 0, -1.0), (one_right,)),),
    )
    yield replace(
        plain,
        name="multilabel",
        call=f"fn(logits (n, {classes}), targets (n, {classes}) of 0 and 1)",
        error="how far one right label's logit lies below zero",
        targets=lambda rng, n: ((rng.random((n, classes)) < 0.5).astype(np.float64),),
        slices=(line_through("one label", one_hot(classes, 0, -1.0), (one_right,)),),
    )
    first_right = integers(0, *[-1] * (classes - 1))[None]
    yield replace(
        plain,
        name="multilabel_index",
        call=f"fn(scores (n, {classes}), labels (n, {classes}) int, padded with -1)",
        error="how far the right label's score lies below the others",
        targets=lambda rng, n: _some_labels(rng, n, classes),
        slices=(line_through("one label", one_hot(classes, 0, -1.0), (first_right,)),),
    )


def _log_softmax(z: Array, fixed: Fixed) -> Fixed:
    return (log_softmax(z), *fixed)


def _some_labels(rng: np.random.Generator, n: int, classes: int) -> Fixed:
    """For each example, the integers of its right labels first, then -1; (n, classes)."""
    found = np.full((n, classes), -1, dtype=np.int64)
    for row in found:
        chosen = rng.permutation(classes)[: rng.integers(1, classes)]
        row[: len(chosen)] = chosen
    return (found,)


def _two_sided(name: str, call: str, low: float = -1.0) -> Kind:
    """One number per example and a label of `low` or 1."""
    return Kind(
        name=name,
        call=call,
        error="how far the score lies on the wrong side",
        width=1,
        arguments=first_column,
        targets=lambda rng, n: (np.where(rng.random(n) < 0.5, low, 1.0),),
        slices=(
            line_through("positive", -np.ones(1), (np.ones(1),)),
            line_through("negative", np.ones(1), (np.full(1, low),)),
        ),
        location="slope",
    )


def _over_two_classes() -> Iterator[Kind]:
    """Kinds with one score per example; for a probability, the logit behind it is varied."""
    yield _two_sided("binary", "fn(logit (n,), target (n,) of 0 and 1)", 0.0)
    yield replace(
        _two_sided("probability", "fn(probability (n,), target (n,) of 0 and 1)", 0.0),
        arguments=lambda z, fixed: (sigmoid(z[:, 0]), *fixed),
        reach=25.0,
    )
    yield _two_sided("margin", "fn(score (n,), label (n,) of -1 and 1)")
    yield replace(
        _two_sided("distance", "fn(distance (n,), label (n,) of -1 and 1)"),  # 1 for similar pairs
        slices=(
            line_through("like pair", np.ones(1), (np.ones(1),)),
            line_through("unlike pair", -np.ones(1), (-np.ones(1),)),
        ),
        location="",
    )


def _signs(rng: np.random.Generator, n: int) -> Fixed:
    return (np.where(rng.random(n) < 0.5, -1.0, 1.0),)


BESIDE = np.random.default_rng(3).normal(0, 1, (2, 5, FEATURES))
"""Other pairs in a batch of paired embeddings: a single pair would have nothing to be distinguished from."""


def _of_pairs() -> Iterator[Kind]:
    unit = one_hot(FEATURES, 0)
    base, direction = np.concatenate([unit, unit]), one_hot(2 * FEATURES, FEATURES + 1)
    yield Kind(
        name="pairwise",
        call=f"fn(left (n, {FEATURES}), right (n, {FEATURES}), label (n,) of -1 and 1)",
        error="distance at which the right embedding is moved away from the left one",
        width=2 * FEATURES,
        arguments=lambda z, fixed: (z[:, :FEATURES], z[:, FEATURES:], *fixed),
        targets=_signs,
        slices=(
            line_through("like pair", direction, (np.ones(1),), base),
            line_through("unlike pair", direction, (-np.ones(1),), base),
        ),
    )
    yield Kind(
        name="ranking",
        call="fn(first (n,), second (n,), label (n,) of -1 and 1)",
        error="how far the score that should be higher lies below the other",
        width=2,
        arguments=lambda z, fixed: (z[:, 0], z[:, 1], *fixed),
        targets=_signs,
        slices=(line_through("first should win", np.array([-0.5, 0.5]), (np.ones(1),)),),
    )
    yield Kind(  # row i of one matches row i of the other and no other row
        name="paired",
        call=f"fn(left (n, {FEATURES}), right (n, {FEATURES}))",
        error="how far the left embedding is moved away from its partner",
        width=FEATURES,
        arguments=lambda z, fixed: (np.concatenate([z, BESIDE[0]]), np.concatenate([fixed[0], BESIDE[1]])),
        targets=lambda rng, n: (rng.normal(0, 1, (n, FEATURES)),),
        slices=(line_through("pair", one_hot(FEATURES, 0, -1.0), (unit[None],), unit),),
    )


def _triplet() -> Kind:
    def z(error: float) -> Array:
        unit = one_hot(FEATURES, 0)
        return np.concatenate([0 * unit, (1 + max(error, 0.0)) * unit, (1 + max(-error, 0.0)) * unit])

    return Kind(
        name="triplet",
        call=f"fn(anchor (n, {FEATURES}), positive (n, {FEATURES}), negative (n, {FEATURES}))",
        error="distance to the positive minus distance to the negative",
        width=3 * FEATURES,
        arguments=lambda z, _: (z[:, :FEATURES], z[:, FEATURES : 2 * FEATURES], z[:, 2 * FEATURES :]),
        targets=lambda _rng, _n: (),
        slices=(Slice(name="triplet", z=z, fixed=()),),
    )


def _boxes() -> Kind:
    """Centre and log size are varied."""
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


def _sequence() -> Kind:
    """As torch.nn.CTCLoss is called."""
    lengths = integers(1, 2, 3)[None], integers(FRAMES), integers(3)
    direction = np.zeros((FRAMES, CLASSES))
    direction[:, 1:4] = -1.0

    def arguments(z: Array, fixed: Fixed) -> Fixed:
        return (np.ascontiguousarray(log_softmax(z.reshape(-1, FRAMES, CLASSES)).transpose(1, 0, 2)), *fixed)

    return Kind(
        name="sequence",
        call=f"fn(log_probabilities ({FRAMES}, n, {CLASSES}), targets (n, 3), input_lengths (n,), target_lengths (n,))",
        error="how far the logits of the target's symbols lie below the others",
        width=FRAMES * CLASSES,
        arguments=arguments,
        targets=lambda rng, n: (rng.integers(1, CLASSES, (n, 3)), np.full(n, FRAMES), np.full(n, 3)),
        slices=(line_through("one target", direction.ravel(), lengths),),
    )


_BY_CLASSES = {kind.name for kind in _over_classes(CLASSES)}
_FIXED: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (*_around_targets(0.0), *_over_two_classes(), *_of_pairs(), _triplet(), _boxes(), _sequence())
}
KINDS: tuple[str, ...] = ("regression", *sorted({*_BY_CLASSES, *_FIXED} - {"regression"}))
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
        return next(kind for kind in _over_classes(classes) if kind.name == name)
    if name not in _FIXED:
        raise LossError(f"kind={name!r}", "no such kind", f"write one of {', '.join(KINDS)}")
    if name == "regression" and target is not None:
        return next(_around_targets(target))
    return _FIXED[name]
