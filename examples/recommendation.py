"""Recommendation: matrix factorisation with a part for the ratings and a part for the order (BPR).

The parts are logged as `loss/<part>` with their weights, so the run page shows which of them makes the loss. Recall of
the ten best items is the goal.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import logsigmoid, mse_loss

import monitor

USERS, ITEMS, RANK = 300, 200, 4
torch.manual_seed(0)
taste = torch.randn(USERS, RANK) @ torch.randn(RANK, ITEMS) / RANK**0.5
ratings = (3 + taste + 0.5 * torch.randn(USERS, ITEMS)).clamp(1, 5)
seen = torch.rand(USERS, ITEMS)
train, held_out = (seen < 0.3).nonzero(), ((seen > 0.3) & (seen < 0.4)).nonzero()
liked = (ratings > 4) & (seen > 0.3)


class Factors(nn.Module):
    """A score for a user and an item: the product of their factors, and a bias each."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.user, self.item = nn.Embedding(USERS, width), nn.Embedding(ITEMS, width)
        self.bias = nn.Embedding(ITEMS, 1)
        for table in (self.user, self.item, self.bias):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        return 3 + (self.user(user) * self.item(item)).sum(-1) + self.bias(item)[..., 0]


def losses(user: torch.Tensor, item: torch.Tensor) -> dict[str, torch.Tensor]:
    """Squared error of the ratings, and BPR of each item against a random one that the user rated lower."""
    score, rating = model(user, item), ratings[user, item]
    other = item[torch.randperm(len(item))]
    sign = (rating - ratings[user, other]).sign()
    order = -logsigmoid(sign * (score - model(user, other)))
    return {"rating": mse_loss(score, rating), "ranking": order[sign != 0].mean()}


def recall_at_10() -> float:
    scores = model(torch.arange(USERS)[:, None], torch.arange(ITEMS)[None]).masked_fill(seen < 0.3, -torch.inf)
    found = liked.gather(1, scores.topk(10).indices).sum(1) / liked.sum(1).clamp(1, 10)
    return float(found[liked.any(1)].mean())


model = Factors()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.3)
weights = {"rating": 1.0, "ranking": 0.5}
with monitor.init("examples", name="recommendation", config={"batch_size": 512}, goal="val/recall:max") as run:
    for step in range(1500):
        parts = losses(*train[torch.randint(len(train), (512,))].T)
        total = sum(weights[name] * part for name, part in parts.items())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        run.log({"loss": total, **{f"loss/{name}": part for name, part in parts.items()}}, step=step, weights=weights)
        if step % 25 == 0:
            with torch.no_grad():
                val = losses(*held_out.T)
                recall = recall_at_10()
            run.log({"val/loss": sum(weights[name] * val[name] for name in val), "val/recall": recall}, step=step)
            if run.should_stop():
                break
