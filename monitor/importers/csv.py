"""CSV with a header row, separated by commas, semicolons or tabs."""

from __future__ import annotations

import csv
import io
from typing import Final

from monitor.errors import FileUnreadable
from monitor.importers.table import Row, Table

_SEPARATORS: Final = (",", ";", "\t", "|")


def read_csv(path: str, text: str) -> Table:
    """Read CSV.

    Args:
        path: the file as the user named it, for errors.
        text: its content.

    Raises:
        FileUnreadable: the header is missing or names a column twice, or a row has another number of cells.
    """
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")), None)
    if start is None:
        raise FileUnreadable(path, "", "holds nothing but comments")
    separator = max(_SEPARATORS, key=lines[start].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
    names: tuple[str, ...] | None = None
    rows: list[Row] = []
    line, torn = 0, None
    try:
        for cells in reader:
            begun, line = line + 1, reader.line_num
            if not cells or all(not cell.strip() for cell in cells) or cells[0].startswith("#"):
                continue
            if names is None:
                names = _header(path, begun, cells)
                continue
            if len(cells) > len(names) and any(cell.strip() for cell in cells[len(names) :]):
                raise FileUnreadable(path, f"row {begun}", f"has {len(cells)} cells, the header has {len(names)}")
            if len(cells) < len(names):
                if rows and reader.line_num == len(lines) and not text.endswith("\n"):
                    torn = begun
                    break
                raise FileUnreadable(path, f"row {begun}", f"has {len(cells)} cells, the header has {len(names)}")
            rows.append(Row(begun, dict(zip(names, cells, strict=False))))
    except csv.Error as error:
        raise FileUnreadable(path, f"row {reader.line_num}", str(error)) from None
    if names is None or not rows:
        raise FileUnreadable(path, "", "has a header but no rows")
    return Table(path, names, tuple(rows), torn=torn)


def _header(path: str, row: int, cells: list[str]) -> tuple[str, ...]:
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    names = [name or f"column {i + 1}" for i, name in enumerate(names)]
    if all(_is_number(name) for name in names):
        raise FileUnreadable(path, f"row {row}", "must name the columns, such as step,train_loss,val_loss")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise FileUnreadable(path, f"row {row}", f"names the column {twice[0]!r:.60} twice")
    return tuple(names)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
