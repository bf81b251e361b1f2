"""Character translation: dates as people write them into ISO dates, with a GRU encoder and decoder.

The learning rate warms up and decays, and is logged, so that a fall or a flat stretch that it explains is not taken
for something else. The share of exactly translated dates is the goal alongside the loss.
"""

from __future__ import annotations

import datetime
import random

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import monitor

CHARACTERS = " ,-0123456789" + "".join(
    sorted(set("JanuaryFebruaryMarchAprilMayJuneJulyAugustSeptemberOctoberNovember"))
)
CHARACTERS += "".join(sorted(set("December") - set(CHARACTERS)))
START = len(CHARACTERS)
random.seed(0)
torch.manual_seed(0)


def encode(text: str, length: int) -> list[int]:
    return [CHARACTERS.index(letter) for letter in text.ljust(length)]


days = [datetime.date(1970, 1, 1) + datetime.timedelta(random.randrange(20_000)) for _ in range(3000)]
written = [day.strftime(random.choice(["%d %B %Y", "%B %d, %Y"])) for day in days]
source = torch.tensor([encode(text, 18) for text in written])
target = torch.tensor([encode(day.isoformat(), 10) for day in days])


class Translator(nn.Module):
    """The decoder sees the encoder's summary and the correct characters so far."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(START + 1, 32)
        self.encoder = nn.GRU(32, width, batch_first=True)
        self.decoder = nn.GRU(32, width, batch_first=True)
        self.head = nn.Linear(width, START)

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        _, summary = self.encoder(self.embedding(source))
        shifted = nn.functional.pad(target[:, :-1], (1, 0), value=START)
        return self.head(self.decoder(self.embedding(shifted), summary)[0]).transpose(1, 2)


model, steps = Translator(), 1000
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps + 1)
loss_spec = monitor.losses.CrossEntropy(classes=START)
with monitor.init("examples", name="translation", config={"steps": steps}, loss=loss_spec) as run:
    for step in range(steps):
        batch = torch.randint(2500, (64,))
        loss = cross_entropy(model(source[batch], target[batch]), target[batch])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        run.log({"train/loss": loss, "lr": schedule.get_last_lr()[0]}, step=step)
        if step % 25 == 0 or step == steps - 1:
            with torch.no_grad():
                scores = model(source[2500:], target[2500:])
            exact = (scores.argmax(1) == target[2500:]).all(1).float().mean()
            run.log({"val/loss": cross_entropy(scores, target[2500:]), "val/accuracy": exact}, step=step)
            if run.should_stop():
                break
