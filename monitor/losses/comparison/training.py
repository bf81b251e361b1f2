"""One small network trained with one loss: the part of `compare` that needs torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monitor.errors import LossError
from monitor.losses.comparison.attacks import Attack, Defence
from monitor.losses.comparison.boxes import decoded
from monitor.losses.comparison.costs import cost_threshold
from monitor.losses.comparison.judges import LIST, Judge
from monitor.losses.comparison.trainable import TorchLoss

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float64]

BATCH = 64
TEST_SHARE = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How the network is trained.

    Attributes:
        seed: of the initial weights and the order of batches.
        epochs: passes over the training data.
        hidden: width of the hidden layer.
        learning_rate: Adam's.
        model: takes (inputs, outputs) and returns the network; None for a network with a hidden layer.
        attack: on the test inputs.
        costs: of a false alarm and of a miss; the threshold then moves to the lowest cost on the training data.
    """

    seed: int
    epochs: int
    hidden: int
    learning_rate: float
    model: Callable[[int, int], object] | None = None
    costs: tuple[float, float] | None = None
    attack: Attack | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One seed's data: standardised, with corrupted training targets if requested and clean test targets.

    Attributes:
        train_x, test_x: float64 (n, d).
        train_y, test_y: labels from 0, or targets in units of the clean training targets' standard deviation.
        outputs: the network's outputs per example.
        scale: a regression target's standard deviation, to report errors in the user's unit.
    """

    train_x: Array
    train_y: Array
    test_x: Array
    test_y: Array
    outputs: int
    scale: float
    task: str = "regression"

    @staticmethod
    def make(
        inputs: Array,
        targets: NDArray[np.generic],
        rng: np.random.Generator,
        *,
        task: str,
        label_noise: float,
        outliers: float,
    ) -> Split:
        """Split 70 to 30, standardise by the training part, and corrupt the training targets.

        The lists of a ranking stay whole: every `judges.LIST` consecutive rows are one.
        """
        rows = np.arange(len(inputs) // LIST * LIST).reshape(-1, LIST) if task == "ranking" else np.arange(len(inputs))
        order = rng.permutation(len(rows))
        cut = round(len(order) * (1 - TEST_SHARE))
        train, test = rows[order[:cut]].ravel(), rows[order[cut:]].ravel()
        mean, spread = inputs[train].mean(axis=0), inputs[train].std(axis=0)
        x = (inputs - mean) / np.where(spread > 0, spread, 1.0)
        y, outputs, scale = _targets(targets, train, task)
        noisy = y[train]
        if task in ("classification", "binary", "metric"):
            noisy = _flipped(noisy, max(outputs, 2) if task != "metric" else len(np.unique(y)), label_noise, rng)
            x[train], noisy = _far(x[train], noisy, outliers, rng)
        elif task == "regression":
            noisy = _moved(noisy, outliers, rng)
        elif task == "boxes":
            noisy = _displaced(noisy, outliers, rng)
        return Split(
            train_x=x[train], train_y=noisy, test_x=x[test], test_y=y[test], outputs=outputs, scale=scale, task=task
        )


EMBEDDING = 8
"""Numbers per embedding."""


def _targets(targets: NDArray[np.generic], train: NDArray[np.integer], task: str) -> tuple[Array, int, float]:
    """Targets as the network sees them, the number of its outputs, and the unit of a regression."""
    if task != "boxes" and (targets == targets[0]).all():
        raise LossError("compare", "all targets are equal, so there is nothing to learn", "choose targets that vary")
    if task in ("classification", "binary", "metric"):
        classes, labels = np.unique(targets, return_inverse=True)
        if len(classes) < 2 or len(classes) > len(targets) // 2 or (task == "binary" and len(classes) > 2):
            fix = "give labels of two classes" if task == "binary" else "give labels, or a regression loss"
            raise LossError("compare", f"the targets have {len(classes)} classes", fix)
        outputs = {"classification": len(classes), "binary": 1, "metric": EMBEDDING}[task]
        return labels.reshape(len(targets)).astype(np.float64), outputs, 1.0
    values = targets.astype(np.float64)
    outputs = 1 if values.ndim == 1 else values.shape[1]
    if task == "boxes":
        return _in_anchors(values, train), 4, 1.0
    if task == "counts" and values.min() < 0:
        raise LossError("compare", "a target is below 0", "give counts")
    if task != "regression":
        return values, outputs, 1.0
    scale = float(values[train].std(axis=0).mean()) or 1.0
    return (values - values[train].mean(axis=0)) / scale, outputs, scale


def _in_anchors(boxes: Array, train: NDArray[np.integer]) -> Array:
    """Boxes in units of an anchor: the mean box of the training part, with its centre at the origin."""
    if boxes.shape[1:] != (4,) or (boxes[:, 2:] <= boxes[:, :2]).any():
        raise LossError("compare", f"targets of shape {boxes.shape} are not boxes", "give x1 < x2, y1 < y2 as (n, 4)")
    centre = (boxes[train, :2] + boxes[train, 2:]).mean(axis=0) / 2
    size = (boxes[train, 2:] - boxes[train, :2]).mean(axis=0)
    found: Array = (boxes - np.tile(centre, 2)) / np.tile(size, 2)
    return found


def _displaced(boxes: Array, share: float, rng: np.random.Generator) -> Array:
    """Move a share of the boxes by one to three anchors in any direction, as if drawn around another object."""
    chosen = rng.random(len(boxes)) < share
    angle, far = rng.uniform(0, 2 * np.pi, len(boxes)), rng.uniform(1, 3, len(boxes))
    moved = np.stack([far * np.cos(angle), far * np.sin(angle)], axis=1)
    return np.where(chosen[:, None], boxes + np.tile(moved, 2), boxes)


def _flipped(labels: Array, classes: int, share: float, rng: np.random.Generator) -> Array:
    """Replace a share of the labels by another class, evenly."""
    chosen = rng.random(len(labels)) < share
    other = (labels + rng.integers(1, classes, len(labels))) % classes
    return np.where(chosen, other, labels)


def _far(inputs: Array, labels: Array, share: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Move a share of the inputs ten times further out, with a random label."""
    chosen = rng.random(len(labels)) < share
    return np.where(chosen[:, None], 10 * inputs, inputs), np.where(chosen, rng.permutation(labels), labels)


