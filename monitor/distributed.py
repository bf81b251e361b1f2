"""One stop decision for all ranks of a `torch.distributed` training.

A rank that stops alone leaves the others waiting for its gradients. So rank 0, the rank that logs, decides, and
broadcasts its decision at a step that all ranks share.

Example:
    run = monitor.init("my-project")  # on every rank; those above 0 are silent
    for step, batch in enumerate(loader):
        train(batch)
        if monitor.distributed.should_stop(run, step):
            break
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from monitor.errors import StopTraining

if TYPE_CHECKING:
    from monitor.run.run import Run

EVERY: Final = 10
"""Steps between two broadcasts. Each one makes the ranks wait for each other."""


def should_stop(
    run: Run, step: int | None = None, wait_s: float = 0.0, *, every: int = EVERY, raise_: bool = False
) -> bool:
    """Return what rank 0's `run.should_stop()` says, on all ranks at the same step.

    Every rank must call it at the same places. In a single process it equals `run.should_stop()`.

    Args:
        run: this rank's run; only rank 0's is asked.
        step: a counter that all ranks share. The ranks synchronise every `every` of it and return False in between.
            None: synchronise now.
        wait_s: as in `Run.should_stop`, on rank 0.
        every: steps between two synchronisations, >= 1.
        raise_: raise `StopTraining` on all ranks instead of returning True.

    Raises:
        StopTraining: `raise_` is True and rank 0 should stop.
    """
    if not _alone() and step is not None and step % max(1, every):
        return False
    stop = agreed(run.should_stop(wait_s) if _rank() == 0 else False)
    if stop and raise_:
        raise StopTraining(run.stop_reason or "rank 0 is told to stop")
    return stop


def agreed(stop: bool, step: int | None = None) -> bool:
    """Return rank 0's value on all ranks.

    Every rank must call it at the same places. In a single process it returns `stop`.

    Args:
        stop: whether this rank's run should stop; only rank 0's counts.
        step: a counter that all ranks share: they synchronise every `EVERY` of it and return False in between. None:
            synchronise now.
    """
    if _alone():
        return stop
    if step is not None and step % EVERY:
        return False
    import torch.distributed as dist

    told = [stop]
    dist.broadcast_object_list(told, src=0)
    return bool(told[0])


def _alone() -> bool:
    """True if the training is a single process. Does not import torch to find out."""
    if "torch.distributed" not in sys.modules:
        return True
    import torch.distributed as dist

    return not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1


def _rank() -> int:
    if _alone():
        return 0
    import torch.distributed as dist

    return int(dist.get_rank())
