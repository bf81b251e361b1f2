"""Losses between things: triplets, neighbours in a graph, who outlives whom; and patches of a flower."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import torch
from sklearn import datasets
from torch import Tensor, nn
from torch.nn import functional

from .. import loops, models
from ..loops import Curves, Data, Plan


def triplets(
    plan: Plan,
    *,
    classes: int = 20,
    spread: float = 0.8,
    n: int = 800,
    hard: bool = False,
    margin: float = 0.5,
    width: int = 48,
) -> Curves:
    """Embeddings on a sphere with a triplet loss (Schroff et al. 2015); `hard` takes the hardest of the batch.

    A hard triplet loss that collapses to one point stays at its margin.
    """
    generator = torch.Generator().manual_seed(plan.seed)
    centres = torch.randn(classes, 20, generator=generator)
    y = torch.randint(0, classes, (n + 100,), generator=generator)
    x = torch.tanh(centres[y] + spread * torch.randn(n + 100, 20, generator=generator))

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        out = functional.normalize(model(x), dim=1)
        far = (2 - 2 * out @ out.T).clamp(min=1e-9).sqrt()
        same = y[:, None] == y
        if hard:
            positive = far.masked_fill(~same, 0).max(1).values
            negative = far.masked_fill(same, 9).min(1).values
            return functional.relu(positive - negative + margin).mean()
        own = same & ~torch.eye(len(y), dtype=torch.bool)
        each = functional.relu(far[:, :, None] - far[:, None, :] + margin)
        valid = own[:, :, None] & ~same[:, None, :]
        return (each * valid).sum() / valid.sum().clamp(min=1)

    return loops.fit(models.mlp(20, width, 8), loss, Data(x=x[100:], y=y[100:], x_val=x[:100], y_val=y[:100]), plan)


TRIPLETS: dict[str, Callable[[], Curves]] = {
    "all": lambda: triplets(Plan(steps=1000, lr=1e-3, eval_every=50)),
    "hard": lambda: triplets(Plan(steps=1500, lr=3e-3, eval_every=50), hard=True, spread=1.2),
    "hard-hot": lambda: triplets(Plan(steps=1200, lr=0.1, eval_every=30), hard=True),
    "sgd": lambda: triplets(Plan(epochs=30, lr=0.05, optimizer="sgd")),
    "few": lambda: triplets(Plan(epochs=150, lr=3e-3, batch=30), n=60, spread=1.2, width=96),
    "names-mixed-up": lambda: triplets(Plan(steps=1000, lr=3e-4, fault=loops.shuffled_labels(), eval_every=50)),
    "frozen": lambda: triplets(Plan(epochs=20, frozen=True)),
    "batch-of-sixteen": lambda: triplets(Plan(steps=1000, lr=1e-3, batch=16, eval_every=25)),
}


class Gcn(nn.Module):
    """A graph network (Kipf and Welling 2017): rows of one fixed graph to classes."""

    def __init__(self, links: Tensor, features: Tensor, classes: int, layers: int, width: int) -> None:
        super().__init__()
        degree = (links + torch.eye(len(links))).sum(1)
        self.mix = (links + torch.eye(len(links))) / (degree[:, None] * degree).sqrt()
        self.features = features
        sizes = [features.shape[1], *[width] * (layers - 1), classes]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, rows: Tensor) -> Tensor:
        h = self.features
        for i, layer in enumerate(self.layers):
            h = self.mix @ layer(h)
            h = torch.relu(h) if i < len(self.layers) - 1 else h
        return h[rows]


def graph(
    plan: Plan,
    *,
    shown: int = 120,
    layers: int = 2,
    width: int = 24,
    inside: float = 0.06,
    between: float = 0.01,
    wrong: float = 0.0,
) -> Curves:
    """Which of four communities does a node belong to: a stochastic block model with weak features."""
    generator = torch.Generator().manual_seed(plan.seed)
    y = torch.arange(400) % 4
    chance = torch.where(y[:, None] == y, inside, between)
    links = (torch.rand(400, 400, generator=generator) < chance).float().triu(1)
    features = torch.randn(400, 16, generator=generator) + 0.3 * functional.one_hot(y, 16)
    order = torch.randperm(400, generator=generator)
    seen = y[order[:shown]].clone()
    bad = torch.rand(shown, generator=generator) < wrong
    seen = torch.where(bad, torch.randint(0, 4, (shown,), generator=generator), seen)
    net = Gcn(links + links.T, features, 4, layers, width)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(model(x), y)

    part = Data(x=order[:shown], y=seen, x_val=order[200:], y_val=y[order[200:]])
    return loops.fit(net, loss, part, plan)


WHOLE = Plan(epochs=200, batch=10**6, lr=1e-2)
GRAPH: dict[str, Callable[[], Curves]] = {
    "two-layers": lambda: graph(WHOLE),
    "decay": lambda: graph(WHOLE.but(weight_decay=5e-3, epochs=300)),
    "few": lambda: graph(WHOLE.but(epochs=250), shown=24, width=64),
    "twelve-layers": lambda: graph(WHOLE.but(lr=1e-3, epochs=120, watch=True), layers=12),
    "no-communities": lambda: graph(WHOLE.but(epochs=150, weight_decay=0.05), inside=0.02, between=0.02),
    "slow": lambda: graph(WHOLE.but(lr=3e-4, epochs=150)),
    "sgd-hot": lambda: graph(WHOLE.but(lr=80.0, optimizer="sgd", epochs=120)),
    "wrong-labels": lambda: graph(WHOLE.but(epochs=150), wrong=0.4),
}


def survival(
    plan: Plan, *, n: int = 500, widths: tuple[int, ...] = (), censored: float = 0.3, signal: float = 1.0
) -> Curves:
    """Cox's partial likelihood of survival times, in nats an event; every batch is its own risk set."""
    generator = torch.Generator().manual_seed(plan.seed)
    x = torch.randn(n + 300, 10, generator=generator)
    risk = signal * (x[:, 0] - 0.5 * x[:, 1] + 0.5 * x[:, 2] * x[:, 3])
    time = -torch.rand(n + 300, generator=generator).log() * (-risk).exp()
    event = (torch.rand(n + 300, generator=generator) > censored).float()

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        order = y[:, 0].argsort(descending=True)
        out, event = model(x)[order, 0], y[order, 1]
        return -((out - out.logcumsumexp(0)) * event).sum() / event.sum().clamp(min=1)

    y = torch.stack([time, event], 1)
    part = Data(x=x[300:], y=y[300:], x_val=x[:300], y_val=y[:300])
    return loops.fit(models.mlp(10, *widths, 1), loss, part, plan)


