"""Runs that come and go: two tasks in turn, two players, and momentum that overshoots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import data, loops, models
from ..loops import Curves, Data, Plan


def turns(plan: Plan, *, length: int, both: bool = False, settle: int = 10**9) -> Curves:
    """Digits below five and from five on are trained in turns of `length` steps; after `settle` steps mixed.

    Validation is on all ten classes, or, with `both`, on the five of the present turn, as the logs of a curriculum.
    """
    part = data.bundled("digits", None, 400, plan.seed)
    low, high = part.y < 5, part.y >= 5
    net = models.mlp(64, 48, 10)
    stepper, curves = loops.optimizer(plan, net.parameters()), Curves("step")
    for step in range(1, plan.steps + 1):
        pool = torch.ones_like(low) if step > settle else (low if (step // length) % 2 else high)
        rows = torch.nonzero(pool)[:, 0]
        pick = rows[torch.randint(0, len(rows), (plan.batch,))]
        stepper.zero_grad()
        loss = functional.cross_entropy(net(part.x[pick]), part.y[pick])
        loss.backward()
        stepper.step()
        curves.log(step, train=float(loss.detach()))
        if step % plan.eval_every == 0:
            with torch.no_grad():
                keep = ((part.y_val < 5) == bool((step // length) % 2)) | torch.tensor(not both)
                curves.log(step, val=float(functional.cross_entropy(net(part.x_val[keep]), part.y_val[keep])))
    return curves


def pennies(plan: Plan, *, damping: float = 0.0) -> Curves:
    """Two players of matching pennies follow their gradients; the first one's loss, sampled and exact."""
    generator = torch.Generator().manual_seed(plan.seed)
    one, two = torch.tensor(0.8, requires_grad=True), torch.tensor(-0.5, requires_grad=True)
    stepper, curves = torch.optim.SGD([one, two], lr=plan.lr), Curves("step")
    for step in range(1, plan.steps + 1):
        value = torch.tanh(one) * torch.tanh(two)
        first = torch.autograd.grad(value + damping * one**2, one, retain_graph=True)[0]
        second = torch.autograd.grad(-value + damping * two**2, two)[0]
        one.grad, two.grad = first, second
        stepper.step()
        sampled = float(value.detach()) + 1 + 0.05 * float(torch.randn((), generator=generator))
        curves.log(step, train=sampled)
        if step % plan.eval_every == 0:
            curves.log(step, val=float(value.detach()) + 1)
    return curves


def ringing(plan: Plan, *, net: Callable[[], nn.Module], n: int = 300) -> Curves:
    """A noisy wave fitted with the whole batch: what momentum and the rate do to a deterministic loss."""
    generator = torch.Generator().manual_seed(plan.seed)
    x = torch.rand(n + 200, 3, generator=generator) * 4 - 2
    y = torch.sin(x[:, 0]) + 0.5 * x[:, 1] + 0.05 * torch.randn(n + 200, generator=generator)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return functional.mse_loss(model(x)[:, 0], y)

    part = Data(x=x[200:], y=y[200:], x_val=x[:200], y_val=y[:200])
    return loops.fit(net(), loss, part, replace(plan, batch=10**6))


def linear() -> nn.Module:
    return models.mlp(3, 1)


def tanh() -> nn.Module:
    return models.mlp(3, 24, 1, activation=nn.Tanh)


ALTERNATION: dict[str, Callable[[], Curves]] = {
    "turns": lambda: turns(Plan(steps=1600, batch=32, lr=2e-3, eval_every=20), length=100),
    "turns-long": lambda: turns(Plan(steps=2400, batch=32, lr=2e-3, eval_every=40), length=300, both=True),
    "turns-then-mixed": lambda: turns(Plan(steps=2000, batch=32, lr=2e-3, eval_every=25), length=100, settle=700),
    "mixed": lambda: turns(Plan(steps=1200, batch=32, lr=5e-4, eval_every=40), length=1, settle=0),
    "pennies": lambda: pennies(Plan(steps=1500, lr=0.05, eval_every=10)),
    "pennies-damped": lambda: pennies(Plan(steps=1500, lr=0.05, eval_every=10), damping=0.05),
    "momentum-overshoots": lambda: ringing(
        Plan(steps=600, lr=0.02, optimizer="sgd", momentum=0.998, eval_every=5), net=linear
    ),
    "momentum": lambda: ringing(Plan(steps=600, lr=0.02, optimizer="sgd", momentum=0.9, eval_every=10), net=tanh),
    "edge": lambda: ringing(Plan(steps=1200, lr=0.45, optimizer="sgd", momentum=0.0, eval_every=5), net=tanh),
    "edge-momentum": lambda: ringing(Plan(steps=1200, lr=0.06, optimizer="sgd", momentum=0.97, eval_every=5), net=tanh),
    "adam-large-steps": lambda: ringing(Plan(steps=1000, lr=0.2, eval_every=5), net=tanh),
    "adam": lambda: ringing(Plan(steps=1000, lr=5e-3, eval_every=20), net=tanh),
}
