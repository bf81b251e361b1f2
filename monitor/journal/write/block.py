"""`log_many`: arrays of plain numbers go to the journal in blocks, everything else through one call per record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from monitor.journal.checksum import crc32
from monitor.journal.layout import Layout
from monitor.journal.segment import MAX_VALUES
from monitor.limits import key

if TYPE_CHECKING:
    from monitor.journal.write.journal import Journal

Number = float | int

_WORTH: Final = 32
"""Number of records from which a block is faster than one call per record."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Records of one shape.

    Attributes:
        keys: metric names.
        steps: int64, shape (n,).
        values: float64, shape (n, len(keys)).
        epochs: float64, shape (n,), or None.
    """

    keys: tuple[str, ...]
    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    epochs: NDArray[np.float64] | None

    def __len__(self) -> int:
        return len(self.steps)

    @classmethod
    def of(cls, steps: object, values: Mapping[str, Sequence[float]], epochs: object | None) -> Block | None:
        """A block, if the arrays have equal lengths and hold only numbers; None otherwise.

        Args:
            steps: n integers, as an array or a list.
            values: n numbers for each metric.
            epochs: n numbers, or None.
        """
        where = _column(steps, "iu")
        columns = [_column(column, "fiub") for column in values.values()]
        stages = None if epochs is None else _column(epochs, "fiu")
        if where is None or not columns or any(column is None or len(column) != len(where) for column in columns):
            return None
        if epochs is not None and (stages is None or len(stages) != len(where) or not np.isfinite(stages).all()):
            return None
        if where.dtype.kind == "u" and len(where) and int(where.max()) > np.iinfo(np.int64).max:
            return None
        table = np.stack([np.asarray(column, np.float64) for column in columns], axis=1)
        return cls(tuple(values), where.astype(np.int64), table, None if stages is None else stages.astype(np.float64))

    def after(self, start: int) -> Block:
        """The records from `start` on."""
        epochs = None if self.epochs is None else self.epochs[start:]
        return Block(self.keys, self.steps[start:], self.values[start:], epochs)

    def row(self, i: int) -> tuple[int, float | None, list[float]]:
        """The step, epoch and values of one record."""
        epoch = None if self.epochs is None else float(self.epochs[i])
        return int(self.steps[i]), epoch, self.values[i].tolist()

    def packed(self, layout: Layout, start: int, end: int, time_ns: int) -> bytes:
        """Records `start` to `end` as the bytes of a segment, checksums included."""
        words = np.empty((end - start, layout.words), "<u8")
        words[:, 1] = self.steps[start:end].view(np.uint64)
        words[:, 2] = time_ns
        if self.epochs is not None:
            words[:, 3] = self.epochs[start:end].view(np.uint64)
        words[:, layout.words - len(self.keys) :] = self.values[start:end].view(np.uint64)
        # Kind and length go into the upper half of the first word, the checksum into the lower.
        words[:, 0] = (layout.kind | layout.words << 16) << 32
        words[:, 0] |= crc32(words.view("<u2").reshape(end - start, -1)[:, 2:])
        return words.tobytes()


def _column(values: object, kinds: str) -> NDArray[Any] | None:
    """A one-dimensional array if its dtype is one of these kinds, at most 8 bytes wide; else None."""
    if not isinstance(values, list | tuple | np.ndarray):
        return None
    try:
        found = np.asarray(values)
    except (ValueError, TypeError, OverflowError):
        return None
    return found if found.ndim == 1 and found.dtype.kind in kinds and found.dtype.itemsize <= 8 else None


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
