"""Converts the points of a text log to the rows of a table, and reports which lines were read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from monitor.errors import NoHistory
from monitor.importers.table import Cell, Row, Skipped, Table
from monitor.importers.text_parts import PARTS

COUNTED: Final = "\0step"
"""Column of steps that are counted because no line has any."""
SEEN: Final = "\0seen"
"""Column of the number of tokens or samples seen, or of the position of the bar next to a line."""
PLACES: Final = ("step", "epoch", "timestamp")
ASIDE: Final = frozenset({*PLACES, COUNTED, SEEN, *PARTS})
"""Columns that give a row's position or part, and are not series."""


@dataclass(slots=True)
class Understood:
    """Which lines of a log were read.

    Attributes:
        lines: number of lines read as points.
        first: number and text of the first one.
        names: the series found.
        ignored: number of other lines with text.
        missed: number and text of the first ignored line that mentions a metric.
        again: number of lines that repeat what another process logged for the same position.
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
            said += f"; left out {self.again:,} lines of other processes at the same steps"
        if self.missed is not None:
            said += f"; not understood: line {self.missed[0]}: {self.missed[1]}"
        return said


def table_of(path: str, found: Sequence[Row], understood: Understood, config: Mapping[str, object]) -> Table:
    """The table of the rows read so far.

    Args:
        understood: which lines were read.
        config: the numbers of steps and epochs that the lines mention.
    """
    if not found:
        missed = understood.missed
        told = f", such as line {missed[0]}: {missed[1]}" if missed is not None else ""
        raise NoHistory(
            path, f"is text, but no line was understood as a point of a curve{told}; say how with --pattern REGEX"
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
    # A summary per part, not a curve.
    if max(Counter(tuple(row.cells.get(name) for name in PARTS) for row in rows).values()) == 1:
        names = {name: None for name in names if name not in PARTS}
    order = [name for name in PLACES if name in names] + [name for name in names if name not in PLACES]
    note = Skipped(place="text", reason=str(understood))
    return Table(path=path, names=tuple(order), rows=tuple(_filled(rows, names)), kind="text", notes=(note,),
                 config=config)  # fmt: skip


def _rises(cells: Sequence[Cell]) -> bool:
    """True if most cells are numbers, and they rise."""
    found = [cell for cell in cells if isinstance(cell, int)]
    return 2 * len(found) > len(cells) and found == sorted(found) and (found[0] < found[-1] or len(cells) == 1)


def _filled(rows: Sequence[Row], names: dict[str, None]) -> list[Row]:
    """Fill in missing steps and epochs: with the last one, or 0 before the first."""
    begun: dict[str, Cell] = {name: 0 for name in ("step", "epoch") if name in names}
    parts: dict[tuple[Cell, ...], dict[str, Cell]] = {}
    found = []
    for row in rows:
        last = parts.setdefault(tuple(row.cells.get(name) for name in PARTS), dict(begun))
        last.update({name: row.cells[name] for name in last if name in row.cells})
        cells = {name: cell for name, cell in row.cells.items() if name not in (COUNTED, SEEN)}
        found.append(Row(row.number, {**last, **cells}))
    return found
