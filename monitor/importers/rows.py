"""Converts a table to a run with all its series."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Final

from monitor.directions import rises
from monitor.errors import NoHistory
from monitor.importers.attempts import begins
from monitor.importers.axes import Axes, axes_of, time_ms
from monitor.importers.imported import ImportedRun, PointList, by_role
from monitor.importers.names import plain
from monitor.importers.table import INDEX, Cell, Row, Skipped, Table, cell_number, listed
from monitor.roles import Role, role_of

_PREDICTED: Final = frozenset({"y_true", "y_pred", "pred", "prediction", "predictions", "predicted", "ground_truth"})
"""Columns with predictions for single examples. Without a step column, such a table's losses are per example."""


def run_of_table(table: Table, *, place: str, name: str, written_ms: int) -> ImportedRun:
    """Make a series of every numeric column; broken cells are skipped and noted.

    Args:
        place: where the file is; the same each time it is read.
        written_ms: the file's modification time in ms since the Unix epoch, for rows without a time.

    Raises:
        FileUnreadable: no column is numeric.
        SettingsError: the column that the user named for steps or epochs is not numeric.
    """
    axes, points = axes_of(table), PointList()
    for note in table.notes:
        points.note(note)
    series = _series(table, axes, points)
    for row, step, epoch in zip(table.rows, axes.steps.tolist(), _epochs(table, axes), strict=True):
        _row(row, step, epoch, axes, series, points)
    if not len(points):
        broken = next((note for note in points.skipped.values() if note.broken), None)
        if broken is not None:
            raise NoHistory(table.path, broken.reason, broken.place)
        raise NoHistory(table.path, f"no column of numbers among: {listed(table.names)}", "row 1" * table.header)
    suffix = f":{table.run}" if table.run else ""
    columns = points.columns(written_ms)
    run = ImportedRun(
        source=table.path,
        kind=table.kind,
        origin=f"{table.kind}:{place}{suffix}:{_beginning(table.rows[0])}",
        name=name,
        config=table.config,
        keys=points.keys,
        points=columns,
        attempts=begins(columns.key, columns.step),
        steps=axes.said,
        part=table.run,
        said=table.said,
        columns=tuple(name for name in table.names if name != INDEX),
    )
    return points.complete(run, axes.unit)


def looks_like_training(table: Table) -> bool:
    """True if a table found by a search, not named by the user, has training curves."""
    counted = axes_of(table).counted
    if not counted and not _PREDICTED.isdisjoint(map(plain, table.names)):
        return False
    if any(role_of(name) in (Role.TRAIN, Role.VAL) for name in table.names):
        return True
    if counted:
        return table.kind == "csv" or any(rises(name) is not None for name in table.names)
    return table.kind != "csv" and INDEX in table.names and any(rises(name) is not None for name in table.names)


def _epochs(table: Table, axes: Axes) -> list[float]:
    return [math.nan] * len(table.rows) if axes.epochs is None else axes.epochs.tolist()


def _series(table: Table, axes: Axes, points: PointList) -> list[str]:
    """The numeric columns, in the order in which a loop would log them."""
    found = []
    for name in table.names:
        if name in axes.aside:
            continue
        if name in axes.unused:
            points.note(Skipped(place=f"column {name!r:.60}", reason=f"counts, too; the steps are {axes.said}"))
            continue
        kinds = [_kind(row.cells.get(name)) for row in table.rows]
        numbers, texts = kinds.count("number"), kinds.count("text")
        loss = role_of(name) in (Role.TRAIN, Role.VAL)
        if (numbers and numbers >= texts) or (texts and loss):  # each broken cell of a loss is reported
            found.append(name)
        elif texts:
            points.skip(f"column {name!r:.60}", "holds text")
    return sorted(found, key=by_role)


def _kind(cell: Cell) -> str:
    try:
        return "blank" if _number(cell) is None else "number"
    except (ValueError, OverflowError):
        return "text"


def _number(cell: Cell) -> float | None:
    return float(cell) if isinstance(cell, bool) else cell_number(cell)


def _row(row: Row, step: float, epoch: float, axes: Axes, series: Sequence[str], points: PointList) -> None:
    when = 0 if axes.time is None else time_ms(row.cells.get(axes.time))
    for name in series:
        try:
            value = _number(row.cells.get(name))
        except (ValueError, OverflowError) as error:
            points.skip(f"row {row.number}", f"column {name!r:.60} {error}", broken=True)
            continue
        if value is None:
            continue
        if not math.isfinite(step):
            points.skip(f"row {row.number}", f"has no step: {axes.said} is blank or not a number", broken=True)
            return
        points.add(name, int(step), value, when, epoch if math.isfinite(epoch) else math.nan)


def _beginning(row: Row) -> str:
    """A hash of the first row: it stays when the file grows, and differs if another run took over the path."""
    cells: Mapping[str, Cell] = {name: cell for name, cell in row.cells.items() if cell is not None}
    return hashlib.sha256(json.dumps(cells, sort_keys=True, default=str).encode()).hexdigest()[:16]
