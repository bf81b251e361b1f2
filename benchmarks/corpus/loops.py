"""The training loop that most runs of the corpus share, and what can go wrong in it.

`fit` trains a torch module on tensors and writes down what an ordinary script would log: the loss of every batch (or
the mean of every epoch) and the validation loss at every evaluation. Faults are what happens to people: a learning
rate that is too high, a batch that is broken, labels that lost their inputs, a parameter list that was left empty.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

Batch = tuple[Tensor, Tensor]
Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]
Fault = Callable[[int, Tensor, Tensor], Batch]
Schedule = Callable[[int, int], float]


@dataclass(slots=True)
class Curves:
    """What one run logged: the losses as (step, loss) pairs, and what a step counts."""

    unit: str
    train: list[tuple[float, float]] = field(default_factory=list)
    val: list[tuple[float, float]] = field(default_factory=list)
    lr: list[tuple[float, float]] = field(default_factory=list)
    grad_norm: list[tuple[float, float]] = field(default_factory=list)

    def log(self, step: float, train: float | None = None, val: float | None = None) -> None:
        if train is not None:
            self.train.append((step, float(train)))
        if val is not None:
            self.val.append((step, float(val)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Inputs and targets, the first axis being the example."""

    x: Tensor
    y: Tensor
    x_val: Tensor
    y_val: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to train: `steps` updates, or `epochs` if given; the losses are logged in the same unit."""

    steps: int = 1000
    epochs: int | None = None
    batch: int = 32
    lr: float = 1e-3
    optimizer: str = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0
    clip: float | None = None
    schedule: Schedule | None = None
    eval_every: int = 50
    log_every: int = 1
    smooth: bool = False
    fault: Fault | None = None
    frozen: bool = False
    half: bool = False
    watch: bool = False
    shuffle: bool = True
    seed: int = 0

    def but(self, **changes: object) -> Plan:
        return replace(self, **changes)


def optimizer(plan: Plan, parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
    """The optimiser of a plan; a frozen one holds a tensor that no model uses, as after a wrong `parameters()`."""
    parameters = [torch.zeros(1, requires_grad=True)] if plan.frozen else list(parameters)
    if plan.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=plan.lr, momentum=plan.momentum, weight_decay=plan.weight_decay)
    kinds = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "rmsprop": torch.optim.RMSprop,
        "adagrad": torch.optim.Adagrad,
        "adadelta": torch.optim.Adadelta,
        "nadam": torch.optim.NAdam,
    }
    return kinds[plan.optimizer](parameters, lr=plan.lr, weight_decay=plan.weight_decay)


def fit(model: nn.Module, loss: Loss, data: Data, plan: Plan, val_loss: Loss | None = None) -> Curves:
    """Train `model` and return what was logged; `val_loss` is the loss of evaluation where it differs."""
    generator = torch.Generator().manual_seed(plan.seed)
    if plan.half:
        model = model.half()
    n, batch = len(data.x), min(plan.batch, len(data.x))
    per_epoch = max(1, n // batch)
    total = plan.epochs * per_epoch if plan.epochs else plan.steps
    curves = Curves("epoch" if plan.epochs else "step")
    stepper, recent, order = optimizer(plan, model.parameters()), [], torch.empty(0, dtype=torch.long)
    evaluate = val_loss or loss
    for step in range(total):
        if len(order) < batch:
            order = torch.randperm(n, generator=generator) if plan.shuffle else torch.arange(n)
        rows, order = order[:batch], order[batch:]
        x, y = data.x[rows], data.y[rows]
        if plan.fault:
            x, y = plan.fault(step, x, y)
        for group in stepper.param_groups:
            group["lr"] = plan.lr * (plan.schedule(step, total) if plan.schedule else 1.0)
        recent.append(_update(model, loss, stepper, x, y, plan))
        count = step + 1
        if plan.watch and count % (per_epoch if plan.epochs else plan.log_every) == 0:
            at = count // per_epoch if plan.epochs else count
            curves.lr.append((at, stepper.param_groups[0]["lr"]))
            curves.grad_norm.append((at, float(nn.utils.get_total_norm(_gradients(model)))))
        if plan.epochs is None and count % plan.log_every == 0:
            curves.log(count, train=sum(recent) / len(recent) if plan.smooth else recent[-1])
            recent = []
        if plan.epochs and count % per_epoch == 0:
            curves.log(count // per_epoch, train=sum(recent) / len(recent))
            recent = []
        if count % (per_epoch if plan.epochs else plan.eval_every) == 0:
            model.eval()
            with torch.no_grad():
                value = evaluate(model, data.x_val, data.y_val)
            model.train()
            curves.log(count // per_epoch if plan.epochs else count, val=float(value))
    return curves


def _gradients(model: nn.Module) -> list[Tensor]:
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def _update(model: nn.Module, loss: Loss, stepper: torch.optim.Optimizer, x: Tensor, y: Tensor, plan: Plan) -> float:
    stepper.zero_grad()
    value = loss(model, x, y)
    if value.requires_grad:
        value.backward()
    if plan.clip:
        nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
    stepper.step()
    return float(value.detach())


# Schedules: the factor on the learning rate at a step.
def warmup_cosine(warmup: float) -> Schedule:
    def factor(step: int, total: int) -> float:
        start = warmup * total
        return (step + 1) / start if step < start else 0.5 * (1 + math.cos(math.pi * (step - start) / (total - start)))

    return factor


def drops(*at: float, by: float = 0.1) -> Schedule:
    return lambda step, total: by ** sum(step >= share * total for share in at)


def restarts(cycles: int) -> Schedule:
    return lambda step, total: 0.5 * (1 + math.cos(math.pi * (step * cycles / total % 1)))


def triangle(cycles: float, low: float = 0.01) -> Schedule:
    return lambda step, total: low + (1 - low) * abs((step * cycles / total) % 1 * 2 - 1)


def bump(at: Sequence[float], by: float, length: int) -> Schedule:
    """The learning rate is `by` times too high for `length` steps, as after a typing error or a bad resume."""
    return lambda step, total: by if any(0 <= step - int(share * total) < length for share in at) else 1.0


def ramp(by: float) -> Schedule:
    """The learning rate grows to `by` times its start: a range test (Smith 2017)."""
    return lambda step, total: by ** (step / total)


def jump(at: float, by: float) -> Schedule:
    return lambda step, total: by if step >= at * total else 1.0


# Faults: what happens to the batch of a step.
def broken_batch(steps: Sequence[int], scale: float) -> Fault:
    """Inputs of some steps come in the wrong unit."""
    return lambda step, x, y: (x * scale if step in steps else x, y)


def nan_batch(at: int) -> Fault:
    """One example of one batch holds a NaN."""

    def fault(step: int, x: Tensor, y: Tensor) -> Batch:
        if step == at:
            x = x.clone()
            x[0] = math.nan
        return x, y

    return fault


def shuffled_labels(seed: int = 0) -> Fault:
    """Targets lose their inputs at every step: the sampler shuffles the one and not the other."""
    generator = torch.Generator().manual_seed(seed)
    return lambda _step, x, y: (x, y[torch.randperm(len(y), generator=generator)])


def shift(at: int, change: Callable[[Tensor, Tensor], Batch], until: int = 10**9) -> Fault:
    """From step `at` on, before step `until`, the data are others."""
    return lambda step, x, y: change(x, y) if at <= step < until else (x, y)
