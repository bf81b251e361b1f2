"""Rows of numbers: the small sets that scikit-learn bundles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import data, loops, models
from ..loops import Curves, Plan


def bce(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(model(x)[:, 0], y.float())


def naive_bce(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """As it should not be written: 0 times infinity where the sigmoid saturates."""
    p = torch.sigmoid(model(x)[:, 0])
    return -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()


def hinge(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return functional.relu(1 - (2 * y - 1) * model(x)[:, 0]).mean()


def cancer(
    plan: Plan, *, n: int | None = None, widths: tuple[int, ...] = (32,), loss: loops.Loss = bce, noise: float = 0.0
) -> Curves:
    """Benign or malign, from 30 numbers; `noise` is the share of training labels that are turned round."""
    part = data.bundled("breast_cancer", n, 200, plan.seed)
    flip = torch.rand(len(part.y)) < noise
    part = replace(part, y=torch.where(flip, 1 - part.y, part.y))
    return loops.fit(models.mlp(30, *widths, 1), loss, part, plan)


CANCER: dict[str, Callable[[], Curves]] = {
    "adam": lambda: cancer(Plan(epochs=40)),
    "full-batch": lambda: cancer(Plan(epochs=400, batch=10**6, lr=0.2, optimizer="sgd"), widths=()),
    "few": lambda: cancer(Plan(epochs=400, lr=5e-3, batch=10), n=40, widths=(128, 128)),
    "turned-labels": lambda: cancer(Plan(epochs=150, lr=3e-3, batch=16), n=200, widths=(128,), noise=0.2),
    "hinge": lambda: cancer(Plan(epochs=60, lr=0.01, optimizer="sgd"), loss=hinge),
    "naive": lambda: cancer(
        Plan(steps=800, lr=0.06, batch=16, optimizer="sgd", eval_every=20), loss=naive_bce, widths=(64, 64)
    ),
    "rate-too-high": lambda: cancer(Plan(steps=500, lr=30, optimizer="sgd", eval_every=20), widths=(32, 32)),
    "wrong-units": lambda: cancer(
        Plan(steps=1000, lr=0.01, optimizer="sgd", eval_every=25, fault=loops.broken_batch((400,), 80))
    ),
    "shuffled": lambda: cancer(Plan(epochs=50, lr=1e-3, fault=loops.shuffled_labels())),
    "slow": lambda: cancer(Plan(epochs=80, lr=1e-4, optimizer="sgd", momentum=0)),
    "batch-of-one": lambda: cancer(Plan(steps=1500, batch=1, lr=1e-3, optimizer="sgd", momentum=0, eval_every=150)),
    "rate-jumps": lambda: cancer(Plan(epochs=60, lr=0.02, optimizer="sgd", schedule=loops.jump(0.5, 1000))),
}


def small(
    name: str, plan: Plan, *, n: int, classes: int, widths: tuple[int, ...] = (32,), wrong: float = 0.0, gain: float = 1
) -> Curves:
    """Wine or iris: three classes from few rows."""
    part = data.bundled(name, n, 50, plan.seed)
    bad = torch.rand(len(part.y)) < wrong
    y = torch.where(bad, torch.randint(0, classes, part.y.shape), part.y)
    part = replace(part, y=y, x=part.x * gain, x_val=part.x_val * gain)
    net = models.mlp(part.x.shape[1], *widths, classes)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(model(x), y)

    return loops.fit(net, loss, part, plan)


wine = partial(small, "wine", n=120, classes=3)
iris = partial(small, "iris", n=90, classes=3)
SMALL: dict[str, Callable[[], Curves]] = {
    "wine-adam": lambda: wine(Plan(epochs=60)),
    "wine-six-epochs": lambda: wine(Plan(epochs=6, lr=5e-3, batch=16)),
    "wine-wrong-labels": lambda: wine(Plan(epochs=200, lr=3e-3, batch=16), wrong=0.3, widths=(128, 64)),
    "wine-sgd-hot": lambda: wine(Plan(epochs=150, lr=1.5, batch=16, optimizer="sgd", momentum=0.9)),
    "wine-decay": lambda: wine(Plan(epochs=300, lr=0.1, optimizer="sgd", weight_decay=0.02)),
    "wine-nan": lambda: wine(Plan(epochs=60, lr=1e-2, fault=loops.nan_batch(90))),
    "iris-full": lambda: iris(Plan(epochs=1000, batch=10**6, lr=0.05, optimizer="sgd")),
    "iris-few": lambda: iris(Plan(epochs=300, lr=1e-2, batch=5), n=20, widths=(64, 64), wrong=0.25),
    "iris-restarts": lambda: iris(Plan(epochs=100, lr=3e-2, batch=16, schedule=loops.restarts(5))),
    "iris-dead": lambda: iris(Plan(epochs=40, lr=1e-6)),
    "iris-high-rate": lambda: iris(Plan(steps=400, lr=3.0, batch=8, optimizer="sgd", eval_every=10, log_every=1)),
}


def diabetes(
    plan: Plan,
    *,
    n: int | None = None,
    widths: tuple[int, ...] = (32,),
    kind: str = "mse",
    unit: float = 1.0,
    dropout: float = 0.0,
) -> Curves:
    """Disease progression a year on, in its own unit times `unit`; MSE, Huber, MAE, or 90 % quantile loss."""
    part = data.bundled("diabetes", n, 140, plan.seed)
    part = replace(part, y=part.y * unit, y_val=part.y_val * unit)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        out = model(x)[:, 0] * unit
        if kind == "huber":
            return functional.huber_loss(out, y, delta=10 * unit)
        if kind == "mae":
            return functional.l1_loss(out, y)
        if kind == "quantile":
            return torch.maximum(0.9 * (y - out), 0.1 * (out - y)).mean()
        return functional.mse_loss(out, y)

    return loops.fit(models.mlp(10, *widths, 1, dropout=dropout), loss, part, plan)


DIABETES: dict[str, Callable[[], Curves]] = {
    "mse": lambda: diabetes(Plan(epochs=120, lr=1e-2)),
    "mse-millions": lambda: diabetes(Plan(epochs=70, lr=5e-3, seed=1), unit=300, widths=(64, 32)),
    "mse-millionths": lambda: diabetes(Plan(epochs=150, lr=3e-3, seed=2, batch=8), unit=3e-5, widths=(16,)),
    "wide": lambda: diabetes(Plan(epochs=400, lr=3e-3), n=150, widths=(256, 256)),
    "few": lambda: diabetes(Plan(epochs=500, lr=3e-3, batch=10), n=50, widths=(128, 128), kind="huber"),
    "huber": lambda: diabetes(Plan(epochs=80, lr=3e-3), kind="huber"),
    "quantile": lambda: diabetes(Plan(epochs=150, lr=1e-2), kind="quantile"),
    "mae-dropout": lambda: diabetes(Plan(epochs=200, lr=5e-3), kind="mae", widths=(64,), dropout=0.3),
    "explodes": lambda: diabetes(
        Plan(steps=600, lr=1e-6, optimizer="sgd", eval_every=20, schedule=loops.ramp(1e5)), widths=(64, 64)
    ),
    "edge": lambda: diabetes(Plan(epochs=120, lr=3e-5, optimizer="sgd", momentum=0.95, batch=16), widths=(64,)),
    "too-slow": lambda: diabetes(Plan(epochs=60, lr=1e-5)),
    "steps": lambda: diabetes(Plan(steps=2000, lr=1e-3, batch=8, eval_every=100), kind="mae"),
}
