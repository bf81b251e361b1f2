"""Image classification: a convolutional network on scikit-learn's digits, with cross-entropy.

The run says what its loss is, so a start at ln 10 is expected, and a loss stuck there would be called chance.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

import monitor

torch.manual_seed(0)
images, labels = load_digits(return_X_y=True)
x = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
y = torch.tensor(labels)
order = torch.randperm(len(x))
train, held_out = order[:1200], order[1200:]

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Flatten(),
    nn.Dropout(0.3), nn.Linear(32 * 16, 10),
)  # fmt: skip
epochs = 40
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
criterion = nn.CrossEntropyLoss()

config = {"lr": 1e-3, "batch_size": 64, "epochs": epochs}
with monitor.init("examples", name="vision", config=config, loss=criterion) as run:
    step = 0
    for epoch in range(epochs):
        model.train()
        for batch in train[torch.randperm(len(train))].split(64):
            loss = criterion(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.log({"train/loss": loss, "lr": schedule.get_last_lr()[0]}, step=step, epoch=epoch)
            step += 1
        schedule.step()
        model.eval()
        with torch.no_grad():
            scores = model(x[held_out])
        accuracy = (scores.argmax(1) == y[held_out]).float().mean()
        run.log({"val/loss": criterion(scores, y[held_out]), "val/accuracy": accuracy}, step=step, epoch=epoch)
        if run.should_stop():
            break
