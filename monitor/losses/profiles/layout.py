"""How predictions and targets are laid out for each kind of loss, and which line through them is the error.

A prediction is a flat float64 array z of shape (n, width). `arguments` turns it, with the fixed targets, into the
callable's arguments. A `Slice` is a line through the predictions of one example, indexed by a signed error e. At e = 0
the prediction is right (regression) or undecided (scores); for scores, positive e is worse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Fixed = tuple[NDArray[np.generic], ...]
Evidence = dict[str, object]
"""The numbers behind a measured property, as plain data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One line through the predictions of one example.

    Attributes:
        name: what the example is, such as "positive".
        z: the prediction at error e, shape (width,).
        fixed: the example's targets, each of leading length 1.
    """

    name: str
    z: Callable[[float], Array]
    fixed: Fixed


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A layout of predictions and targets.

    Attributes:
        name: the kind.
        call: the call, for messages.
        error: what the error coordinate means.
        width: numbers per example in a flat prediction.
        arguments: turns flat predictions (n, width) and targets into the callable's arguments. Float arrays are cast to
            the dtype under test, integer arrays are not.
        targets: returns n random targets.
        slices: the lines to measure along; the first one is drawn.
        moves_target: shifting and scaling moves the targets too, as for a regression.
        reach: the grid of errors runs from -reach to reach; smaller if float64 cannot hold the arguments further out.
        location: how outliers are judged: by the best constant ("constant"), by a linear score's slope ("slope"), or
            not at all ("").
    """

    name: str
    call: str
    error: str
    width: int
    arguments: Callable[[Array, Fixed], Fixed]
    targets: Callable[[np.random.Generator, int], Fixed]
    slices: tuple[Slice, ...]
    moves_target: bool = False
    location: str = ""
    reach: float = 1000.0


def line_through(name: str, direction: Array, fixed: Fixed, base: Array | None = None) -> Slice:
    """The straight line `base + e * direction`."""
    start = np.zeros_like(direction) if base is None else base

    def z(error: float) -> Array:
        return start + error * direction

    return Slice(name=name, z=z, fixed=fixed)


def one_hot(width: int, index: int, value: float = 1.0) -> Array:
    """A vector of zeros with one entry set; shape (width,)."""
    found = np.zeros(width)
    found[index] = value
    return found


def log_softmax(z: Array) -> Array:
    """Log-probabilities over the last axis, in float64."""
    shifted = z - z.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def sigmoid(z: Array) -> Array:
    """`1 / (1 + exp(-z))` without overflow."""
    return np.asarray(np.where(z >= 0, 1 / (1 + np.exp(-np.abs(z))), np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z)))))


def integers(*values: int) -> NDArray[np.generic]:
    """An int64 vector."""
    return np.asarray(values, dtype=np.int64)


def first_column(z: Array, fixed: Fixed) -> Fixed:
    """The predictions' only column, then the targets."""
    return (z[:, 0], *fixed)


def whole_rows(z: Array, fixed: Fixed) -> Fixed:
    """The predictions unchanged, then the targets."""
    return (z, *fixed)
