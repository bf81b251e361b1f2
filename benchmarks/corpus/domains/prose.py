"""Words: prose with holes, fine-tuning of a small model, names of letters, preferences, dictation."""

from __future__ import annotations

import copy
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import data, loops, models
from ..loops import Curves, Data, Plan


@lru_cache
def prose() -> str:
    """The help texts that come with Python: 460,000 characters of English about the language."""
    from pydoc_data import topics

    return "\n".join(topics.topics.values()).encode("ascii", "replace").decode()


@lru_cache
def words(vocabulary: int) -> Tensor:
    """The help texts as numbers of their most frequent words; 0 hides a word, 1 is any other."""
    every = re.findall(r"[a-z]+|[^a-z\s]", prose().lower())
    rank = {word: i + 2 for i, (word, _) in enumerate(Counter(every).most_common(vocabulary - 2))}
    return torch.tensor([rank.get(word, 1) for word in every])


def holes(
    plan: Plan,
    *,
    n: int = 3000,
    vocabulary: int = 400,
    length: int = 20,
    hidden: float = 0.15,
    smoothing: float = 0.0,
    leak: bool = False,
    width: int = 40,
) -> Curves:
    """Fill in the hidden words of a sentence (Devlin et al. 2019), in nats a word; with `leak` none is hidden."""
    stream, generator = words(vocabulary), torch.Generator().manual_seed(plan.seed)
    cut = int(0.9 * len(stream))
    start = torch.randint(0, cut - length, (n,), generator=generator)
    start_val = torch.randint(cut, len(stream) - length, (300,), generator=generator)
    y, y_val = (stream[s[:, None] + torch.arange(length)] for s in (start, start_val))
    layer = nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, batch_first=True, norm_first=True)
    net = nn.ModuleList([nn.Embedding(vocabulary, width), nn.Embedding(length, width), layer])
    net.append(nn.Linear(width, vocabulary))
    mask_val = torch.rand(y_val.shape, generator=generator) < hidden

    def loss(model: nn.ModuleList, x: Tensor, y: Tensor) -> Tensor:
        mask = mask_val if len(x) == 300 else torch.rand(x.shape, generator=generator) < hidden
        seen = x if leak else x.masked_fill(mask, 0)
        h = model[2](model[0](seen) + model[1].weight)
        return functional.cross_entropy(model[3](h[mask]), y[mask], label_smoothing=smoothing)

    return loops.fit(net, loss, Data(x=y, y=y, x_val=y_val, y_val=y_val), plan)


HOLES: dict[str, Callable[[], Curves]] = {
    "warmup-cosine": lambda: holes(
        Plan(steps=900, lr=3e-3, clip=1.0, schedule=loops.warmup_cosine(0.1), eval_every=100, watch=True)
    ),
    "ten-epochs": lambda: holes(Plan(epochs=10, lr=1e-3, optimizer="adamw"), n=2000),
    "few-sentences": lambda: holes(Plan(epochs=120, lr=3e-3, batch=20), n=60, width=64, hidden=0.3),
    "nothing-hidden": lambda: holes(Plan(steps=600, lr=2e-3, eval_every=30), leak=True),
    "adam-hot": lambda: holes(Plan(steps=700, lr=0.1, eval_every=35)),
    "smoothed-sgd": lambda: holes(Plan(steps=800, lr=0.1, optimizer="sgd", eval_every=80), smoothing=0.1),
    "rate-climbs": lambda: holes(Plan(steps=900, lr=2e-3, eval_every=45, schedule=loops.jump(0.7, 100))),
}


@lru_cache
def pretrained() -> nn.Module:
    """A small transformer that has read Python source for 400 batches."""
    torch.manual_seed(3)
    net = models.Transformer(128, 40, 32, 1)
    loops.fit(net, characters, data.windows(40, 4000, 50), Plan(steps=400, lr=4e-3, eval_every=400))
    return net


