"""Seeing and hearing: cells to segment, boxes to find, clouds of points to name, sounds that overlap."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import loops
from ..loops import Curves, Data, Plan

N_VAL = 100


def _fit(net: nn.Module, loss: loops.Loss, x: Tensor, y: Tensor, plan: Plan) -> Curves:
    """The first hundred examples validate."""
    return loops.fit(net, loss, Data(x=x[N_VAL:], y=y[N_VAL:], x_val=x[:N_VAL], y_val=y[:N_VAL]), plan)


class SmallUnet(nn.Module):
    """Pictures (n, 1, 24, 24) to logits of the same shape, with one skip connection (Ronneberger et al. 2015)."""

    def __init__(self, width: int, bias: float) -> None:
        super().__init__()
        self.down, self.deep = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, 2 * width, 3, padding=1)
        self.up, self.out = nn.Conv2d(3 * width, width, 3, padding=1), nn.Conv2d(width, 1, 1)
        nn.init.constant_(self.out.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        a = torch.relu(self.down(x))
        b = torch.relu(self.deep(functional.max_pool2d(a, 2)))
        wide = functional.interpolate(b, scale_factor=2.0)
        return self.out(torch.relu(self.up(torch.cat([a, wide], 1))))


def cells(
    plan: Plan,
    *,
    n: int = 240,
    noise: float = 0.6,
    dice: float = 1.0,
    entropy: float = 1.0,
    epsilon: float = 1.0,
    empty: float = 0.1,
    width: int = 6,
    bias: float = 0.0,
    moved: int = 0,
) -> Curves:
    """Round cells in a noisy picture: cross entropy plus one less the Dice overlap; `moved` masks lie elsewhere."""
    rng = np.random.default_rng(plan.seed)
    grid = np.mgrid[:24, :24].astype(float)
    x, y = np.zeros((2, n + N_VAL, 24, 24))
    for i in range(n + N_VAL):
        for _ in range(0 if rng.random() < empty else rng.integers(1, 4)):
            centre, radius = rng.uniform(4, 20, 2), rng.uniform(2, 5)
            y[i] = np.maximum(y[i], ((grid - centre[:, None, None]) ** 2).sum(0) < radius**2)
    x = y + noise * rng.standard_normal(y.shape)
    y[N_VAL:] = np.roll(y[N_VAL:], moved, axis=2)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        out = model(x)
        p = torch.sigmoid(out)
        both = (2 * (p * y).sum((1, 2, 3)) + epsilon) / (p.sum((1, 2, 3)) + y.sum((1, 2, 3)) + epsilon)
        if epsilon == 0:  # the mask as predicted, as in many a notebook
            hard = (p > 0.5).float() + p - p.detach()
            both = 2 * (hard * y).sum((1, 2, 3)) / (hard.sum((1, 2, 3)) + y.sum((1, 2, 3)))
        return entropy * functional.binary_cross_entropy_with_logits(out, y) + dice * (1 - both).mean()

    a, b = (torch.tensor(each[:, None], dtype=torch.float32) for each in (x, y))
    return _fit(SmallUnet(width, bias), loss, a, b, plan)


def other_masks(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The list of pictures was sorted and the list of masks was not."""
    return x, y.roll(1, 0)


CELLS: dict[str, Callable[[], Curves]] = {
    "adam": lambda: cells(Plan(epochs=40, lr=3e-3, batch=16)),
    "twelve-pictures": lambda: cells(Plan(epochs=150, lr=5e-3, batch=4), n=12, noise=1.2, width=8),
    "batch-of-one": lambda: cells(Plan(steps=1500, lr=1e-3, batch=1, eval_every=100), entropy=0.0),
    "all-background": lambda: cells(Plan(epochs=30, lr=1e-4, batch=16), entropy=0.0, epsilon=1e-3, bias=-12.0, empty=0),
    "no-epsilon": lambda: cells(Plan(steps=300, lr=5e-3, batch=8, eval_every=20), epsilon=0.0, entropy=0.5, empty=0.02),
    "masks-mixed-up": lambda: cells(Plan(epochs=30, lr=3e-3, batch=16, fault=loops.shift(240, other_masks))),
    "sgd-restarts": lambda: cells(
        Plan(epochs=45, lr=0.3, batch=16, optimizer="sgd", schedule=loops.restarts(3), watch=True)
    ),
    "eight-epochs": lambda: cells(Plan(epochs=8, lr=1e-3, batch=16), noise=0.8),
}


