"""Lines that wait until later ones tell what they are: states of bars over a whole training, and unnamed metrics."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from monitor.importers.table import Cell, Row
from monitor.importers.text_lines import read_line
from monitor.importers.text_positions import Line


class ThroughBars:
    """Turns the states of bars that span the whole training into points. Takes states in order.

    Args:
        point: called with a line that is a point.
    """

    def __init__(self, point: Callable[[Line], None]) -> None:
        self._point = point
        self._at: tuple[int | None, int] | None = None
        self._state: Line | None = None
        self._settled: Line | None = None

    def has(self, line: Line) -> bool:
        """True if the line continues a bar that was drawn before any epoch was known."""
        if line.held_out or line.epoch is not None or self._at is None:
            return False
        total, n = self._at
        return line.total == total and line.n is not None and line.n >= n

    def begin(self, line: Line) -> None:
        """Note a state without metrics, such as the first one of a bar, before any epoch is known."""
        if line.bar and line.n is not None and line.epoch is None and not line.held_out:
            self._at = line.total, line.n

    def take(self, line: Line) -> bool:
        """Add a state; False if it adds nothing.

        At each position the last state counts, because the first shows old values.
        """
        self._at = line.total, line.n or 0
        last = self._state or self._settled
        if last is not None:
            if _at_end(line) and line.cells == last.cells:
                return False  # nothing has changed since
            again = _is_again(last, line)
            if again and self._state is None:
                return False
            if not again:
                self.settle()
        self._state = line
        return True

    def settle(self) -> None:
        """Emit the last state as a point: the bar has moved on."""
        if self._state is not None:
            line, self._state = self._state, None
            self._settled = replace(line)
            self._point(line)


class NextBar:
    """Tracks the position of the training's bar, for the dictionaries that Transformers prints next to it.

    Bars of evaluations finish before their results are printed; the training's bar does not, which tells them apart.

    Args:
        point: called with a line that is a point.
    """

    def __init__(self, point: Callable[[Line], None]) -> None:
        self._point = point
        self._bars: dict[int, int] = {}
        self._total: int | None = None
        self._waits: Line | None = None

    def take(self, line: Line, text: str) -> None:
        """Add a line without metrics."""
        if line.bar and line.n is not None and line.total and _BARE.match(text):
            self._bars[line.total] = line.n

    def has(self, line: Line) -> bool:
        """True if a line is such a dictionary, with only a fractional epoch as its position."""
        if not line.text.lstrip().startswith("{") or line.epoch is None or not line.step is line.n is None:
            return False
        if self._total is None:
            moving = [total for total, n in self._bars.items() if n < total]
            self._total = moving[0] if len(moving) == 1 else None
        return self._total is not None

    def hold(self, line: Line) -> None:
        """Hold a dictionary until the bar is redrawn below it: the bar above may be a few steps old."""
        self.settle("")
        self._waits = line

    def settle(self, text: str) -> None:
        """Emit the held dictionary, given the text after it: the bar, or anything else."""
        if self._waits is None or self._total is None:
            return
        if _BARE.match(text):
            self.take(read_line(text), text)
        line, self._waits = self._waits, None
        line.seen, line.steps = self._bars[self._total], self._total
        self._point(line)


class OnlyEpoch:
    """Keeps the states of the first epoch's bar, which are points if the log has no other epoch."""

    def __init__(self) -> None:
        self._states: list[Line] | None = []
        self._of: tuple[float | None, int | None] | None = None

    def take(self, line: Line, epoch: float | None) -> None:
        """Add a state."""
        if self._states is None or line.held_out:
            return
        of = (epoch if line.epoch is None else line.epoch), line.total
        if self._of is not None and self._of[0] != of[0]:
            self._states = None
        elif self._of is None or (self._of == of and (line.n or 0) >= (self._states[-1].n or 0)):
            self._of = of
            self._states.append(replace(line))

    def rows(self, rows: Sequence[Row]) -> list[Row]:
        """The rows of the log, with one row per position of the bar instead of one for the epoch."""
        last = {line.n: line for line in self._states or ()}
        if self._of is None or len(last) < _LEAST:
            return list(rows)
        numbers = {line.number for line in self._states or ()}
        at = next((i for i, row in enumerate(rows) if row.number in numbers), len(rows))
        kept = [row for row in rows if row.number not in numbers]
        drawn: list[Row] = []
        shown: dict[str, float] = {}
        for line in last.values():
            new = {name: value for name, value in line.cells.items() if name not in shown or shown[name] != value}
            shown |= new
            cells: dict[str, Cell] = {"step": line.n, **new}
            if self._of[0] is not None:
                cells["epoch"] = self._of[0]
            drawn += [Row(line.number, cells)] if new else []
        return [*kept[:at], *drawn, *kept[at:]]


class Unnamed:
    """Holds back metrics named only by their data set, such as CatBoost's `learn: 0.6 test: 0.9 best: 0.9 (3)`.

    The best value so far tells whether they are losses: if it rises, they are scores. Must see every point in order.
    """

    def __init__(self) -> None:
        self._waiting: list[Line] = []
        self._rises: bool | None = None

    def take(self, line: Line) -> list[Line]:
        """The points that can be kept now."""
        if line.best is None:
            return [*self.end(), line]
        self._waiting.append(line)
        if self._rises is None:
            first = self._waiting[0].best
            last = [value for name, value in line.cells.items() if not name.startswith("train")]
            if first is None or len(self._waiting) == 1 or (line.best == first and first in last):
                return []
            self._rises = line.best > first or (line.best == first and any(value < first for value in last))
        return self.end()

    def end(self) -> list[Line]:
        """The lines held back, named by what is known so far."""
        found, self._waiting = self._waiting, []
        for line in found if self._rises else ():
            line.cells = {
                f"{name.removesuffix('_loss')}_score" if name.endswith("_loss") else name: value
                for name, value in line.cells.items()
            }
        return found


_BARE: Final = re.compile(r"\s*\d+%\|")
"""A bar without a caption."""
_LEAST: Final = 3
"""Positions of a bar from which its states make a curve."""


def _is_again(one: Line, other: Line) -> bool:
    """True if two states of a bar are at the same position. A full bar on a line of its own is another bar."""
    if (one.n, one.total, one.epoch) != (other.n, other.total, other.epoch):
        return False
    return one.number == other.number or one.n is None or one.n != one.total or one.cells == other.cells


def _at_end(line: Line) -> bool:
    n, total = (line.epoch, line.epochs) if line.n is None else (line.n, line.total)
    return n == total and total != 1
