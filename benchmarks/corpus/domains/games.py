"""Losses of agents and of adversaries: what they go down to depends on what they do."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import loops, models
from ..loops import Curves, Plan


def bandit(
    plan: Plan, *, arms: int = 10, noise: float = 1.0, changes_at: int = 10**9, greedy: bool = False, scale: float = 1.0
) -> Curves:
    """Policy gradient on a contextual bandit; the loss is the negative mean reward."""
    generator = torch.Generator().manual_seed(plan.seed)
    truth = torch.randn(12, arms, generator=generator)
    net = models.mlp(12, 32, arms)
    stepper, curves = loops.optimizer(plan, net.parameters()), Curves("step")
    x_val = torch.randn(500, 12, generator=generator)
    for step in range(1, plan.steps + 1):
        if step == changes_at:
            truth = torch.randn(12, arms, generator=generator)
        x = torch.randn(plan.batch, 12, generator=generator)
        choice = torch.distributions.Categorical(logits=net(x))
        arm = choice.sample()
        reward = (x @ truth)[torch.arange(len(x)), arm] + noise * torch.randn(len(x), generator=generator)
        advantage = reward if greedy else reward - reward.mean()
        stepper.zero_grad()
        (-(advantage * choice.log_prob(arm)).mean() - 0.01 * choice.entropy().mean()).backward()
        for group in stepper.param_groups:
            group["lr"] = plan.lr * (plan.schedule(step, plan.steps) if plan.schedule else 1)
        stepper.step()
        curves.log(step, train=-scale * float(reward.mean()))
        if step % plan.eval_every == 0:
            with torch.no_grad():
                best = torch.softmax(net(x_val), 1)
            curves.log(step, val=-scale * float((best * (x_val @ truth)).sum(1).mean()))
    return curves


def walk(plan: Plan, *, gamma: float = 0.9, target_every: int = 50, scale: float = 1.0) -> Curves:
    """Q-learning on a random 30-state world: the squared temporal-difference error, on policy and on all states."""
    generator = torch.Generator().manual_seed(plan.seed)
    states, actions = 30, 4
    onward = torch.randint(0, states, (states, actions), generator=generator)
    reward = scale * torch.randn(states, actions, generator=generator)
    features = torch.randn(states, 16, generator=generator)
    net, target = models.mlp(16, 48, actions), models.mlp(16, 48, actions)
    target.load_state_dict(net.state_dict())
    stepper, curves = loops.optimizer(plan, net.parameters()), Curves("step")

    def error(s: Tensor, a: Tensor) -> Tensor:
        with torch.no_grad():
            goal = reward[s, a] + gamma * target(features[onward[s, a]]).max(1).values
        return functional.mse_loss(net(features[s])[torch.arange(len(s)), a], goal)

    every = torch.cartesian_prod(torch.arange(states), torch.arange(actions))
    for step in range(1, plan.steps + 1):
        s = torch.randint(0, states, (plan.batch,), generator=generator)
        a = torch.randint(0, actions, (plan.batch,), generator=generator)
        stepper.zero_grad()
        loss = error(s, a)
        loss.backward()
        stepper.step()
        curves.log(step, train=float(loss.detach()))
        if step % plan.eval_every == 0:
            curves.log(step, val=float(error(every[:, 0], every[:, 1]).detach()))
        if step % target_every == 0:
            target.load_state_dict(net.state_dict())
    return curves


AGENTS: dict[str, Callable[[], Curves]] = {
    "bandit": lambda: bandit(Plan(steps=1500, lr=3e-3, batch=32, eval_every=50)),
    "bandit-large-batch": lambda: bandit(Plan(steps=600, lr=1e-2, batch=256, eval_every=20), noise=0.3),
    "bandit-slow": lambda: bandit(Plan(steps=800, lr=1e-6, batch=64, eval_every=40)),
    "bandit-world-changes": lambda: bandit(Plan(steps=1600, lr=5e-3, batch=64, eval_every=40), changes_at=800),
    "bandit-thousands": lambda: bandit(Plan(steps=1000, lr=5e-3, batch=64, eval_every=100), scale=1000),
    "bandit-hot": lambda: bandit(Plan(steps=800, lr=1.0, batch=16, eval_every=20)),
    "q": lambda: walk(Plan(steps=2000, lr=2e-3, batch=32, eval_every=40)),
    "q-far-sighted": lambda: walk(Plan(steps=2500, lr=2e-3, batch=32, eval_every=50), gamma=0.99, target_every=100),
    "q-over-one": lambda: walk(Plan(steps=1500, lr=2e-3, batch=32, eval_every=30), gamma=1.2),
    "q-hot": lambda: walk(Plan(steps=800, lr=0.08, batch=16, eval_every=20, optimizer="sgd", momentum=0.9)),
    "q-millionths": lambda: walk(Plan(steps=1500, lr=1e-3, batch=64, eval_every=50), scale=1e-3, gamma=0.5),
}


def adversaries(plan: Plan, *, kind: str = "gan", ratio: float = 1.0, spread: float = 0.15) -> Curves:
    """A generator of points on a ring against a critic; the generator's loss, of the batch and of 500 points."""
    generator = torch.Generator().manual_seed(plan.seed)
    make, judge = models.mlp(4, 32, 32, 2), models.mlp(2, 32, 32, 1)
    one, two = (
        loops.optimizer(plan, make.parameters()),
        loops.optimizer(plan.but(lr=plan.lr * ratio), judge.parameters()),
    )
    curves = Curves("step")

    def fooling(n: int) -> Tensor:
        out = judge(make(torch.randn(n, 4, generator=generator)))
        return -out.mean() if kind == "critic" else functional.softplus(-out).mean()

    for step in range(1, plan.steps + 1):
        angle = 2 * torch.pi * torch.rand(plan.batch, generator=generator)
        real = torch.stack([angle.cos(), angle.sin()], 1)
        real = real + spread * torch.randn(real.shape, generator=generator)
        fake = make(torch.randn(plan.batch, 4, generator=generator)).detach()
        if kind == "critic":
            judging = judge(fake).mean() - judge(real).mean()
        else:
            judging = functional.softplus(-judge(real)).mean() + functional.softplus(judge(fake)).mean()
        two.zero_grad()
        judging.backward()
        two.step()
        if kind == "critic":
            with torch.no_grad():
                for parameter in judge.parameters():
                    parameter.clamp_(-0.2, 0.2)
        one.zero_grad()
        making = fooling(plan.batch)
        making.backward()
        one.step()
        curves.log(step, train=float(making.detach()))
        if step % plan.eval_every == 0:
            with torch.no_grad():
                curves.log(step, val=float(fooling(500)))
    return curves