def characters(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Nats a character."""
    return functional.cross_entropy(model(x).flatten(0, 1), y.flatten())


def tuning(plan: Plan, *, n: int = 600, only: str = "", forget: int | None = None, part: float = 1.0) -> Curves:
    """Fine-tune that model on English prose; `only` parameters of that name learn, `part` of the prose is read."""
    net = copy.deepcopy(pretrained())
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(only in name)
    codes = torch.tensor(list(prose().encode()))
    generator = torch.Generator().manual_seed(plan.seed)
    start = torch.randint(0, int(0.9 * part * len(codes)) - 41, (n,), generator=generator)
    start_val = torch.randint(int(0.9 * len(codes)), len(codes) - 41, (150,), generator=generator)
    a, b = (codes[s[:, None] + torch.arange(41)] for s in (start, start_val))

    def fault(step: int, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        if step == forget:  # a checkpoint that holds only a part of the weights is loaded
            nn.init.normal_(net.head.weight, std=0.05)
        return x, y

    everything = Data(x=a[:, :-1], y=a[:, 1:], x_val=b[:, :-1], y_val=b[:, 1:])
    return loops.fit(net, characters, everything, plan.but(fault=fault))


EPOCH = 600 // 16
TUNING: dict[str, Callable[[], Curves]] = {
    "three-epochs": lambda: tuning(Plan(steps=3 * EPOCH, lr=1e-3, batch=16, eval_every=EPOCH // 3)),
    "thirty-epochs-few": lambda: tuning(Plan(steps=30 * 5, lr=5e-3, batch=16, eval_every=5), n=80, part=0.02),
    "one-book": lambda: tuning(Plan(steps=25 * 19, lr=3e-3, batch=16, eval_every=19), n=300, part=0.01),
    "head-only": lambda: tuning(Plan(steps=6 * EPOCH, lr=3e-4, batch=16, eval_every=EPOCH // 2), only="head"),
    "rate-of-pretraining-times-fifty": lambda: tuning(Plan(steps=8 * EPOCH, lr=0.2, batch=16, eval_every=EPOCH // 2)),
    "batch-of-one": lambda: tuning(Plan(steps=1200, lr=1e-4, batch=1, eval_every=120, optimizer="adamw")),
    "head-lost": lambda: tuning(Plan(steps=12 * EPOCH, lr=2e-3, batch=16, eval_every=EPOCH // 2), forget=250),
    "nothing-thawed": lambda: tuning(Plan(steps=4 * EPOCH, lr=1e-7, batch=16, eval_every=EPOCH // 4), only="head.bias"),
}


@lru_cache
def letters() -> Tensor:
    """Names of letters as Unicode has them, 24 characters of A to Z, `-` and space, shuffled (n, 24)."""
    names = {unicodedata.name(chr(code), "") for code in range(0x20, 0x3000)}
    known = " -ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    fit = sorted(name for name in names if 6 <= len(name) <= 40 and set(name) <= set(known))
    rows = torch.tensor([[known.index(c) for c in name[-24:].ljust(24)] for name in fit])
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]


def names(plan: Plan, *, n: int = 1500, kind: type[nn.RNNBase] = nn.LSTM, width: int = 40, gain: float = 1.0) -> Curves:
    """A recurrent network writes names of letters, nats a character."""
    rows, embed = letters(), nn.Embedding(28, 16)
    net = nn.ModuleList([embed, kind(16, width, batch_first=True), nn.Linear(width, 28)])
    with torch.no_grad():
        for parameter in net[1].parameters():
            parameter.mul_(gain)

    def loss(model: nn.ModuleList, x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(model[2](model[1](model[0](x))[0]).flatten(0, 1), y.flatten())

    a, b = rows[200 : 200 + n], rows[:200]
    if not plan.shuffle:  # as in the tables of Unicode, by alphabet
        a = torch.tensor(sorted(a.tolist()))
    return loops.fit(net, loss, Data(x=a[:, :-1], y=a[:, 1:], x_val=b[:, :-1], y_val=b[:, 1:]), plan)


NAMES: dict[str, Callable[[], Curves]] = {
    "lstm": lambda: names(Plan(epochs=25, lr=5e-3)),
    "few": lambda: names(Plan(epochs=100, lr=1e-2, batch=20), n=80, width=64),
    "plain-unclipped": lambda: names(Plan(steps=800, lr=2.0, optimizer="sgd", eval_every=40), kind=nn.RNN, gain=2.0),
    "gru-sgd-clipped": lambda: names(Plan(epochs=30, lr=0.3, optimizer="sgd", clip=1.0), kind=nn.GRU),
    "batch-of-two": lambda: names(Plan(steps=1500, lr=1e-3, batch=2, eval_every=75), kind=nn.GRU),
    "adam-creeps-up": lambda: names(Plan(steps=1200, lr=2e-3, eval_every=40, schedule=loops.ramp(300)), kind=nn.RNN),
    "not-shuffled": lambda: names(Plan(steps=700, lr=5e-3, eval_every=20, shuffle=False), kind=nn.GRU),
    "rate-of-ten-millionth": lambda: names(Plan(epochs=12, lr=1e-7)),
    "two-bumps": lambda: names(
        Plan(steps=700, lr=3e-3, eval_every=35, schedule=loops.bump((0.4, 0.7), 60, 3)), kind=nn.GRU
    ),
    "cycles-hot": lambda: names(
        Plan(steps=640, lr=0.08, eval_every=16, schedule=loops.triangle(8)), kind=nn.GRU, n=600
    ),
    "half-cosine": lambda: names(Plan(steps=1000, lr=1e-2, schedule=loops.warmup_cosine(0.05), eval_every=125)),
}


def preferences(
    plan: Plan,
    *,
    n: int = 800,
    turned: float = 0.15,
    inputs: int = 30,
    width: int = 64,
    beta: float = 1.0,
    unit: float = 1.0,
) -> Curves:
    """A model of rewards from pairs of answers (Bradley and Terry 1952): -log sigmoid of the difference, from ln 2."""
    generator = torch.Generator().manual_seed(plan.seed)
    taste = models.mlp(inputs, 16, 1)
    better, worse = torch.randn(2, n + 200, inputs, generator=generator).unbind()
    with torch.no_grad():
        swap = (taste(better) < taste(worse))[:, 0]
        swap[200:] ^= torch.rand(n, generator=generator) < turned
    pairs = torch.stack([torch.where(swap[:, None], worse, better), torch.where(swap[:, None], better, worse)], 1)

    def loss(model: nn.Module, x: Tensor, _y: Tensor) -> Tensor:
        out = model(x * unit)[..., 0]
        return -functional.logsigmoid(beta * (out[:, 0] - out[:, 1])).mean()

    part = Data(x=pairs[200:], y=pairs[200:, 0, 0], x_val=pairs[:200], y_val=pairs[:200, 0, 0])
    return loops.fit(models.mlp(inputs, width, 1), loss, part, plan)


PREFERENCES: dict[str, Callable[[], Curves]] = {
    "ten-epochs": lambda: preferences(Plan(steps=10 * 50, lr=5e-3, batch=16, eval_every=20)),
    "one-epoch": lambda: preferences(Plan(steps=400, lr=1e-3, batch=8, eval_every=40), n=3200, turned=0.0),
    "turned-pairs": lambda: preferences(Plan(epochs=20, lr=2e-3), turned=0.4),
    "coin": lambda: preferences(Plan(epochs=15, lr=1e-4), turned=0.5, n=1600),
    "beta-twenty": lambda: preferences(Plan(steps=600, lr=0.05, batch=16, eval_every=20), beta=20.0),
    "decay": lambda: preferences(Plan(epochs=60, lr=2e-3, optimizer="adamw", weight_decay=3.0), n=2400),
    "sgd-long": lambda: preferences(Plan(epochs=80, lr=0.01, optimizer="sgd"), n=400, turned=0.05),
}


def dictation(
    plan: Plan,
    *,
    n: int = 500,
    frames: int = 24,
    length: int = 5,
    width: int = 32,
    noise: float = 0.3,
    guard: bool = True,
    wrong: float = 0.0,
    long: float = 0.0,
) -> Curves:
    """Write down five spoken signs: a GRU and connectionist temporal classification (Graves et al. 2006)."""
    generator = torch.Generator().manual_seed(plan.seed)
    y = torch.randint(1, 6, (n + 100, length), generator=generator)
    voice = torch.randn(6, 10, generator=generator)
    at = torch.arange(frames) * length // frames
    x = voice[y[:, at]] * (torch.arange(frames) % 4 != 3)[:, None]
    x = x + noise * torch.randn(x.shape, generator=generator)
    mixed = torch.rand(n + 100, generator=generator) < wrong
    mixed[:100] = False
    y[mixed] = torch.randint(1, 6, (int(mixed.sum()), length), generator=generator)
    short = torch.where(torch.rand(n + 100, generator=generator) < long, length - 1, frames)
    short[:100] = frames
    y = torch.cat([y, short[:, None]], 1)
    net = nn.ModuleList([nn.GRU(10, width, batch_first=True, bidirectional=True), nn.Linear(2 * width, 6)])

    def loss(model: nn.ModuleList, x: Tensor, y: Tensor) -> Tensor:
        out = model[1](model[0](x)[0]).log_softmax(-1).transpose(0, 1)
        ends = torch.full((len(x),), length)
        return functional.ctc_loss(out, y[:, :length], y[:, length], ends, zero_infinity=guard)

    return loops.fit(net, loss, Data(x=x[100:], y=y[100:], x_val=x[:100], y_val=y[:100]), plan)


DICTATION: dict[str, Callable[[], Curves]] = {
    "adam": lambda: dictation(Plan(epochs=40, lr=3e-3)),
    "sgd": lambda: dictation(Plan(steps=800, lr=0.02, optimizer="sgd", clip=5.0, eval_every=40), noise=0.6),
    "few-wrong": lambda: dictation(Plan(epochs=100, lr=5e-3, batch=16), n=60, wrong=0.3),
    "labels-too-long": lambda: dictation(Plan(steps=600, lr=3e-3, batch=16, eval_every=30), guard=False, long=0.004),
    "blanks": lambda: dictation(Plan(epochs=20, lr=2e-3, fault=loops.shuffled_labels())),
    "hot": lambda: dictation(Plan(steps=700, lr=0.1, eval_every=35)),
    "drops": lambda: dictation(Plan(epochs=60, lr=1e-2, schedule=loops.drops(0.5, 0.75), watch=True), noise=1.0),
}
