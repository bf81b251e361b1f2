"""Models of nature: molecules that are graphs, orbits, operators, inverse problems, volatility."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import loops, models
from ..loops import Curves, Data, Plan


class Messages(nn.Module):
    """Molecules (n, 9, 9 + 5) of bonds and kinds of atoms to an energy (n,); `rounds` of messages, added up."""

    def __init__(self, width: int, rounds: int, mean: bool) -> None:
        super().__init__()
        self.mean, self.start = mean, nn.Linear(5, width)
        self.rounds = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(rounds))
        self.read = models.mlp(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        bonds, h = x[..., :9], self.start(x[..., 9:])
        for layer in self.rounds:
            h = torch.relu(layer(torch.cat([h, bonds @ h], -1)))
        return self.read(h.mean(1) if self.mean else h.sum(1))[:, 0]


def molecules(
    plan: Plan,
    *,
    n: int = 800,
    width: int = 32,
    rounds: int = 3,
    noise: float = 0.05,
    kind: str = "mae",
    offset: float = 0.0,
    mean: bool = False,
) -> Curves:
    """The energy of random molecules of nine atoms: a pair term for every bond, and one for every triangle."""
    generator = torch.Generator().manual_seed(plan.seed)
    atoms = torch.randint(0, 5, (n + 150, 9), generator=generator)
    bonds = (torch.rand(n + 150, 9, 9, generator=generator) < 0.25).float().triu(1)
    bonds = bonds + bonds.transpose(1, 2)
    pair = torch.randn(5, 5, generator=generator)
    energy = (bonds * (pair + pair.T)[atoms[:, :, None], atoms[:, None]]).sum((1, 2))
    energy = energy + 0.5 * torch.diagonal(bonds @ bonds @ bonds, dim1=1, dim2=2).sum(1)
    energy = (energy - energy.mean()) / energy.std()
    seen = energy + noise * torch.randn(len(energy), generator=generator) + offset
    x = torch.cat([bonds, functional.one_hot(atoms, 5).float()], -1)
    losses = {"mae": functional.l1_loss, "mse": functional.mse_loss, "huber": functional.huber_loss}

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return losses[kind](model(x), y)

    part = Data(x=x[150:], y=seen[150:], x_val=x[:150], y_val=seen[:150])
    return loops.fit(Messages(width, rounds, mean), loss, part, plan)


def in_kilojoules(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """One shard holds the energies in another unit."""
    return x, 96.5 * y


MOLECULES: dict[str, Callable[[], Curves]] = {
    "mae": lambda: molecules(Plan(epochs=60, lr=2e-3)),
    "few": lambda: molecules(Plan(epochs=120, lr=3e-3, batch=16), n=80, noise=0.5, width=64),
    "offset": lambda: molecules(Plan(epochs=40, lr=1e-4), offset=-400.0, kind="mse"),
    "plateau-drops": lambda: molecules(Plan(steps=1500, lr=5e-3, schedule=loops.drops(0.6, 0.85), eval_every=50)),
    "sgd-unscaled": lambda: molecules(Plan(steps=300, lr=0.02, optimizer="sgd", eval_every=10), kind="mse", rounds=6),
    "shard-in-kilojoules": lambda: molecules(
        Plan(steps=1200, lr=2e-3, eval_every=60, fault=loops.shift(660, in_kilojoules, 668)), kind="huber"
    ),
    "mean-instead-of-sum": lambda: molecules(Plan(steps=900, lr=3e-4, eval_every=45), kind="mse", mean=True, noise=1.5),
}


def orbits(
    plan: Plan,
    *,
    n: int = 200,
    steps: int = 20,
    dt: float = 0.2,
    noise: float = 0.02,
    width: int = 24,
    gain: float = 1.0,
) -> Curves:
    """A neural differential equation (Chen et al. 2018) for hunters and prey, by Heun's steps; squared error."""
    generator = torch.Generator().manual_seed(plan.seed)

    def nature(z: Tensor) -> Tensor:
        return torch.stack([z[:, 0] * (1 - z[:, 1]), z[:, 1] * (z[:, 0] - 1)], 1)

    def path(rate: Callable[[Tensor], Tensor], z: Tensor, parts: int) -> Tensor:
        states, h = [z], dt / parts
        for _ in range(steps * parts):
            k = rate(z)
            z = z + 0.5 * h * (k + rate(z + h * k))
            states.append(z)
        return torch.stack(states[parts::parts], 1)

    x = 0.5 + 1.5 * torch.rand(n + 50, 2, generator=generator)
    y = path(nature, x, 10)
    y = y + noise * torch.randn(y.shape, generator=generator)
    net = models.mlp(2, width, width, 2, activation=nn.Tanh)
    with torch.no_grad():
        net[-1].weight.mul_(gain)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return functional.mse_loss(path(model, x, 1), y)

    return loops.fit(net, loss, Data(x=x[50:], y=y[50:], x_val=x[:50], y_val=y[:50]), plan)


