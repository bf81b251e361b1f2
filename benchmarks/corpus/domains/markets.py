"""What others do moves the goal: bidders who answer each other, seasons that come round, a course that is steered."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import loops, models
from ..loops import Curves, Plan

BEATS = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]])


def bidding(
    plan: Plan,
    *,
    entropy: float = 0.0,
    noise: float = 0.0,
    look_ahead: bool = False,
    samples: int = 0,
    skew: float = 1.0,
) -> Curves:
    """Two bidders at rock, paper, scissors learn by policy gradient; the loss is how much each could still gain.

    Zero at the solution, which simultaneous gradients circle. `samples` measures the loss on so many plays.
    """
    generator = torch.Generator().manual_seed(plan.seed)
    pay = BEATS * torch.tensor([skew, 1.0, 1.0])[:, None]
    a, b = torch.tensor([1.0, -0.3, -0.5]), torch.tensor([-0.4, 0.9, 0.1])
    before, curves = (torch.zeros(3), torch.zeros(3)), Curves("step")

    def gain(a: Tensor, b: Tensor) -> float:
        p, q = torch.softmax(a, 0), torch.softmax(b, 0)
        return float((pay @ q).max() - p @ pay @ q + p @ pay @ q - (p @ pay).min())

    for step in range(1, plan.steps + 1):
        p, q = torch.softmax(a, 0), torch.softmax(b, 0)
        worth = (pay @ q - entropy * p.log(), -(p @ pay) - entropy * q.log())
        moves = tuple(r * (w - r @ w) for r, w in zip((p, q), worth, strict=True))
        shake = noise * torch.randn(2, 3, generator=generator)
        ahead = tuple(2 * m - o for m, o in zip(moves, before, strict=True)) if look_ahead else moves
        a, b, before = a + plan.lr * (ahead[0] + shake[0]), b + plan.lr * (ahead[1] + shake[1]), moves
        jitter = float(torch.randn((), generator=generator).abs()) / samples**0.5 if samples else 0.0
        curves.log(step, train=gain(a, b) + jitter)
        if step % plan.eval_every == 0:
            curves.log(step, val=gain(a, b))
    return curves


BIDDING: dict[str, Callable[[], Curves]] = {
    "circles": lambda: bidding(Plan(steps=1500, lr=0.1, eval_every=10)),
    "circles-slow": lambda: bidding(Plan(steps=2500, lr=0.03, eval_every=25), samples=400),
    "circles-noisy": lambda: bidding(Plan(steps=2000, lr=0.1, eval_every=20), noise=0.3, skew=2.0),
    "entropy": lambda: bidding(Plan(steps=1500, lr=0.1, eval_every=15), entropy=0.3),
    "entropy-little": lambda: bidding(Plan(steps=2000, lr=0.1, eval_every=20), entropy=0.03, samples=400),
    "look-ahead": lambda: bidding(Plan(steps=3000, lr=0.3, eval_every=30), look_ahead=True),
    "not-moving": lambda: bidding(Plan(steps=600, lr=1e-5, eval_every=20), samples=100),
}


def seasons(
    plan: Plan, *, period: int = 300, depth: float = 1.0, n_val: int = 300, keep: bool = False, growth: float = 0.0
) -> Curves:
    """Demand that depends on the season, which the inputs do not tell: the model runs after it.

    Validation is on the present season, or on the whole year with `keep`; `growth` makes the seasons stronger.
    """
    generator = torch.Generator().manual_seed(plan.seed)
    w, s = torch.randn(10, generator=generator), torch.randn(10, generator=generator)
    net = models.mlp(10, 24, 1)
    stepper, curves = loops.optimizer(plan, net.parameters()), Curves("step")
    x_val = torch.randn(n_val, 10, generator=generator)

    def demand(x: Tensor, step: int) -> Tensor:
        wave = torch.sin(torch.tensor(2 * torch.pi * step / period))
        return x @ w + depth * (1 + growth * step) * wave * (x @ s)

    for step in range(1, plan.steps + 1):
        x = torch.randn(plan.batch, 10, generator=generator)
        value = functional.mse_loss(net(x)[:, 0], demand(x, step))
        stepper.zero_grad()
        value.backward()
        for group in stepper.param_groups:
            group["lr"] = plan.lr * (plan.schedule(step, plan.steps) if plan.schedule else 1)
        stepper.step()
        curves.log(step, train=float(value.detach()))
        if step % plan.eval_every == 0:
            with torch.no_grad():
                at = [step] if not keep else range(0, period, period // 6)
                curves.log(
                    step, val=sum(float(functional.mse_loss(net(x_val)[:, 0], demand(x_val, s))) for s in at) / len(at)
                )
    return curves


SEASONS: dict[str, Callable[[], Curves]] = {
    "years": lambda: seasons(Plan(steps=2400, lr=3e-3, eval_every=20)),
    "years-sgd": lambda: seasons(Plan(steps=2400, lr=0.02, optimizer="sgd", eval_every=30), period=240, depth=2.0),
    "one-long-year": lambda: seasons(Plan(steps=1500, lr=3e-3, eval_every=20), period=1800),
    "mild": lambda: seasons(Plan(steps=2000, lr=3e-3, eval_every=40), depth=0.1),
    "whole-year": lambda: seasons(Plan(steps=2000, lr=3e-3, eval_every=40), keep=True, depth=0.5),
    "wilder": lambda: seasons(Plan(steps=2000, lr=3e-3, eval_every=20), growth=0.004, period=200),
    "cosine": lambda: seasons(Plan(steps=2400, lr=5e-3, eval_every=30, schedule=loops.warmup_cosine(0.05)), depth=0.5),
}


class Steering(nn.Module):
    """A gain on the state of an unstable linear course; the cost of `horizon` steps."""

    def __init__(self, horizon: int, scale: float) -> None:
        super().__init__()
        self.gain, self.horizon = nn.Parameter(scale * torch.randn(2, 4)), horizon
        generator = torch.Generator().manual_seed(7)
        self.a = torch.eye(4) + 0.15 * torch.randn(4, 4, generator=generator)
        self.b = 0.3 * torch.randn(4, 2, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        cost = torch.zeros(len(x))
        for _ in range(self.horizon):
            push = -x @ self.gain.T
            cost = cost + (x**2).sum(1) + 0.1 * (push**2).sum(1)
            x = x @ self.a.T + push @ self.b.T
        return cost / self.horizon


def steering(plan: Plan, *, horizon: int = 20, scale: float = 0.0, n: int = 2000) -> Curves:
    """Steer an unstable course by gradients through all of it: flat far away, steep at the edge of what is stable."""
    generator = torch.Generator().manual_seed(plan.seed)
    x = torch.randn(n + 200, 4, generator=generator)

    def loss(model: nn.Module, x: Tensor, _y: Tensor) -> Tensor:
        return model(x).mean()

    part = loops.Data(x=x[200:], y=x[200:], x_val=x[:200], y_val=x[:200])
    return loops.fit(Steering(horizon, scale), loss, part, plan)


STEERING: dict[str, Callable[[], Curves]] = {
    "adam": lambda: steering(Plan(steps=800, lr=1e-2, eval_every=20)),
    "adam-hot": lambda: steering(Plan(steps=800, lr=0.5, eval_every=10)),
    "sgd-clipped": lambda: steering(
        Plan(steps=1000, lr=0.01, optimizer="sgd", momentum=0.0, clip=1.0, eval_every=25, watch=True)
    ),
    "sgd": lambda: steering(Plan(steps=500, lr=1e-2, optimizer="sgd", eval_every=10)),
    "sgd-clipped-hot": lambda: steering(
        Plan(steps=1000, lr=0.3, optimizer="sgd", momentum=0.5, clip=1.0, eval_every=10, watch=True)
    ),
    "epochs": lambda: steering(Plan(epochs=12, lr=1e-3, batch=100), n=1000),
    "tiny-rate": lambda: steering(Plan(steps=500, lr=1e-6, eval_every=20)),
    "rate-jumps": lambda: steering(Plan(steps=800, lr=5e-3, schedule=loops.jump(0.5, 200), eval_every=10)),
}