def boxes(
    plan: Plan,
    *,
    n: int = 600,
    noise: float = 0.3,
    pixels: float = 1.0,
    width: int = 48,
    weight: float = 5.0,
    wrong: float = 0.0,
) -> Curves:
    """One textured rectangle a picture of 16 x 16: smooth L1 of its four edges plus cross entropy of its texture."""
    rng = np.random.default_rng(plan.seed)
    x = noise * rng.standard_normal((n + N_VAL, 16, 16))
    edges, kind = np.zeros((n + N_VAL, 4)), rng.integers(0, 3, n + N_VAL)
    rows, columns = np.mgrid[:16, :16]
    textures = [np.ones((16, 16)), (rows + columns) % 2 * 2.0, columns % 2 * 2.0]
    for i in range(n + N_VAL):
        (top, left), (high, wide) = rng.integers(0, 9, 2), rng.integers(4, 8, 2)
        part = np.s_[top : top + high, left : left + wide]
        x[i][part] += textures[kind[i]][part]
        edges[i] = np.array([top, left, top + high, left + wide]) / 16
    bad = rng.random(n + N_VAL) < wrong
    bad[:N_VAL] = False
    edges[bad] = rng.uniform(0, 1, (bad.sum(), 4))
    net = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(384, width), nn.ReLU(),
        nn.Linear(width, 7),
    )  # fmt: skip

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        out = model(x)
        where = functional.smooth_l1_loss(out[:, :4], y[:, :4] * pixels, beta=0.1 * pixels)
        return weight * where + functional.cross_entropy(out[:, 4:], y[:, 4].long())

    a, b = torch.tensor(x[:, None], dtype=torch.float32), torch.tensor(np.c_[edges, kind], dtype=torch.float32)
    return _fit(net, loss, a, b, plan)


