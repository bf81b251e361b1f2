"""Contrastive learning: embeddings of digits, in which digits of one class lie close to each other (InfoNCE).

The loss alone does not show a collapse of the embeddings. Alignment (of pairs), uniformity (over the sphere) and the
effective rank are logged alongside it, and retrieval by the nearest neighbour is the goal.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import normalize

import monitor
from monitor import losses

BATCH, TEMPERATURE, STEPS = 64, 0.2, 800
torch.manual_seed(0)
images, labels = load_digits(return_X_y=True)
x, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
order = torch.randperm(len(x))
train, held_out = order[:1200], order[1200:]
model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 16))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)


def pairs(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Random images, and another image of the same class for each."""
    first = rows[torch.randint(len(rows), (BATCH,))]
    second = [rows[y[rows] == label] for label in y[first]]
    return first, torch.stack([same[torch.randint(len(same), ())] for same in second])


def info_nce(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Each image picks its partner among the batch; others of the same class do not count against it."""
    left, right = normalize(model(x[first]), dim=1), normalize(model(x[second]), dim=1)
    scores = left @ right.T / TEMPERATURE
    same = (y[first][:, None] == y[second]) & ~torch.eye(BATCH, dtype=torch.bool)
    return nn.functional.cross_entropy(scores.masked_fill(same, -torch.inf), torch.arange(BATCH))


@torch.no_grad()
def measured() -> dict[str, torch.Tensor]:
    model.eval()
    first, second = pairs(held_out)
    z = normalize(model(x[held_out]), dim=1)
    near = z @ z.T - 2 * torch.eye(len(z))
    found = {
        "val/loss": torch.stack([info_nce(*pairs(held_out)) for _ in range(8)]).mean(),
        "val/retrieval": (y[held_out][near.argmax(1)] == y[held_out]).float().mean(),
    }
    health = losses.embedding_health(model(x[first]), model(x[second])).to_dict()
    found |= {f"val/{name}": torch.tensor(value) for name, value in health.items()}
    model.train()
    return found


spec = losses.InfoNCE(candidates=BATCH, temperature=TEMPERATURE)
with monitor.init(
    "examples", name="embedding", config={"batch_size": BATCH}, loss=spec, goal="val/retrieval:max"
) as run:
    for step in range(STEPS):
        loss = info_nce(*pairs(train))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        run.log({"train/loss": loss, "lr": schedule.get_last_lr()[0]}, step=step)
        if step % 20 == 0 or step == STEPS - 1:
            run.log(measured(), step=step)
            if run.should_stop():
                break
