"""Reads a training's text log as the rows of a table.

The parser goes through the log once and never changes rows it has read, so that a growing log can be followed. A
progress bar that is redrawn counts once, with its last state. A line with only a position moves the position for the
lines after it.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Final

from monitor.errors import FileUnreadable
from monitor.importers.table import Cell, Row, Table
from monitor.importers.text_headings import Echo, Headings, bare, begins
from monitor.importers.text_lines import ANSI, move, read_line
from monitor.importers.text_parts import Part, announced, named
from monitor.importers.text_place import Place
from monitor.importers.text_positions import Line
from monitor.importers.text_ranks import TextRanks
from monitor.importers.text_rows import ASIDE, COUNTED, SEEN, Understood, table_of
from monitor.importers.text_tables import Tables
from monitor.importers.text_waiting import NextBar, OnlyEpoch, ThroughBars, Unnamed
from monitor.languages import english

_MOST: Final = 5_000
"""Characters of a line that are read."""
_LONGEST: Final = 1 << 24
"""Characters of an unfinished line that wait for its end."""
_STATES: Final = re.compile(
    r"\r+|[\b]+|(?<=it/s\])(?=\S)(?! ?[{\[])|(?<=s/it\])(?=\S)(?! ?[{\[])|"
    r"(?<=\])(?=\[?(?:\d{4}-\d\d-\d\d|\d\d/\d\d/\d{4})[ T]\d\d:\d\d)"
)
"""Separates the states of a line, and a bar from a logger's output after it."""
_NUMBERS: Final = re.compile(r"[\d.]+")
_LIKELY: Final = re.compile(r"\d|nan|inf", re.IGNORECASE)
_ABOUT: Final = re.compile(r"loss|acc|ppl|perplexity|error|reward|objective", re.IGNORECASE)
_LEFT_OUT: Final = re.compile(r"train_runtime|\bbest\b|\bimprove[ds]?\b", re.IGNORECASE)
"""Words of lines that repeat earlier values."""
_BEST_FOLLOWS: Final = re.compile(r"\bbest\b[^\d]*:\s*$", re.IGNORECASE)
_BEST_FIRST: Final = re.compile(r"\W*(?:the )?best\b", re.IGNORECASE)
"""The start of a line that repeats the best value so far: `best metric, acc: 0.9, hmean: 0.8`."""
_NOTHING: Final = (None, None, math.inf, "")