def in_pixels(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The annotations of one folder are in pixels, the others in shares of the side."""
    return x, y * torch.tensor([16.0, 16, 16, 16, 1])


BOXES: dict[str, Callable[[], Curves]] = {
    "adam": lambda: boxes(Plan(epochs=60, lr=1e-3)),
    "sgd-drops": lambda: boxes(Plan(steps=1500, lr=0.02, optimizer="sgd", schedule=loops.drops(0.5, 0.8), watch=True)),
    "few": lambda: boxes(Plan(epochs=80, lr=2e-3, batch=16), n=80, noise=0.8, wrong=0.3),
    "pixels": lambda: boxes(Plan(epochs=15, lr=3e-4), pixels=16),
    "rate-jumps": lambda: boxes(Plan(steps=1000, lr=1e-3, schedule=loops.jump(0.6, 300), eval_every=50)),
    "folder-in-pixels": lambda: boxes(Plan(steps=1200, lr=1e-3, eval_every=60, fault=loops.shift(700, in_pixels, 702))),
    "frozen": lambda: boxes(Plan(steps=400, frozen=True, eval_every=20)),
    "cycles-hot": lambda: boxes(Plan(epochs=60, lr=0.2, optimizer="sgd", schedule=loops.triangle(8), watch=True)),
    "cycles": lambda: boxes(Plan(epochs=64, lr=0.06, optimizer="sgd", schedule=loops.triangle(8))),
    "momentum-hot": lambda: boxes(Plan(epochs=25, lr=0.5, optimizer="sgd", clip=5.0)),
}


class Points(nn.Module):
    """Clouds (n, points, 3) to classes: a network for every point, the maximum over them (Qi et al. 2017)."""

    def __init__(self, width: int, kinds: int, norm: bool) -> None:
        super().__init__()
        self.each = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.norm = nn.BatchNorm1d(width) if norm else nn.Identity()
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, kinds))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.each(x).amax(1)))


def clouds(
    plan: Plan,
    *,
    n: int = 500,
    noise: float = 0.1,
    points: int = 48,
    width: int = 40,
    smoothing: float = 0.1,
    norm: bool = False,
    wrong: float = 0.0,
) -> Curves:
    """Is it a ball, a box, a ring, a cone or a sheet: turned clouds of points on the surface."""
    rng = np.random.default_rng(plan.seed)
    y = rng.integers(0, 5, n + N_VAL)
    a, b = rng.uniform(0, 2 * math.pi, (n + N_VAL, points)), rng.uniform(-1, 1, (n + N_VAL, points))
    flat = rng.uniform(-1, 1, (n + N_VAL, points, 3))
    ball = np.stack([np.cos(a) * np.sqrt(1 - b**2), np.sin(a) * np.sqrt(1 - b**2), b], -1)
    box = flat / np.abs(flat).max(-1, keepdims=True)
    ring = np.stack([np.cos(a), np.sin(a), 0.2 * b], -1)
    cone = np.stack([np.cos(a) * (1 - b) / 2, np.sin(a) * (1 - b) / 2, b], -1)
    sheet = flat * [1, 1, 0.05]
    shapes = np.stack([ball, box, ring, cone, sheet])[y, np.arange(n + N_VAL)]
    turns = np.linalg.qr(rng.standard_normal((n + N_VAL, 3, 3)))[0]
    x = shapes @ turns + noise * rng.standard_normal(shapes.shape)
    y[N_VAL:] = np.where(rng.random(n) < wrong, rng.integers(0, 5, n), y[N_VAL:])
    if not plan.shuffle:  # a folder for each kind, read one after the other
        order = np.r_[:N_VAL, N_VAL + y[N_VAL:].argsort(kind="stable")]
        x, y = x[order], y[order]

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(model(x), y, label_smoothing=smoothing)

    return _fit(Points(width, 5, norm), loss, torch.tensor(x, dtype=torch.float32), torch.tensor(y), plan)


CLOUDS: dict[str, Callable[[], Curves]] = {
    "adam": lambda: clouds(Plan(epochs=50, lr=2e-3)),
    "few": lambda: clouds(Plan(epochs=120, lr=3e-3, batch=16), n=70, noise=0.25, smoothing=0.0),
    "wrong-names": lambda: clouds(Plan(epochs=60, lr=3e-3), n=300, wrong=0.3, smoothing=0.05, width=64),
    "sgd-slow": lambda: clouds(Plan(epochs=30, lr=0.02, optimizer="sgd")),
    "batchnorm-of-four": lambda: clouds(Plan(epochs=25, lr=0.02, batch=4), n=160, norm=True),
    "batchnorm-of-two": lambda: clouds(Plan(epochs=40, lr=0.05, batch=2), n=80, norm=True, smoothing=0.0),
    "batchnorm-of-three": lambda: clouds(Plan(epochs=50, lr=0.015, batch=3), n=90, norm=True, noise=0.2),
    "not-shuffled": lambda: clouds(Plan(steps=750, lr=2e-3, batch=16, eval_every=15, shuffle=False)),
    "rate-bump": lambda: clouds(Plan(steps=1200, lr=1e-3, eval_every=60, schedule=loops.bump((0.65,), 25, 3))),
    "step-of-ten-thousandth": lambda: clouds(Plan(epochs=20, lr=1e-6)),
    "adam-hot": lambda: clouds(Plan(steps=900, lr=0.03, eval_every=30)),
}


def sounds(
    plan: Plan,
    *,
    n: int = 400,
    kinds: int = 6,
    noise: float = 1.0,
    weight: float = 1.0,
    width: int = 20,
    decibel: bool = False,
    missed: float = 0.0,
) -> Curves:
    """Which of `kinds` sounds overlap in a spectrogram of 20 frames and 16 bands; a GRU, binary cross entropy each."""
    rng = np.random.default_rng(plan.seed)
    y = (rng.random((n + N_VAL, kinds)) < 0.3).astype(float)
    x = noise * np.abs(rng.standard_normal((n + N_VAL, 20, 16)))
    for i, kind in zip(*np.nonzero(y), strict=True):
        start = rng.integers(0, 14)
        for frame in range(6):
            x[i, start + frame, (2 * kind + (frame // 2) * (1 if kind % 2 else -1)) % 16] += 2
    x = 20 * np.log10(x / 100 + 1e-9) if decibel else (x - x.mean()) / x.std()
    y[N_VAL:] *= rng.random((n, kinds)) >= missed
    gru, head = nn.GRU(16, width, batch_first=True), nn.Linear(width, kinds)

    def loss(model: nn.ModuleList, x: Tensor, y: Tensor) -> Tensor:
        out = model[1](model[0](x)[0].amax(1))
        return functional.binary_cross_entropy_with_logits(out, y, pos_weight=torch.full((kinds,), weight))

    a, b = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    return _fit(nn.ModuleList([gru, head]), loss, a, b, plan)


SOUNDS: dict[str, Callable[[], Curves]] = {
    "adam": lambda: sounds(Plan(epochs=40, lr=5e-3)),
    "few-missed": lambda: sounds(Plan(epochs=80, lr=5e-3, batch=16), n=100, missed=0.3, width=40),
    "weighted": lambda: sounds(Plan(steps=1500, lr=3e-3, eval_every=100), weight=5.0),
    "decibels-sgd": lambda: sounds(Plan(epochs=25, lr=1e-3, optimizer="sgd"), decibel=True),
    "frozen": lambda: sounds(Plan(steps=300, frozen=True, eval_every=15)),
    "twelve-epochs": lambda: sounds(Plan(epochs=12, lr=3e-3)),
    "range-test": lambda: sounds(
        Plan(steps=800, lr=1e-4, eval_every=40, schedule=loops.ramp(1e5), optimizer="rmsprop")
    ),
    "microphone": lambda: sounds(
        Plan(steps=1400, lr=5e-3, eval_every=35, fault=loops.broken_batch((610, 611, 800), -30.0))
    ),
}
