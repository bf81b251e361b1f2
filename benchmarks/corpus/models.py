"""Small networks: none has more than about 100,000 parameters."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


def mlp(*widths: int, activation: type[nn.Module] = nn.ReLU, dropout: float = 0.0, norm: bool = False) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, (a, b) in enumerate(pairwise(widths)):
        layers.append(nn.Linear(a, b))
        if i < len(widths) - 2:
            layers += [nn.BatchNorm1d(b)] if norm else []
            layers.append(activation())
            layers += [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(*layers)


def cnn(classes: int = 10, width: int = 8, dropout: float = 0.0) -> nn.Sequential:
    """For images (n, 64) of 8 x 8."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(2 * width * 16, classes),
    )


class GruLm(nn.Module):
    """Characters (n, length) to logits (n, length, vocabulary)."""

    def __init__(self, vocabulary: int = 128, width: int = 48) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.rnn = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(self.embed(x))[0])


class Regressor(nn.Module):
    """A recurrent network over a series (n, length), one number at the end (n,)."""

    def __init__(self, kind: type[nn.RNNBase] = nn.LSTM, width: int = 24) -> None:
        super().__init__()
        self.rnn, self.head = kind(1, width, batch_first=True), nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x.unsqueeze(-1))[0][:, -1])[:, 0]


class Transformer(nn.Module):
    """A causal transformer: tokens (n, length) to logits (n, length, vocabulary)."""

    def __init__(self, vocabulary: int, length: int, width: int = 48, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.place = nn.Parameter(0.02 * torch.randn(length, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)
        self.register_buffer("mask", torch.triu(torch.full((length, length), float("-inf")), 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x) + self.place[: x.shape[1]]
        for block in self.blocks:
            h = block(h, src_mask=self.mask[: x.shape[1], : x.shape[1]].to(h.dtype))
        return self.head(self.norm(h))


class ModularMlp(nn.Module):
    """Two numbers (n, 2) to logits of their sum modulo p (n, p)."""

    def __init__(self, p: int, width: int = 128, init: float = 1.0) -> None:
        super().__init__()
        self.embed, self.hidden, self.out = nn.Embedding(p, width), nn.Linear(2 * width, width), nn.Linear(width, p)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.mul_(init)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.hidden(self.embed(x).flatten(1))))


class Vae(nn.Module):
    """A variational autoencoder for rows (n, inputs) of values in 0..1."""

    def __init__(self, inputs: int = 64, hidden: int = 64, latent: int = 4) -> None:
        super().__init__()
        self.encode, self.decode = mlp(inputs, hidden, 2 * latent), mlp(latent, hidden, inputs)
        self.log_sigma = nn.Parameter(torch.zeros(1))

    def elbo(self, x: Tensor, beta: float = 1.0, gaussian: bool = False) -> Tensor:
        """The negative evidence lower bound, nats an example."""
        mean, log_var = self.encode(x).chunk(2, 1)
        z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        kl = 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(1)
        out = self.decode(z)
        if gaussian:
            fit = (0.5 * ((x - out) / self.log_sigma.exp()) ** 2 + self.log_sigma + 0.919).sum(1)
        else:
            fit = functional.binary_cross_entropy_with_logits(out, x, reduction="none").sum(1)
        return (fit + beta * kl).mean()


class Coupling(nn.Module):
    """Affine coupling layers (Dinh et al. 2017) in two dimensions: negative log likelihood of points (n, 2)."""

    def __init__(self, layers: int = 4, width: int = 32) -> None:
        super().__init__()
        self.nets = nn.ModuleList(mlp(1, width, 2, activation=nn.Tanh) for _ in range(layers))

    def nll(self, x: Tensor, limit: float = 2.0) -> Tensor:
        a, b, log_det = x[:, :1], x[:, 1:], torch.zeros(len(x))
        for net in self.nets:
            scale, move = net(a).chunk(2, 1)
            scale = limit * torch.tanh(scale / limit)
            a, b, log_det = b * scale.exp() + move, a, log_det + scale[:, 0]
        return (0.5 * (a**2 + b**2)[:, 0] + 1.838 - log_det).mean()


class Sine(nn.Module):
    """A SIREN (Sitzmann et al. 2020): coordinates (n, inputs) to one value (n,)."""

    def __init__(self, inputs: int = 2, width: int = 48, omega: float = 15.0) -> None:
        super().__init__()
        self.omega = omega
        self.a, self.b, self.c = nn.Linear(inputs, width), nn.Linear(width, width), nn.Linear(width, 1)
        nn.init.uniform_(self.a.weight, -1 / inputs, 1 / inputs)
        nn.init.uniform_(self.b.weight, -((6 / width) ** 0.5) / omega, (6 / width) ** 0.5 / omega)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.sin(self.omega * self.a(x))
        return self.c(torch.sin(self.omega * self.b(h)))[:, 0]