class LogParser:
    """Reads a log piece by piece.

    Args:
        pattern: a regular expression with named groups, used instead of the known formats: `step`, `epoch` and `time`
            give the position, every other group is a series.

    Attributes:
        totals: the numbers of steps and epochs that the lines mention.
        rows: the rows read so far; the columns `step`, `epoch` and `timestamp` are their positions.
        understood: which lines were read.
    """

    def __init__(self, pattern: re.Pattern[str] | None = None) -> None:
        self.rows: list[Row] = []
        self.understood = Understood()
        self.totals: dict[str, object] = {}
        self._pattern = pattern
        self._tables = Tables()
        self._tail: list[str] = []
        self._number, self._waiting, self._written = 0, 0, ""
        self._bar: Line | None = None
        self._done: tuple[_Bar, set[str]] | None = None
        self._held: dict[_Bar, Line] = {}
        self._shown: dict[str, float] = {}
        self._through, self._epochs = ThroughBars(self._point), ThroughBars(self._point)
        self._only, self._next = OnlyEpoch(), NextBar(self._point)
        self._part: Part | None = None
        self._places: dict[Part | None, Place] = {}
        self._place = self._places.setdefault(None, Place())
        self._headings, self._echo, self._unnamed = Headings(), Echo(), Unnamed()
        self._ranks = TextRanks()
        self._best_follows = False
        self._after: str | None = None
        self._again = 0
        self._last: dict[tuple[Part | None, str], tuple[int | None, float | None, float, str]] = {}

    def feed(self, text: str) -> None:
        """Add text; an unfinished last line waits for the rest."""
        whole, found, tail = text.rpartition("\n")
        if found or self._waiting + len(text) > _LONGEST:
            lines = "".join([*self._tail, whole if found else text]).split("\n")
            self._tail, self._waiting, text = [], 0, tail if found else ""
            for line in lines:
                self._physical(line)
        if text:
            self._tail.append(text)  # joined only once: a bar may be redrawn for hours before its line ends
            self._waiting += len(text)

    def close(self) -> None:
        """Finish: nothing more will come."""
        if self._tail:
            self._physical("".join(self._tail))
            self._tail, self._waiting = [], 0
        self._next.settle("")
        self._epochs.settle()
        for line in self._unnamed.end():
            self._add(line)
        self._flush()
        self._release()
        if self.understood.lines == len(self.rows):  # no row was taken yet, as `monitor run` does
            self.rows = self._only.rows(self.rows)
            self.understood.lines = len(self.rows)

    def _physical(self, text: str) -> None:
        """Read a line with all states that overwrite each other on a terminal."""
        self._number += 1
        before = len(self.rows)
        drawn = "\r" in text or "\b" in text or ("|" in text and "]" in text)
        states = [state for state in (_STATES.split(text) if drawn else [text]) if state.strip()]
        for state in states:
            self._state(ANSI.sub("", state)[:_MOST])
        if states:
            self._best_follows = _BEST_FOLLOWS.search(states[-1]) is not None
        if self._bar is not None and (self._bar.n or 0) >= (self._bar.total or 0):
            self._flush(drawn=True)
        if states and len(self.rows) == before and self._bar is None:
            self.understood.ignored += 1
            last = ANSI.sub("", states[-1])
            if (
                self.understood.missed is None
                and self._again != self._number
                and _ABOUT.search(last)
                and not _LEFT_OUT.search(last)
                and re.search(r"\d\.\d", last)
            ):
                self.understood.missed = self._number, last.strip()[:160]

    def _state(self, text: str) -> None:
        self._next.settle(text)
        if self._pattern is not None:
            self._matched(self._pattern.search(text), text)
            return
        self._written, text = text, english(text)
        if not self._echo.take(text) and not self._of_table(text):
            self._line(text)

    def _of_table(self, text: str) -> bool:
        """True if a line is part of a table."""
        taken, row = self._tables.take(text)
        if row is not None:
            row.text, row.number = text, self._number
            if row.bar:
                self._draw(row)
            else:
                self._flush()
                self._add(row)
        return taken

    def _line(self, text: str) -> None:
        if not _LIKELY.search(text):
            self._headings.take(text, self._place.at)
            return
        line = read_line(text)
        line.text, line.number = text, self._number
        part = named(text) if line.counts else announced(text)
        if part is not None:
            self._enter(part, line)
        if line.counts and (
            (line.firm and self._best_follows) or ("est" in text.lower() and _BEST_FIRST.match(bare(text)))
        ):
            return  # after `Early stopping, best iteration is:` the best is repeated
        if line.counts and (which := self._headings.set_of(line)) is not None:
            move(line, which)
            if line.steps is not None:  # the batches of the evaluation, not of the training
                line.step = line.steps = None
        if line.counts and self._ranks.take(line, text, self._place.epoch):
            self.understood.again += 1
            self._again = self._number
            return
        if not line.counts or not (line.firm or self._place.known):
            self._next.take(line, text)
            if self._place.epoch is None:
                self._through.begin(line)
            self._header(line, text)
        else:
            self._take(line)

    def _take(self, line: Line) -> None:
        """Take a line with metrics: a state of a bar, or a point."""
        self._again = self._number  # what is held back counts as understood
        if self._next.has(line):
            self._next.hold(line)
        elif line.n is not None and (line.held_out or (line.bar and self._in_epochs(line))):
            if self._through.has(line):
                self._through.take(line)
            else:
                self._draw(line)
        elif line.bar and line.n is None and line.epoch is not None:
            if self._epochs.take(line):  # other bars drawn in between do not end it
                self._place.enter(line)
        elif line.bar and line.n is not None and line.epoch is line.step is None:
            self._through.take(line)
        else:
            self._point(line)

    def _point(self, line: Line) -> None:
        """Take a line that is a point by itself."""
        self._flush()
        self._done = None
        if self._after is not None and line.of is None and not line.placed:  # the summary of the bar before it
            line.cells = {f"{self._after}_{name}": value for name, value in line.cells.items()}
            line.held_out = True
        self._after = None
        for each in self._unnamed.take(line):
            self._add(each)

    def _enter(self, part: Part, line: Line) -> None:
        """Switch to the fold, seed or trial of a line; each has its own position."""
        line.cells.pop(part[0], None)
        if part == self._part:
            return
        for each in self._unnamed.end():
            self._add(each)
        self._flush()
        self._done = self._after = None
        self._part = part
        self._place = self._places.setdefault(part, Place())

    def _in_epochs(self, line: Line) -> bool:
        return line.epoch is not None or self._place.epoch is not None

    def _header(self, line: Line, text: str) -> None:
        """Take a line without metrics that may announce a data set, an epoch or a step."""
        if self._headings.take(text, self._place.at):
            line.step = line.n = None  # the progress of the evaluation
        elif not begins(line, text) or (line.step is None and line.epoch == self._place.epoch):
            return
        else:
            self._headings.end()
        self._flush()
        if line.epoch not in (None, self._place.epoch):
            self._release()
        self._place.enter(line)
        self._note_progress(line)

    def _draw(self, line: Line) -> None:
        """Replace the previous state of a bar."""
        self._through.settle()
        if self._bar is not None and not _same_bar(self._bar, line):
            self._flush()
        self._bar = line
        self._only.take(line, self._place.epoch)

    def _flush(self, *, drawn: bool = False) -> None:
        """Emit the last state of the bar.

        Args:
            drawn: True if the bar may be redrawn after the validation, as Lightning does. Values that have not changed
                since the last epoch are then held back.
        """
        self._through.settle()
        if self._bar is None:
            return
        line, self._bar = self._bar, None
        epoch = line.epoch if line.epoch is not None else self._place.epoch
        which = (epoch, line.total, line.held_out)
        before = self._done
        again = self._held.pop(which, None)
        if again is None and not line.held_out:
            self._release()
        # After the validation the same bar shows the training's values again: they are known.
        told = before[1] if before is not None and before[0] == which else set()
        if before is not None and line.epoch is None and _another(before[0], which) and before[1] & set(line.cells):
            line.cells = {f"test_{name}": value for name, value in line.cells.items()}  # an evaluation after the epoch
            line.held_out = True
        line.cells = {name: value for name, value in line.cells.items() if name not in told}
        line.n = line.total = None
        old = {name: value for name, value in line.cells.items() if drawn and self._shown.get(name) == value}
        if old:
            self._held[which] = replace(line, cells=old)
        line.cells = {name: value for name, value in line.cells.items() if name not in old}
        self._done = which, told | set(line.cells)
        self._shown.update(line.cells)
        self._after = line.of if line.held_out else None
        if line.cells:
            self._add(line)

    def _release(self) -> None:
        """Emit the values that were held back: they were really repeated."""
        held, self._held = self._held, {}
        for line in held.values():
            self._add(line)

    def _add(self, line: Line) -> None:
        self._note_progress(line)
        cells: dict[str, Cell] = {}
        step, epoch = self._place.of(line)
        if step is not None:
            cells["step" if self._place.known else COUNTED] = step
        if epoch is not None:
            cells["epoch"] = epoch
        if line.seen is not None:
            cells[SEEN] = line.seen
        if self._part is not None:
            cells[self._part[0]] = self._part[1]
        if line.time_ms:
            cells["timestamp"] = line.time_ms
        new = self._without_repeats(line, step, epoch)
        if new:
            self._keep({**cells, **new}, line.text, line.number)

    def _without_repeats(self, line: Line, step: int | None, epoch: float | None) -> dict[str, float]:
        """The new values of a line; values may be repeated, as in `saved the best (val_loss=0.41)`.

        Equal values on lines without a position are new, unless the words differ.
        """
        words, new = _NUMBERS.sub("", line.text), {}
        for name, value in line.cells.items():
            *at, before, said = self._last.get((self._part, name), _NOTHING)
            same = at == [step, epoch] and (value == before or (math.isnan(value) and math.isnan(before)))
            if not same or not self._place.known or (said == words and not line.placed):
                new[name] = value
        self._last.update({(self._part, name): (step, epoch, value, words) for name, value in new.items()})
        if not new:
            self._again = self._number
        return new

    def _keep(self, cells: dict[str, Cell], text: str, number: int) -> None:
        self.rows.append(Row(number, cells))
        self.understood.lines += 1
        self.understood.names.update(dict.fromkeys(name for name in cells if name not in ASIDE))
        if self.understood.first is None:
            own = self._written if number == self._number and self._written else text  # not its words in English
            self.understood.first = number, own.strip()[:160]

    def _matched(self, found: re.Match[str] | None, text: str) -> None:
        if found is None:
            return
        groups = {name: value for name, value in found.groupdict().items() if value is not None}
        cells: dict[str, Cell] = {("timestamp" if name == "time" else name): value for name, value in groups.items()}
        self._keep(cells, text, self._number)

    def _note_progress(self, line: Line) -> None:
        for name, of in (("steps", line.steps), ("epochs", line.epochs)):
            if of:
                self.totals[name] = of


