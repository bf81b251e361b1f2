"""Networks that hardly get a gradient: deep chains, long memories, and parities that are all or nothing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import loops, models
from ..loops import Curves, Data, Plan


def cross_entropy(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return functional.cross_entropy(model(x), y)


def shells(n: int, n_val: int = 300, wrong: float = 0.0, seed: int = 0) -> Data:
    """Points in six dimensions; the class is the shell about the origin that a point lies in."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n + n_val, 6, generator=generator)
    y = torch.bucketize(x.norm(dim=1), torch.tensor([1.9, 2.6]))
    bad = torch.rand(n, generator=generator) < wrong
    y[n_val:] = torch.where(bad, torch.randint(0, 3, (n,), generator=generator), y[n_val:])
    return Data(x=x[n_val:], y=y[n_val:], x_val=x[:n_val], y_val=y[:n_val])


def chain(
    plan: Plan,
    *,
    layers: int = 8,
    width: int = 24,
    activation: type[nn.Module] = nn.ReLU,
    n: int = 1500,
    wrong: float = 0.0,
    norm: bool = False,
    start: Callable[[nn.Module], None] | None = None,
    only: int | None = None,
) -> Curves:
    """A chain of `layers` narrow layers; `only` trains nothing but the last so many parameters' tensors."""
    net = models.mlp(6, *[width] * layers, 3, activation=activation, norm=norm)
    if start:
        start(net)
    if only:
        for parameter in list(net.parameters())[:-only]:
            parameter.requires_grad_(False)
    return loops.fit(net, cross_entropy, shells(n, wrong=wrong, seed=plan.seed), plan)


def scaled(by: float, bias: float | None = None) -> Callable[[nn.Module], None]:
    """Multiply the weights, set the biases."""

    def start(net: nn.Module) -> None:
        for layer in net:
            if isinstance(layer, nn.Linear):
                with torch.no_grad():
                    layer.weight.mul_(by)
                    layer.bias.copy_(layer.bias if bias is None else torch.full_like(layer.bias, bias))

    return start


DEPTH: dict[str, Callable[[], Curves]] = {
    "relu": lambda: chain(Plan(steps=2500, lr=1e-3, eval_every=50)),
    "relu-sgd": lambda: chain(Plan(steps=5000, lr=0.02, optimizer="sgd", eval_every=100, log_every=2)),
    "sigmoid": lambda: chain(
        Plan(steps=1500, lr=0.05, optimizer="sgd", eval_every=30, watch=True), activation=nn.Sigmoid
    ),
    "sigmoid-adam": lambda: chain(
        Plan(steps=4000, lr=2e-3, eval_every=100, log_every=2), layers=4, activation=nn.Sigmoid
    ),
    "tanh-twenty": lambda: chain(Plan(epochs=40, lr=1e-3, watch=True), layers=20, activation=nn.Tanh, width=16),
    "dead": lambda: chain(Plan(epochs=30, lr=1e-2), start=scaled(1.0, -10.0), layers=3),
    "zeros": lambda: chain(Plan(steps=800, lr=1e-2, eval_every=40), start=scaled(0.0)),
    "large-start": lambda: chain(Plan(steps=2000, lr=1e-3, eval_every=50), start=scaled(2.5), layers=5),
    "only-the-head": lambda: chain(Plan(epochs=40, lr=3e-3), only=2),
    "biases-only": lambda: chain(Plan(epochs=25, lr=1e-3), layers=12, only=1),
    "normed": lambda: chain(Plan(epochs=60, lr=2e-3), norm=True, wrong=0.1, n=2000),
    "late-jump": lambda: chain(Plan(steps=1500, lr=1e-3, schedule=loops.jump(0.8, 300), eval_every=25, watch=True)),
}


class Reader(nn.Module):
    """A recurrent network over pairs of numbers (n, length, 2): one number at the end (n,)."""

    def __init__(self, kind: type[nn.RNNBase], width: int) -> None:
        super().__init__()
        self.rnn, self.head = kind(2, width, batch_first=True), nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])[:, 0]