def _moved(targets: Array, share: float, rng: np.random.Generator) -> Array:
    """Move a share of the targets up by 10 to 30 standard deviations."""
    chosen = rng.random(len(targets)) < share
    moved = rng.uniform(10, 30, len(targets))
    rows = (len(targets), *[1] * (targets.ndim - 1))
    return np.where(chosen.reshape(rows), targets + moved.reshape(rows), targets)


def score(
    function: TorchLoss | Defence, split: Split, judge: Judge, settings: Training, *, name: str
) -> tuple[float, float]:
    """Train, and return the metric on the test part with and without the attack; NaN if something is not finite.

    Raises:
        LossError: the loss cannot be called with (outputs, targets), or does not return a single number.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        make = settings.model or _network(settings.hidden)
        model = make(split.train_x.shape[1], split.outputs)
        if not isinstance(model, torch.nn.Module):
            raise LossError("compare", "model makes no torch module", "return one of (inputs, outputs)")
        if not _fit(model, function, split, settings, name=name):
            return math.nan, math.nan
        model.eval()
        attacked = _attacked(model, split, settings.attack)
    with torch.no_grad():
        limit = 0.0
        if settings.costs is not None:
            limit = cost_threshold(*settings.costs, _outputs(model, split.train_x, split), split.train_y)
        found = [_outputs(model, x, split) - limit for x in (attacked, split.test_x)]
    unit = split.scale if judge.in_units else 1.0
    under, clean = (judge.measure(out, split.test_y) * unit if np.isfinite(out).all() else math.nan for out in found)
    return under, clean


def _attacked(model: Callable[[Tensor], Tensor], split: Split, attack: Attack | None) -> Array:
    """The test inputs after the attack; inputs that are constant in training do not change."""
    import torch

    if attack is None:
        return split.test_x
    x = torch.from_numpy(split.test_x).float()
    y = torch.from_numpy(split.test_y)
    y = y.long() if split.task == "classification" else y.float()
    free = torch.from_numpy(split.train_x.std(axis=0) > 0).float()
    changed: Array = attack.inputs(model, x, y, free).double().numpy()
    return changed


def _network(hidden: int) -> Callable[[int, int], object]:
    import torch

    return lambda inputs, outputs: torch.nn.Sequential(
        torch.nn.Linear(inputs, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, outputs)
    )


def _outputs(model: Callable[[Tensor], Tensor], x: Array, split: Split) -> Array:
    """The outputs to judge: one number per example if there is one output, rates for counts, and boxes."""
    import torch

    out: Array = model(torch.from_numpy(x).float()).double().numpy()
    if split.task == "boxes":
        return np.asarray(decoded(np, out))
    out = out[:, 0] if split.outputs == 1 else out
    return np.exp(np.minimum(out, 20.0)) if split.task == "counts" else out


def _fit(
    model: Callable[[Tensor], Tensor], function: TorchLoss | Defence, split: Split, settings: Training, *, name: str
) -> bool:
    """Train; return False as soon as the loss is not finite, whatever its gradient."""
    import torch

    x = torch.from_numpy(split.train_x).float()
    y = torch.from_numpy(split.train_y)
    y = y.long() if split.task in ("classification", "metric") else y.float()
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)  # type: ignore[attr-defined]  # a torch module
    lists = torch.arange(len(x)).reshape(-1, LIST) if split.task == "ranking" else None
    for _ in range(settings.epochs):
        batches = torch.randperm(len(x)).split(BATCH) if lists is None else lists[torch.randperm(len(lists))]
        for rows in batches:
            try:
                if isinstance(function, Defence):
                    loss = function.loss(model, x[rows], y[rows])
                else:
                    out = model(x[rows])
                    loss = function(out if split.outputs > 1 else out[:, 0], y[rows])
            except (RuntimeError, TypeError, ValueError, IndexError) as error:
                first = str(error).strip().splitlines()[0]
                raise LossError(name, f"calling it failed: {first}", "it must take (outputs, targets)") from error
            if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
                raise LossError(name, "it returns no single number", 'average it: reduction="mean", or .mean()')
            if not torch.isfinite(loss):
                return False
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return True
