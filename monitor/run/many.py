"""`log_many`: arrays of plain numbers go to the journal in blocks, everything else through one call per record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from monitor.journal.segment import MAX_VALUES
from monitor.journal.write.block import Block
from monitor.journal.write.journal import Journal
from monitor.limits import key

Number = float | int

_WORTH: Final = 32
"""Number of records from which a block is faster than one call per record."""


def log_many(
    log: Callable[[Mapping[str, object], Any, float | None], None],
    journal: Journal | None,
    steps: Iterable[int],
    values: Mapping[str, Sequence[Number]],
    epochs: Sequence[float] | None,
    admit: Callable[[Iterable[str]], bool] = lambda keys: True,  # noqa: ARG005
) -> None:
    """Log n records.

    Args:
        log: writes one record of any content.
        journal: where `log` writes; None: nowhere.
        steps: n steps.
        values: n numbers for each metric.
        epochs: n epochs, or None.
        admit: returns True if the run can take all of these metrics.

    Raises:
        ValueError: the lengths differ. The records up to the end of the shortest are logged.
    """
    block = None if journal is None else Block.of(steps, values, epochs)
    whole = block is not None and len(block) >= _WORTH and _as_they_are(block.keys) and admit(block.keys)
    if journal is not None and block is not None and whole:
        # The first record goes through `log`, which registers the keys and reports what is wrong.
        step, epoch, row = block.row(0)
        log(dict(zip(block.keys, row, strict=True)), step, epoch)
        journal.block(block.after(1))
        return
    columns = [_listed(column) for column in values.values()]
    stages: Sequence[float | None] = [None] * len(columns[0]) if epochs is None else _listed(epochs)
    for step, epoch, *each in zip(_listed(steps), stages, *columns, strict=True):
        log(dict(zip(values, each, strict=True)), step, epoch)


def _as_they_are(keys: tuple[str, ...]) -> bool:
    """True if the store takes all keys unchanged."""
    return len(keys) <= MAX_VALUES and all(isinstance(name, str) and key(name) == name for name in keys)


def _listed(values: Iterable[Number]) -> list[Number]:
    tolist = getattr(values, "tolist", None)
    return list(tolist()) if callable(tolist) else list(values)
