"""Text: the source of Python's own library, by characters, lines and pairs; and a language of reversed strings."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import data, loops, models
from ..loops import Curves, Data, Plan


def token_loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return functional.cross_entropy(model(x).flatten(0, 1), y.flatten())


def gru(plan: Plan, *, n: int = 4000, length: int = 32, width: int = 48) -> Curves:
    return loops.fit(models.GruLm(width=width), token_loss, data.windows(length, n, 64, plan.seed), plan)


def other_language(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Every character is another one, as if the tokeniser had changed."""
    return (x * 37 + 11) % 128, (y * 37 + 11) % 128


LM = Plan(steps=1000, batch=16, lr=3e-3, eval_every=50)
GRU: dict[str, Callable[[], Curves]] = {
    "adam": lambda: gru(LM),
    "long": lambda: gru(LM.but(steps=2200, batch=8, eval_every=200), length=24),
    "few-windows": lambda: gru(LM.but(steps=1500), n=64, width=64),
    "fewer-windows": lambda: gru(LM.but(epochs=150, batch=8), n=40, width=64),
    "rate-too-high": lambda: gru(LM.but(lr=0.5, steps=600, eval_every=20)),
    "sgd-too-high": lambda: gru(LM.but(lr=40, optimizer="sgd", steps=500, eval_every=20)),
    "tiny-rate": lambda: gru(LM.but(lr=1e-6, optimizer="sgd", steps=400, eval_every=20)),
    "bump": lambda: gru(LM.but(schedule=loops.bump((0.5,), 60, 5))),
    "cosine": lambda: gru(LM.but(schedule=loops.warmup_cosine(0.05), eval_every=100)),
    "new-tokeniser": lambda: gru(LM.but(steps=1200, fault=loops.shift(700, other_language), eval_every=40)),
    "nan-batch": lambda: gru(LM.but(steps=600, lr=3e-3, schedule=loops.jump(0.7, float("nan")), eval_every=30)),
}


def transformer(plan: Plan, *, n: int = 4000, length: int = 32, width: int = 48, layers: int = 2) -> Curves:
    net = models.Transformer(128, length, width, layers)
    return loops.fit(net, token_loss, data.windows(length, n, 48, plan.seed), plan)


TF = Plan(steps=1000, batch=12, lr=1e-3, optimizer="adamw", clip=1.0, eval_every=50)
TRANSFORMER: dict[str, Callable[[], Curves]] = {
    "warmup-cosine": lambda: transformer(TF.but(lr=3e-3, schedule=loops.warmup_cosine(0.1))),
    "constant": lambda: transformer(TF),
    "sparse-evaluation": lambda: transformer(TF.but(steps=1200, eval_every=200)),
    "smoothed-log": lambda: transformer(TF.but(log_every=10, smooth=True, eval_every=100)),
    "few-windows": lambda: transformer(TF.but(steps=900, lr=2e-3), n=48, width=64),
    "few-long": lambda: transformer(TF.but(epochs=80, lr=2e-3), n=100, width=64),
    "no-warmup-hot": lambda: transformer(TF.but(lr=0.1, clip=None, steps=500, eval_every=25)),
    "rate-spikes": lambda: transformer(TF.but(lr=1e-3, clip=None, schedule=loops.bump((0.4, 0.7), 60, 3))),
    "half": lambda: transformer(TF.but(lr=1e-3, half=True, optimizer="sgd", momentum=0.9, steps=300, eval_every=25)),
    "half-adam": lambda: transformer(TF.but(lr=1e-3, half=True, steps=250, eval_every=25)),
    "rate-jumps": lambda: transformer(TF.but(clip=None, steps=900, schedule=loops.jump(0.6, 150), eval_every=30)),
    "shuffled-targets": lambda: transformer(TF.but(steps=500, lr=3e-4, fault=loops.shuffled_labels(), eval_every=25)),
    "one-layer": lambda: transformer(TF.but(steps=1500, batch=4, eval_every=100), layers=1, length=16),
}


