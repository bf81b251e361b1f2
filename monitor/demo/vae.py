"""The demo's composite loss: a variational autoencoder whose posterior collapses as the weight of its KL term grows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from monitor.demo.scenarios import Digits, Scenario, seeded
from monitor.losses import Composite, Custom

if TYPE_CHECKING:
    import torch

    from monitor.run.start import Run

LATENT: Final = 8
LOSS: Final = Composite({"recon": Custom(floor=0.0), "kl": Custom(floor=0.0)})
"""The run's loss: two parts that cannot be negative."""


def kl_weight(share: float) -> float:
    """The weight of the KL term after a share of the run, in steps of a hundredth: annealing that runs too long."""
    return float(0.01 * 10 ** (3 * min(max((round(share, 2) - 0.15) / 0.35, 0.0), 1.0)))


SCENARIO: Final = Scenario(
    name="collapsing",
    story="a variational autoencoder whose KL weight is annealed up to 10: its posterior collapses",
    steps=2500,
    schedule=lambda _: 1e-3,
    hidden=(128,),
    loss=LOSS,
)


def train_vae(scenario: Scenario, data: Digits, run: Run, progress: Callable[[int, float, float], None]) -> int:
    """Train the autoencoder and log its loss with parts and weights. Obeys `run.should_stop()`.

    Args:
        scenario: number of steps, batch size and learning rate.
        data: the digits; labels are not used.
        run: where to log.
        progress: called after every validation with the number of steps, the training loss and the validation loss.

    Returns:
        The number of steps.
    """
    import torch

    encoder, decoder = _networks(scenario)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=scenario.schedule(0.0))
    generator = torch.Generator().manual_seed(0)
    for step in range(scenario.steps):
        weight = kl_weight(step / scenario.steps)
        x = data.train_x[torch.randint(len(data.train_x), (scenario.batch,), generator=generator)]
        recon, kl = _terms(encoder, decoder, x, generator)
        loss = recon + weight * kl
        optimizer.zero_grad()
        loss.backward()
        grad_norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        optimizer.step()
        logged = {"train/loss": loss, "loss/recon": recon, "loss/kl": kl}
        run.log({**logged, "grad_norm": grad_norm, "lr": scenario.schedule(0.0)}, step=step, weights={"kl": weight})
        if step % scenario.eval_every == 0 or step == scenario.steps - 1:
            with torch.no_grad():
                val_recon, val_kl = _terms(encoder, decoder, data.val_x, generator)
                val_loss = val_recon + weight * val_kl
            run.log({"val/loss": val_loss}, step=step)
            progress(step + 1, float(loss.detach()), float(val_loss))
            if run.should_stop():
                return step + 1
    return scenario.steps


def _networks(scenario: Scenario) -> tuple[torch.nn.Sequential, torch.nn.Sequential]:
    """Encoder (64 pixels to mean and log variance) and decoder (latent to 64 logits), with seeded weights."""
    from torch import nn

    (hidden,) = scenario.hidden
    with seeded():
        encoder = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 2 * LATENT))
        decoder = nn.Sequential(nn.Linear(LATENT, hidden), nn.ReLU(), nn.Linear(hidden, 64))
    return encoder, decoder


def _terms(
    encoder: torch.nn.Module, decoder: torch.nn.Module, x: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Reconstruction loss and KL divergence in nats per image; x has shape (n, 64)."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    mean, log_variance = encoder(x).chunk(2, dim=-1)
    latent = mean + torch.randn(mean.shape, generator=generator) * (0.5 * log_variance).exp()
    recon = binary_cross_entropy_with_logits(decoder(latent), x, reduction="none").sum(-1).mean()
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(-1).mean()
    return recon, kl
