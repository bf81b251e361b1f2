"""Reads points in time as files write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from monitor.importers.table import Cell, Table, cell_number

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
