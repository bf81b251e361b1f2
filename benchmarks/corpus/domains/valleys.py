"""Steps that are about as long as the valley is wide: ill-conditioned fits, games of two, weights of one bit."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import loops, models
from ..loops import Curves, Data, Plan


def squares(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return functional.mse_loss(model(x)[:, 0], y)


def narrow(
    plan: Plan,
    *,
    condition: float = 1e4,
    inputs: int = 12,
    noise: float = 0.0,
    n: int = 400,
    kind: str = "mse",
    net: Callable[[], nn.Module] | None = None,
) -> Curves:
    """Least squares whose curvatures span `condition`; the largest is 2 (the edge of stability is a rate of 1)."""
    generator = torch.Generator().manual_seed(plan.seed)
    scales = torch.logspace(0, -0.5 * torch.log10(torch.tensor(condition)).item(), inputs)
    x = torch.randn(n + 200, inputs, generator=generator)
    x = torch.linalg.qr(x)[0] * (n + 200) ** 0.5 * scales
    y = x @ (torch.randn(inputs, generator=generator) / scales**0.7) + noise * torch.randn(n + 200, generator=generator)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        out = model(x)[:, 0]
        return {"mse": functional.mse_loss, "mae": functional.l1_loss, "huber": functional.huber_loss}[kind](out, y)

    model = net() if net else models.mlp(inputs, 1)
    return loops.fit(model, loss, Data(x=x[200:], y=y[200:], x_val=x[:200], y_val=y[:200]), plan)


def deep_linear(std: float, width: int = 12, layers: int = 3) -> Callable[[], nn.Module]:
    """A deep linear network with a small start: from saddle to saddle (Saxe et al. 2014)."""

    def net() -> nn.Module:
        chain = nn.Sequential(*(nn.Linear(width, width if i < layers - 1 else 1, bias=False) for i in range(layers)))
        for layer in chain:
            nn.init.normal_(layer.weight, std=std)
        return chain

    return net


FULL = Plan(steps=1500, batch=10**6, lr=0.4, optimizer="sgd", momentum=0.0, eval_every=10)
VALLEYS: dict[str, Callable[[], Curves]] = {
    "descent": lambda: narrow(FULL.but(steps=3000, log_every=2, eval_every=40)),
    "descent-noisy-batches": lambda: narrow(
        FULL.but(batch=16, lr=0.05, steps=3000, eval_every=100), noise=0.3, condition=100
    ),
    "momentum-999": lambda: narrow(FULL.but(momentum=0.999, lr=0.02, steps=1200, eval_every=8), condition=100),
    "momentum-990": lambda: narrow(FULL.but(momentum=0.99, lr=0.02, steps=1200, eval_every=8), condition=100),
    "just-over": lambda: narrow(FULL.but(lr=1.006, steps=1200)),
    "just-under": lambda: narrow(FULL.but(lr=0.9995, steps=1200), condition=50),
    "over-late": lambda: narrow(FULL.but(lr=0.3, schedule=loops.jump(0.7, 3.6)), condition=300),
    "absolute": lambda: narrow(FULL.but(lr=0.3, batch=32, eval_every=15), kind="mae", condition=100),
    "absolute-hot": lambda: narrow(FULL.but(lr=6.0, batch=8, eval_every=15), kind="mae", condition=10, noise=0.1),
    "huber-levels-off": lambda: narrow(
        FULL.but(lr=0.3, batch=32, schedule=loops.jump(0.5, 400)), kind="huber", condition=30
    ),
    "saddles": lambda: narrow(
        FULL.but(lr=0.05, steps=4000, log_every=2, eval_every=40), net=deep_linear(0.02), condition=30
    ),
    "saddle": lambda: narrow(FULL.but(lr=0.01, steps=1000), net=deep_linear(1e-3), condition=30),
    "cyclic": lambda: narrow(
        FULL.but(batch=8, lr=1.0, schedule=loops.triangle(12), steps=2400, eval_every=20), noise=0.5, condition=10
    ),
}


def robust(
    plan: Plan, *, rate: float = 1.0, groups: int = 6, extra: bool = False, reg: float = 0.0, n: int = 600
) -> Curves:
    """Group-robust regression: the groups' weights climb where the fit is bad (Sagawa et al. 2020).

    The loss is the weighted one that both see; validation is the worst group's. `extra` takes extragradient steps.
    """
    generator = torch.Generator().manual_seed(plan.seed)
    x = torch.randn(n + 300, 8, generator=generator)
    group = torch.randint(0, groups, (n + 300,), generator=generator)
    w = torch.randn(groups, 8, generator=generator)
    y = (x * w[group]).sum(1) + 0.1 * torch.randn(n + 300, generator=generator)
    net, weights = models.mlp(8, 1), torch.zeros(groups)
    stepper, curves = loops.optimizer(plan, net.parameters()), Curves("step")

    def each(rows: Tensor) -> Tensor:
        error = (net(x[rows])[:, 0] - y[rows]) ** 2
        return torch.stack(
            [error[group[rows] == g].mean() if (group[rows] == g).any() else error.new_zeros(()) for g in range(groups)]
        )

    for step in range(1, plan.steps + 1):
        rows = torch.randint(300, n + 300, (min(plan.batch, n),), generator=generator)
        by_group = each(rows)
        ahead = weights + rate * by_group.detach() if extra else weights
        value = (torch.softmax(ahead, 0) * by_group).sum()
        stepper.zero_grad()
        value.backward()
        stepper.step()
        weights = (1 - reg) * weights + rate * by_group.detach()
        weights = weights - weights.max()
        curves.log(step, train=float(value.detach()))
        if step % plan.eval_every == 0:
            with torch.no_grad():
                curves.log(step, val=float(each(torch.arange(300)).max()))
    return curves


def saddle_game(
    plan: Plan, *, dims: int = 6, noise: float = 0.0, optimistic: bool = False, pull: float = 0.0
) -> Curves:
    """min over x, max over y of x'Ay + pull (|x|^2 - |y|^2)/2: each player's distance to the solution as its loss."""
    generator = torch.Generator().manual_seed(plan.seed)
    a = torch.randn(dims, dims, generator=generator) / dims**0.5
    x, y = torch.randn(dims, generator=generator), torch.randn(dims, generator=generator)
    before, curves = (torch.zeros(dims), torch.zeros(dims)), Curves("step")
    for step in range(1, plan.steps + 1):
        shake = noise * torch.randn(2, dims, generator=generator)
        now = (a @ y + pull * x + shake[0], -(a.T @ x) + pull * y + shake[1])
        move = tuple(2 * g - b for g, b in zip(now, before, strict=True)) if optimistic else now
        x, y, before = x - plan.lr * move[0], y - plan.lr * move[1], now
        curves.log(step, train=float((a @ y).norm() + 0.02 * torch.randn((), generator=generator).abs()))
        if step % plan.eval_every == 0:
            curves.log(step, val=float((a @ y).norm() + (a.T @ x).norm()) / 2)
    return curves


GAMES: dict[str, Callable[[], Curves]] = {
    "robust": lambda: robust(Plan(steps=1500, batch=64, lr=1e-2, eval_every=30), rate=0.01),
    "robust-hot": lambda: robust(Plan(steps=1500, batch=600, lr=0.1, eval_every=15), rate=0.5),
    "robust-hot-sgd": lambda: robust(
        Plan(steps=1500, batch=64, lr=0.05, optimizer="sgd", momentum=0.9, eval_every=15), rate=2.0
    ),
    "robust-extra": lambda: robust(Plan(steps=1500, batch=128, lr=0.01, eval_every=30), rate=0.1, extra=True, reg=0.02),
    "robust-two": lambda: robust(Plan(steps=1000, batch=64, lr=0.03, eval_every=10), rate=1.0, groups=2),
    "saddle-out": lambda: saddle_game(Plan(steps=1500, lr=0.05, eval_every=10)),
    "saddle-small": lambda: saddle_game(Plan(steps=1500, lr=0.004, eval_every=10), dims=1),
    "saddle-optimistic": lambda: saddle_game(Plan(steps=1500, lr=0.2, eval_every=15), optimistic=True),
    "saddle-noisy": lambda: saddle_game(Plan(steps=2000, lr=0.05, eval_every=20), noise=0.3, pull=0.2),
}


class Signs(torch.autograd.Function):
    """The sign of a weight; its gradient passes straight through (Bengio et al. 2013)."""

    @staticmethod
    def forward(ctx: object, weight: Tensor) -> Tensor:  # noqa: ARG004 - torch's signature
        return weight.sign()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:  # noqa: ARG004 - torch's signature
        return gradient


class OneBit(nn.Module):
    """Two layers whose weights are +1 or -1 times a learned scale."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(0.3 * torch.randn(width, inputs)), nn.Parameter(0.3 * torch.randn(1, width))
        self.scale = nn.Parameter(torch.tensor([1 / inputs**0.5, 1 / width**0.5]))

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(x @ Signs.apply(self.a).T * self.scale[0])
        return h @ Signs.apply(self.b).T * self.scale[1]


