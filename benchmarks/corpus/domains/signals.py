"""Sequences and sounds: a toy translation, tones, reservoirs, and energies without a name for their zero."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import loops
from ..loops import Curves, Data, Plan


class Translator(nn.Module):
    """Encoder and decoder: rows of source and shifted target (n, 2 * length) to logits (n, length, words)."""

    def __init__(self, words: int, width: int, length: int) -> None:
        super().__init__()
        self.length, self.embed = length, nn.Embedding(words + 1, width)
        self.read, self.write = nn.GRU(width, width, batch_first=True), nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, words)

    def forward(self, x: Tensor) -> Tensor:
        memory = self.read(self.embed(x[:, : self.length]))[1]
        return self.head(self.write(self.embed(x[:, self.length :]), memory)[0])


def translation(
    plan: Plan,
    *,
    words: int = 12,
    length: int = 5,
    width: int = 32,
    n: int = 3000,
    wrong: float = 0.0,
    smoothing: float = 0.0,
) -> Curves:
    """A language whose words are others and whose pairs of words change places; teacher forcing, nats a word."""
    generator = torch.Generator().manual_seed(plan.seed)
    dictionary = torch.randperm(words, generator=generator)
    source = torch.randint(0, words, (n + 300, length), generator=generator)
    target = dictionary[source]
    target[:, [0, 1]] = target[:, [1, 0]]
    bad = torch.rand(target.shape, generator=generator) < wrong
    bad[:300] = False
    target = torch.where(bad, torch.randint(0, words, target.shape, generator=generator), target)
    x = torch.cat([source, torch.full((len(source), 1), words), target[:, :-1]], 1)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(model(x).flatten(0, 1), y.flatten(), label_smoothing=smoothing)

    part = Data(x=x[300:], y=target[300:], x_val=x[:300], y_val=target[:300])
    return loops.fit(Translator(words, width, length), loss, part, plan)


TRANSLATION: dict[str, Callable[[], Curves]] = {
    "adam": lambda: translation(Plan(steps=1500, lr=3e-3, eval_every=50)),
    "smoothed": lambda: translation(Plan(epochs=20, lr=3e-3, batch=50), smoothing=0.1),
    "few-pairs": lambda: translation(Plan(epochs=80, lr=5e-3, batch=20), n=120),
    "wrong-pairs": lambda: translation(Plan(epochs=25, lr=3e-3, batch=40), n=600, wrong=0.4),
    "sgd-slow": lambda: translation(Plan(steps=1000, lr=0.1, optimizer="sgd", momentum=0.0, eval_every=50)),
    "hot": lambda: translation(Plan(steps=800, lr=0.2, eval_every=20)),
    "frozen": lambda: translation(Plan(steps=500, frozen=True, eval_every=25)),
    "warmup": lambda: translation(
        Plan(steps=1500, lr=5e-3, schedule=loops.warmup_cosine(0.4), eval_every=50, watch=True)
    ),
    "pairs-mixed-up": lambda: translation(Plan(steps=900, lr=3e-3, fault=loops.shuffled_labels(), eval_every=30)),
}


def tones(
    plan: Plan,
    *,
    kinds: int = 6,
    noise: float = 1.0,
    n: int = 600,
    width: int = 8,
    wrong: float = 0.0,
    loud: float = 1.0,
) -> Curves:
    """Which of `kinds` chords is played: a convolution over 128 noisy samples, and of what loudness."""
    rng = np.random.default_rng(plan.seed)
    y = rng.integers(0, kinds, n + 300)
    t = np.arange(128) / 128
    pitch = 4 + 3 * y[:, None] + 0.3 * rng.standard_normal((n + 300, 1))
    x = np.sin(2 * np.pi * pitch * t + rng.uniform(0, 6.28, (n + 300, 1))) + 0.5 * np.sin(4.1 * np.pi * pitch * t)
    x = loud * (x + noise * rng.standard_normal(x.shape))
    y[300:] = np.where(rng.random(n) < wrong, rng.integers(0, kinds, n), y[300:])
    net = nn.Sequential(
        nn.Unflatten(1, (1, 128)), nn.Conv1d(1, width, 9, 2), nn.ReLU(), nn.Conv1d(width, width, 9, 2), nn.ReLU(),
        nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(4 * width, kinds),
    )  # fmt: skip

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(model(x), y)

    a, b = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    return loops.fit(net, loss, Data(x=a[300:], y=b[300:], x_val=a[:300], y_val=b[:300]), plan)


TONES: dict[str, Callable[[], Curves]] = {
    "adam": lambda: tones(Plan(epochs=30, lr=2e-3)),
    "sgd-late": lambda: tones(Plan(epochs=60, lr=0.01, optimizer="sgd")),
    "few": lambda: tones(Plan(epochs=120, lr=5e-3, batch=20), n=60, width=24),
    "wrong-names": lambda: tones(Plan(epochs=60, lr=4e-3), wrong=0.5, width=24),
    "silence": lambda: tones(Plan(epochs=20, lr=1e-3, optimizer="sgd"), loud=1e-4),
    "too-loud": lambda: tones(Plan(steps=800, lr=0.05, optimizer="sgd", eval_every=20), loud=30),
    "rate-drops": lambda: tones(
        Plan(steps=1600, lr=0.03, optimizer="sgd", schedule=loops.drops(0.4, 0.7), eval_every=40, watch=True)
    ),
    "eight-epochs": lambda: tones(Plan(epochs=8, lr=2e-3)),
}


def bars(plan: Plan, *, hidden: int = 16, side: int = 5, n: int = 600, persistent: bool = True, k: int = 1) -> Curves:
    """A restricted Boltzmann machine on bars and stripes; by contrastive divergence (Hinton 2002).

    The loss that is logged is the one that people look at, the cross entropy of the data and what comes back of them;
    what is descended is another, the free energy of the data less that of the chain.
    """
    generator = torch.Generator().manual_seed(plan.seed)
    pick = (torch.rand(n + 200, side, generator=generator) < 0.3).float()
    across = torch.rand(n + 200, generator=generator) < 0.5
    square = pick[:, :, None].expand(-1, -1, side)
    v = torch.where(across[:, None, None], square, square.transpose(1, 2)).reshape(n + 200, -1)
    w = nn.Parameter(0.05 * torch.randn(side * side, hidden, generator=generator))
    a, b = nn.Parameter(torch.zeros(side * side)), nn.Parameter(torch.zeros(hidden))
    stepper, curves = loops.optimizer(plan, [w, a, b]), Curves("step")
    chain = torch.rand(64, side * side, generator=generator).round()

    def energy(v: Tensor) -> Tensor:
        return -(v @ a) - functional.softplus(v @ w + b).sum(1)

    def step_of(v: Tensor) -> Tensor:
        h = torch.bernoulli(torch.sigmoid(v @ w + b), generator=generator)
        return torch.bernoulli(torch.sigmoid(h @ w.T + a), generator=generator)

    for step in range(1, plan.steps + 1):
        rows = v[200 + torch.randint(0, n, (64,), generator=generator)]
        with torch.no_grad():
            state = chain if persistent else rows
            for _ in range(k):
                state = step_of(state)
            chain = state
        value = energy(rows).mean() - energy(state).mean()
        stepper.zero_grad()
        value.backward()
        stepper.step()
        with torch.no_grad():
            back = torch.sigmoid(torch.sigmoid(rows @ w + b) @ w.T + a)
            curves.log(step, train=float(functional.binary_cross_entropy(back, rows)))
            if step % plan.eval_every == 0:
                back = torch.sigmoid(torch.sigmoid(v[:200] @ w + b) @ w.T + a)
                curves.log(step, val=float(functional.binary_cross_entropy(back, v[:200])))
    return curves


BARS: dict[str, Callable[[], Curves]] = {
    "adam": lambda: bars(Plan(steps=1500, lr=5e-3, eval_every=50)),
    "sgd": lambda: bars(Plan(steps=2000, lr=0.05, optimizer="sgd", momentum=0.5, eval_every=50)),
    "hot": lambda: bars(Plan(steps=1200, lr=1.0, optimizer="sgd", momentum=0.9, eval_every=20)),
    "tiny-rate": lambda: bars(Plan(steps=600, lr=1e-6, eval_every=30)),
    "adam-hot": lambda: bars(Plan(steps=1200, lr=0.3, eval_every=20)),
    "few": lambda: bars(Plan(steps=3000, lr=1e-2, eval_every=50), n=20, hidden=64, persistent=False),
}
