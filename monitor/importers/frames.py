"""Tables as pandas writes them with `DataFrame.to_json`, in each of its orients that names the columns.

Source: https://pandas.pydata.org/docs/reference/api/pandas.DataFrame.to_json.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from monitor.importers.table import COUNTS, Cell, Row, Table, is_cell, kind_of

_SCHEMA: Final = "schema"


def read_frame(path: str, data: Mapping[object, object]) -> Table | None:
    """Read `orient` "columns", "index", "split" or "table"; None where it is none of them.

    The index is the step where no column counts and its labels are whole numbers.
    """
    columns, index, rows = (data.get(part) for part in ("columns", "index", "data"))
    if isinstance(columns, list) and isinstance(index, list) and isinstance(rows, list):
        if len(index) != len(rows) or not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
            return None
        return _table(path, index, [dict(zip(map(str, columns), row, strict=True)) for row in rows])
    if _SCHEMA in data and isinstance(rows, list) and all(isinstance(row, Mapping) for row in rows):
        return _table(path, [row.get("index") for row in rows], [_named(row, "index") for row in rows])
    return _by_label(path, data)


def _by_label(path: str, data: Mapping[object, object]) -> Table | None:
    inner = [value for value in data.values() if isinstance(value, Mapping) and value]
    if not inner or len(inner) != len(data):
        return None
    if all(map(_is_whole, data)):  # by row, by column
        return _table(path, list(data), [_named(row) for row in inner])
    labels = list(inner[0])
    if all(map(_is_whole, labels)) and all(set(column) <= set(labels) for column in inner):
        return _table(
            path, labels, [{str(name): data[name].get(at) for name in data} for at in labels]  # type: ignore[attr-defined]  # `inner` says that all are mappings
        )  # fmt: skip
    return None


def _table(path: str, index: Sequence[object], rows: Sequence[Mapping[str, object]]) -> Table | None:
    names = dict.fromkeys(name for row in rows for name in row)
    left_out = {name: f"holds {kind_of(cell)}s" for row in rows for name, cell in row.items() if not is_cell(cell)}
    if not names or set(names) == set(left_out):
        return None
    counted = any(name.strip().lower() in COUNTS for name in names)
    own: tuple[str, ...] = () if counted or not all(map(_is_whole, index)) else ("step",)
    found = []
    for i, (label, row) in enumerate(zip(index, rows, strict=True), 1):
        cells: dict[str, Cell] = {name: cell for name, cell in row.items() if is_cell(cell)}
        found.append(Row(i, {"step": str(label), **cells} if own else cells))
    return Table(path, (*own, *names), tuple(found), header=False, kind="pandas", left_out=left_out)


def _named(row: Mapping[object, object], *without: str) -> dict[str, object]:
    return {str(name): value for name, value in row.items() if name not in without}


def _is_whole(label: object) -> bool:
    """True for the label of an index that counts: 3, or "3"."""
    text = str(label)
    return isinstance(label, str | int) and text.isascii() and text.isdigit() and len(text) < 19
