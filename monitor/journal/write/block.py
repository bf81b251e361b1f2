"""Whole arrays as journal records: `log_many` writes them with one copy per block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.journal.checksum import crc32
from monitor.journal.layout import Layout


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
