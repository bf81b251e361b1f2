"""Things that move: a pole to be balanced, a pendulum to be foretold, a course of ever harder lessons."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import loops, models
from ..loops import Curves, Data, Plan


def pole(state: Tensor, push: Tensor) -> Tensor:
    """One step of 0.02 s of the cart and pole of Barto, Sutton and Anderson (1983); state (n, 4), push (n,) in N."""
    place, speed, angle, spin = state.unbind(1)
    sin, cos = angle.sin(), angle.cos()
    total = (push + 0.05 * spin**2 * sin) / 1.1
    turn = (9.8 * sin - cos * total) / (0.5 * (4 / 3 - 0.1 * cos**2 / 1.1))
    return torch.stack(
        [
            place + 0.02 * speed,
            speed + 0.02 * (total - 0.05 * turn * cos / 1.1),
            angle + 0.02 * spin,
            spin + 0.02 * turn,
        ],
        1,
    )


def balance(
    plan: Plan,
    *,
    horizon: int = 60,
    gamma: float = 0.97,
    baseline: bool = True,
    greedy: float = 0.0,
    force: float = 10.0,
) -> Curves:
    """REINFORCE on `plan.batch` poles at once; the loss is the share of `horizon` steps that a pole lay down.

    Validation is the same share of 100 other poles under the likelier push.
    """
    net = models.mlp(4, 24, 2, activation=nn.Tanh)
    stepper, curves = loops.optimizer(plan, net.parameters()), Curves("step")

    def play(n: int, sample: bool) -> tuple[Tensor, Tensor]:
        state, up = 0.1 * torch.randn(n, 4), torch.ones(n)
        logs, ups = [], []
        for _ in range(horizon):
            logits = torch.log_softmax(net(state), 1)
            act = torch.multinomial(logits.exp(), 1)[:, 0] if sample else logits.argmax(1)
            logs.append(logits[torch.arange(n), act] * up)
            state = pole(state, (2.0 * act - 1) * force).detach()
            up = up * ((state[:, 2].abs() < 0.21) & (state[:, 0].abs() < 2.4)).float()
            ups.append(up)
        return torch.stack(logs), torch.stack(ups)

    for step in range(1, plan.steps + 1):
        logs, ups = play(plan.batch, sample=True)
        gain = torch.zeros_like(ups)
        ahead = torch.zeros(plan.batch)
        for t in range(horizon - 1, -1, -1):
            ahead = ups[t] + gamma * ahead
            gain[t] = ahead
        advantage = gain - gain.mean(1, keepdim=True) if baseline else gain
        stepper.zero_grad()
        (-(logs * advantage).mean() - greedy * logs.exp().mean()).backward()
        for group in stepper.param_groups:
            group["lr"] = plan.lr * (plan.schedule(step, plan.steps) if plan.schedule else 1)
        stepper.step()
        curves.log(step, train=1 - float(ups.mean()))
        if step % plan.eval_every == 0:
            with torch.no_grad():
                curves.log(step, val=1 - float(play(100, sample=False)[1].mean()))
    return curves


POLE: dict[str, Callable[[], Curves]] = {
    "reinforce": lambda: balance(Plan(steps=250, batch=16, lr=1e-2, eval_every=10)),
    "one-pole": lambda: balance(Plan(steps=400, batch=1, lr=5e-3, eval_every=20)),
    "hot": lambda: balance(Plan(steps=250, batch=8, lr=0.3, eval_every=5)),
    "tiny-rate": lambda: balance(Plan(steps=200, batch=16, lr=1e-6, eval_every=10)),
    "no-baseline": lambda: balance(Plan(steps=300, batch=8, lr=1e-2, eval_every=10), baseline=False),
    "weak-cart": lambda: balance(Plan(steps=200, batch=16, lr=1e-2, eval_every=10), force=0.3),
    "rate-jumps": lambda: balance(
        Plan(steps=250, batch=16, lr=2e-2, eval_every=5, schedule=loops.jump(0.6, 50)), horizon=40
    ),
}


class Swing(nn.Module):
    """The acceleration of a pendulum by a network of angle and speed; rolled out over `steps` of 0.1."""

    def __init__(self, width: int, steps: int) -> None:
        super().__init__()
        self.net, self.steps = models.mlp(2, width, width, 1, activation=nn.Tanh), steps

    def forward(self, x: Tensor) -> Tensor:
        path = []
        for _ in range(self.steps):
            speed = x[:, 1] + 0.1 * self.net(x)[:, 0]
            x = torch.stack([x[:, 0] + 0.1 * speed, speed], 1)
            path.append(x)
        return torch.stack(path, 1)


def pendulum(plan: Plan, *, steps: int = 10, n: int = 500, noise: float = 0.0, width: int = 24) -> Curves:
    """Foretell `steps` steps of a damped pendulum from where it starts: gradients through the whole path."""
    generator = torch.Generator().manual_seed(plan.seed)
    x = torch.stack(
        [3 * (torch.rand(n + 200, generator=generator) * 2 - 1), torch.randn(n + 200, generator=generator)], 1
    )
    path, state = [], x
    for _ in range(steps):
        speed = state[:, 1] + 0.1 * (-4 * state[:, 0].sin() - 0.2 * state[:, 1])
        state = torch.stack([state[:, 0] + 0.1 * speed, speed], 1)
        path.append(state)
    y = torch.stack(path, 1)
    y = y + noise * torch.randn(y.shape, generator=generator)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return functional.mse_loss(model(x), y)

    return loops.fit(Swing(width, steps), loss, Data(x=x[200:], y=y[200:], x_val=x[:200], y_val=y[:200]), plan)


PENDULUM: dict[str, Callable[[], Curves]] = {
    "adam": lambda: pendulum(Plan(steps=900, lr=3e-3, eval_every=30)),
    "thirty-steps": lambda: pendulum(Plan(steps=400, lr=3e-3, eval_every=20, watch=True), steps=30),
    "thirty-steps-hot": lambda: pendulum(Plan(steps=300, lr=0.1, eval_every=10), steps=30),
    "sgd": lambda: pendulum(Plan(epochs=30, lr=1e-2, optimizer="sgd"), n=300),
    "sgd-ramp": lambda: pendulum(
        Plan(steps=700, lr=1e-3, optimizer="sgd", schedule=loops.ramp(3e3), eval_every=20, watch=True)
    ),
    "few-noisy": lambda: pendulum(Plan(epochs=400, lr=1e-2, batch=20), n=20, noise=0.5, width=48),
    "tiny-rate": lambda: pendulum(Plan(epochs=15, lr=1e-7), n=600),
    "drops": lambda: pendulum(Plan(steps=1200, lr=1e-2, schedule=loops.drops(0.5, 0.75), eval_every=40, watch=True)),
    "one-at-a-time": lambda: pendulum(Plan(steps=900, lr=1e-3, batch=1, eval_every=60)),
}


def lessons(plan: Plan, *, grow: bool = True, top: int = 8, together: bool = False, back: bool = False) -> Curves:
    """Is a row sorted? Rows grow from 2 to `top` numbers as the course goes on; validation is on the last lesson.

    With `together` it is on the present lesson; with `back` the course starts anew half way.
    """
    generator = torch.Generator().manual_seed(plan.seed)
    net = models.mlp(top, 48, 48, 1)

    def rows(n: int, length: int) -> tuple[Tensor, Tensor]:
        x = torch.rand(n, top, generator=generator)
        ordered = torch.rand(n, generator=generator) < 0.5
        x[:, :length] = torch.where(ordered[:, None], x[:, :length].sort(1).values, x[:, :length])
        x[:, length:] = 0
        return x, (x[:, :length].diff(dim=1) >= 0).all(1).float()

    stepper, curves = loops.optimizer(plan, net.parameters()), Curves("step")
    held = {length: rows(400, length) for length in range(2, top + 1)}
    for step in range(1, plan.steps + 1):
        share = step / plan.steps
        share = (2 * share) % 1.0 if back else share
        length = min(top, 2 + int(share * 1.3 * (top - 1))) if grow else top
        x, y = rows(plan.batch, length)
        stepper.zero_grad()
        value = functional.binary_cross_entropy_with_logits(net(x)[:, 0], y)
        value.backward()
        stepper.step()
        curves.log(step, train=float(value.detach()))
        if step % plan.eval_every == 0:
            x, y = held[length if together else top]
            with torch.no_grad():
                curves.log(step, val=float(functional.binary_cross_entropy_with_logits(net(x)[:, 0], y)))
    return curves


LESSONS: dict[str, Callable[[], Curves]] = {
    "course": lambda: lessons(Plan(steps=2500, lr=2e-3, eval_every=50)),
    "course-present": lambda: lessons(Plan(steps=2500, lr=2e-3, eval_every=50), together=True),
    "hardest": lambda: lessons(Plan(steps=2500, lr=1e-3, eval_every=50), grow=False, top=6),
    "twice": lambda: lessons(Plan(steps=2500, lr=2e-3, eval_every=25), together=True, back=True),
    "tiny-rate": lambda: lessons(Plan(steps=1000, lr=3e-7, eval_every=50), grow=False),
    "hot": lambda: lessons(Plan(steps=1500, lr=0.3, eval_every=25), grow=False),
}