_Bar = tuple[float | None, int | None, bool]
"""What identifies a bar: the epoch, the total, and whether it is about a held-out set."""


def _another(one: _Bar, other: _Bar) -> bool:
    """True for two bars of one epoch with different totals."""
    return one[0] == other[0] and one[0] is not None and one[1] != other[1] and not (one[2] or other[2])


def _same_bar(one: Line, other: Line) -> bool:
    same = (one.total, one.held_out, one.epoch) == (other.total, other.held_out, other.epoch)
    return same and (one.n or 0) <= (other.n or 0)


def read_log(path: str, text: str, pattern: str | None = None, *, growing: bool = False) -> Table:
    """Read a text log.

    Args:
        pattern: a regular expression with named groups, used instead of the known formats.
        growing: True if more will come: an unfinished bar is not read yet.
    """
    parser = LogParser(None if pattern is None else compiled(pattern))
    parser.feed(text)
    if not growing:
        parser.close()
    return table_of(path, parser.rows, parser.understood, parser.totals)


def compiled(pattern: str) -> re.Pattern[str]:
    """Compile the user's pattern.

    Raises:
        FileUnreadable: it is not a regular expression, or names no series.
    """
    try:
        found = re.compile(pattern)
    except re.error as error:
        raise FileUnreadable(
            "--pattern", f"character {error.pos}", f"is not a regular expression: {error.msg}"
        ) from None
    if not set(found.groupindex) - {"step", "epoch", "time"}:
        raise FileUnreadable("--pattern", "", r"names no series; write such as (?P<step>\d+) .* (?P<loss>[\d.]+)")
    return found
