"""Handles metrics named only by their data set, such as CatBoost's `learn: 0.6 test: 0.9 best: 0.9 (3)`.

The best value so far tells whether they are losses: if it rises, they are scores.
"""

from __future__ import annotations

from monitor.importers.text_positions import Line

Waiting = tuple[Line, str, int]
"""A line, its text and its number."""


class Unnamed:
    """Holds such lines back until the best value has changed. Must see every point in order."""

    def __init__(self) -> None:
        self._waiting: list[Waiting] = []
        self._rises: bool | None = None

    def take(self, line: Line, text: str, number: int) -> list[Waiting]:
        """The points that can be kept now."""
        if line.best is None:
            return [*self.end(), (line, text, number)]
        if self._rises is None:
            first = self._waiting[0][0].best if self._waiting else None
            self._waiting.append((line, text, number))
            last = [value for name, value in line.cells.items() if not name.startswith("train")]
            if first is None or (line.best == first and first in last):
                return []
            self._rises = line.best > first or (line.best == first and any(value < first for value in last))
            return self.end()
        return [(self._named(line), text, number)]

    def end(self) -> list[Waiting]:
        """The lines held back, named by what is known so far."""
        found, self._waiting = self._waiting, []
        return [(self._named(line), text, number) for line, text, number in found]

    def _named(self, line: Line) -> Line:
        if self._rises:
            line.cells = {
                f"{name.removesuffix('_loss')}_score" if name.endswith("_loss") else name: value
                for name, value in line.cells.items()
            }
        return line