def imitation(plan: Plan, *, swing: int, amount: float = 1.5, hidden: int = 32) -> Curves:
    """Two teachers that disagree take turns of `swing` steps: the loss jumps at every turn."""
    generator = torch.Generator().manual_seed(plan.seed)
    teachers = [models.mlp(8, 16, 1), models.mlp(8, 16, 1)]
    pupil = models.mlp(8, hidden, 1)
    stepper, curves = loops.optimizer(plan, pupil.parameters()), Curves("step")
    x_val = torch.randn(400, 8, generator=generator)

    def error(x: Tensor, turn: int) -> Tensor:
        with torch.no_grad():
            goal = teachers[0](x) + amount * turn * teachers[1](x)
        return functional.mse_loss(pupil(x), goal)

    for step in range(1, plan.steps + 1):
        turn = (step // swing) % 2
        stepper.zero_grad()
        loss = error(torch.randn(plan.batch, 8, generator=generator), turn)
        loss.backward()
        stepper.step()
        curves.log(step, train=float(loss.detach()))
        if step % plan.eval_every == 0:
            with torch.no_grad():
                curves.log(step, val=float(error(x_val, turn)))
    return curves


ADVERSARIES: dict[str, Callable[[], Curves]] = {
    "ring": lambda: adversaries(Plan(steps=2000, batch=64, lr=1e-3, eval_every=50)),
    "ring-hot": lambda: adversaries(Plan(steps=1500, batch=64, lr=1e-2, eval_every=25)),
    "ring-sgd": lambda: adversaries(Plan(steps=1500, batch=64, lr=0.1, optimizer="sgd", momentum=0.5, eval_every=25)),
    "ring-strong-judge": lambda: adversaries(Plan(steps=1500, batch=64, lr=1e-3, eval_every=50), ratio=10),
    "critic": lambda: adversaries(
        Plan(steps=1500, batch=64, lr=1e-3, optimizer="rmsprop", eval_every=30), kind="critic"
    ),
    "teachers": lambda: imitation(Plan(steps=1500, batch=32, lr=1e-2, eval_every=15), swing=150),
    "teachers-fast": lambda: imitation(Plan(steps=1200, batch=32, lr=1e-2, eval_every=10), swing=60, amount=3),
    "one-teacher": lambda: imitation(Plan(steps=1500, batch=32, lr=5e-3, eval_every=50), swing=10**9),
    "one-teacher-slow": lambda: imitation(Plan(steps=800, batch=32, lr=5e-4, eval_every=25), swing=10**9),
}


def heavy_tail(plan: Plan, *, tail: float, inputs: int = 10, clip: bool = False) -> Curves:
    """A linear fit to targets with Student noise of `tail` degrees of freedom: batch losses with huge outliers."""
    generator = torch.Generator().manual_seed(plan.seed)
    weights = 2 * torch.randn(inputs, generator=generator)
    noise = torch.distributions.StudentT(tail)

    def draw(n: int) -> tuple[Tensor, Tensor]:
        x = torch.randn(n, inputs, generator=generator)
        return x, x @ weights + 0.3 * noise.sample((n,))

    x, y = draw(4000)
    x_val, y_val = draw(500)
    kind = nn.SmoothL1Loss() if clip else nn.MSELoss()

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return kind(model(x)[:, 0], y)

    part = loops.Data(x=x, y=y, x_val=x_val, y_val=y_val)
    return loops.fit(models.mlp(inputs, 1), loss, part, plan)


TAILS: dict[str, Callable[[], Curves]] = {
    "three": lambda: heavy_tail(Plan(steps=1500, batch=8, lr=1e-2), tail=3.0),
    "two": lambda: heavy_tail(Plan(steps=1200, batch=16, lr=1e-2, eval_every=40), tail=2.0),
    "two-huber": lambda: heavy_tail(Plan(steps=1200, batch=4, lr=1e-2, eval_every=60), tail=2.0, clip=True),
    "three-epochs": lambda: heavy_tail(Plan(epochs=40, batch=32, lr=3e-3), tail=3.0),
    "ten-sgd": lambda: heavy_tail(Plan(steps=800, batch=1, lr=3e-3, optimizer="sgd", momentum=0), tail=10.0),
    "three-too-fast": lambda: heavy_tail(Plan(steps=400, batch=2, lr=0.25, optimizer="sgd", momentum=0.5), tail=3.0),
}
