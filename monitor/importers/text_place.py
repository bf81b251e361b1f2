"""Tracks the position of a text log in the training."""

from __future__ import annotations

from typing import Final

from monitor.importers.text_positions import Line

_DONE: Final = 0.9
"""If a count restarts after this share of its total, the next epoch starts, not another training."""


class Place:
    """The position of a log: epochs as written, steps counted across epochs."""

    def __init__(self) -> None:
        self.epoch: float | None = None
        self._step: int | None = None
        self._raw: int | None = None
        self._raw_epoch: float | None = None
        self._offset = 0
        self._stride = 1
        self._length: int | None = None
        self._seen: dict[str, int] = {}
        self._evaluated = False

    @property
    def known(self) -> bool:
        """True once a line had a position."""
        return self.epoch is not None or self._step is not None

    @property
    def at(self) -> tuple[int | None, float | None]:
        """The last step as written, and the epoch."""
        return self._raw, self.epoch

    def enter(self, line: Line) -> None:
        """Move to the epoch or step that starts."""
        if line.epoch is not None:
            self.epoch = line.epoch
        if line.step is not None:
            self._step = self._counted(line.step, line.steps)

    def of(self, line: Line) -> tuple[int | None, float | None]:
        """The step and epoch of a point; a line without a position is at the last one."""
        if line.epoch is not None:
            self.epoch = line.epoch
        raw = line.step if line.step is not None else line.n
        if line.held_out and line.step is None:
            raw, self._evaluated = None, True
        if raw is not None:
            self._step = self._counted(raw, line.steps if line.step is not None else line.total)
        elif self._step is None and self.epoch is None:
            return self._nth(line), None
        return self._step, self.epoch

    def _counted(self, raw: int, total: int | None) -> int:
        """The step counted across epochs, for a count that restarts in each."""
        if self._raw is not None and raw <= self._raw and self._wrapped(raw, total):
            on = self._raw + self._stride - (raw if raw <= self._stride else 0)  # the next step, counting from 0 or 1
            self._offset += (self._length or on) if raw < self._raw or total else 0
        elif self._raw is not None and raw < self._raw and not self._straggles():
            self._offset = 0
        elif self._raw is not None and raw > self._raw:
            self._stride = raw - self._raw
        self._raw, self._raw_epoch, self._length, self._evaluated = raw, self.epoch, total, False
        return self._offset + raw

    def _wrapped(self, raw: int, total: int | None) -> bool:
        assert self._raw is not None
        if self.epoch is not None and self._raw_epoch is not None:
            return self.epoch > self._raw_epoch and (
                raw < self._raw or raw == total or (total is not None and int(self.epoch) > int(self._raw_epoch))
            )
        again = raw < self._raw or self._evaluated  # with one state per epoch, a bar is at its end each time
        return again and total is not None and total == self._length and self._raw >= _DONE * total

    def _straggles(self) -> bool:
        return self.epoch is not None and self._raw_epoch is not None and self.epoch == self._raw_epoch

    def _nth(self, line: Line) -> int:
        """The position of a line if nothing gives one: how often its series occurred before."""
        at = max((self._seen.get(name, 0) for name in line.cells), default=0)
        if line.held_out:  # an evaluation is at the training's current position
            at = max(at, *self._seen.values(), 1) - (at == 0 or max(self._seen.values()) > at)
        for name in line.cells:
            self._seen[name] = at + 1
        return at
