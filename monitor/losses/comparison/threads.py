"""Run torch on a single thread while small models are measured or trained."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """Run torch on one thread inside the block and restore the number afterwards.

    On batches this small, threads cost more than they gain, and their waiting for each other would distort timings.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