def one_bit(plan: Plan, *, n: int = 800, width: int = 32, noise: float = 0.1) -> Curves:
    """A regression by a network of one-bit weights: signs flip for ever where the rate does not decay."""
    generator = torch.Generator().manual_seed(plan.seed)
    x = torch.randn(n + 300, 10, generator=generator)
    y = torch.sin(x[:, 0]) + x[:, 1] * x[:, 2] + noise * torch.randn(n + 300, generator=generator)
    return loops.fit(OneBit(10, width), squares, Data(x=x[300:], y=y[300:], x_val=x[:300], y_val=y[:300]), plan)


ONE_BIT: dict[str, Callable[[], Curves]] = {
    "adam": lambda: one_bit(Plan(steps=2500, lr=1e-3, eval_every=50)),
    "adam-hot": lambda: one_bit(Plan(steps=1500, lr=5e-2, eval_every=25)),
    "cosine": lambda: one_bit(Plan(steps=2500, lr=5e-3, schedule=loops.warmup_cosine(0.05), eval_every=50, watch=True)),
    "sgd": lambda: one_bit(Plan(epochs=60, lr=0.01, optimizer="sgd")),
    "sgd-tiny-rate": lambda: one_bit(Plan(epochs=25, lr=1e-6, optimizer="sgd")),
    "few": lambda: one_bit(Plan(epochs=300, lr=3e-3, batch=16), n=60, width=96),
    "whole-batch": lambda: one_bit(Plan(steps=800, batch=10**6, lr=2e-2, eval_every=8)),
}
