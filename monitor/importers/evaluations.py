"""Evaluation rows that count their own batches in the column in which training rows count theirs."""

from __future__ import annotations

import math
from dataclasses import replace

from monitor.importers.table import Row, Table, number_in
from monitor.roles import Role, role_of_set


def counted_by_training(table: Table, sets: str) -> Table:
    """Remove such counts, so that an evaluation stands at the training's current step.

    MMDetection writes the number of validation batches there, the same number after each epoch.

    Args:
        table: a table with rows of several data sets.
        sets: the column that names the data set.
    """
    epochs = next((name for name in table.names if table.of_epochs(name)), None)
    if epochs is None:
        return table
    rows = list(table.rows)
    for axis in (name for name in table.names if table.counts(name) and name != epochs):
        for at in _of_evaluations(rows, sets, epochs, axis):
            rows[at] = Row(rows[at].number, {name: cell for name, cell in rows[at].cells.items() if name != axis})
    return replace(table, rows=tuple(rows))


def _of_evaluations(rows: list[Row], sets: str, epochs: str, axis: str) -> list[int]:
    """The held-out rows, if all have the same count and training was already further in their epoch."""
    last = math.nan, math.nan
    found: list[int] = []
    counts: set[float] = set()
    for at, row in enumerate(rows):
        epoch, count = number_in(row.cells.get(epochs)), number_in(row.cells.get(axis))
        role = role_of_set(str(row.cells.get(sets) or ""))
        if role is Role.TRAIN and math.isfinite(count):
            last = epoch, count
        elif role is Role.VAL and math.isfinite(count):
            if last[0] != epoch or not count < last[1]:
                return []
            found.append(at)
            counts.add(count)
    return found if len(counts) == 1 else []