SURVIVAL: dict[str, Callable[[], Curves]] = {
    "linear": lambda: survival(WHOLE.but(epochs=200, lr=1e-2)),
    "batches": lambda: survival(Plan(steps=1500, lr=1e-3, batch=32, eval_every=50), widths=(32,)),
    "network-few": lambda: survival(WHOLE.but(epochs=300, lr=3e-3), n=80, widths=(64, 64)),
    "network": lambda: survival(Plan(epochs=40, lr=1e-3, batch=100), widths=(32,)),
    "nothing-to-learn": lambda: survival(Plan(epochs=30, lr=1e-4, batch=100), signal=0.0),
    "hot": lambda: survival(Plan(steps=600, lr=1.0, batch=32, eval_every=20), widths=(32,)),
    "rate-jumps": lambda: survival(
        Plan(steps=1200, lr=1e-3, batch=64, schedule=loops.jump(0.7, 500), eval_every=30), widths=(32,)
    ),
}


@lru_cache
def flower(side: int = 8) -> Tensor:
    """Patches of a flower that scikit-learn ships, as grey values of mean 0 and standard deviation 1 (n, side**2)."""
    grey = torch.tensor(datasets.load_sample_image("flower.jpg").mean(2), dtype=torch.float32)
    rows = grey.unfold(0, side, side).unfold(1, side, side).reshape(-1, side * side)
    return (rows - rows.mean()) / rows.std()


def patches(
    plan: Plan,
    *,
    code: int = 8,
    noise: float = 0.0,
    n: int = 2500,
    activation: type[nn.Module] = nn.ReLU,
    unit: float = 1.0,
) -> Curves:
    """An autoencoder of 8 by 8 patches, from noisy to clean; the squared error in `unit`."""
    rows = flower()[torch.randperm(len(flower()), generator=torch.Generator().manual_seed(plan.seed))]
    shaken = rows + noise * torch.randn(rows.shape, generator=torch.Generator().manual_seed(plan.seed + 1))
    net = models.mlp(64, 48, code, 48, 64, activation=activation)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return functional.mse_loss(model(x), y) * unit

    part = Data(x=shaken[400 : 400 + n], y=rows[400 : 400 + n], x_val=shaken[:400], y_val=rows[:400])
    return loops.fit(net, loss, part, plan)


def dark(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The camera turns its exposure up."""
    return 4 * x + 3, 4 * y + 3


PATCHES: dict[str, Callable[[], Curves]] = {
    "relu": lambda: patches(Plan(steps=2500, lr=1e-3, eval_every=50)),
    "drops": lambda: patches(Plan(epochs=30, lr=0.05, optimizer="sgd", schedule=loops.drops(0.5, 0.75), watch=True)),
    "sigmoid-sgd": lambda: patches(Plan(epochs=20, lr=0.02, optimizer="sgd"), activation=nn.Sigmoid),
    "few-noisy": lambda: patches(Plan(epochs=200, lr=2e-3, batch=20), n=100, noise=0.7, code=32),
    "exposure": lambda: patches(Plan(steps=1600, lr=1e-3, eval_every=40, fault=loops.shift(800, dark))),
    "exposure-once": lambda: patches(Plan(steps=1200, lr=1e-3, eval_every=40, fault=loops.shift(600, dark, 603))),
    "batch-of-one": lambda: patches(Plan(steps=4000, lr=3e-4, batch=1, eval_every=200, log_every=2)),
    "sgd-hot": lambda: patches(Plan(steps=800, lr=3.0, optimizer="sgd", eval_every=20)),
    "ten-millionths": lambda: patches(Plan(epochs=12, lr=1e-3), unit=1e-7),
    "restarts": lambda: patches(Plan(steps=2400, lr=5e-3, schedule=loops.restarts(4), eval_every=30, watch=True)),
}
