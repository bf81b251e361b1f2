"""Tables whose rows say in a column which set they are of: `phase`, `set`, `mode`, `split` with `train` and `val`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from monitor.importers.table import COUNTS, Cell, Row, Table
from monitor.roles import role_of_set

_COLUMNS: Final = frozenset({
    "phase", "set", "mode", "split", "stage", "subset", "partition", "part", "dataset", "data", "fold", "type", "kind",
})  # fmt: skip


def by_set(table: Table) -> Table:
    """The table with a column for each quantity and set, `train/loss`; as it is where no column names sets.

    A column names sets by its own name, and by every cell of it being a word for training or for held-out data.
    """
    column = next((name for name in table.names if _names_sets(table, name)), None)
    if column is None:
        return table
    rows = tuple(replace(row, cells=_cells(row, column)) for row in table.rows)
    names = tuple(dict.fromkeys(name for row in rows for name in row.cells))
    return replace(table, names=names, rows=rows)


def _names_sets(table: Table, name: str) -> bool:
    if name.strip().lower() not in _COLUMNS:
        return False
    cells = [row.cells.get(name) for row in table.rows]
    found = {str(cell).strip() for cell in cells}
    return len(found) > 1 and all(isinstance(cell, str) for cell in cells) and None not in map(role_of_set, found)


def _cells(row: Row, column: str) -> Mapping[str, Cell]:
    which = str(row.cells[column]).strip()
    return {
        name if name.strip().lower() in COUNTS else f"{which}/{name}": cell
        for name, cell in row.cells.items()
        if name != column
    }
