"""Differential equations solved by networks, and the forecast of a chaotic series."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import data, loops, models
from ..loops import Curves, Data, Plan


def pinn(plan: Plan, *, mode: float = 2.0, width: int = 24, amplitude: float = 1.0, boundary: float = 10.0) -> Curves:
    """Solve u'' = f with u = a sin(mode pi x) on (0, 1), zero at both ends (Raissi et al. 2019).

    The training loss is the squared residual at random points plus the boundary's; validation is the squared error
    of u itself, which nobody trains on.
    """
    net = models.mlp(1, width, width, 1, activation=nn.Tanh)
    x = torch.rand(2048, 1, generator=torch.Generator().manual_seed(plan.seed))
    grid = torch.linspace(0, 1, 101)[:, None]
    k = mode * torch.pi

    def residual(model: nn.Module, x: Tensor, _y: Tensor) -> Tensor:
        x = x.detach().requires_grad_(True)
        u = model(x)
        first = torch.autograd.grad(u.sum(), x, create_graph=True)[0]
        second = torch.autograd.grad(first.sum(), x, create_graph=True)[0]
        ends = model(torch.tensor([[0.0], [1.0]]))
        return functional.mse_loss(second / k**2, -amplitude * torch.sin(k * x)) + boundary * (ends**2).mean()

    def error(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return functional.mse_loss(model(x), y)

    part = Data(x=x, y=x, x_val=grid, y_val=amplitude * torch.sin(k * grid))
    return loops.fit(net, residual, part, plan, error)


EQ = Plan(steps=1500, batch=64, lr=3e-3, eval_every=30)
PINN: dict[str, Callable[[], Curves]] = {
    "adam": lambda: pinn(EQ),
    "rate-drops": lambda: pinn(EQ.but(schedule=loops.drops(0.5, 0.8))),
    "high-mode": lambda: pinn(EQ, mode=9),
    "millionth": lambda: pinn(EQ.but(steps=1200), amplitude=1e-3),
    "epochs": lambda: pinn(EQ.but(epochs=60)),
    "too-hot": lambda: pinn(EQ.but(lr=0.3, steps=800)),
    "sgd-explodes": lambda: pinn(EQ.but(lr=1e-3, optimizer="sgd", steps=800, eval_every=20, schedule=loops.ramp(3000))),
    "rmsprop": lambda: pinn(EQ.but(lr=1e-2, optimizer="rmsprop", steps=1200)),
    "cosine": lambda: pinn(EQ.but(lr=1e-2, schedule=loops.warmup_cosine(0.1))),
    "bump": lambda: pinn(EQ.but(schedule=loops.bump((0.6,), 60, 4))),
    "tiny-rate": lambda: pinn(EQ.but(lr=1e-7, steps=500)),
}


def series(
    plan: Plan,
    *,
    kind: type[nn.RNNBase] = nn.GRU,
    n: int = 1500,
    window: int = 20,
    ahead: int = 6,
    noise: float = 0.0,
    scale: float = 1.0,
) -> Curves:
    """Forecast the series of Mackey and Glass `ahead` units of time ahead from the last `window`."""
    values = torch.tensor(data.mackey_glass(), dtype=torch.float32)
    values = values + noise * torch.randn(len(values), generator=torch.Generator().manual_seed(plan.seed))
    rows = values.unfold(0, window + ahead, 1)
    x, y = rows[:, :window], rows[:, -1]
    part = Data(x=x[:n], y=y[:n], x_val=x[-400:], y_val=y[-400:])

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return functional.mse_loss(model(x), y) * scale

    return loops.fit(models.Regressor(kind), loss, part, plan)


def louder(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The sensor is read in another unit."""
    return 2.5 * x + 1, 2.5 * y + 1


