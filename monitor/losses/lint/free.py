"""Losses of which only the number of arguments is known: games, preferences, several heads, embeddings with labels.

Their right predictions are unknown, so they are checked only for what every loss needs: a gradient, a mean instead of a
sum, finite numbers, and the same result for the same input.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from monitor.losses.profiles.kinds import CLASSES, FEATURES
from monitor.losses.profiles.layout import Array, Fixed, Kind, line_through, one_hot
from monitor.losses.profiles.subject import LossFunction

FREE = "free"
"""The kind's name in reports."""


def free_kinds(fn: LossFunction, arguments: int) -> Iterator[Kind]:
    """Layouts to try: scores, embeddings, several outputs for one target, and predictions with labels."""
    if arguments < 1:
        return
    own = sorted(
        {int(size) for item in _weights(fn) for size in getattr(item, "shape", ()) if size > 1} - {FEATURES, CLASSES}
    )
    sizes = [*own, FEATURES, CLASSES]
    plain = [_free([0] * arguments, labels=0), *(_free([size] * arguments, labels=0) for size in sizes)]
    mixed = []
    for size in sizes:
        for wide in range(arguments - 1, 0, -1):
            mixed.append(_free([size] * wide, labels=arguments - wide))
            mixed.append(_free([*[size] * wide, *[0] * (arguments - wide)], labels=0))
    yield from [*mixed, *plain] if own else [*plain, *mixed]


def _weights(fn: LossFunction) -> Sequence[object]:
    state = getattr(fn, "state_dict", None)
    return list(state().values()) if state is not None else []


def _free(widths: Sequence[int], *, labels: int) -> Kind:
    """Predictions with these numbers per example (0 for a vector), then vectors of class labels."""
    ends = np.cumsum([0, *(max(width, 1) for width in widths)])
    total = int(ends[-1])

    def arguments(z: Array, fixed: Fixed) -> Fixed:
        pieces = [z[:, a:b] for a, b in itertools.pairwise(ends)]
        return (*(p if width else p[:, 0] for p, width in zip(pieces, widths, strict=True)), *fixed)

    shapes = ", ".join([f"(n, {width})" if width else "(n,)" for width in widths] + ["(n,) int"] * labels)
    base = np.random.default_rng(4).normal(0, 1, total)
    fixed = (np.zeros(1, np.int64),) * labels
    return Kind(
        name=FREE,
        call=f"fn of {shapes}",
        error="how far one number of an argument is moved",
        width=total,
        arguments=arguments,
        targets=lambda rng, n: tuple(rng.integers(0, 2, n) for _ in range(labels)),
        slices=tuple(
            line_through(f"argument {k + 1}", one_hot(total, int(start)), fixed, base)
            for k, start in enumerate(ends[:-1])
        ),
    )
