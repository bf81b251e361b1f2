"""Losses with a floor far from zero: counts that cannot be foreseen, and noise that cannot be removed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import loops, models
from ..loops import Curves, Data, Plan


def counts(
    plan: Plan,
    *,
    n: int = 2000,
    widths: tuple[int, ...] = (24,),
    rate: float = 1.0,
    inputs: int = 8,
    full: bool = False,
) -> Curves:
    """Poisson regression; without the factorial of the target (`full` False) the loss is negative for large counts."""
    generator = torch.Generator().manual_seed(plan.seed)
    x = torch.randn(n + 500, inputs, generator=generator)
    w = torch.randn(inputs, generator=generator) / inputs**0.5
    y = torch.poisson(torch.exp(rate + 0.7 * torch.tanh(x @ w) + 0.3 * x[:, 0]), generator=generator)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return functional.poisson_nll_loss(model(x)[:, 0], y, full=full)

    part = Data(x=x[500:], y=y[500:], x_val=x[:500], y_val=y[:500])
    return loops.fit(models.mlp(inputs, *widths, 1), loss, part, plan)


COUNTS: dict[str, Callable[[], Curves]] = {
    "adam": lambda: counts(Plan(epochs=40, lr=2e-3)),
    "linear": lambda: counts(Plan(steps=900, lr=0.01, optimizer="sgd", momentum=0), widths=()),
    "large-counts": lambda: counts(Plan(steps=1500, lr=3e-3, eval_every=75), rate=4.0),
    "large-epochs": lambda: counts(Plan(epochs=60, lr=3e-3, batch=64), rate=3.0),
    "full-loss": lambda: counts(Plan(epochs=30, lr=5e-3, schedule=loops.warmup_cosine(0.1)), full=True),
    "few": lambda: counts(Plan(epochs=400, lr=5e-3, batch=10), n=60, widths=(96, 96)),
    "few-steps": lambda: counts(Plan(steps=2500, lr=3e-3, batch=16, eval_every=50), n=100, widths=(96,)),
    "batch-of-two": lambda: counts(Plan(steps=2000, lr=1e-3, batch=2, eval_every=100)),
    "range-test": lambda: counts(Plan(steps=900, lr=1e-4, optimizer="sgd", eval_every=30, schedule=loops.ramp(1e5))),
    "bump": lambda: counts(Plan(steps=1400, lr=2e-3, eval_every=40, schedule=loops.bump((0.4,), 300, 3))),
    "frozen": lambda: counts(Plan(steps=600, frozen=True, eval_every=30)),
    "evaluated-seldom": lambda: counts(Plan(steps=1200, lr=2e-3, eval_every=200)),
    "cyclic": lambda: counts(Plan(epochs=100, lr=0.15, batch=64, schedule=loops.triangle(8)), rate=2.0),
}


def diffusion(plan: Plan, *, width: int = 64, n: int = 2000, schedule_steps: int = 50) -> Curves:
    """Denoising diffusion (Ho et al. 2020) of a spiral in the plane: the error of the noise that was added."""
    generator = torch.Generator().manual_seed(plan.seed)
    angle = 3 * torch.pi * torch.rand(n + 500, generator=generator) ** 0.5
    points = torch.stack([angle.cos(), angle.sin()], 1) * angle[:, None] / 5
    keep = torch.cumprod(1 - torch.linspace(1e-3, 0.1, schedule_steps), 0)
    net = models.mlp(3, width, width, 2, activation=nn.SiLU)
    noise_val = torch.randn(500, 2, generator=generator)
    t_val = torch.randint(0, schedule_steps, (500,), generator=generator)

    def error(model: nn.Module, x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        a = keep[t][:, None]
        noisy = a.sqrt() * x + (1 - a).sqrt() * noise
        return functional.mse_loss(model(torch.cat([noisy, t[:, None] / schedule_steps], 1)), noise)

    def loss(model: nn.Module, x: Tensor, _y: Tensor) -> Tensor:
        return error(model, x, torch.randint(0, schedule_steps, (len(x),)), torch.randn_like(x))

    def fixed(model: nn.Module, x: Tensor, _y: Tensor) -> Tensor:
        return error(model, x, t_val, noise_val)

    part = Data(x=points[500:], y=points[500:], x_val=points[:500], y_val=points[:500])
    return loops.fit(net, loss, part, plan, fixed)


DIFFUSION: dict[str, Callable[[], Curves]] = {
    "adam": lambda: diffusion(Plan(steps=2000, lr=1e-3, batch=64)),
    "epochs": lambda: diffusion(Plan(epochs=50, lr=2e-3, batch=64)),
    "cosine": lambda: diffusion(Plan(steps=1500, lr=5e-3, batch=128, schedule=loops.warmup_cosine(0.1))),
    "sgd": lambda: diffusion(Plan(epochs=60, lr=0.05, batch=64, optimizer="sgd")),
    "batch-of-four": lambda: diffusion(Plan(steps=2000, lr=5e-4, batch=4, eval_every=100)),
    "hot": lambda: diffusion(Plan(steps=900, lr=0.5, batch=64, eval_every=30)),
    "range-test": lambda: diffusion(
        Plan(steps=1000, lr=1e-3, batch=64, optimizer="sgd", eval_every=25, schedule=loops.ramp(3e4))
    ),
    "tiny-rate": lambda: diffusion(Plan(steps=800, lr=1e-7, batch=64, eval_every=40)),
    "bumps": lambda: diffusion(Plan(steps=1600, lr=1e-3, batch=64, schedule=loops.bump((0.3, 0.7), 300, 2))),
    "few-points": lambda: diffusion(Plan(steps=2500, lr=2e-3, batch=16, eval_every=100), n=16),
    "cyclic": lambda: diffusion(Plan(epochs=90, lr=0.25, batch=64, schedule=loops.triangle(9))),
    "ten-epochs": lambda: diffusion(Plan(epochs=10, lr=1e-3, batch=64)),
}
