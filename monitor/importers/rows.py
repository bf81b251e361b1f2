"""All series of a table: what `curves` does for the losses alone, without giving up at the first broken cell."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from monitor.errors import NoHistory
from monitor.importers.curves import SIDE_NAMES, TORN, cell_number
from monitor.importers.imported import ImportedRun, PointList, by_role
from monitor.importers.table import EPOCH_NAMES, STEP_NAMES, Cell, Row, Table, listed
from monitor.roles import Role, role_of

_TIMES: Final = SIDE_NAMES - {"_runtime", "runtime"}
_MS_FROM: Final = 1e11
"""A time above it is in milliseconds, one below in seconds: as seconds it is the year 5138, as milliseconds 1973."""
_SECONDS_FROM: Final = 1e8
"""A number below it is no time since the epoch, but one since the start."""


@dataclass(frozen=True, slots=True)
class _Axes:
    step: str | None
    epoch: str | None
    time: str | None
    unit: Literal["step", "epoch"]
    counted: bool
    """A column counts steps or epochs."""


def run_of_table(table: Table, *, place: str, name: str, written_ms: int) -> ImportedRun:
    """Every column of numbers as a series.

    Args:
        place: where the file is, the same each time it is read.
        name: the run's name.
        written_ms: when the file was last written, milliseconds since the epoch; the time of rows that have none.

    Raises:
        FileUnreadable: no column holds numbers.
    """
    axes, points = _axes(table), PointList()
    series = _series(table, axes, points)
    for i, row in enumerate(table.rows):
        _row(row, i, axes, series, points)
    if not len(points):
        known = listed(table.names)
        raise NoHistory(table.path, f"no column of numbers among: {known}", "row 1" if table.header else "")
    for column, what in table.left_out.items():
        points.skip(f"column {column!r:.60}", what)
    if table.torn is not None:
        points.skip(f"row {table.torn}", TORN, broken=True)
    started, finished = points.span()
    return ImportedRun(
        source=table.path,
        kind=table.kind,
        origin=f"{table.kind}:{place}:{_beginning(table.rows[0])}",
        name=name,
        config=table.config,
        started_ms=started,
        finished_ms=finished,
        keys=points.keys,
        points=points.columns(written_ms),
        unit=axes.unit,
        skipped=tuple(points.skipped.values()),
    )


def looks_like_training(table: Table) -> bool:
    """True where a table that nobody named, but a search found, counts steps."""
    if table.kind == "pandas":  # its index counts whatever it is
        return any(role_of(name) in (Role.TRAIN, Role.VAL) for name in table.names)
    return table.kind in ("keras", "trainer_state", "scalars", "sacred") or _axes(table).counted


def time_ms(cell: Cell) -> int:
    """A cell as milliseconds since the epoch; 0 where it is no point in time.

    >>> time_ms(1.7e9), time_ms("1700000000000"), time_ms("2023-11-14T22:13:20Z"), time_ms("12.5")
    (1700000000000, 1700000000000, 1700000000000, 0)
    """
    try:
        number = cell_number(cell)
    except (ValueError, OverflowError):
        try:
            found = datetime.fromisoformat(str(cell).strip())
        except ValueError:
            return 0
        number = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    if number is None or not _SECONDS_FROM < number < 1e15:
        return 0
    return int(number if number >= _MS_FROM else number * 1000)


def _axes(table: Table) -> _Axes:
    by_name = {name.strip().lower(): name for name in reversed(table.names)}
    step = next((by_name[name] for name in STEP_NAMES if name in by_name), None)
    epoch = next((by_name[name] for name in EPOCH_NAMES if name in by_name), None)
    time = next((by_name[name] for name in sorted(_TIMES) if name in by_name), None)
    unit: Literal["step", "epoch"] = "epoch" if step is None and epoch is not None else "step"
    if unit == "epoch":
        step = epoch
    if step is not None and not all(_whole(row.cells.get(step)) for row in table.rows):
        return _Axes(
            None, epoch or step, time, "step", True
        )  # the store counts whole steps: the rows are counted instead
    return _Axes(step, epoch, time, unit, step is not None)


def _whole(cell: Cell) -> bool:
    """False only for a fraction: what is blank or broken says nothing about what the column counts."""
    try:
        number = cell_number(cell)
    except (ValueError, OverflowError):
        return True
    return number is None or not math.isfinite(number) or number.is_integer()


def _series(table: Table, axes: _Axes, points: PointList) -> list[str]:
    """The columns that hold numbers, in the order in which a loop would log them."""
    aside = {axes.step, axes.epoch, axes.time}
    found = []
    for name in table.names:
        if name in aside or name.strip().lower() in (*STEP_NAMES, *EPOCH_NAMES, *SIDE_NAMES):
            continue
        kinds = [_kind(row.cells.get(name)) for row in table.rows]
        numbers, texts = kinds.count("number"), kinds.count("text")
        if numbers and numbers >= texts:
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


def _row(row: Row, i: int, axes: _Axes, series: Sequence[str], points: PointList) -> None:
    step = float(i) if axes.step is None else _cell(row, axes.step, points)
    epoch = None if axes.epoch is None else _cell(row, axes.epoch, points)
    when = 0 if axes.time is None else time_ms(row.cells.get(axes.time))
    for name in series:
        value = _cell(row, name, points)
        if value is None:
            continue
        if step is None or not math.isfinite(step):
            points.skip(f"row {row.number}", f"column {axes.step!r:.60} holds no step", broken=True)
            return
        points.add(name, int(step), value, when, math.nan if epoch is None else epoch)


def _cell(row: Row, name: str, points: PointList) -> float | None:
    try:
        return _number(row.cells.get(name))
    except (ValueError, OverflowError) as error:
        points.skip(f"row {row.number}", f"column {name!r:.60} {error}", broken=True)
        return None


def _beginning(row: Row) -> str:
    """What the first row holds: it stays when the file grows, and differs where another run took the same path."""
    cells: Mapping[str, Cell] = {name: cell for name, cell in row.cells.items() if cell is not None}
    return hashlib.sha256(json.dumps(cells, sort_keys=True, default=str).encode()).hexdigest()[:16]