ORBITS: dict[str, Callable[[], Curves]] = {
    "adam": lambda: orbits(Plan(epochs=60, lr=5e-3, batch=25)),
    "sgd-clipped": lambda: orbits(Plan(steps=500, lr=0.05, optimizer="sgd", clip=1.0, eval_every=25)),
    "adam-hot": lambda: orbits(Plan(steps=400, lr=0.05, eval_every=10, batch=16)),
    "few-noisy": lambda: orbits(Plan(epochs=250, lr=1e-2, batch=8), n=8, noise=0.4, width=48),
    "unclipped": lambda: orbits(Plan(steps=300, lr=0.1, optimizer="sgd", eval_every=10), gain=4.0, dt=0.4),
    "tiny-rate": lambda: orbits(Plan(steps=300, lr=1e-7, eval_every=15), gain=0.01),
}


def operators(
    plan: Plan,
    *,
    n: int = 300,
    sensors: int = 24,
    width: int = 32,
    relative: bool = True,
    smooth: float = 0.2,
    noise: float = 0.0,
) -> Curves:
    """A DeepONet (Lu et al. 2021): from a force at 24 places to the heat that it leaves, in relative squared error."""
    rng = np.random.default_rng(plan.seed)
    place = np.linspace(0, 1, sensors)
    kernel = np.exp(-((place[:, None] - place) ** 2) / (2 * smooth**2)) + 1e-8 * np.eye(sensors)
    force = rng.standard_normal((n + 60, sensors)) @ np.linalg.cholesky(kernel).T
    stiff = 2 * np.eye(sensors) - np.eye(sensors, k=1) - np.eye(sensors, k=-1)
    heat = np.tanh(np.linalg.solve(stiff, force.T).T / 10)
    heat = heat + noise * rng.standard_normal(heat.shape)
    branch, trunk = models.mlp(sensors, width, width), models.mlp(1, width, width, activation=nn.Tanh)
    where = torch.tensor(place[:, None], dtype=torch.float32)

    def loss(model: nn.ModuleList, x: Tensor, y: Tensor) -> Tensor:
        off = ((model[0](x) @ model[1](where).T - y) ** 2).mean(1)
        return (off / (y**2).mean(1)).mean() if relative else off.mean()

    x, y = (torch.tensor(each, dtype=torch.float32) for each in (force, heat))
    return loops.fit(nn.ModuleList([branch, trunk]), loss, Data(x=x[60:], y=y[60:], x_val=x[:60], y_val=y[:60]), plan)


OPERATORS: dict[str, Callable[[], Curves]] = {
    "adam": lambda: operators(Plan(epochs=150, lr=1e-3)),
    "rough-few": lambda: operators(Plan(epochs=300, lr=3e-3, batch=10), n=40, smooth=0.05, noise=0.2),
    "long": lambda: operators(
        Plan(steps=4000, lr=2e-3, eval_every=200, log_every=5, schedule=loops.drops(0.5, 0.8)), relative=False
    ),
    "cosine-restarts": lambda: operators(
        Plan(steps=2000, lr=3e-2, eval_every=40, schedule=loops.restarts(5), watch=True)
    ),
    "sgd-edge": lambda: operators(
        Plan(steps=800, lr=0.03, optimizer="sgd", momentum=0.95, eval_every=20), relative=False
    ),
    "resumed-too-fast": lambda: operators(Plan(epochs=80, lr=1e-3, schedule=loops.bump((0.5,), 20, 12))),
    "rate-typo-late": lambda: operators(Plan(epochs=100, lr=1e-3, schedule=loops.jump(0.8, 400))),
}


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
