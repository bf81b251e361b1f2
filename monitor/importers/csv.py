"""Reads tables in text: a header row, and cells separated by commas, semicolons, tabs, bars or white space."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import PurePath
from typing import Final

from monitor.errors import FileUnreadable, NoHistory
from monitor.importers.table import INDEX, TORN, Row, Skipped, Table
from monitor.importers.text_numbers import GROUPS

_SEPARATORS: Final = (",", ";", "\t", "|")
_WORD: Final = re.compile(r"\S+")
_TOP: Final = re.compile(r"\A(?:[ \t]*(?:#.*)?\r?\n)*")
"""Comments above the header."""
_EXCEL: Final = re.compile(r"\Asep=.\r?\n")
"""The line that tells Excel the separator."""
_MOST: Final = 20
"""Rows with the same fault that are listed one by one, at most."""
_INDEX: Final = frozenset({"", "unnamed: 0", "index"})
"""Headers of a data frame's index in CSV: empty, or what pandas makes of an empty header."""


class _Reader:
    """Collects a table's rows; notes those that do not fit."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.header: tuple[str, ...] = ()
        self.names: dict[str, None] = {}
        self.rows: list[Row] = []
        self.notes: list[Skipped] = []
        self._first: list[str] = []

    def take(self, line: int, cells: list[str], *, torn: bool) -> None:
        """Add a row.

        Args:
            line: the line on which it starts.
            torn: True for the last row if the file does not end with a line break.
        """
        if not self.header:
            self._begin(line, cells)
            return
        if not self.rows and self._goes_on(cells):
            self.names.clear()
            self.notes.clear()
            self._begin(line, [" ".join(filter(None, pair)) for pair in zip_longest(self._first, cells, fillvalue="")])
            return
        if self._is_header(cells):
            self.notes.append(Skipped(place=f"row {line}", reason="repeats the header"))
            self._begin(line, cells)
            return
        many = len(self.header)
        if len(cells) < many and torn and self.rows:
            self.notes.append(Skipped(place=f"row {line}", reason=TORN, broken=True))
        elif len(cells) < many or any(cell.strip() for cell in cells[many:]):
            reason = f"has {len(cells)} cells, the header has {many}"
            self.notes.append(Skipped(place=f"row {line}", reason=reason, broken=True))
        else:
            self.rows.append(Row(line, dict(zip(self.header, cells, strict=False))))

    def _begin(self, line: int, cells: list[str]) -> None:
        names = [cell.strip() for cell in cells]
        self._first = names.copy()
        while names and not names[-1]:
            names.pop()
        if len(names) == 1 and is_numeral(names[0]):  # a single number per line: the file's name is the series
            self.header = (PurePath(self.path).stem,)
            self.rows.append(Row(line, {self.header[0]: names[0]}))
        elif all(map(is_numeral, names)):
            raise NoHistory(
                self.path, "must name the columns, such as step,train_loss,val_loss, not hold numbers", f"row {line}"
            )
        else:
            self.header = self._unique(line, names)
        self.names.update(dict.fromkeys(self.header))

    def _goes_on(self, cells: list[str]) -> bool:
        """True if a row is the second line of a two-line header, whose first line has names for several columns."""
        names = [cell.strip() for cell in cells]
        known = [name for name in self._first if name]
        return len(set(known)) < len(known) and any(names) and not any(map(is_numeral, names)) and names != self._first

    def _unique(self, line: int, names: list[str]) -> tuple[str, ...]:
        found, known = list[str](), set[str]()
        times = Counter[str]()
        for i, name in enumerate(names):
            own = INDEX if i == 0 and name.lower() in _INDEX else name or f"column {i + 1}"
            if own in known:
                own = f"{name}.{times[name]}"
                reason = f"names the column {name!r:.60} twice; this one is {own!r:.60}"
                self.notes.append(Skipped(place=f"row {line}", reason=reason))
            times[name] += 1
            found.append(own)
            known.add(own)
        return tuple(found)

    def _is_header(self, cells: list[str]) -> bool:
        """True if a row repeats the header: most of its names are known and none is a number."""
        names = [cell.strip() for cell in cells if cell.strip()]
        known = sum(name in self.header for name in names)
        return 2 * known > len(names) and not any(map(is_numeral, names))


def read_csv(path: str, text: str) -> Table:
    """Read a table.

    Raises:
        FileUnreadable: it has no header or no rows, or most rows have a different number of cells than the header.
    """
    text = _EXCEL.sub("\n", text)
    lines = text.splitlines()
    at = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")), None)
    if at is None:
        raise NoHistory(path, "holds nothing but comments")
    named = next((i for i in range(at - 1, -1, -1) if _heads(lines[i], lines[at])), None)
    if named is not None:  # other comments may stand between the names and the numbers
        lines[named] = lines[named].lstrip("# ")
        at, text = named, "\n".join(lines) + "\n"
    start = lines[at]
    table, ended = _Reader(path), text.endswith(("\n", "\r"))
    try:
        for begun, line, cells in _cells(text, lines, start):
            if any(cell.strip() for cell in cells) and not cells[0].startswith("#"):
                table.take(begun, cells, torn=line == len(lines) and not ended)
    except csv.Error as error:
        raise FileUnreadable(path, f"row {_row_of(error)}", str(error.args[0])) from None
    broken = [note for note in table.notes if note.broken and note.reason != TORN]
    if len(broken) > len(table.rows):
        raise FileUnreadable(path, broken[0].place, broken[0].reason)
    if not table.rows:
        raise NoHistory(path, "has a header but no rows")
    return Table(
        path=path, names=tuple(table.names), rows=tuple(table.rows), header=True, config=_comments(lines),
        notes=_few(table.notes),
    )  # fmt: skip


def _few(notes: list[Skipped]) -> tuple[Skipped, ...]:
    """The first notes of each reason; the rest is counted in one note."""
    many = Counter(note.reason for note in notes)
    seen: Counter[str] = Counter()
    kept = []
    for note in notes:
        seen[note.reason] += 1
        left = many[note.reason] - _MOST
        if seen[note.reason] <= _MOST:
            kept.append(note)
        elif seen[note.reason] == _MOST + 1:
            kept.append(Skipped(place=f"{left} more rows", reason=note.reason, broken=note.broken))
    return tuple(kept)


def _cells(text: str, lines: list[str], start: str) -> Iterator[tuple[int, int, list[str]]]:
    """The first and last line of each row, and its cells."""
    separator = max(_SEPARATORS, key=start.count)
    if separator not in start and len(start.split()) > 1:
        spans = [word.span() for word in _WORD.finditer(start)]
        whole = len(lines) if text.endswith(("\n", "\r")) else len(lines) - 1
        for number, words in enumerate(lines, 1):
            rule = set(words) <= set("-=+_ \t")  # the rule below the header of a printed table
            yield number, number, [""] if rule else _below(words, spans) if number <= whole else words.split()
        return
    if separator == "|":  # a Markdown table has outer bars, and dashes below the header
        rows = (line for line in lines if set(line) - set("|-: \t"))
        text = "\n".join(line.strip().strip("|") for line in rows)
    text = _TOP.sub(lambda found: "\n" * found[0].count("\n"), text)  # comments may contain quotes that are not cells
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
    line, quoted = 0, separator == "," and '"' in text  # with commas as separators, numbers have no decimal commas
    try:
        for cells in reader:
            begun, line = line + 1, reader.line_num
            yield begun, line, (list(map(_without_groups, cells)) if quoted else cells) or [""]
    except csv.Error as error:
        raise csv.Error(str(error), reader.line_num) from None


def _below(line: str, spans: list[tuple[int, int]]) -> list[str]:
    """The cells of a row between blanks; if there are too few, each belongs to the column that it stands below."""
    words = line.split()
    if len(words) >= len(spans):
        return words
    cells, last = [""] * len(spans), -1
    for word in _WORD.finditer(line):
        shared = [min(word.end(), end) - max(word.start(), begin) for begin, end in spans]
        at = shared.index(max(shared))
        if shared[at] <= 0 or at <= last:
            return words
        cells[at], last = word[0], at
    return cells


def _without_groups(cell: str) -> str:
    return cell.replace(",", "") if GROUPS.fullmatch(cell) else cell


def _heads(comment: str, row: str) -> bool:
    """True if a comment has the column names for the numbers below it, as from `numpy.savetxt(header=...)`."""
    separator = next((each for each in _SEPARATORS if each in row), None)
    numbers, names = row.split(separator), comment.lstrip("# ").split(separator)
    return len(names) == len(numbers) and all(map(is_numeral, numbers)) and not any(map(is_numeral, names))


def _row_of(error: csv.Error) -> int:
    return int(error.args[1]) if len(error.args) > 1 else 1


def _comments(lines: list[str]) -> dict[str, object]:
    """Parameters in a comment on the first line: Stable-Baselines writes a JSON object there."""
    if not lines or not lines[0].startswith("#"):
        return {}
    try:
        found: object = json.loads(lines[0].lstrip("# "))
    except (ValueError, RecursionError):
        return {}
    return {str(name): value for name, value in found.items()} if isinstance(found, dict) else {}


def is_numeral(text: str) -> bool:
    """True if Python reads a text as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
