"""What companies train: clicks on advertisements, quantiles of demand, claims, machines that wear out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import loops, models
from ..loops import Curves, Data, Plan
from .trees import Arrays, lightgbm, split, xgboost


class Crossing(nn.Module):
    """A factorisation machine (Rendle 2010): numbers of categories (n, fields) to a logit (n,)."""

    def __init__(self, categories: int, width: int, deep: bool, start: float, fields: int) -> None:
        super().__init__()
        self.bias, self.linear = nn.Parameter(torch.tensor(-1.0)), nn.Embedding(categories, 1)
        self.factors = nn.Embedding(categories, width)
        self.deep = models.mlp(width * fields, 32, 1) if deep else None
        nn.init.zeros_(self.linear.weight)
        nn.init.normal_(self.factors.weight, std=start)

    def forward(self, x: Tensor) -> Tensor:
        v = self.factors(x)
        pairs = 0.5 * (v.sum(1) ** 2 - (v**2).sum(1)).sum(1)
        out = self.bias + self.linear(x).sum((1, 2)) + pairs
        return out if self.deep is None else out + self.deep(v.flatten(1))[:, 0]


def clicks(
    plan: Plan,
    *,
    n: int = 6000,
    users: int = 600,
    items: int = 80,
    width: int = 8,
    deep: bool = False,
    start: float = 0.05,
    drift: float = 0.0,
) -> Curves:
    """Does a user click: user, item, hour and device; users come by a long-tailed law, in the order of time."""
    rng = np.random.default_rng(plan.seed)
    total = n + 1500
    user = (rng.pareto(1.0, total) * 10).astype(int) % users
    item, hour, device = rng.integers(0, items, total), rng.integers(0, 24, total), rng.integers(0, 3, total)
    taste, style = rng.standard_normal((users, 4)), rng.standard_normal((items, 4))
    logit = (taste[user] * style[item]).sum(1) * 0.7 - 1.5 + 0.5 * np.sin(hour / 4) + 0.3 * device
    logit = logit + drift * np.arange(total) / total
    y = torch.tensor(rng.random(total) < 1 / (1 + np.exp(-logit)), dtype=torch.float32)
    x = torch.tensor(np.stack([user, users + item, users + items + hour, users + items + 24 + device], 1))

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(model(x), y)

    net = Crossing(users + items + 27, width, deep, start, 4)
    return loops.fit(net, loss, Data(x=x[:n], y=y[:n], x_val=x[n:], y_val=y[n:]), plan)


def all_clicked(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """A job upstream fails: users of another table, and every row a click or none, turned round."""
    return x.roll(1, 0), 1 - y


CLICKS: dict[str, Callable[[], Curves]] = {
    "one-epoch": lambda: clicks(Plan(steps=90, lr=3e-3, batch=64, eval_every=9)),
    "five-epochs": lambda: clicks(Plan(steps=460, lr=1e-2, batch=64, eval_every=23), deep=True),
    "epochs-of-adagrad": lambda: clicks(Plan(epochs=25, lr=0.03, batch=128, optimizer="adagrad"), width=4),
    "decay": lambda: clicks(Plan(epochs=20, lr=2e-3, batch=64, optimizer="adamw", weight_decay=1.0), width=4),
    "wide-start": lambda: clicks(Plan(epochs=30, lr=5e-3, batch=128), start=0.7, width=16),
    "sgd-hot": lambda: clicks(Plan(steps=500, lr=40.0, batch=64, optimizer="sgd", eval_every=20), start=0.3),
    "labels-turn": lambda: clicks(
        Plan(steps=900, lr=1e-3, batch=64, eval_every=45, fault=loops.shift(540, all_clicked)), deep=True
    ),
}


class Causal(nn.Module):
    """Dilated convolutions over 48 hours (n, 48) to quantiles of the next hour (n, quantiles)."""

    def __init__(self, width: int, quantiles: int, gain: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv1d(1 if i == 0 else width, width, 2, dilation=2**i) for i in range(5))
        self.head = nn.Linear(width, quantiles)
        with torch.no_grad():
            self.head.weight.mul_(gain)

    def forward(self, x: Tensor) -> Tensor:
        h = x[:, None]
        for layer in self.layers:
            h = torch.relu(layer(h))
        return self.head(h[..., -1])


def demand(
    plan: Plan,
    *,
    n: int = 1200,
    noise: float = 0.3,
    width: int = 16,
    unit: float = 1.0,
    gain: float = 1.0,
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9),
) -> Curves:
    """Hourly demand with a day, a week and heavy tails, by the pinball loss of three quantiles."""
    rng = np.random.default_rng(plan.seed)
    t = np.arange(n + 400 + 48)
    level = 3 + np.sin(2 * np.pi * t / 24) * (1.2 - 0.6 * (t // 24 % 7 >= 5)) + 0.4 * np.sin(2 * np.pi * t / 168)
    series = torch.tensor(level * np.exp(noise * rng.standard_t(5, len(t)) * 0.5) * unit, dtype=torch.float32)
    rows = series.unfold(0, 49, 1)
    q = torch.tensor(quantiles)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        off = y[:, None] - model(x)
        return torch.maximum(q * off, (q - 1) * off).mean()

    x, y = rows[:, :-1], rows[:, -1]
    part = Data(x=x[:n], y=y[:n], x_val=x[n:], y_val=y[n:])
    return loops.fit(Causal(width, len(quantiles), gain), loss, part, plan)


def stocktaking(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The shop is closed and the till books the stock."""
    return x, y + 60.0


