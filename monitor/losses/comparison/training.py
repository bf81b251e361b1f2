"""One small network trained under one loss: the part of `compare` that needs torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monitor.errors import LossError
from monitor.losses.comparison.trainable import TorchLoss

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float64]

BATCH = 64
TEST_SHARE = 0.3


def _accuracy(predicted: Array, target: Array) -> float:
    return float((predicted == target).mean())


def _balanced(predicted: Array, target: Array) -> float:
    return float(np.mean([(predicted[target == label] == label).mean() for label in np.unique(target)]))


def _mae(predicted: Array, target: Array) -> float:
    return float(np.abs(predicted - target).mean())


def _rmse(predicted: Array, target: Array) -> float:
    return math.sqrt(float(((predicted - target) ** 2).mean()))


def _median(predicted: Array, target: Array) -> float:
    return float(np.median(np.abs(predicted - target)))


METRICS: Mapping[str, tuple[Callable[[Array, Array], float], str]] = {
    "accuracy": (_accuracy, "classification"),
    "balanced_accuracy": (_balanced, "classification"),
    "mae": (_mae, "regression"),
    "rmse": (_rmse, "regression"),
    "median_error": (_median, "regression"),
}
"""Metric to (function of predictions and targets, task)."""


def metric_task(metric: str) -> str:
    """What a metric is for."""
    return METRICS[metric][1]


def better_high(metric: str) -> bool:
    """True where a higher metric is better."""
    return metric_task(metric) == "classification"


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How the network is trained.

    Attributes:
        seed: of the initial weights and the order of batches.
        epochs: passes over the training data.
        hidden: width of the hidden layer.
        learning_rate: Adam's.
    """

    seed: int
    epochs: int
    hidden: int
    learning_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One seed's data: standardised, the training targets damaged as asked for, the test targets clean.

    Attributes:
        train_x, test_x: float64 (n, d).
        train_y, test_y: labels from 0, or targets in units of the clean training targets' standard deviation.
        outputs: classes, or 1.
        scale: a regression target's standard deviation, so that errors can be told in the user's unit.
    """

    train_x: Array
    train_y: Array
    test_x: Array
    test_y: Array
    outputs: int
    scale: float

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
        """Split 70 to 30, standardise by the training part, and damage the training targets."""
        order = rng.permutation(len(inputs))
        cut = round(len(order) * (1 - TEST_SHARE))
        train, test = order[:cut], order[cut:]
        mean, spread = inputs[train].mean(axis=0), inputs[train].std(axis=0)
        x = (inputs - mean) / np.where(spread > 0, spread, 1.0)
        if task == "classification":
            classes, labels = np.unique(targets, return_inverse=True)
            if len(classes) < 2 or len(classes) > len(targets) // 2:
                raise LossError(
                    "compare", f"the targets have {len(classes)} classes", "give labels, or a regression loss"
                )
            y, scale, outputs = labels.astype(np.float64), 1.0, len(classes)
            noisy = _flipped(y[train], outputs, label_noise, rng)
        else:
            values = targets.astype(np.float64)
            scale, outputs = float(values[train].std()) or 1.0, 1
            y = (values - values[train].mean()) / scale
            noisy = _moved(y[train], outliers, rng)
        return Split(train_x=x[train], train_y=noisy, test_x=x[test], test_y=y[test], outputs=outputs, scale=scale)


def _flipped(labels: Array, classes: int, share: float, rng: np.random.Generator) -> Array:
    """Labels of which a share is replaced by another class, evenly."""
    chosen = rng.random(len(labels)) < share
    other = (labels + rng.integers(1, classes, len(labels))) % classes
    return np.where(chosen, other, labels)


def _moved(targets: Array, share: float, rng: np.random.Generator) -> Array:
    """Targets of which a share is moved up by 10 to 30 standard deviations."""
    chosen = rng.random(len(targets)) < share
    return np.where(chosen, targets + rng.uniform(10, 30, len(targets)), targets)


def score(function: TorchLoss, split: Split, metric: str, settings: Training, *, name: str) -> float:
    """Train and give the metric on the test part; NaN where the outputs are not finite.

    Raises:
        LossError: the loss cannot be called with (outputs, targets), or returns no single number.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = torch.nn.Sequential(
            torch.nn.Linear(split.train_x.shape[1], settings.hidden),
            torch.nn.ReLU(),
            torch.nn.Linear(settings.hidden, split.outputs),
        )
        _fit(model, function, split, settings, name=name)
    with torch.no_grad():
        out = model(torch.from_numpy(split.test_x).float()).double().numpy()
    if not np.isfinite(out).all():
        return math.nan
    predicted = out.argmax(axis=1).astype(np.float64) if split.outputs > 1 else out[:, 0]
    measure, task = METRICS[metric]
    return measure(predicted, split.test_y) * (split.scale if task == "regression" else 1.0)


def _fit(
    model: Callable[[Tensor], Tensor], function: TorchLoss, split: Split, settings: Training, *, name: str
) -> None:
    import torch

    x = torch.from_numpy(split.train_x).float()
    y = torch.from_numpy(split.train_y)
    y = y.long() if split.outputs > 1 else y.float()
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)  # type: ignore[attr-defined]  # a torch module
    for _ in range(settings.epochs):
        for rows in torch.randperm(len(x)).split(BATCH):
            out = model(x[rows])
            try:
                loss = function(out if split.outputs > 1 else out[:, 0], y[rows])
            except (RuntimeError, TypeError, ValueError, IndexError) as error:
                first = str(error).strip().splitlines()[0]
                raise LossError(name, f"calling it failed: {first}", "it must take (outputs, targets)") from error
            if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
                raise LossError(name, "it returns no single number", 'average it: reduction="mean", or .mean()')
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
