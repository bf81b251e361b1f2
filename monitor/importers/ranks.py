"""Rows of a table that several processes of one training wrote: one of them is read, as of a text log."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from monitor.importers.names import plain
from monitor.importers.table import Cell, Skipped, Table, number_in

_COLUMNS: Final = frozenset({
    "rank", "global_rank", "local_rank", "world_rank", "process_rank", "process_index", "process_id", "proc", "pid",
    "worker", "worker_id", "worker_rank", "gpu", "gpu_id", "device", "device_id", "replica", "replica_id", "host_id",
})  # fmt: skip
"""Columns that name who wrote a row."""


def of_one_process(table: Table) -> Table:
    """The table without what other processes say of a place that one has reached before."""
    column = next((name for name in table.names if plain(name.rsplit("/", 1)[-1]) in _COLUMNS), None)
    axes = [name for name in table.names if table.counts(name) and name != column]
    if column is None or not axes:
        return table
    last: dict[object, tuple[str, list[float]]] = {}
    rows = []
    for row in table.rows:
        who, at = str(row.cells.get(column)), [number_in(row.cells.get(axis)) for axis in axes]
        about = tuple(
            _about(name, cell) for name, cell in row.cells.items() if cell not in (None, "") and name != column
        )
        known = last.get(about)
        if known is not None and known[0] != who and at <= known[1]:
            continue
        last[about] = who, at
        rows.append(replace(row, cells={name: cell for name, cell in row.cells.items() if name != column}))
    left = len(table.rows) - len(rows)
    if not left:
        return table
    note = Skipped(place=f"{left:,} rows", reason=f"are of other processes, by {column!r:.60}, at the same places")
    names = tuple(name for name in table.names if name != column)
    return replace(table, names=names, rows=tuple(rows), notes=(*table.notes, note))


def _about(name: str, cell: Cell) -> str:
    """What a cell says of which curve its row is a point of: its column, and a word such as the set's."""
    return f"{name}={cell}" if isinstance(cell, str) and math.isnan(number_in(cell)) else name
