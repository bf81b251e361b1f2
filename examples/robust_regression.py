"""Regression under noise: 5 % of the training targets are wrong by far. Two runs: squared error, and Huber's loss.

Few examples and a wide network: under the squared error it learns the wrong targets by heart and overfits. Huber's loss
hardly follows them, and predicts the clean validation data better.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_diabetes
from torch import nn

import monitor
from monitor.losses import describe

inputs, targets = load_diabetes(return_X_y=True)
torch.manual_seed(0)
order = torch.randperm(len(inputs))
x, y = torch.tensor(inputs, dtype=torch.float32)[order] / 0.0476, torch.tensor(targets, dtype=torch.float32)[order]
y = (y - y.mean()) / y.std()
x, y, val_x, val_y = x[:300], y[:300], x[300:], y[300:]
y[torch.rand(300) < 0.05] += 20  # standard deviations
found = describe(x, y)  # says how many outliers the data have


def train(name: str, criterion: nn.Module) -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(10, 128), nn.ReLU(), nn.Linear(128, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    config = {"batch_size": 32, "outliers": found.outliers}
    with monitor.init("examples", name=name, config=config, loss=criterion, goal="val/mae:min") as run:
        for step in range(800):
            batch = torch.randint(len(x), (32,))
            loss = criterion(model(x[batch])[:, 0], y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.log({"train/loss": loss}, step=step)
            if step % 20 == 0:
                with torch.no_grad():
                    out = model(val_x)[:, 0]
                run.log({"val/loss": criterion(out, val_y), "val/mae": (out - val_y).abs().mean()}, step=step)
                if run.should_stop():
                    break


train("squared-error", nn.MSELoss())
train("huber", nn.HuberLoss(delta=0.5))