def lines(plan: Plan, *, n: int = 3000, widths: tuple[int, ...] = (64,), dropout: float = 0.0) -> Curves:
    """Which of twelve modules does a line of source come from."""
    x, y = data.lines()
    part = data.tensors(x, y, n, 800, plan.seed)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(model(x), y)

    return loops.fit(models.mlp(256, *widths, 12, dropout=dropout), loss, part, plan)


LINES: dict[str, Callable[[], Curves]] = {
    "epochs": lambda: lines(Plan(epochs=40)),
    "twelve-epochs": lambda: lines(Plan(epochs=12, lr=5e-4, batch=64)),
    "long-small": lambda: lines(Plan(epochs=150, lr=1e-3), n=800),
    "dropout": lambda: lines(Plan(epochs=40, lr=3e-4, weight_decay=1e-3), dropout=0.6),
    "linear": lambda: lines(Plan(epochs=80, lr=2e-2, optimizer="sgd", momentum=0, batch=64), widths=()),
    "linear-steps": lambda: lines(Plan(steps=3000, lr=5e-3, optimizer="sgd", momentum=0, eval_every=300), widths=()),
    "explodes": lambda: lines(Plan(epochs=30, lr=3.0, optimizer="sgd", momentum=0.95), widths=(64, 64)),
    "adam-hot": lambda: lines(Plan(steps=800, lr=0.3, eval_every=20)),
    "shuffled": lambda: lines(Plan(steps=600, lr=1e-4, fault=loops.shuffled_labels(), eval_every=30)),
    "cut-early": lambda: lines(Plan(epochs=8, lr=2e-4)),
    "broken-rows": lambda: lines(Plan(steps=1000, lr=5e-4, fault=loops.broken_batch((300, 301, 650), 60))),
}


def reverse(plan: Plan, *, n: int = 5000, length: int = 6, symbols: int = 8, width: int = 48) -> Curves:
    """Read a string, then write it backwards: a transformer over input and output in one row."""
    words = torch.randint(0, symbols, (n + 300, length), generator=torch.Generator().manual_seed(plan.seed))
    rows = torch.cat([words, torch.full((len(words), 1), symbols), words.flip(1)], 1)
    x, y = rows[:, :-1], rows[:, 1:]

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(model(x)[:, length:].flatten(0, 1), y[:, length:].flatten())

    net = models.Transformer(symbols + 1, 2 * length, width)
    return loops.fit(net, loss, Data(x=x[300:], y=y[300:], x_val=x[:300], y_val=y[:300]), plan)


REVERSE: dict[str, Callable[[], Curves]] = {
    "adam": lambda: reverse(Plan(steps=900, batch=24, lr=1e-3, eval_every=30)),
    "warmup-cosine": lambda: reverse(Plan(steps=900, batch=24, lr=3e-3, schedule=loops.warmup_cosine(0.2))),
    "few-strings": lambda: reverse(Plan(epochs=120, batch=24, lr=1e-3), n=120),
    "sgd-plateau": lambda: reverse(Plan(steps=700, batch=24, lr=0.01, optimizer="sgd", momentum=0, eval_every=35)),
    "hot": lambda: reverse(Plan(steps=600, batch=24, lr=5e-2, eval_every=20)),
    "batch-of-four": lambda: reverse(Plan(steps=1500, batch=4, lr=1e-3, eval_every=75)),
    "bump": lambda: reverse(Plan(steps=1100, batch=24, lr=1e-3, schedule=loops.bump((0.7,), 40, 3), eval_every=25)),
    "sixteen-symbols": lambda: reverse(Plan(steps=1000, batch=24, lr=1e-3, eval_every=100), symbols=16, length=8),
    "rate-jumps": lambda: reverse(Plan(steps=800, batch=24, lr=1e-3, schedule=loops.jump(0.65, 100), eval_every=20)),
}


