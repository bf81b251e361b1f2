"""Detection as in driving: one object per picture, its box and its class, by day and by night.

Box and class are parts of one loss. The validation loss is also logged per scene, as a slice in braces: the whole is
judged, and the slices show that night is worse than day.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import cross_entropy, smooth_l1_loss

import monitor

SIZE, CLASSES, WEIGHTS = 16, 3, {"box": 5.0, "class": 1.0}
torch.manual_seed(0)
rows, columns = torch.arange(SIZE)[:, None] + 0.5, torch.arange(SIZE)[None] + 0.5


def pictures(count: int) -> tuple[torch.Tensor, ...]:
    """Pictures with one filled shape (car: wide, truck: square, person: tall), boxes in shares of the side, classes."""
    label = torch.randint(CLASSES, (count,))
    shape = torch.tensor([[0.45, 0.2], [0.4, 0.4], [0.15, 0.4]])[label] * (0.9 + 0.2 * torch.rand(count, 1))
    centre = shape / 2 + (1 - shape) * torch.rand(count, 2)
    far = (torch.stack([columns.expand(SIZE, SIZE), rows.expand(SIZE, SIZE)], -1) / SIZE - centre[:, None, None]).abs()
    night = torch.rand(count) < 0.3
    light = torch.where(night, 0.35, 1.0)[:, None, None]
    image = light * (far <= shape[:, None, None] / 2).all(-1) + 0.15 * torch.randn(count, SIZE, SIZE)
    return image[:, None], torch.cat([centre, shape], 1), label, night


class Detector(nn.Module):
    """A small network with a head for the box (centre and size) and one for the class."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 12, 3, 2, 1), nn.ReLU(), nn.Conv2d(12, 24, 3, 2, 1), nn.ReLU(), nn.Flatten(),
            nn.Linear(24 * 16, 64), nn.ReLU(),
        )  # fmt: skip
        self.box, self.label = nn.Linear(64, 4), nn.Linear(64, CLASSES)

    def losses(self, image: torch.Tensor, box: torch.Tensor, label: torch.Tensor) -> dict[str, torch.Tensor]:
        found = self.body(image)
        place = smooth_l1_loss(self.box(found), box, beta=0.1)
        return {"box": place, "class": cross_entropy(self.label(found), label)}


def total(parts: dict[str, torch.Tensor]) -> torch.Tensor:
    return sum(WEIGHTS[name] * part for name, part in parts.items())


model, steps = Detector(), 1200
*val, val_night = pictures(800)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
with monitor.init("examples", name="driving", config={"steps": steps, "batch_size": 32}) as run:
    for step in range(steps):
        parts = model.losses(*pictures(32)[:3])
        loss = total(parts)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        run.log({"loss": loss, **{f"loss/{name}": part for name, part in parts.items()}}, step=step, weights=WEIGHTS)
        if step % 25 == 0 or step == steps - 1:
            with torch.no_grad():
                slices = {"day": ~val_night, "night": val_night}
                each = {name: total(model.losses(*(part[rows] for part in val))) for name, rows in slices.items()}
                whole = total(model.losses(*val))
            run.log({"val/loss": whole, **{f"val/loss{{scene={k}}}": v for k, v in each.items()}}, step=step)
            if run.should_stop():
                break
