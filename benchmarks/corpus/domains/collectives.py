"""Many at once: clients that average their weights, experts, forgers and judges."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from sklearn import datasets
from torch import Tensor, nn
from torch.nn import functional

from .. import loops, models
from ..loops import Curves, Data, Plan


def federation(
    plan: Plan,
    *,
    clients: int = 10,
    chosen: int = 4,
    local: int = 5,
    alone: float = 0.0,
    n: int = 1500,
    width: int = 32,
    noise: float = 1.0,
) -> Curves:
    """Federated averaging (McMahan et al. 2017): `chosen` of the clients make `local` steps, then weights are averaged.

    With `alone` towards 1 every client has examples of two classes only. A step is a round; the training loss is the
    mean over the local steps, the validation loss that of the average.
    """
    rng = np.random.default_rng(plan.seed)
    x, y = datasets.make_classification(
        n + 400, 20, n_informative=10, n_classes=6, class_sep=1.5 / noise, random_state=plan.seed
    )
    a, b = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    own = [np.isin(y[400:], [c % 6, (c + 1) % 6]) for c in range(clients)]
    parts = []
    for mine in own:
        share = np.where(mine, 1.0, 1 - alone) / np.where(mine, 1.0, 1 - alone).sum()
        parts.append(torch.tensor(400 + rng.choice(n, n // clients, p=share)))
    net, curves = models.mlp(20, width, 6), Curves("step")
    for step in range(1, plan.steps + 1):
        states, losses = [], []
        rate = plan.lr * (plan.schedule(step, plan.steps) if plan.schedule else 1.0)
        for client in rng.choice(clients, chosen, replace=False):
            local_net = copy.deepcopy(net)
            stepper = loops.optimizer(plan.but(lr=rate), local_net.parameters())
            for _ in range(local):
                rows = parts[client][torch.tensor(rng.integers(0, len(parts[client]), plan.batch))]
                value = functional.cross_entropy(local_net(a[rows]), b[rows])
                stepper.zero_grad()
                value.backward()
                stepper.step()
                losses.append(float(value.detach()))
            states.append(local_net.state_dict())
        net.load_state_dict({key: torch.stack([s[key] for s in states]).mean(0) for key in states[0]})
        with torch.no_grad():
            val = float(functional.cross_entropy(net(a[:400]), b[:400])) if step % plan.eval_every == 0 else None
        curves.log(step, train=float(np.mean(losses)), val=val)
    return curves


ROUNDS = Plan(steps=150, lr=0.05, batch=16, optimizer="sgd", momentum=0.0, eval_every=1)
FEDERATION: dict[str, Callable[[], Curves]] = {
    "alike": lambda: federation(ROUNDS),
    "alone": lambda: federation(ROUNDS.but(lr=0.3), alone=1.0, local=20, chosen=2),
    "alone-one-at-a-time": lambda: federation(ROUNDS.but(lr=0.1, steps=120), alone=1.0, local=20, chosen=1),
    "alone-in-pairs": lambda: federation(ROUNDS.but(lr=0.6, steps=140, eval_every=2), alone=0.98, local=10, chosen=2),
    "nearly-alone": lambda: federation(ROUNDS.but(lr=0.3, steps=180, eval_every=3), alone=0.95, local=20, chosen=1),
    "adam-few": lambda: federation(
        ROUNDS.but(lr=1e-2, optimizer="adam", eval_every=2), n=150, noise=2.0, width=64, local=10
    ),
    "one-client": lambda: federation(ROUNDS.but(lr=0.02, steps=200, eval_every=5), chosen=1, alone=0.6),
    "slow": lambda: federation(ROUNDS.but(lr=2e-3, steps=100), local=2),
    "hot": lambda: federation(ROUNDS.but(lr=1.5, steps=120)),
}


class Experts(nn.Module):
    """A mixture of experts (Shazeer et al. 2017) of which the first `top` answer: x (n, inputs) to (n, outputs)."""

    def __init__(self, inputs: int, outputs: int, experts: int, top: int, width: int, sharp: float) -> None:
        super().__init__()
        self.top, self.gate = top, nn.Linear(inputs, experts)
        self.experts = nn.ModuleList(models.mlp(inputs, width, outputs) for _ in range(experts))
        with torch.no_grad():
            self.gate.weight.mul_(sharp)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        share = self.gate(x).softmax(-1)
        best, which = share.topk(self.top, -1)
        every = torch.stack([expert(x) for expert in self.experts], 1)
        out = (every.gather(1, which[..., None].expand(-1, -1, every.shape[-1])) * best[..., None]).sum(1)
        load = share.mean(0)
        return out, len(load) * (load * functional.one_hot(which[:, 0], len(load)).float().mean(0)).sum()


def experts(
    plan: Plan,
    *,
    n: int = 1200,
    top: int = 1,
    balance: float = 0.01,
    noise: float = 0.1,
    width: int = 16,
    sharp: float = 1.0,
    unit: float = 1.0,
) -> Curves:
    """Four laws in four corners of the room, four experts; squared error plus the term that balances the load."""
    generator = torch.Generator().manual_seed(plan.seed)
    x = torch.randn(n + 200, 6, generator=generator)
    laws = torch.randn(4, 6, 2, generator=generator)
    corner = (x[:, 0] > 0).long() * 2 + (x[:, 1] > 0).long()
    y = torch.sin(torch.einsum("ni,nio->no", x, laws[corner]))
    y = unit * (y + noise * torch.randn(y.shape, generator=generator))

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        out, load = model(x)
        return functional.mse_loss(out, y) + balance * load

    net = Experts(6, 2, 4, top, width, sharp)
    return loops.fit(net, loss, Data(x=x[200:], y=y[200:], x_val=x[:200], y_val=y[:200]), plan)


EXPERTS: dict[str, Callable[[], Curves]] = {
    "top-one": lambda: experts(Plan(epochs=50, lr=5e-3)),
    "top-two-few": lambda: experts(Plan(epochs=250, lr=5e-3, batch=16), n=100, top=2, width=48, noise=0.3),
    "warmup-too-far": lambda: experts(
        Plan(steps=900, lr=8.0, optimizer="sgd", momentum=0.9, eval_every=30, schedule=loops.warmup_cosine(0.9)), top=2
    ),
    "sgd-long": lambda: experts(Plan(steps=3000, lr=0.02, optimizer="sgd", eval_every=100, log_every=2)),
    "heavy-momentum": lambda: experts(Plan(steps=900, lr=0.3, optimizer="sgd", momentum=0.99, eval_every=15), top=2),
    "unit-of-thousand": lambda: experts(Plan(steps=600, lr=0.01, optimizer="sgd", eval_every=20), unit=1000.0, top=2),
    "balance-only": lambda: experts(Plan(epochs=20, lr=1e-3), balance=100.0),
}


def forgers(
    plan: Plan, *, judge_rate: float | None = None, penalty: float = 1.0, judge_steps: int = 3, clip: bool = False
) -> Curves:
    """A Wasserstein GAN (Gulrajani et al. 2017) forges curves of 16 samples; both losses are the judge's, below zero.

    The loss is minus the distance that the judge sees, plus the penalty on its gradients; it rises as the forger gets
    better. With `clip` the judge's weights are clipped instead (Arjovsky et al. 2017).
    """
    generator = torch.Generator().manual_seed(plan.seed)
    t = torch.arange(16) / 16

    def real(n: int) -> Tensor:
        turn = torch.rand(n, 1, generator=generator)
        return torch.sin(6.283 * (t * (1 + torch.rand(n, 1, generator=generator)) + turn))

    forger, judge = models.mlp(4, 32, 16), models.mlp(16, 48, 1)
    first, second = (
        loops.optimizer(plan, forger.parameters()),
        loops.optimizer(plan.but(lr=judge_rate or plan.lr), judge.parameters()),
    )
    shown, curves = real(256), Curves("step")
    for step in range(1, plan.steps + 1):
        for _ in range(judge_steps):
            a, b = real(plan.batch), forger(torch.randn(plan.batch, 4, generator=generator)).detach()
            mix = torch.rand(plan.batch, 1, generator=generator)
            between = (mix * a + (1 - mix) * b).requires_grad_()
            slope = torch.autograd.grad(judge(between).sum(), between, create_graph=True)[0].norm(dim=1)
            value = judge(b).mean() - judge(a).mean() + penalty * ((slope - 1) ** 2).mean()
            second.zero_grad()
            value.backward()
            second.step()
            if clip:
                with torch.no_grad():
                    for parameter in judge.parameters():
                        parameter.clamp_(-0.05, 0.05)
        out = -judge(forger(torch.randn(plan.batch, 4, generator=generator))).mean()
        first.zero_grad()
        out.backward()
        first.step()
        val = None
        if step % plan.eval_every == 0:
            with torch.no_grad():
                made = forger(torch.randn(256, 4, generator=generator))
                val = float(judge(made).mean() - judge(shown).mean())
        curves.log(step, train=float(value.detach()), val=val)
    return curves


FORGERS: dict[str, Callable[[], Curves]] = {
    "penalty": lambda: forgers(Plan(steps=800, lr=1e-3, batch=32, eval_every=20), penalty=10.0),
    "no-penalty": lambda: forgers(Plan(steps=500, lr=2e-3, batch=32, eval_every=20), penalty=0.0),
    "no-penalty-slow": lambda: forgers(Plan(steps=1200, lr=7e-4, batch=32, eval_every=20), penalty=0.0),
    "no-penalty-even": lambda: forgers(Plan(steps=1000, lr=3e-3, batch=32, eval_every=20), penalty=0.0, judge_steps=1),
    "gentle-penalty": lambda: forgers(Plan(steps=1000, lr=5e-3, batch=32, eval_every=20), penalty=0.05),
    "hot": lambda: forgers(Plan(steps=700, lr=3e-2, batch=32, eval_every=20), penalty=10.0),
    "clipped": lambda: forgers(
        Plan(steps=700, lr=1e-3, batch=32, eval_every=20, optimizer="rmsprop"), penalty=0.0, clip=True
    ),
}