SERIES: dict[str, Callable[[], Curves]] = {
    "gru": lambda: series(Plan(epochs=30, lr=3e-3)),
    "lstm-steps": lambda: series(Plan(steps=1200, lr=3e-3, eval_every=60), kind=nn.LSTM),
    "lstm-batch-of-two": lambda: series(Plan(steps=1500, batch=2, lr=1e-3, eval_every=100), kind=nn.LSTM),
    "few-noisy": lambda: series(Plan(epochs=250, batch=16, lr=1e-2), n=120, noise=0.4),
    "fewer-noisy": lambda: series(Plan(epochs=200, batch=16, lr=1e-2), n=60, noise=0.3, ahead=20),
    "plain-rnn-hot": lambda: series(Plan(steps=700, lr=0.5, optimizer="sgd", eval_every=20), kind=nn.RNN),
    "hot-adam": lambda: series(Plan(epochs=60, lr=0.2)),
    "sensor-changes": lambda: series(Plan(steps=1400, lr=3e-3, eval_every=40, fault=loops.shift(700, louder))),
    "sensor-changes-back": lambda: series(
        Plan(steps=1400, lr=2e-3, eval_every=40, fault=loops.shift(700, louder, until=730))
    ),
    "restarts": lambda: series(Plan(epochs=60, lr=1e-2, schedule=loops.restarts(4))),
    "millionths": lambda: series(Plan(epochs=25, lr=2e-3), scale=1e-6),
    "wrong-target": lambda: series(Plan(steps=800, lr=1e-5, fault=loops.shuffled_labels(), eval_every=40)),
    "far-ahead": lambda: series(Plan(steps=1500, lr=1e-3, eval_every=150), ahead=40, noise=0.1),
}


def heteroscedastic(
    plan: Plan, *, n: int = 600, widths: tuple[int, ...] = (32,), scale: float = 0.1, floor: float = -14.0
) -> Curves:
    """A mean and a variance for a noisy sine: the Gaussian negative log likelihood, below 0 where the fit is good."""
    generator = torch.Generator().manual_seed(plan.seed)
    x = 4 * torch.rand(n + 400, 1, generator=generator) - 2
    y = torch.sin(3 * x[:, 0]) + scale * (0.2 + x[:, 0].abs()) * torch.randn(n + 400, generator=generator)
    net = models.mlp(1, *widths, 2, activation=nn.Tanh)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        mean, log_var = model(x).unbind(1)
        log_var = log_var.clamp(min=floor)
        return (0.5 * (y - mean) ** 2 * (-log_var).exp() + 0.5 * log_var + 0.919).mean()

    return loops.fit(net, loss, Data(x=x[400:], y=y[400:], x_val=x[:400], y_val=y[:400]), plan)


def flow(plan: Plan, *, n: int = 1500, noise: float = 0.08, limit: float = 2.0, width: int = 32) -> Curves:
    """The density of two moons by affine coupling layers: nats a point."""
    from sklearn.datasets import make_moons

    points = torch.tensor(make_moons(n + 500, noise=noise, random_state=plan.seed)[0], dtype=torch.float32)
    points = (points - points.mean(0)) / points.std(0)
    net = models.Coupling(width=width)

    def loss(model: nn.Module, x: Tensor, _y: Tensor) -> Tensor:
        return model.nll(x, limit)

    part = Data(x=points[500:], y=points[500:], x_val=points[:500], y_val=points[:500])
    return loops.fit(net, loss, part, plan)


small_noise = partial(heteroscedastic, scale=0.01)
DENSITY: dict[str, Callable[[], Curves]] = {
    "normal": lambda: heteroscedastic(Plan(steps=2000, lr=3e-3, eval_every=50)),
    "normal-sharp": lambda: small_noise(Plan(epochs=150, lr=3e-3)),
    "normal-few": lambda: heteroscedastic(Plan(epochs=1500, lr=5e-3, batch=10), n=30, widths=(64, 64)),
    "normal-few-steps": lambda: heteroscedastic(Plan(steps=2000, lr=5e-3, batch=20), n=40, widths=(64, 64)),
    "normal-hot": lambda: heteroscedastic(
        Plan(steps=700, lr=3e-3, optimizer="sgd", eval_every=20, schedule=loops.ramp(1000))
    ),
    "normal-jumps": lambda: heteroscedastic(
        Plan(steps=1500, lr=2e-3, schedule=loops.jump(0.6, 200), eval_every=30), widths=(32, 32)
    ),
    "normal-cosine": lambda: small_noise(Plan(epochs=80, lr=1e-2, schedule=loops.warmup_cosine(0.1))),
    "flow": lambda: flow(Plan(steps=1200, lr=2e-3, batch=128, eval_every=40)),
    "flow-epochs": lambda: flow(Plan(epochs=60, lr=5e-4)),
    "flow-few": lambda: flow(Plan(epochs=500, lr=5e-3, batch=20), n=50, width=96),
    "flow-unlimited": lambda: flow(
        Plan(steps=800, lr=5e-4, optimizer="sgd", eval_every=20, schedule=loops.ramp(1000)), limit=60.0
    ),
    "flow-tiny-rate": lambda: flow(Plan(epochs=30, lr=1e-7)),
    "flow-bump": lambda: flow(Plan(steps=1500, lr=2e-3, schedule=loops.bump((0.5,), 40, 5), eval_every=50)),
}
