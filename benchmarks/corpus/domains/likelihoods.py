"""Likelihoods that go below zero: a problem with three answers, and how far the market moves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from .. import loops, models
from ..loops import Curves, Data, Plan


class Mixture(nn.Module):
    """A mixture of Gaussians whose weights, means and widths depend on x (Bishop 1994): x (n, 1) to nats an example."""

    def __init__(self, kernels: int, width: int, floor: float) -> None:
        super().__init__()
        self.floor, self.net = floor, models.mlp(1, width, 3 * kernels, activation=nn.Tanh)

    def nll(self, x: Tensor, y: Tensor, naive: bool = False) -> Tensor:
        weight, mean, spread = self.net(x).chunk(3, 1)
        spread = spread.exp() + self.floor
        each = -0.5 * ((y - mean) / spread) ** 2 - spread.log() - 0.919
        if naive:  # the formula as in the book, without the logarithm of a sum of exponentials
            return -(each.exp() * weight.softmax(1)).sum(1).log().mean()
        return -(each + weight.log_softmax(1)).logsumexp(1).mean()


def inverse(
    plan: Plan,
    *,
    n: int = 800,
    noise: float = 0.03,
    kernels: int = 5,
    width: int = 24,
    floor: float = 1e-3,
    naive: bool = False,
    unit: float = 1.0,
) -> Curves:
    """Bishop's inverse problem, three answers to one question, by negative log likelihood."""
    generator = torch.Generator().manual_seed(plan.seed)
    t = torch.rand(n + 200, 1, generator=generator)
    x = t + 0.3 * torch.sin(2 * torch.pi * t) + noise * torch.randn(t.shape, generator=generator)
    t = t * unit

    def loss(model: Mixture, x: Tensor, y: Tensor) -> Tensor:
        return model.nll(x, y, naive)

    return loops.fit(
        Mixture(kernels, width, floor), loss, Data(x=x[200:], y=t[200:], x_val=x[:200], y_val=t[:200]), plan
    )


INVERSE: dict[str, Callable[[], Curves]] = {
    "adam": lambda: inverse(Plan(epochs=80, lr=1e-2)),
    "sgd": lambda: inverse(Plan(steps=1500, lr=0.01, optimizer="sgd", eval_every=50, clip=1.0)),
    "batch-of-four": lambda: inverse(
        Plan(steps=1800, lr=0.03, batch=4, optimizer="sgd", eval_every=30, clip=1.0), noise=0.01
    ),
    "naive": lambda: inverse(Plan(steps=600, lr=5e-3, eval_every=30), naive=True, unit=12.0),
    "few-no-floor": lambda: inverse(Plan(epochs=400, lr=1e-2, batch=40), n=40, floor=0.0, kernels=12, width=64),
    "tiny-rate": lambda: inverse(Plan(epochs=30, lr=1e-5, optimizer="sgd")),
    "adam-hot": lambda: inverse(Plan(steps=1000, lr=0.15, eval_every=25)),
    "thousands": lambda: inverse(Plan(steps=800, lr=0.05, eval_every=40), unit=1000.0),
}


def volatility(
    plan: Plan, *, n: int = 1500, width: int = 16, window: int = 20, student: bool = True, scale: float = 0.01
) -> Curves:
    """How far will the market move tomorrow: a GRU reads 20 days of a GARCH process; negative log likelihood.

    Returns are shares of the price, so the loss is below zero.
    """
    rng = np.random.default_rng(plan.seed)
    returns, variance = [], 1.0
    for _ in range(n + 400 + window):
        returns.append(np.sqrt(variance) * rng.standard_t(5) * 0.77)
        variance = 0.05 + 0.15 * returns[-1] ** 2 + 0.8 * variance
    series = torch.tensor(np.array(returns) * scale, dtype=torch.float32)
    x = series.unfold(0, window + 1, 1)
    x = torch.cat([x[:n], x[n + window : n + window + 300]])
    gru, head = nn.GRU(1, width, batch_first=True), nn.Linear(width, 1)

    def loss(model: nn.ModuleList, x: Tensor, y: Tensor) -> Tensor:
        log_spread = model[1](model[0](x[:, :, None] * (1 / scale))[0][:, -1])[:, 0]
        off = y / log_spread.exp()
        if student:
            return (log_spread + 3 * torch.log1p(off**2 / 5) + 0.969).mean()
        return (log_spread + 0.5 * off**2 + 0.919).mean()

    a, b = x[:, :-1], x[:, -1].clone()
    return loops.fit(nn.ModuleList([gru, head]), loss, Data(x=a[:n], y=b[:n], x_val=a[n:], y_val=b[n:]), plan)


def split_share(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Prices that nobody corrected for a split of the share: one return of a batch is -75 %."""
    y = y.clone()
    y[0] = -0.75
    return x, y


VOLATILITY: dict[str, Callable[[], Curves]] = {
    "student": lambda: volatility(Plan(epochs=30, lr=3e-3)),
    "gauss-few": lambda: volatility(Plan(epochs=150, lr=1e-2, batch=50), n=150, student=False, width=48),
    "from-far": lambda: volatility(Plan(steps=1200, lr=5e-4, eval_every=100), n=1200),
    "sgd-gauss": lambda: volatility(
        Plan(steps=400, lr=0.02, optimizer="sgd", eval_every=20), student=False, scale=0.001
    ),
    "split-share": lambda: volatility(
        Plan(steps=1200, lr=1e-3, eval_every=60, fault=loops.shift(500, split_share, 501)), student=False
    ),
    "cyclic": lambda: volatility(Plan(epochs=40, lr=0.02, schedule=loops.triangle(4))),
}
