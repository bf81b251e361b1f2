"""Rows of an evaluation that count its own batches, in the column in which the training's rows count theirs."""

from __future__ import annotations

import math
from dataclasses import replace

from monitor.importers.table import Row, Table, number_in
from monitor.roles import Role, role_of_set


def counted_by_training(table: Table, sets: str) -> Table:
    """The table without such counts, so that an evaluation stands where the training had come to.

    MMDetection writes how many batches the validation set has, the same number after each epoch.

    Args:
        table: whose rows are of several sets.
        sets: the column that names the set.
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
    """The held-out rows, where all hold one number, and the training had come further in each one's epoch."""
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
