"""Images: digits of 8 x 8, and a photograph."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import data, loops, models
from ..loops import Curves, Data, Plan


def cross_entropy(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return functional.cross_entropy(model(x), y)


def focal(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Lin et al. 2017, gamma 2."""
    log_p = functional.log_softmax(model(x), 1).gather(1, y[:, None])[:, 0]
    return (-((1 - log_p.exp()) ** 2) * log_p).mean()


def log_of_softmax(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Cross entropy as it should not be written: the logarithm of a probability that may be 0."""
    return -torch.log(torch.softmax(model(x), 1).gather(1, y[:, None])).mean()


def digits(
    plan: Plan,
    *,
    n: int | None = None,
    net: Callable[[], nn.Module] = models.cnn,
    loss: loops.Loss = cross_entropy,
    wrong: float = 0.0,
    gain: float = 1.0,
) -> Curves:
    """Classify digits; a share `wrong` of the training labels is drawn at random, inputs are multiplied by `gain`."""
    part = data.bundled("digits", n, 400, plan.seed)
    y = part.y.clone()
    bad = torch.rand(len(y)) < wrong
    y[bad] = torch.randint(0, 10, (int(bad.sum()),))
    part = replace(part, y=y, x=part.x * gain, x_val=part.x_val * gain)
    if plan.half:
        part = replace(part, x=part.x.half(), x_val=part.x_val.half())
    return loops.fit(net(), loss, part, plan)


SGD = Plan(optimizer="sgd", lr=0.02, epochs=30)
wide = partial(models.mlp, 64, 256, 10)
DIGITS: dict[str, Callable[[], Curves]] = {
    "adam": lambda: digits(Plan(epochs=25)),
    "sgd-drops": lambda: digits(SGD.but(epochs=40, lr=0.05, schedule=loops.drops(0.5, 0.75))),
    "few-examples": lambda: digits(Plan(epochs=200, lr=3e-3, batch=16), n=60, net=wide),
    "hundred-examples": lambda: digits(Plan(epochs=300, lr=1e-2, batch=16), n=100, net=partial(models.mlp, 64, 64, 10)),
    "wrong-labels": lambda: digits(Plan(epochs=80, lr=2e-3, batch=64), n=700, net=wide, wrong=0.4),
    "rate-too-high": lambda: digits(SGD.but(epochs=None, steps=800, lr=2.5, momentum=0.95, eval_every=25)),
    "rate-jumps": lambda: digits(SGD.but(epochs=60, schedule=loops.jump(0.6, 300))),
    "labels-shuffled": lambda: digits(Plan(steps=1200, fault=loops.shuffled_labels(), eval_every=40)),
    "broken-batch": lambda: digits(
        SGD.but(epochs=None, steps=1200, lr=0.01, fault=loops.broken_batch((500, 501), 100), eval_every=30)
    ),
    "half-overflow": lambda: digits(
        SGD.but(epochs=None, steps=600, half=True, lr=1e-4, schedule=loops.ramp(1000), eval_every=20),
        gain=40,
        net=partial(models.mlp, 64, 128, 10),
    ),
    "cyclic-rate": lambda: digits(SGD.but(epochs=90, lr=0.5, momentum=0.9, schedule=loops.triangle(9)), net=wide),
    "range-test": lambda: digits(SGD.but(epochs=None, steps=900, lr=1e-3, schedule=loops.ramp(1e4), eval_every=30)),
    "batch-of-one": lambda: digits(SGD.but(epochs=None, steps=2500, batch=1, lr=0.002, momentum=0, eval_every=100)),
    "focal-cosine": lambda: digits(Plan(epochs=50, lr=3e-3, schedule=loops.warmup_cosine(0.1)), loss=focal),
    "dropout": lambda: digits(Plan(steps=700, lr=5e-4, eval_every=35), net=partial(models.cnn, dropout=0.5)),
    "log-zero": lambda: digits(
        SGD.but(epochs=None, steps=500, lr=0.03, batch=8, eval_every=20), loss=log_of_softmax, net=wide
    ),
    "regularised": lambda: digits(SGD.but(epochs=60, lr=0.03, weight_decay=0.03), net=wide),
}


def vae(plan: Plan, *, n: int | None = None, hidden: int = 64, beta: float = 1.0, gaussian: bool = False) -> Curves:
    """A variational autoencoder of digits: nats an image; with `gaussian` the density makes the loss negative."""
    part = data.bundled("digits", n, 400, plan.seed, scale=False)
    part = replace(part, x=part.x / 16, x_val=part.x_val / 16)
    net = models.Vae(hidden=hidden)
    if plan.half:
        part = replace(part, x=part.x.half(), x_val=part.x_val.half())

    def loss(model: nn.Module, x: Tensor, _y: Tensor) -> Tensor:
        return model.elbo(x, beta, gaussian)

    return loops.fit(net, loss, part, plan)


VAE: dict[str, Callable[[], Curves]] = {
    "adam": lambda: vae(Plan(epochs=60, lr=2e-3)),
    "adam-short": lambda: vae(Plan(epochs=12)),
    "gaussian": lambda: vae(Plan(epochs=80, lr=2e-3), gaussian=True),
    "gaussian-few": lambda: vae(Plan(epochs=600, lr=3e-3, batch=16), n=50, hidden=256, gaussian=True, beta=0.1),
    "few": lambda: vae(Plan(epochs=500, lr=3e-3, batch=20), n=60, hidden=256, beta=0.1),
    "steps": lambda: vae(Plan(steps=2500, lr=1e-3, eval_every=125)),
    "gaussian-rate": lambda: vae(
        Plan(steps=1200, lr=3e-3, optimizer="sgd", momentum=0.9, eval_every=30), gaussian=True
    ),
    "rate-jumps": lambda: vae(Plan(steps=1500, lr=2e-3, schedule=loops.jump(0.6, 150), eval_every=30)),
    "rate-bump": lambda: vae(Plan(steps=1600, lr=2e-3, schedule=loops.bump((0.45,), 100, 6), eval_every=40)),
    "cosine": lambda: vae(Plan(epochs=100, lr=6e-3, schedule=loops.warmup_cosine(0.05)), gaussian=True),
    "restarts": lambda: vae(Plan(epochs=120, lr=2e-2, schedule=loops.restarts(4))),
    "frozen": lambda: vae(Plan(epochs=40, frozen=True)),
}


def photo(plan: Plan, *, keep: float = 0.5, noise: float = 0.0, net: Callable[[], nn.Module] = models.Sine) -> Curves:
    """Fit a photograph's grey values by coordinates; validation is on the pixels that were left out."""
    image = data.photo()
    side = torch.linspace(-1, 1, len(image))
    grid = torch.stack(torch.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)
    values = image.reshape(-1) + noise * torch.randn(image.numel())
    order = torch.randperm(len(grid), generator=torch.Generator().manual_seed(plan.seed))
    cut = int(keep * len(grid))
    a, b = order[:cut], order[cut:]
    part = Data(x=grid[a], y=values[a], x_val=grid[b], y_val=image.reshape(-1)[b])

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return functional.mse_loss(model(x).reshape(-1), y)

    return loops.fit(net(), loss, part, plan)


def sine(omega: float) -> Callable[[], nn.Module]:
    return partial(models.Sine, omega=omega, width=64)


PHOTO: dict[str, Callable[[], Curves]] = {
    "siren": lambda: photo(Plan(steps=1000, batch=256, lr=1e-3)),
    "relu": lambda: photo(Plan(steps=1500, batch=128, lr=1e-3), net=partial(models.mlp, 2, 64, 64, 1)),
    "high-frequency": lambda: photo(Plan(steps=900, batch=256, lr=2e-3), net=sine(80), keep=0.3),
    "noisy-pixels": lambda: photo(Plan(steps=2500, batch=256, lr=2e-3), net=sine(40), keep=0.2, noise=0.5),
    "rate-drops": lambda: photo(Plan(steps=1200, batch=256, lr=5e-3, schedule=loops.drops(0.4, 0.7, by=0.2))),
    "rate-too-high": lambda: photo(Plan(steps=600, batch=128, lr=0.3, optimizer="sgd"), net=sine(30)),
    "adam-too-high": lambda: photo(Plan(steps=800, batch=128, lr=0.15, eval_every=20)),
    "epochs": lambda: photo(Plan(epochs=60, batch=64, lr=1e-3)),
    "tiny-rate": lambda: photo(Plan(steps=600, batch=128, lr=1e-7, optimizer="sgd")),
    "cyclic-rate": lambda: photo(
        Plan(epochs=80, batch=64, lr=2e-2, schedule=loops.triangle(8)), net=partial(models.mlp, 2, 48, 48, 1)
    ),
    "bump": lambda: photo(Plan(steps=1200, batch=256, lr=1e-3, schedule=loops.bump((0.5,), 80, 4))),
}


def contrastive(plan: Plan, *, n: int | None = None, noise: float = 0.7, temperature: float = 0.2) -> Curves:
    """InfoNCE (van den Oord et al. 2018) between two noisy views of a digit."""
    part = data.bundled("digits", n, 256, plan.seed)
    net = models.mlp(64, 96, 24)

    def loss(model: nn.Module, x: Tensor, _y: Tensor) -> Tensor:
        a = functional.normalize(model(x + noise * torch.randn_like(x)), dim=1)
        b = functional.normalize(model(x + noise * torch.randn_like(x)), dim=1)
        return functional.cross_entropy(a @ b.T / temperature, torch.arange(len(x)))

    return loops.fit(net, loss, part, plan)


def permuted(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return x[:, torch.randperm(64, generator=torch.Generator().manual_seed(7))], y


CONTRASTIVE: dict[str, Callable[[], Curves]] = {
    "adam": lambda: contrastive(Plan(steps=1200, batch=128, eval_every=40)),
    "little-noise": lambda: contrastive(Plan(epochs=60, batch=128, lr=2e-3), noise=0.3),
    "few": lambda: contrastive(Plan(steps=2000, batch=64, lr=2e-3, eval_every=50), n=64, noise=0.3),
    "few-cold": lambda: contrastive(
        Plan(steps=2500, batch=48, lr=3e-3, eval_every=50), n=48, noise=0.2, temperature=0.05
    ),
    "collapse": lambda: contrastive(Plan(steps=900, batch=64, lr=0.3, eval_every=30)),
    "sgd": lambda: contrastive(Plan(epochs=40, batch=128, lr=0.1, optimizer="sgd")),
    "all-noise": lambda: contrastive(Plan(steps=800, batch=128, lr=1e-5, optimizer="sgd", eval_every=40), noise=5),
    "new-camera": lambda: contrastive(
        Plan(steps=1500, batch=128, eval_every=50, fault=loops.shift(800, permuted)), noise=0.4
    ),
    "dead-batch": lambda: contrastive(
        Plan(steps=1000, batch=64, lr=0.05, optimizer="sgd", eval_every=40, fault=loops.nan_batch(700))
    ),
    "warm-cold": lambda: contrastive(
        Plan(epochs=50, batch=128, lr=5e-3, schedule=loops.warmup_cosine(0.1)), temperature=math.exp(-1)
    ),
}
