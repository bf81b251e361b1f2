"""A generative adversarial network that learns a ring of points.

Its two losses are those of a game: they rise and fall as one side gets ahead, and a lower one is not a better model.
With `loss=Adversarial(...)` nothing is called divergence and nothing is stopped, unless a value is not finite. Whether
the generator gets better is the goal's to say: the distance between its points and real ones.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import softplus

import monitor

torch.manual_seed(0)
STEPS, BATCH = 1500, 128


def real(count: int) -> torch.Tensor:
    angle = 2 * torch.pi * torch.rand(count, 1)
    return torch.cat([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(count, 2)


def network(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2),
                         nn.Linear(64, outputs))  # fmt: skip


def energy_distance(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """0 if both samples come from one distribution (Székely and Rizzo 2013)."""
    return 2 * torch.cdist(left, right).mean() - torch.cdist(left, left).mean() - torch.cdist(right, right).mean()


generator, discriminator = network(4, 2), network(2, 1)
make = torch.optim.Adam(generator.parameters(), lr=5e-4, betas=(0.5, 0.9))
judge = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.9))

loss = monitor.losses.Adversarial("gan")
with monitor.init("examples", name="gan", config={"batch_size": BATCH}, loss=loss, goal="val/distance:min") as run:
    for step in range(STEPS):
        fake = generator(torch.randn(BATCH, 4))
        loss_d = (softplus(-discriminator(real(BATCH))) + softplus(discriminator(fake.detach()))).mean()
        judge.zero_grad()
        loss_d.backward()
        judge.step()

        loss_g = softplus(-discriminator(generator(torch.randn(BATCH, 4)))).mean()
        make.zero_grad()
        loss_g.backward()
        make.step()
        run.log({"loss_d": loss_d, "loss_g": loss_g}, step=step)
        if step % 50 == 0:
            with torch.no_grad():
                distance = energy_distance(generator(torch.randn(1000, 4)), real(1000))
            run.log({"val/distance": distance}, step=step)
            if run.should_stop():
                break
