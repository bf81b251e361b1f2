"""The demo's training runs: small torch networks on scikit-learn's handwritten digits.

Each scenario goes wrong as real trainings do, on real data. No curve is made up, and all seeds are fixed, so a machine
always shows the same runs. The training loop is one that a user would write.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from monitor.losses import LossSpec
    from monitor.run.start import Run

Schedule = Callable[[float], float]
"""Learning rate as a function of the finished share of the run, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One training run.

    Attributes:
        name: the run's name.
        story: what is wrong with it, if anything.
        steps: optimiser steps, unless stopped.
        batch: examples per step.
        examples: training examples, out of 1,200.
        label_noise: share of the training labels replaced at random.
        hidden: widths of the hidden layers.
        optimizer: "adamw" or "sgd" (with momentum 0.9).
        schedule: the learning rate over the run.
        weight_decay: of AdamW.
        dropout: share of hidden units to drop.
        eval_every: steps between validations.
        loss: the run's loss, as in `init`.
    """

    name: str
    story: str
    steps: int
    schedule: Schedule
    batch: int = 64
    examples: int = 1200
    label_noise: float = 0.0
    hidden: tuple[int, ...] = (256, 256)
    optimizer: str = "adamw"
    weight_decay: float = 0.0
    dropout: float = 0.0
    eval_every: int = 20
    loss: str | LossSpec = "cross_entropy(classes=10)"

    def config(self) -> dict[str, object]:
        """The run's configuration."""
        return {
            "steps": self.steps, "batch_size": self.batch, "examples": self.examples, "label_noise": self.label_noise,
            "hidden": list(self.hidden), "optimizer": self.optimizer, "lr_start": self.schedule(0.0),
            "lr_end": self.schedule(1.0), "weight_decay": self.weight_decay, "dropout": self.dropout,
            "eval_every": self.eval_every, "seed": 0,
        }  # fmt: skip


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="healthy",
        story="AdamW, a cosine schedule, dropout and weight decay on all the data",
        steps=6000,
        schedule=lambda share: 5e-4 * 0.5 * (1 + math.cos(math.pi * share)),
        hidden=(128, 128),
        dropout=0.3,
        weight_decay=0.1,
        eval_every=25,
    ),
    Scenario(
        name="overfitting",
        story="150 examples, a quarter of them mislabelled, and a network that can learn them by heart",
        steps=4000,
        batch=32,
        schedule=lambda _: 1e-3,
        examples=150,
        label_noise=0.25,
        hidden=(512, 512),
    ),
    Scenario(
        name="diverging",
        story="a learning rate that grows tenfold every thousand steps",
        steps=3000,
        schedule=lambda share: 0.1 * 10 ** (3 * share),
        label_noise=0.2,
        optimizer="sgd",
        hidden=(),
    ),
    Scenario(
        name="oscillating",
        story="a cyclic learning rate whose peaks are too high",
        steps=5000,
        batch=32,
        schedule=lambda share: 0.02 + 0.5 * (1 - math.cos(2 * math.pi * 20 * share)),
        label_noise=0.2,
        optimizer="sgd",
        hidden=(),
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class Digits:
    """scikit-learn's digits, shuffled: 1,200 training and 597 validation images; shape (n, 64), pixels 0 to 1."""

    train_x: torch.Tensor
    train_y: torch.Tensor
    val_x: torch.Tensor
    val_y: torch.Tensor


def load_digits() -> Digits:
    """Load the images that come with scikit-learn, without a download."""
    import torch
    from sklearn import datasets

    images, labels = datasets.load_digits(return_X_y=True)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    x = torch.tensor(images / 16.0, dtype=torch.float32)[order]
    y = torch.tensor(labels)[order]
    return Digits(x[:1200], y[:1200], x[1200:], y[1200:])


def train(scenario: Scenario, data: Digits, run: Run, progress: Callable[[int, float, float], None]) -> int:
    """Train one scenario and log it, as a user's loop would. Obeys `run.should_stop()`.

    Args:
        run: where to log.
        progress: called after every validation with the number of steps, the training loss and the validation loss.

    Returns:
        The number of steps.
    """
    import torch
    from torch.nn.functional import cross_entropy

    generator = torch.Generator().manual_seed(0)
    x, y = data.train_x[: scenario.examples], data.train_y[: scenario.examples].clone()
    noisy = torch.rand(len(y), generator=generator) < scenario.label_noise
    y[noisy] = torch.randint(10, (int(noisy.sum()),), generator=generator)
    model = _network(scenario)
    optimizer = _optimizer(scenario, model)

    for step in range(scenario.steps):
        lr = scenario.schedule(step / scenario.steps)
        for group in optimizer.param_groups:
            group["lr"] = lr
        picked = torch.randint(len(x), (scenario.batch,), generator=generator)
        loss = cross_entropy(model(x[picked]), y[picked])
        optimizer.zero_grad()
        loss.backward()
        grad_norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
        optimizer.step()
        run.log({"train/loss": loss, "grad_norm": grad_norm, "lr": lr}, step=step)

        if step % scenario.eval_every == 0 or step == scenario.steps - 1:
            model.eval()
            with torch.no_grad():
                scores = model(data.val_x)
                val_loss = cross_entropy(scores, data.val_y)
                accuracy = (scores.argmax(1) == data.val_y).float().mean()
            model.train()
            run.log({"val/loss": val_loss, "val/accuracy": accuracy}, step=step)
            progress(step + 1, float(loss.detach()), float(val_loss))
            if run.should_stop():
                return step + 1
    return scenario.steps


_INIT_LOCK = threading.Lock()


@contextmanager
def seeded() -> Iterator[None]:
    """Create weights reproducibly, under a lock because torch's seed is global."""
    import torch

    with _INIT_LOCK:
        torch.manual_seed(0)
        yield


def _network(scenario: Scenario) -> torch.nn.Sequential:
    """A ReLU network with seeded weights."""
    from torch import nn

    with seeded():
        widths = (64, *scenario.hidden)
        layers: list[nn.Module] = []
        for wide, narrow in itertools.pairwise(widths):
            layers += [nn.Linear(wide, narrow), nn.ReLU()]
            if scenario.dropout:
                layers.append(nn.Dropout(scenario.dropout))
        return nn.Sequential(*layers, nn.Linear(widths[-1], 10))


def _optimizer(scenario: Scenario, model: torch.nn.Module) -> torch.optim.Optimizer:
    import torch

    lr = scenario.schedule(0.0)
    if scenario.optimizer == "adamw":
        return torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=scenario.weight_decay)
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