def adding(
    plan: Plan,
    *,
    length: int = 12,
    kind: type[nn.RNNBase] = nn.GRU,
    width: int = 16,
    n: int = 20000,
    noise: float = 0.0,
) -> Curves:
    """Add the two numbers that are marked in a row (Hochreiter and Schmidhuber 1997): 1/6 until the marks are seen."""
    generator = torch.Generator().manual_seed(plan.seed)
    numbers, marks = torch.rand(n + 200, length, generator=generator), torch.zeros(n + 200, length)
    places = torch.rand(n + 200, length, generator=generator).topk(2, 1).indices
    marks.scatter_(1, places, 1.0)
    x, y = torch.stack([numbers, marks], 2), (numbers * marks).sum(1)
    y = y + noise * torch.randn(len(y), generator=generator)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return functional.mse_loss(model(x), y)

    return loops.fit(Reader(kind, width), loss, Data(x=x[200:], y=y[200:], x_val=x[:200], y_val=y[:200]), plan)


ADDING: dict[str, Callable[[], Curves]] = {
    "gru": lambda: adding(Plan(steps=1500, lr=1e-2, eval_every=50)),
    "gru-slow": lambda: adding(Plan(steps=2000, lr=2e-3, eval_every=100)),
    "lstm-epochs": lambda: adding(Plan(epochs=30, lr=5e-3, batch=25), n=1500, length=10, kind=nn.LSTM),
    "rnn-forty": lambda: adding(Plan(steps=500, lr=1e-3, eval_every=25, watch=True), length=40, kind=nn.RNN),
    "rnn-hot": lambda: adding(Plan(steps=800, lr=0.3, eval_every=20), kind=nn.RNN),
    "few": lambda: adding(Plan(epochs=200, lr=1e-2, batch=20), n=60, length=8, width=32),
    "few-noisy": lambda: adding(Plan(epochs=150, lr=1e-2, batch=16), n=80, length=6, width=32, noise=0.3),
    "sgd-tiny-rate": lambda: adding(Plan(steps=600, lr=1e-5, optimizer="sgd", eval_every=30)),
    "warmup-cosine": lambda: adding(
        Plan(steps=1500, lr=1e-2, schedule=loops.warmup_cosine(0.3), eval_every=50, watch=True)
    ),
}


def parity(
    plan: Plan, *, bits: int = 16, k: int = 3, n: int = 20000, width: int = 64, wrong: float = 0.0, hinge: bool = False
) -> Curves:
    """The parity of `k` of `bits` bits (Barak et al. 2022): at chance for long, then all at once."""
    generator = torch.Generator().manual_seed(plan.seed)
    x = torch.randint(0, 2, (n + 500, bits), generator=generator).float() * 2 - 1
    y = (x[:, :k].prod(1) > 0).float()
    bad = torch.rand(n, generator=generator) < wrong
    y[500:] = torch.where(bad, 1 - y[500:], y[500:])

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        out = model(x)[:, 0]
        if hinge:
            return functional.relu(1 - (2 * y - 1) * out).mean()
        return functional.binary_cross_entropy_with_logits(out, y)

    return loops.fit(models.mlp(bits, width, 1), loss, Data(x=x[500:], y=y[500:], x_val=x[:500], y_val=y[:500]), plan)


PARITY: dict[str, Callable[[], Curves]] = {
    "three": lambda: parity(Plan(steps=3000, lr=1e-3, eval_every=60, log_every=2)),
    "three-sgd": lambda: parity(Plan(steps=6000, lr=0.1, optimizer="sgd", momentum=0.0, eval_every=100, log_every=3)),
    "four": lambda: parity(Plan(steps=8000, lr=1e-3, eval_every=160, log_every=4), k=4),
    "eight": lambda: parity(Plan(steps=2000, lr=3e-4, eval_every=50), k=8, bits=24),
    "eight-small-batch": lambda: parity(Plan(steps=1500, lr=3e-4, batch=4, eval_every=50), k=8, bits=24),
    "few-decay": lambda: parity(
        Plan(epochs=1500, lr=3e-3, batch=100, optimizer="adamw", weight_decay=0.5), n=300, bits=14, width=128
    ),
    "few": lambda: parity(Plan(epochs=300, lr=1e-3, batch=32), n=300, bits=20, k=4),
    "hinge": lambda: parity(
        Plan(steps=4000, lr=3e-3, optimizer="adam", eval_every=80, log_every=2), hinge=True, bits=20
    ),
    "wrong-labels": lambda: parity(Plan(epochs=60, lr=1e-3), n=2000, k=2, wrong=0.25),
    "coins": lambda: parity(Plan(epochs=12, lr=1e-4, batch=64), n=6000, wrong=0.5),
    "two-quick": lambda: parity(Plan(epochs=10, lr=3e-3, batch=32), k=2, n=3000, bits=10),
}
