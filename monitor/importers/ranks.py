"""Selects the output of one process where several processes of a training wrote to the same log.

Each process logs its position, with the same values as the others or with those of its share of the batch. For each
position the first process to reach it is read; the others are dropped there. If a process goes back, the training was
restarted.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import replace
from itertools import pairwise
from typing import Final

from monitor.importers.names import plain
from monitor.importers.table import Cell, Skipped, Table, number_in

_COLUMNS: Final = frozenset({
    "rank", "global_rank", "local_rank", "world_rank", "process_rank", "process_index", "worker", "worker_id",
    "worker_rank", "gpu", "gpu_id", "device", "device_id", "replica", "replica_id",
})  # fmt: skip
"""Columns that name the process that wrote a row."""
_EARLY: Final = 2
"""Positions by which all processes have been seen."""

At = tuple[float, ...]
"""A position in the training: epoch, step."""
_Turn = tuple[int, At]
"""The attempt, and the position in it."""


class Ranks:
    """Remembers the last position of each process."""

    def __init__(self) -> None:
        self._reached: dict[Hashable, tuple[str, _Turn, int]] = {}
        self._own: dict[tuple[Hashable, str], _Turn] = {}

    def first(self, about: Hashable, who: str, at: At, *, lasting: bool = True) -> bool:
        """True if this is the first value for a position.

        Args:
            lasting: True if a process keeps its name across restarts, as a rank does and a process id does not.
        """
        whose, reached, places = self._reached.get(about, (who, (0, at), 0))
        own = self._own.get((about, who))
        if own is not None:
            turn = own[0] + (at < own[1]), at
        else:
            turn = 0 if lasting else reached[0] + (places > _EARLY and at <= reached[1]), at
        self._own[about, who] = turn
        if who != whose and turn <= reached:
            return False
        self._reached[about] = who, turn, (places + 1 if turn[0] == reached[0] else 1)
        return True


def of_one_process(table: Table) -> Table:
    """The table without rows of other processes at positions that one has already reached."""
    table = _without_repeats(table)
    column = next((name for name in table.names if plain(name.rsplit("/", 1)[-1]) in _COLUMNS), None)
    axes = [name for name in table.names if table.counts(name) and name != column]
    if column is None or not axes:
        return table
    ranks, rows = Ranks(), []
    for row in table.rows:
        at = tuple(number_in(row.cells.get(axis)) for axis in axes)
        filled = {name: cell for name, cell in row.cells.items() if cell not in (None, "") and name != column}
        about = tuple(_about(name, cell) for name, cell in filled.items())
        if ranks.first(about, str(row.cells.get(column)), at):
            rows.append(replace(row, cells={name: cell for name, cell in row.cells.items() if name != column}))
    left = len(table.rows) - len(rows)
    if not left:
        return table
    note = Skipped(place=f"{left:,} rows", reason=f"are from other processes (column {column!r:.60}) at the same steps")
    names = tuple(name for name in table.names if name != column)
    return replace(table, names=names, rows=tuple(rows), notes=(*table.notes, note))


def _without_repeats(table: Table) -> Table:
    """The table without rows that repeat the row before, step included: another process wrote them too."""
    if not any(map(table.counts, table.names)):
        return table
    rows = [*table.rows[:1], *(row for before, row in pairwise(table.rows) if row.cells != before.cells)]
    left = len(table.rows) - len(rows)
    if not left:
        return table
    note = Skipped(place=f"{left:,} rows", reason="repeat the row before, including its step")
    return replace(table, rows=tuple(rows), notes=(*table.notes, note))


def _about(name: str, cell: Cell) -> str:
    """What identifies the curve of a cell: its column, with text such as the data set's name."""
    return f"{name}={cell}" if isinstance(cell, str) and math.isnan(number_in(cell)) else name