def skipgram(plan: Plan, *, chars: int = 200_000, width: int = 24) -> Curves:
    """Skip-gram with negative sampling (Mikolov et al. 2013) over the words of the source."""
    words = data.text(chars).decode().replace("(", " ").replace(")", " ").replace(".", " ").split()
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    keep = {w: i for i, w in enumerate(sorted(counts, key=lambda w: -counts[w])[:800])}
    ids = torch.tensor([keep[w] for w in words if w in keep])
    pairs = torch.stack([ids[:-1], ids[1:]], 1)
    cut = int(0.9 * len(pairs))
    net = nn.ModuleList([nn.Embedding(len(keep), width), nn.Embedding(len(keep), width)])

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        negative = torch.randint(0, len(keep), (len(x), 5))
        a, b, c = model[0](x), model[1](y), model[1](negative)
        return (
            -functional.logsigmoid((a * b).sum(1)).mean()
            - functional.logsigmoid(-(c @ a[:, :, None])[:, :, 0]).sum(1).mean()
        )

    part = Data(x=pairs[:cut, 0], y=pairs[:cut, 1], x_val=pairs[cut:, 0], y_val=pairs[cut:, 1])
    return loops.fit(net, loss, part, plan)


SKIPGRAM: dict[str, Callable[[], Curves]] = {
    "adam": lambda: skipgram(Plan(steps=2500, batch=256, lr=3e-3, eval_every=100)),
    "adagrad": lambda: skipgram(Plan(steps=2000, batch=128, lr=0.1, optimizer="adagrad", eval_every=200)),
    "small-text": lambda: skipgram(Plan(epochs=80, batch=128, lr=5e-3), chars=20_000),
    "small-slow": lambda: skipgram(Plan(epochs=40, batch=128, lr=1e-3), chars=30_000),
    "sgd-slow": lambda: skipgram(Plan(steps=1500, batch=128, lr=0.02, optimizer="sgd", momentum=0)),
    "hot": lambda: skipgram(Plan(steps=1200, batch=128, lr=1.0, eval_every=40)),
    "cyclic": lambda: skipgram(Plan(steps=2400, batch=256, lr=0.3, schedule=loops.triangle(8), eval_every=30)),
    "frozen": lambda: skipgram(Plan(steps=700, batch=128, frozen=True)),
}


def modular(plan: Plan, *, p: int = 31, share: float = 0.5, init: float = 1.0) -> Curves:
    """Addition modulo p: what is learned by heart at first and understood later (Power et al. 2022)."""
    a, b = torch.meshgrid(torch.arange(p), torch.arange(p), indexing="ij")
    x, y = torch.stack([a.flatten(), b.flatten()], 1), (a + b).flatten() % p
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(plan.seed))
    cut = int(share * len(x))
    part = Data(x=x[order[:cut]], y=y[order[:cut]], x_val=x[order[cut:]], y_val=y[order[cut:]])

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(model(x), y)

    return loops.fit(models.ModularMlp(p, init=init), loss, part, plan)


GROK = Plan(steps=4000, batch=10**6, lr=3e-3, optimizer="adamw", weight_decay=1.0, eval_every=20, log_every=4)
MODULAR: dict[str, Callable[[], Curves]] = {
    "grokking": lambda: modular(GROK),
    "grokking-large-init": lambda: modular(GROK.but(weight_decay=0.5), init=2.0),
    "grokking-little": lambda: modular(GROK.but(seed=1), share=0.35),
    "no-decay": lambda: modular(GROK.but(weight_decay=0.0, steps=2500)),
    "no-decay-little": lambda: modular(GROK.but(weight_decay=0.0, steps=2000), share=0.3, init=1.5),
    "strong-decay": lambda: modular(GROK.but(weight_decay=3.0, lr=1e-2)),
    "minibatch": lambda: modular(GROK.but(batch=64, log_every=8, steps=6000, eval_every=50, weight_decay=0.7)),
    "most-shown": lambda: modular(GROK.but(steps=2500), share=0.85),
    "hot": lambda: modular(GROK.but(lr=0.3, weight_decay=0.1, steps=1500)),
    "slingshot": lambda: modular(GROK.but(lr=2e-2, weight_decay=0.0, steps=5000, log_every=5)),
}