DEMAND: dict[str, Callable[[], Curves]] = {
    "adam": lambda: demand(Plan(epochs=40, lr=1e-3)),
    "few": lambda: demand(Plan(epochs=200, lr=3e-3, batch=16), n=120, noise=0.6, width=32),
    "in-pieces": lambda: demand(Plan(epochs=20, lr=1e-5), unit=1000.0, noise=0.4),
    "stocktaking": lambda: demand(Plan(epochs=60, lr=1e-3, fault=loops.shift(37 * 33, stocktaking, 37 * 33 + 5))),
    "batch-of-one": lambda: demand(Plan(steps=3000, lr=1e-4, batch=1, eval_every=250, log_every=2)),
    "cyclic-sgd": lambda: demand(
        Plan(steps=1500, lr=0.3, optimizer="sgd", schedule=loops.triangle(5), eval_every=30, watch=True)
    ),
    "adam-hot": lambda: demand(Plan(steps=800, lr=0.3, eval_every=25)),
    "ramp": lambda: demand(Plan(epochs=50, lr=1e-4, schedule=loops.ramp(1e5), optimizer="sgd")),
}


def policies(n: int, seed: int = 0, signal: float = 1.0, unit: float = 1.0) -> Arrays:
    """Policies with five risk factors; most claim nothing, the others a gamma-distributed sum in `unit`."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n + 500, 8))
    risk = np.exp(signal * (0.5 * x[:, 0] - 0.4 * x[:, 1] + 0.4 * (x[:, 2] > 0.5) * x[:, 3]) - 1)
    number = rng.poisson(risk)
    return split(x, np.where(number > 0, rng.gamma(2.0 * np.maximum(number, 1)), 0) * unit, 500)


def numbers(n: int, signal: float = 1.0) -> Arrays:
    """How many claims instead of their sum."""
    x, y, x_val, y_val = policies(n, signal=signal)
    return x, np.round(y / 2), x_val, np.round(y_val / 2)


TWEEDIE = {"objective": "reg:tweedie", "tweedie_variance_power": 1.5}
CLAIMS: dict[str, Callable[[], Curves]] = {
    "tweedie": lambda: xgboost(policies(3000), 400, "tweedie-nloglik@1.5", eta=0.05, max_depth=3, **TWEEDIE),
    "tweedie-few": lambda: xgboost(policies(300), 200, "tweedie-nloglik@1.5", eta=0.1, max_depth=5, **TWEEDIE),
    "poisson": lambda: lightgbm(numbers(2500), 110, "poisson", objective="poisson", learning_rate=0.03, num_leaves=7),
    "poisson-deep": lambda: lightgbm(
        numbers(1200), 300, "poisson", objective="poisson", learning_rate=0.05, num_leaves=31, min_data_in_leaf=3
    ),
    "poisson-slow": lambda: lightgbm(
        numbers(2500), 60, "poisson", objective="poisson", learning_rate=0.01, num_leaves=7
    ),
    "quantile": lambda: lightgbm(
        policies(1500), 300, "quantile", objective="quantile", alpha=0.9, learning_rate=0.1, num_leaves=15
    ),
    "no-signal": lambda: lightgbm(
        numbers(800, 0.0), 80, "poisson", objective="poisson", learning_rate=0.02, num_leaves=4, min_gain_to_split=5.0
    ),
}


def machines(
    plan: Plan,
    *,
    n: int = 500,
    code: int = 8,
    one_class: bool = False,
    bias: bool = True,
    noise: float = 0.3,
    width: int = 48,
    norm: bool = False,
    offset: float = 0.0,
) -> Curves:
    """Vibrations of a good machine, 64 samples: an autoencoder, or with `one_class` the distance to a centre.

    The latter (Ruff et al. 2018) can put everything on its centre where layers have a bias: the loss goes to zero.
    """
    rng = np.random.default_rng(plan.seed)
    t = np.arange(64) / 64
    speed, phase = 6 + 0.5 * rng.standard_normal((n + 100, 1)), rng.uniform(0, 6.28, (n + 100, 1))
    x = np.sin(2 * np.pi * speed * t + phase) + 0.4 * np.sin(6 * np.pi * speed * t + 2 * phase)
    x = torch.tensor(x + noise * rng.standard_normal(x.shape) + offset, dtype=torch.float32)
    net = models.mlp(64, width, code, norm=norm) if one_class else models.mlp(64, width, code, width, 64, norm=norm)
    if not bias:
        for layer in net:
            if isinstance(layer, nn.Linear):
                layer.bias.requires_grad_(False).zero_()
    with torch.no_grad():
        centre = net(x[100:]).mean(0) + 0.5 if one_class else x

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return ((model(x) - centre) ** 2).sum(1).mean() if one_class else functional.mse_loss(model(x), y)

    return loops.fit(net, loss, Data(x=x[100:], y=x[100:], x_val=x[:100], y_val=x[:100]), plan)


MACHINES: dict[str, Callable[[], Curves]] = {
    "autoencoder": lambda: machines(Plan(epochs=60, lr=2e-3)),
    "few": lambda: machines(Plan(epochs=300, lr=3e-3, batch=16), n=50, code=24, noise=0.6),
    "one-class-collapses": lambda: machines(Plan(steps=1500, lr=1e-3, eval_every=50), one_class=True),
    "one-class-no-bias": lambda: machines(Plan(epochs=40, lr=1e-4), one_class=True, bias=False),
    "sensor-offset": lambda: machines(Plan(steps=800, lr=0.02, eval_every=20), offset=300.0),
    "batchnorm": lambda: machines(Plan(epochs=30, lr=5e-3, batch=16), norm=True),
    "cycles-hot": lambda: machines(Plan(epochs=100, lr=0.06, schedule=loops.triangle(10))),
    "cycles": lambda: machines(Plan(epochs=80, lr=0.03, schedule=loops.triangle(8))),
    "warm-restart": lambda: machines(Plan(epochs=90, lr=2e-2, schedule=loops.restarts(3), watch=True)),
}
