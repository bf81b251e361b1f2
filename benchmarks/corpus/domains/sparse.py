"""Few at once: neurons that spike, and codes of which most are zero."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import loops
from ..loops import Curves, Data, Plan


class Spike(torch.autograd.Function):
    """A step whose gradient is that of a fast sigmoid (Zenke and Ganguli 2018)."""

    @staticmethod
    def forward(ctx: object, v: Tensor) -> Tensor:
        ctx.save_for_backward(v)  # type: ignore[attr-defined]  # torch's context has no public type
        return (v > 0).float()

    @staticmethod
    def backward(ctx: object, up: Tensor) -> Tensor:
        (v,) = ctx.saved_tensors  # type: ignore[attr-defined]  # torch's context has no public type
        return up / (1 + 5 * v.abs()) ** 2


class Neurons(nn.Module):
    """Leaky neurons that fire: spike trains (n, time, inputs) to logits (n, classes), the mean over time."""

    def __init__(self, inputs: int, width: int, classes: int, threshold: float, leak: float) -> None:
        super().__init__()
        self.threshold, self.leak = threshold, leak
        self.enter, self.leave = nn.Linear(inputs, width), nn.Linear(width, classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        v, out = torch.zeros(len(x), self.enter.out_features), torch.zeros(len(x), self.leave.out_features)
        for frame in self.enter(x).unbind(1):
            v = self.leak * v + frame
            fired = Spike.apply(v - self.threshold)
            v = v - self.threshold * fired.detach()
            out = out + self.leave(fired)
        return out / x.shape[1]


def spiking(
    plan: Plan,
    *,
    n: int = 500,
    threshold: float = 1.0,
    leak: float = 0.9,
    width: int = 40,
    classes: int = 5,
    jitter: float = 1.5,
    wrong: float = 0.0,
) -> Curves:
    """Which of five rhythms does a bundle of 12 nerves carry over 20 milliseconds."""
    generator = torch.Generator().manual_seed(plan.seed)
    y = torch.randint(0, classes, (n + 150,), generator=generator)
    when = torch.rand(classes, 12, generator=generator) * 20
    at = when[y] + jitter * torch.randn(len(y), 12, generator=generator)
    x = ((torch.arange(20)[None, :, None] - at[:, None]).abs() < 1).float()
    x = (x + (torch.rand(x.shape, generator=generator) < 0.1)).clamp(max=1)
    bad = torch.rand(len(y), generator=generator) < wrong
    bad[:150] = False
    y = torch.where(bad, torch.randint(0, classes, y.shape, generator=generator), y)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(10 * model(x), y)

    if not plan.shuffle:  # recorded one rhythm after the other
        order = torch.cat([torch.arange(150), 150 + y[150:].argsort(stable=True)])
        x, y = x[order], y[order]
    net = Neurons(12, width, classes, threshold, leak)
    return loops.fit(net, loss, Data(x=x[150:], y=y[150:], x_val=x[:150], y_val=y[:150]), plan)


SPIKING: dict[str, Callable[[], Curves]] = {
    "adam": lambda: spiking(Plan(epochs=30, lr=2e-3)),
    "never-fires": lambda: spiking(Plan(epochs=25, lr=1e-4), threshold=60.0),
    "few-wrong": lambda: spiking(Plan(epochs=60, lr=5e-3, batch=16), n=80, wrong=0.25),
    "sgd": lambda: spiking(Plan(steps=600, lr=0.15, optimizer="sgd", eval_every=20), jitter=2.5),
    "not-shuffled": lambda: spiking(Plan(steps=600, lr=5e-3, batch=20, eval_every=12, shuffle=False)),
    "fifteen-epochs": lambda: spiking(Plan(epochs=15, lr=5e-4), jitter=2.0),
    "adam-hot": lambda: spiking(Plan(steps=600, lr=0.3, eval_every=20)),
}


def atoms(
    plan: Plan,
    *,
    n: int = 400,
    size: int = 32,
    inner: int = 15,
    sparse: float = 0.1,
    rate: float = 0.1,
    noise: float = 0.05,
    unit: float = 1.0,
    true: int = 24,
) -> Curves:
    """Dictionary learning with unrolled shrinkage (Gregor and LeCun 2010): squared error plus an l1 penalty."""
    generator = torch.Generator().manual_seed(plan.seed)
    code = torch.randn(n + 100, true, generator=generator) * (torch.rand(n + 100, true, generator=generator) < 0.12)
    x = code @ functional.normalize(torch.randn(true, 20, generator=generator), dim=1)
    x = unit * (x + noise * torch.randn(x.shape, generator=generator))
    net = nn.Linear(size, 20, bias=False)
    with torch.no_grad():
        net.weight.copy_(functional.normalize(torch.randn(20, size, generator=generator), dim=0))

    def loss(model: nn.Linear, x: Tensor, _y: Tensor) -> Tensor:
        z = torch.zeros(len(x), size)
        for _ in range(inner):
            z = z - rate * (z @ model.weight.T - x) @ model.weight
            z = functional.softshrink(z, sparse * rate)
        return 0.5 * ((z @ model.weight.T - x) ** 2).sum(1).mean() + sparse * z.abs().sum(1).mean()

    return loops.fit(net, loss, Data(x=x[100:], y=x[100:], x_val=x[:100], y_val=x[:100]), plan)


ATOMS: dict[str, Callable[[], Curves]] = {
    "adam": lambda: atoms(Plan(epochs=60, lr=5e-3)),
    "few": lambda: atoms(Plan(epochs=200, lr=1e-2, batch=10), n=30, size=96, noise=0.2),
    "grows": lambda: atoms(Plan(steps=1500, lr=3e-3, eval_every=50), rate=0.25, inner=40),
    "sgd-edge": lambda: atoms(Plan(steps=600, lr=6.0, optimizer="sgd", momentum=0.0, eval_every=20)),
    "drops": lambda: atoms(Plan(epochs=40, lr=0.05, schedule=loops.drops(0.5, 0.8))),
    "loud-batches": lambda: atoms(
        Plan(steps=1000, lr=2e-3, eval_every=50, fault=loops.broken_batch((300, 301, 700), 8.0))
    ),
    "in-volts": lambda: atoms(Plan(epochs=20, lr=1e-4), unit=1e-3, sparse=1e-4),
}
