"""One answer for all ranks of a training that `torch.distributed` spreads over processes."""

from __future__ import annotations

from typing import Final

import torch.distributed as dist

EVERY: Final = 10
"""Steps between two at which the ranks are told alike; each waits for the others."""


def agreed(stop: bool, step: int | None = None) -> bool:
    """What rank 0 says, on all ranks: one that stops alone leaves the others waiting for its gradients.

    To be called by every rank at the same places. In a single process it is what is given.

    Args:
        stop: whether this rank's run is told to stop; only rank 0's counts.
        step: a counter that all ranks have in common: they are asked every `EVERY` of it; None: now.
    """
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return stop
    if step is not None and step % EVERY:
        return False
    told = [stop]
    dist.broadcast_object_list(told, src=0)
    return bool(told[0])
