"""Two tasks on one network whose losses differ by a factor of thousands: disease progression, and the sex of a patient.

Added up, the regression (squared error of about 6,000) drowns the classification (0.69 nats). A `Balancer` finds
weights while the model trains. As they move, the total that is trained on cannot show progress: what is logged, and
judged, is the total at fixed weights, one over each chance level.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_diabetes
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

import monitor
from monitor import losses

torch.manual_seed(0)
inputs, progression = load_diabetes(return_X_y=True)
order = torch.randperm(len(inputs))
x = torch.tensor(inputs, dtype=torch.float32)[order] / 0.0476
sex, progress = (x[:, 1] > 0).float(), torch.tensor(progression, dtype=torch.float32)[order]
x = torch.cat([x[:, :1], x[:, 2:]], 1)
train, held_out = slice(0, 300), slice(300, None)
specs = {
    "progression": losses.MSE(float(progress[train].var())),  # its head starts at the mean of the targets
    "sex": losses.BinaryCrossEntropy.from_targets(sex[train].tolist()),
}

body = nn.Sequential(nn.Linear(9, 32), nn.ReLU(), nn.Dropout(0.3))
heads = nn.ModuleDict({name: nn.Linear(32, 1) for name in specs})
heads["progression"].bias.data.fill_(float(progress[train].mean()))
with torch.no_grad():
    heads["progression"].weight.mul_(float(progress[train].std()))


def losses_of(rows: slice | torch.Tensor) -> dict[str, torch.Tensor]:
    shared = body(x[rows])
    return {
        "progression": mse_loss(heads["progression"](shared)[:, 0], progress[rows]),
        "sex": binary_cross_entropy_with_logits(heads["sex"](shared)[:, 0], sex[rows]),
    }


steps = 800
parameters = [*body.parameters(), *heads["sex"].parameters()]
groups = [{"params": parameters}, {"params": heads["progression"].parameters(), "lr": 0.1}]
optimizer = torch.optim.AdamW(groups, lr=3e-3, weight_decay=0.02)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
weights = {name: 1 / each.chance_level for name, each in specs.items()}
spec = losses.Composite(specs, weights=weights)
balance = losses.Balancer("uncertainty")


def logged(parts: dict[str, torch.Tensor]) -> torch.Tensor:
    return sum(weights[name] * part for name, part in parts.items())


with monitor.init("examples", name="multi-task", config={"steps": steps, "batch_size": 64}, loss=spec) as run:
    for step in range(steps):
        parts = losses_of(torch.randint(300, (64,)))
        loss = balance(parts)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        terms = {f"loss/{name}": part for name, part in parts.items()}
        found = {f"balance/{name}": weight for name, weight in balance.weights.items()}
        run.log({"loss": logged(parts), **terms, **found}, step=step, weights=weights)
        if step % 20 == 0 or step == steps - 1:
            body.eval()
            with torch.no_grad():
                run.log({"val/loss": logged(losses_of(held_out))}, step=step)
            body.train()
            if run.should_stop():
                break
