"""The points of a text log as the rows of a table, and which lines they came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from monitor.errors import NoHistory
from monitor.importers.table import Cell, Row, Skipped, Table
from monitor.importers.text_parts import PARTS

COUNTED: Final = "\0step"
"""Column of the steps that are counted where no line says any."""
SEEN: Final = "\0seen"
"""Column of the tokens, samples or the like that a line says, or of how far the bar next to it is."""
PLACES: Final = ("step", "epoch", "timestamp")
ASIDE: Final = frozenset({*PLACES, COUNTED, SEEN, *PARTS})
"""Columns that place a row, and are not series."""


@dataclass(slots=True)
class Understood:
    """Which lines of a log were read.

    Attributes:
        lines: how many were read as points.
        first: the number and the text of the first of them.
        names: the series found.
        ignored: how many others hold text.
        missed: the number and the text of the first of those that speak of a metric all the same.
        again: how many say what another process of the training has said of the same place.
    """

    lines: int = 0
    first: tuple[int, str] | None = None
    names: dict[str, None] = field(default_factory=dict)
    ignored: int = 0
    missed: tuple[int, str] | None = None
    again: int = 0

    def __str__(self) -> str:
        """One sentence for the user."""
        if self.first is None:
            return "no line was understood as a point of a curve"
        number, text = self.first
        said = f"{self.lines:,} lines read as points, the first is line {number}: {text}"
        if self.again:
            said += f"; {self.again:,} lines of other processes left out, which stand at the same places"
        if self.missed is not None:
            said += f"; not understood: line {self.missed[0]}: {self.missed[1]}"
        return said


def table_of(path: str, found: Sequence[Row], understood: Understood, config: Mapping[str, object]) -> Table:
    """What was read of a log so far.

    Args:
        path: the file as the user named it, for errors.
        found: the rows.
        understood: which lines they came from.
        config: of how many steps and epochs the lines speak.

    Raises:
        NoHistory: nothing.
    """
    if not found:
        missed = understood.missed
        told = f", such as line {missed[0]}: {missed[1]}" if missed is not None else ""
        raise NoHistory(
            path, f"is text, and no line of it is understood as a point of a curve{told}; say how with --pattern REGEX"
        )
    names = dict.fromkeys(name for row in found for name in row.cells if name not in (COUNTED, SEEN))
    rows: Sequence[Row] = found
    whole = all(isinstance(epoch, int | float) and float(epoch).is_integer()
                for row in rows if (epoch := row.cells.get("epoch")) is not None)  # fmt: skip
    seen = ("epoch" not in names or not whole) and _rises([row.cells.get(SEEN) for row in rows])
    if "step" not in names and (seen or "epoch" not in names):
        names["step"] = None
        steps = SEEN if seen else COUNTED
        rows = [Row(row.number, {"step" if name == steps else name: cell for name, cell in row.cells.items()})
                for row in rows]  # fmt: skip
    if max(Counter(tuple(row.cells.get(name) for name in PARTS) for row in rows).values()) == 1:  # of sums, not curves
        names = {name: None for name in names if name not in PARTS}
    order = [name for name in PLACES if name in names] + [name for name in names if name not in PLACES]
    note = Skipped(place="text", reason=str(understood))
    return Table(path=path, names=tuple(order), rows=tuple(_filled(rows, names)), kind="text", notes=(note,),
                 config=config)  # fmt: skip


def _rises(cells: Sequence[Cell]) -> bool:
    """Whether most rows say a number, and they rise."""
    found = [cell for cell in cells if isinstance(cell, int)]
    return 2 * len(found) > len(cells) and found == sorted(found) and (found[0] < found[-1] or len(cells) == 1)


def _filled(rows: Sequence[Row], names: dict[str, None]) -> list[Row]:
    """Every row with a step and an epoch where others have them: those before the first stand at its beginning."""
    begun: dict[str, Cell] = {name: 0 for name in ("step", "epoch") if name in names}
    parts: dict[tuple[Cell, ...], dict[str, Cell]] = {}
    found = []
    for row in rows:
        last = parts.setdefault(tuple(row.cells.get(name) for name in PARTS), dict(begun))
        last.update({name: row.cells[name] for name in last if name in row.cells})
        cells = {name: cell for name, cell in row.cells.items() if name not in (COUNTED, SEEN)}
        found.append(Row(row.number, {**last, **cells}))
    return found
