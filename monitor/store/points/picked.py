"""Reads selected points of a long curve by index, without building arrays of all others."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from monitor.domain import Points
from monitor.store.points import chunks, codec
from monitor.store.points.chunk_reader import FETCHED, ChunkReader, Overview, portions
from monitor.store.points.history import within

Pick = Callable[[int], NDArray[np.intp]]


def read_picked(
    connection: Connection, run_id: str, key: str, pick: Pick, *, lo: int | None, hi: int | None
) -> Points | None:
    """Read the selected points of a curve with lo <= step <= hi, without their epochs.

    All chunks are unpacked into the same small arrays, which stay in the CPU cache.

    Args:
        pick: returns which of n >= 1 points are wanted, as ascending indices.

    Returns:
        None if steps repeat or go back: the order of the points then depends on more than their steps.
    """
    reader = ChunkReader(connection, run_id, key)
    rows = within(reader.rows, lo, hi)
    if not rows or not _rising(reader, rows):
        return None
    start, end = _borders(reader, rows, lo, hi)
    index = start + pick(end - start) if end > start else np.empty(0, np.intp)
    room = np.empty(max(row["n"] for row in rows), np.int64)
    found: list[Points] = []
    first = 0
    for some in portions(rows, FETCHED):
        for row in reader.columns(some, times=True, epochs=False):
            size = int(str(row["n"]))
            low, high = np.searchsorted(index, (first, first + size))
            part = _of_chunk(row, index[low:high] - first, room[:size])
            if part is None:
                return None
            found.append(part)
            first += size
    return Points.join(found)


def _rising(reader: ChunkReader, rows: Sequence[Overview]) -> bool:
    """True if each chunk lies after the one before, and all its points are visible."""
    return all(row["ordered"] and reader.whole(row) for row in rows) and all(
        before["last_step"] < row["first_step"] for before, row in itertools.pairwise(rows)
    )


def _borders(reader: ChunkReader, rows: Sequence[Overview], lo: int | None, hi: int | None) -> tuple[int, int]:
    """Where a window begins and ends among the points of the chunks that it overlaps."""
    first, last = rows[0], rows[-1]
    start, end = 0, sum(row["n"] for row in rows)
    if lo is not None and lo > first["first_step"]:
        steps = reader.points([first], times=False, epochs=False).steps
        start = int(np.searchsorted(steps, np.int64(lo)))
    if hi is not None and hi < last["last_step"]:
        steps = reader.points([last], times=False, epochs=False).steps
        end -= last["n"] - int(np.searchsorted(steps, np.int64(hi), "right"))
    return start, end


def _of_chunk(row: chunks.Row, index: NDArray[np.intp], room: NDArray[np.int64]) -> Points | None:
    """Selected points of one chunk; None if a step repeats.

    Args:
        room: scratch array, overwritten; as long as the chunk.
    """
    packed = chunks.packed(row["steps"])
    line = codec.line_of(packed)
    if line is None:
        codec.decode_into(packed, room)
        if not (room[1:] > room[:-1]).all():
            return None
    elif line[1] == 0:
        return None
    return Points(
        codec.decode_some(packed, index, room),
        codec.decode_some(chunks.packed(row["vals"]), index, room.view(np.float64)),
        codec.decode_some(chunks.packed(row["times"]), index, room),
    )
