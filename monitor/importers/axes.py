"""Decides what counts the steps of a table: a column, a column combined with the epochs, the epochs, or the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from monitor.errors import SettingsError
from monitor.importers.names import EPOCHS, RUNTIMES, STEPS, TIMES, WITHIN, place, plain
from monitor.importers.table import INDEX, Cell, Table, cell_number, number_in
from monitor.roles import Role, nearest, role_of

Floats = NDArray[np.float64]
Unit = Literal["step", "epoch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """The positions of a table's rows.

    Attributes:
        steps: of each row; NaN if it has none.
        epochs: of each row, NaN if it has none; None if the table has no epochs.
        time: the column with times.
        unit: what a step is; None if no name says so.
        said: how the steps were found, in a few words.
        counted: True if a column counts steps or epochs.
        aside: columns that give positions and are not series.
        unused: columns that also count but were not used.
    """

    steps: Floats
    epochs: Floats | None
    time: str | None
    unit: Unit | None
    said: str
    counted: bool
    aside: frozenset[str]
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    numbers: Floats
    """The numbers as written."""
    filled: Floats
    """Blank cells filled with the value above: such a row was logged at the current position of the loop."""

    @property
    def whole(self) -> bool:
        return _whole(self.numbers)

    @property
    def rising(self) -> bool:
        known = self.filled[np.isfinite(self.filled)]
        return bool((known[1:] >= known[:-1]).all())

    @property
    def constant(self) -> bool:
        known = self.filled[np.isfinite(self.filled)]
        return len(known) > 1 and bool((known == known[0]).all())

    @property
    def dense(self) -> bool:
        """True if at least half of the rows have a step."""
        return bool(2 * np.count_nonzero(np.isfinite(self.numbers)) >= len(self.numbers))


def axes_of(table: Table) -> Axes:
    """Decide what counts the steps: columns named by the user, else columns with known names.

    Raises:
        SettingsError: a column named by the user has no numbers.
    """
    epoch = _told(table, "epoch") or next(iter(_columns(table, EPOCHS)), None)
    told, apart = _told(table, "step"), table.named(table.said.epoch)
    candidates = [column for column in _columns(table, STEPS) if column.name != apart]
    time = next((name for name in _named(table, TIMES) if is_clock(table, name)), None)
    aside = {name for name in table.names if plain(name) in RUNTIMES} | {INDEX}
    aside |= {name for name in (time, epoch.name if epoch else None) if name is not None}
    steps, unit, said, chosen = _steps(table, candidates, epoch, told)
    if told is not None:
        aside.add(told.name)
    if unit == "step" and epoch is not None and _are_epochs(steps, epoch.filled):
        unit = "epoch"
    return Axes(
        steps=steps,
        epochs=None if epoch is None else epoch.filled,
        time=time,
        unit=unit,
        said=said,
        counted=chosen is not None or epoch is not None,
        aside=frozenset(aside | ({chosen} if chosen else set())),
        unused=tuple(column.name for column in candidates if column.name != chosen),
    )


def _are_epochs(steps: Floats, epochs: Floats) -> bool:
    """True if each step is an epoch: both advance by one together."""
    step, at = np.unique(steps, return_index=True)
    return len(step) > 1 and bool((np.diff(step) == 1).all() and (np.diff(epochs[at]) == 1).all())


def _steps(
    table: Table, candidates: list[_Column], epoch: _Column | None, told: _Column | None
) -> tuple[Floats, Unit | None, str, str | None]:
    """The step of each row, the unit, how they were found, and the column used."""
    if told is not None and not told.whole:
        return _numbered(told.filled), "step", f"the rows, as column {told.name!r:.60} holds fractions", told.name
    usable = [column for column in candidates if column.whole and not (column.constant and len(table.rows) > 2)]
    usable = [told] if told is not None else usable
    usable = [column for column in usable if column.dense] or usable
    for column in usable:
        if column.rising and plain(column.name.rsplit("/", 1)[-1]) not in WITHIN:
            return column.filled, "step", f"column {column.name!r:.60}", column.name
    for column in usable:
        joined = _joined(table, column, epoch)
        if joined is not None:
            return joined[0], "step", joined[1], column.name
    if usable:
        return usable[0].filled, "step", f"column {usable[0].name!r:.60}", usable[0].name
    fractions = next((column.name for column in candidates if not column.whole), None)
    return (*_without_steps(table, epoch, fractions), None)


def _without_steps(table: Table, epoch: _Column | None, fractions: str | None) -> tuple[Floats, Unit | None, str]:
    """The steps of a table without a step column: its epochs, its index, or its rows."""
    if epoch is not None and epoch.whole:
        return epoch.filled, "epoch", f"column {epoch.name!r:.60}"
    if epoch is not None:
        return _numbered(epoch.filled), "step", f"the rows, as column {epoch.name!r:.60} holds fractions"
    index = _column(table, INDEX)
    if index is not None and index.whole:
        return index.filled, None, "the index"
    why = f"as column {fractions!r:.60} holds fractions" if fractions else "as no column counts"
    return np.arange(len(table.rows), dtype=float), None, f"the rows, {why}"


def _joined(table: Table, column: _Column, epoch: _Column | None) -> tuple[Floats, str] | None:
    """Combine a count that restarts in each epoch with the epochs; None if it does not restart that way."""
    steps = column.filled
    known = np.isfinite(steps)
    if epoch is not None:
        known &= np.isfinite(epoch.filled)
    at = np.flatnonzero(known)
    back = np.flatnonzero(steps[at][1:] < steps[at][:-1]) + 1
    within = plain(column.name.rsplit("/", 1)[-1]) in WITHIN
    if not len(back):
        return None
    if epoch is None:
        if not _same_again(steps[at], back) or (not within and not _goes_on(table, at, back)):
            return None
        count = np.zeros(len(steps))
        count[at[back]] = 1
        numbers, name = np.cumsum(count), "each time it begins again"
    else:
        numbers, name = np.floor(epoch.filled), repr(epoch.name)
        moved = numbers[at][back] - numbers[at][back - 1]
        if not (moved > 0).any() or (moved == 0).any():
            return None
    low = float(steps[at].min())
    forward = np.diff(steps[at])
    gap = float(np.median(forward[forward > 0])) if (forward > 0).any() else 1.0
    length = float(steps[at].max()) - low + gap
    first = float(numbers[at].min())
    said = f"{name} x {length:g} + {column.name!r:.60}"
    return (numbers - first) * length + steps, said


def _same_again(steps: Floats, back: NDArray[np.int64]) -> bool:
    """True if a count restarts at the same value each time and runs as far, except for the last time."""
    ends = steps[back - 1]
    gap = np.diff(steps[: back[0]])
    near = float(gap.max()) if len(gap) else 0.0
    return bool((np.abs(steps[back] - steps[0]) <= near).all() and (np.abs(ends - ends[0]) <= near).all())


def _goes_on(table: Table, at: NDArray[np.int64], back: NDArray[np.int64]) -> bool:
    """True if the loss continues where the count restarts, as in the next epoch of the same training.

    If instead the training was restarted, the loss is nearer to its first value than to its last.
    """
    if len(back) < 2:
        return False
    name = next((name for name in table.names if role_of(name) is Role.TRAIN), None)
    if name is None:
        return False
    losses = np.array([number_in(table.rows[i].cells.get(name)) for i in at])
    new = np.abs(losses[back] - losses[0])
    on = np.abs(losses[back] - losses[back - 1])
    return bool(2 * np.count_nonzero(on < new) > len(back))


def _numbered(fractions: Floats) -> Floats:
    """Number rows by epoch: rows with the same fractional epoch share a step."""
    steps = np.zeros(len(fractions))
    steps[1:] = np.cumsum(fractions[1:] != fractions[:-1])
    return steps


def _told(table: Table, option: str) -> _Column | None:
    """The column named by the user with an option; None if none is named or it does not exist."""
    wanted = getattr(table.said, option)
    name = table.named(wanted)
    if name is None:
        return None
    column = _column(table, name)
    if column is None and table.said.strict:
        counting = [each for each in table.names if each != INDEX and _column(table, each) is not None]
        raise SettingsError(f"--{option} {wanted}", "is a column without numbers", nearest(wanted, counting))
    return column


def _columns(table: Table, known: tuple[str, ...]) -> list[_Column]:
    found = [_column(table, name) for name in _named(table, known)]
    return [column for column in found if column is not None]


def _named(table: Table, known: tuple[str, ...]) -> Sequence[str]:
    """The columns with known names, in order of preference; exact matches come before matches after a `/`."""
    places = [
        (where, "/" in name, i, name)
        for i, name in enumerate(table.names)
        if name != INDEX and (where := place(name, known)) is not None
    ]
    return [name for *_, name in sorted(places)]


def _column(table: Table, name: str) -> _Column | None:
    """A column of numbers; None if it has none."""
    if name not in table.names:
        return None
    cells = [row.cells.get(name) for row in table.rows]
    numbers = np.array([number_in(cell) for cell in cells])
    if not np.isfinite(numbers).any():
        return None
    blank = np.array([cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells])
    last = np.maximum.accumulate(np.where(blank, -1, np.arange(len(cells))))
    return _Column(name, numbers, np.where(last >= 0, numbers[last], np.nan))


def _whole(numbers: Floats) -> bool:
    """False only if there is a fraction; blank and invalid cells do not count."""
    known = numbers[np.isfinite(numbers)]
    return bool((known == np.floor(known)).all())


_MS_FROM: Final = 1e11
"""Larger numbers are milliseconds, smaller ones seconds: this is the year 5138 in seconds, 1973 in milliseconds."""
_SECONDS_FROM: Final = 1e8
"""Smaller numbers are not Unix times but seconds since the start."""


def time_ms(cell: Cell) -> int:
    """A cell in ms since the Unix epoch; 0 if it is not a point in time.

    >>> time_ms(1.7e9), time_ms("1700000000000"), time_ms("2023-11-14T22:13:20Z"), time_ms("12.5")
    (1700000000000, 1700000000000, 1700000000000, 0)
    """
    try:
        number = cell_number(cell)
    except (ValueError, OverflowError):
        try:
            found = datetime.fromisoformat(str(cell).strip())
            number = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return 0
    if number is None or not _SECONDS_FROM < number < 1e15:
        return 0
    return int(number if number >= _MS_FROM else number * 1000)


def is_clock(table: Table, name: str) -> bool:
    """True if a column has the times of its rows, judging by its first cell that is not blank."""
    for row in table.rows:
        cell = row.cells.get(name)
        if cell is not None and str(cell).strip():
            return time_ms(cell) > 0
    return False
