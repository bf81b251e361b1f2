"""For hand-written loops, in any framework or none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from monitor.run.start import Run

_T = TypeVar("_T")


def until_stopped(steps: Iterable[_T], run: Run, *, wait_s: float = 0.0) -> Iterator[_T]:
    """Iterate until the iterable ends or the run should stop.

    Args:
        steps: what to iterate over, such as `range(10_000)` or a data loader.
        run: checked after each step.
        wait_s: as in `Run.should_stop`.

    Example:
        >>> from monitor.run.start import init
        >>> run = init("docs", mode="disabled")
        >>> [step for step in until_stopped(range(3), run)]
        [0, 1, 2]
    """
    for step in steps:
        yield step
        if run.should_stop(wait_s):
            return
