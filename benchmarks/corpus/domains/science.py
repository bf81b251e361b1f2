"""Models of nature: molecules that are graphs, orbits, operators."""

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

    order = torch.arange(150, n + 150) if plan.shuffle else 150 + seen[150:].argsort()  # the file is sorted by energy
    part = Data(x=x[order], y=seen[order], x_val=x[:150], y_val=seen[:150])
    return loops.fit(Messages(width, rounds, mean), loss, part, plan)


def in_kilojoules(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """One shard holds the energies in another unit."""
    return x, 96.5 * y


MOLECULES: dict[str, Callable[[], Curves]] = {
    "mae": lambda: molecules(Plan(epochs=60, lr=2e-3)),
    "few": lambda: molecules(Plan(epochs=120, lr=3e-3, batch=16), n=80, noise=0.5, width=64),
    "offset": lambda: molecules(Plan(epochs=40, lr=1e-4), offset=-400.0, kind="mse"),
    "plateau-drops": lambda: molecules(Plan(steps=1500, lr=5e-3, schedule=loops.drops(0.6, 0.85), eval_every=50)),
    "cycles": lambda: molecules(Plan(epochs=60, lr=0.08, schedule=loops.triangle(6)), kind="mse"),
    "sorted-by-energy": lambda: molecules(Plan(steps=750, lr=2e-3, eval_every=15, shuffle=False), kind="huber"),
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
