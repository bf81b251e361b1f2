"""Credit risk: a default that is missed costs ten times what a good customer who is refused costs.

The network learns honest probabilities, and the costs decide where to cut them. The expected cost per application is
the goal: at the threshold of the costs it is far below that at 0.5.
"""

from __future__ import annotations

import torch
from torch import nn

import monitor
from monitor import losses

torch.manual_seed(0)
REFUSED, DEFAULT = 1.0, 10.0  # cost of a good customer who is refused, and of a default
THRESHOLD = losses.cost_threshold(REFUSED, DEFAULT)


def applications(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Income, debt, age and five more figures; about one in ten defaults."""
    x = torch.randn(count, 8)
    odds = -3.2 + 1.2 * x[:, 0] - 0.9 * x[:, 1] + 0.7 * x[:, 0] * x[:, 2] + 0.5 * x[:, 3].abs()
    return x, (torch.rand(count) < odds.sigmoid()).float()


def cost(probability: torch.Tensor, y: torch.Tensor, threshold: float) -> float:
    return losses.expected_cost(probability, y, REFUSED, DEFAULT, threshold=threshold)


x, y = applications(6000)
val_x, val_y = applications(4000)
model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 1))
criterion = nn.BCEWithLogitsLoss()
epochs = 30
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.05)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
spec = losses.BinaryCrossEntropy.from_targets(y.tolist())  # knows the rate, so chance is not ln 2

config = {"batch_size": 256, "threshold": THRESHOLD}
with monitor.init("examples", name="credit-risk", config=config, loss=spec, goal="val/cost:min") as run:
    step = 0
    for epoch in range(epochs):
        model.train()
        for batch in torch.randperm(len(x)).split(256):
            loss = criterion(model(x[batch])[:, 0], y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.log({"train/loss": loss}, step=step, epoch=epoch)
            step += 1
        schedule.step()
        model.eval()
        with torch.no_grad():
            logits = model(val_x)[:, 0]
        odds = logits.sigmoid()
        costs = {"val/cost": cost(odds, val_y, THRESHOLD), "val/cost_at_half": cost(odds, val_y, 0.5)}
        run.log({"val/loss": criterion(logits, val_y), **costs}, step=step, epoch=epoch)
        if run.should_stop():
            break
