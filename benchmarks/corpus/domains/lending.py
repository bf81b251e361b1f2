"""Decisions with a price: lending, ranking, teaching by a teacher, learning to learn, and priors over functions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import loops, models
from ..loops import Curves, Data, Plan
from .trees import Arrays, lightgbm, split, xgboost


def loans(n: int, n_val: int = 400, rare: float = 2.5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Ten numbers of each applicant (some with heavy tails), and who defaults: about one in ten."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n + n_val, 10, generator=generator)
    x[:, 7:] = x[:, 7:].exp() - 1.6
    score = 1.2 * x[:, 0] - x[:, 1] * (x[:, 2] > 0) + 0.3 * x[:, 7] - rare
    return x, (torch.rand(n + n_val, generator=generator) < torch.sigmoid(score)).float()


def lending(
    plan: Plan,
    *,
    n: int = 1500,
    widths: tuple[int, ...] = (24,),
    price: float = 8.0,
    focal: float = 0.0,
    start: float = 0.0,
) -> Curves:
    """A default costs `price` times a customer sent away; `start` is the first bias."""
    x, y = loans(n, seed=plan.seed)
    net = models.mlp(10, *widths, 1)
    nn.init.constant_(net[-1].bias, start)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        out = model(x)[:, 0]
        each = functional.binary_cross_entropy_with_logits(out, y, reduction="none")
        sure = torch.where(y > 0, out.sigmoid(), 1 - out.sigmoid())
        return (each * (1 + (price - 1) * y) * (1 - sure) ** focal).mean()

    return loops.fit(net, loss, Data(x=x[400:], y=y[400:], x_val=x[:400], y_val=y[:400]), plan)


def borrowers(n: int, seed: int = 0) -> Arrays:
    x, y = loans(n, seed=seed)
    return split(x.numpy(), y.numpy(), 400)


LENDING: dict[str, Callable[[], Curves]] = {
    "network": lambda: lending(Plan(epochs=30, lr=1e-3)),
    "focal": lambda: lending(Plan(steps=2000, lr=1e-3, batch=64, eval_every=100), focal=2.0),
    "few": lambda: lending(Plan(epochs=200, lr=3e-3), n=150, widths=(64, 64)),
    "sure-start": lambda: lending(Plan(steps=1500, lr=3e-3, eval_every=50, optimizer="sgd"), start=-8.0),
    "tiny-rate": lambda: lending(Plan(epochs=25, lr=1e-7)),
    "hot": lambda: lending(Plan(steps=800, lr=3.0, optimizer="sgd", eval_every=20)),
    "dart": lambda: lightgbm(
        borrowers(1000), 200, "binary_logloss", objective="binary", boosting="dart", learning_rate=0.2, drop_rate=0.3
    ),
    "trees-few": lambda: xgboost(borrowers(200), 200, "logloss", eta=0.15, max_depth=6, objective="binary:logistic"),
    "trees-slow": lambda: xgboost(borrowers(1200), 120, "logloss", eta=0.003, max_depth=3, objective="binary:logistic"),
    "price-of-eighty": lambda: lending(Plan(steps=2500, lr=1e-3, batch=8, eval_every=100), price=80.0),
}


def pupil(
    plan: Plan,
    *,
    hidden: int = 32,
    temperature: float = 2.0,
    n: int = 1500,
    teacher_gain: float = 3.0,
    feature: bool = False,
) -> Curves:
    """A pupil learns what a fixed random teacher says: KL divergence, which goes to zero where the pupil is large."""
    generator = torch.Generator().manual_seed(plan.seed)
    teacher = models.mlp(12, 24, 6, activation=nn.Tanh)
    x = torch.randn(n + 300, 12, generator=generator)
    with torch.no_grad():
        said = teacher_gain * teacher(x)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        if feature:
            return functional.mse_loss(model(x), y)
        a, b = torch.log_softmax(model(x) / temperature, 1), torch.log_softmax(y / temperature, 1)
        return functional.kl_div(a, b, log_target=True, reduction="batchmean") * temperature**2

    net = models.mlp(12, hidden, 6, activation=nn.Tanh)
    return loops.fit(net, loss, Data(x=x[300:], y=said[300:], x_val=x[:300], y_val=said[:300]), plan)


PUPIL: dict[str, Callable[[], Curves]] = {
    "large": lambda: pupil(Plan(steps=3000, lr=3e-3, eval_every=60)),
    "small": lambda: pupil(Plan(epochs=60, lr=5e-3), hidden=3),
    "few": lambda: pupil(Plan(epochs=300, lr=5e-3, batch=20), n=80, hidden=64),
    "sgd-long": lambda: pupil(Plan(steps=12000, lr=0.02, optimizer="sgd", eval_every=200, log_every=8)),
    "hot": lambda: pupil(Plan(steps=1000, lr=0.3, eval_every=20)),
    "rate-jumps": lambda: pupil(
        Plan(steps=1200, lr=1e-2, optimizer="sgd", schedule=loops.jump(0.6, 1500), eval_every=20)
    ),
    "bumps": lambda: pupil(Plan(steps=1500, lr=2e-3, schedule=loops.bump((0.5,), 80, 3), eval_every=30, watch=True)),
    "mixed-up": lambda: pupil(Plan(epochs=25, lr=1e-3, fault=loops.shuffled_labels()), teacher_gain=1.0),
}


def waves(
    plan: Plan, *, inner: float = 0.02, steps: int = 5, reptile: bool = True, shots: int = 10, turns: int = 0
) -> Curves:
    """Reptile (Nichol et al. 2018) on sine waves: the loss before the inner steps, of a new task each time.

    With `turns` the tasks come in that many blocks of one wave each, as from a sorted file.
    """
    generator = torch.Generator().manual_seed(plan.seed)
    net = models.mlp(1, 32, 32, 1, activation=nn.Tanh)
    curves = Curves("step")
    held = [
        (0.5 + 3 * torch.rand(1, generator=generator), 3.14 * torch.rand(1, generator=generator)) for _ in range(12)
    ]
    blocks = [
        (0.5 + 3 * torch.rand(1, generator=generator), 3.14 * torch.rand(1, generator=generator))
        for _ in range(max(turns, 1))
    ]

    def batch(task: tuple[Tensor, Tensor], n: int) -> tuple[Tensor, Tensor]:
        x = 10 * torch.rand(n, 1, generator=generator) - 5
        return x, task[0] * torch.sin(x + task[1])

    for step in range(1, plan.steps + 1):
        fresh = (0.5 + 3 * torch.rand(1, generator=generator), 3.14 * torch.rand(1, generator=generator))
        task = blocks[(step - 1) * turns // plan.steps % len(blocks)] if turns else fresh
        before = [parameter.detach().clone() for parameter in net.parameters()]
        first = None
        for _ in range(steps):
            x, y = batch(task, shots)
            value = functional.mse_loss(net(x), y)
            first = float(value.detach()) if first is None else first
            gradients = torch.autograd.grad(value, list(net.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(net.parameters(), gradients, strict=True):
                    parameter -= inner * gradient
        last = float(functional.mse_loss(net(x), y).detach())
        with torch.no_grad():
            for parameter, old in zip(net.parameters(), before, strict=True):
                parameter.copy_(old + (plan.lr if reptile else 1.0) * (parameter - old))
            curves.log(step, train=last)
            if step % plan.eval_every == 0:
                curves.log(
                    step,
                    val=float(
                        np.mean([float(functional.mse_loss(net(x), y)) for x, y in (batch(t, 50) for t in held)])
                    ),
                )
    return curves


WAVES: dict[str, Callable[[], Curves]] = {
    "reptile": lambda: waves(Plan(steps=1000, lr=0.1, eval_every=25)),
    "reptile-hot": lambda: waves(Plan(steps=600, lr=1.0, eval_every=10), inner=0.1),
    "sorted-file": lambda: waves(Plan(steps=800, lr=1.0, eval_every=10), turns=8),
    "too-fast": lambda: waves(Plan(steps=300, lr=1.0, eval_every=5), inner=0.6),
    "one-wave": lambda: waves(Plan(steps=600, lr=1.0, eval_every=20), turns=1),
    "no-step": lambda: waves(Plan(steps=400, lr=1e-6, eval_every=20)),
}


def ranking(
    plan: Plan, *, noise: float = 0.5, n: int = 1200, widths: tuple[int, ...] = (24,), lists: int = 10
) -> Curves:
    """Lists of ten in their order: the listwise loss of Cao et al. (2007), nats a list."""
    generator = torch.Generator().manual_seed(plan.seed)
    x = torch.randn(n + 200, lists, 8, generator=generator)
    goal = x[..., 0] + torch.sin(2 * x[..., 1]) + noise * torch.randn(n + 200, lists, generator=generator)
    net = models.mlp(8, *widths, 1)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return -(torch.softmax(y, 1) * torch.log_softmax(model(x)[..., 0], 1)).sum(1).mean()

    return loops.fit(net, loss, Data(x=x[200:], y=goal[200:], x_val=x[:200], y_val=goal[:200]), plan)


RANKING: dict[str, Callable[[], Curves]] = {
    "adam": lambda: ranking(Plan(epochs=25, lr=2e-3)),
    "few": lambda: ranking(Plan(epochs=150, lr=3e-3, batch=10), n=40, widths=(64, 64)),
    "linear": lambda: ranking(Plan(steps=1500, lr=1e-2, eval_every=50), widths=()),
    "noise": lambda: ranking(Plan(steps=800, lr=1e-4, fault=loops.shuffled_labels(), eval_every=40)),
    "sgd-slow": lambda: ranking(Plan(steps=2000, lr=1e-2, optimizer="sgd", momentum=0.0, batch=8, eval_every=100)),
    "hot": lambda: ranking(Plan(steps=900, lr=50.0, optimizer="sgd", eval_every=20)),
    "cyclic": lambda: ranking(Plan(steps=1800, lr=0.3, schedule=loops.triangle(9), eval_every=20)),
}


def evidence(
    plan: Plan,
    *,
    n: int = 60,
    noise: float = 0.1,
    start: tuple[float, float, float] = (0.0, 0.0, 0.0),
    unit: float = 1.0,
) -> Curves:
    """The scale, width and noise of a Gaussian process by its marginal likelihood, nats a point; below 0 where sure.

    Validation is the negative log density of 60 other points, each on its own.
    """
    generator = torch.Generator().manual_seed(plan.seed)
    x = 6 * torch.rand(n + 60, generator=generator, dtype=torch.float64)
    y = unit * (torch.sin(3 * x) + 0.3 * x + noise * torch.randn(n + 60, generator=generator, dtype=torch.float64))
    a, b, ya, yb = x[:n], x[n:], y[:n], y[n:]
    logs = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    stepper, curves = loops.optimizer(plan, [logs]), Curves("step")

    def kernel(p: Tensor, q: Tensor) -> Tensor:
        return logs[0].exp() * torch.exp(-0.5 * (p[:, None] - q) ** 2 / (2 * logs[1]).exp())

    for step in range(1, plan.steps + 1):
        k = kernel(a, a) + (logs[2].exp() + 1e-8) * torch.eye(n, dtype=torch.float64)
        lower, info = torch.linalg.cholesky_ex(k)
        if int(info):
            curves.log(step, train=float("nan"))
            break
        weights = torch.cholesky_solve(ya[:, None], lower)
        value = (0.5 * (ya @ weights[:, 0]) + lower.diagonal().log().sum()) / n + 0.919
        if step % plan.eval_every == 0:
            with torch.no_grad():
                cross = kernel(b, a)
                spread = logs[0].exp() + logs[2].exp() - (cross * torch.cholesky_solve(cross.T, lower).T).sum(1)
                miss = yb - cross @ weights[:, 0]
                curves.log(step, val=float((0.5 * miss**2 / spread + 0.5 * spread.log() + 0.919).mean()))
        stepper.zero_grad()
        value.backward()
        for group in stepper.param_groups:
            group["lr"] = plan.lr * (plan.schedule(step, plan.steps) if plan.schedule else 1)
        stepper.step()
        curves.log(step, train=float(value.detach()))
    return curves


EVIDENCE: dict[str, Callable[[], Curves]] = {
    "adam": lambda: evidence(Plan(steps=400, lr=2e-2, eval_every=10)),
    "little-noise": lambda: evidence(Plan(steps=800, lr=1e-2, eval_every=20), noise=0.005),
    "wide-start": lambda: evidence(Plan(steps=800, lr=2e-2, eval_every=10), start=(2.0, 3.5, 1.0)),
    "slow": lambda: evidence(Plan(steps=300, lr=2e-4, eval_every=10)),
    "sgd-hot": lambda: evidence(Plan(steps=400, lr=1.2, optimizer="sgd", momentum=0.0, eval_every=5)),
    "adam-hot": lambda: evidence(Plan(steps=400, lr=1.0, eval_every=5)),
    "eight-points": lambda: evidence(Plan(steps=500, lr=3e-2, eval_every=10), n=8),
}
