"""Reads tables written by pandas' `DataFrame.to_json`, in every orient that names the columns.

Source: https://pandas.pydata.org/docs/reference/api/pandas.DataFrame.to_json.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from monitor.importers.names import counts
from monitor.importers.table import INDEX, Table, flat, is_cell, is_number, table_of_records

_SCHEMA: Final = "schema"
_NUMBERED: Final = re.compile(r"(\D*?[\W_]?)(\d{1,18})")


def read_frame(path: str, data: Mapping[object, object]) -> Table | None:
    """Read `orient` "columns", "index", "split" or "table"; None for anything else.

    The index is the step if no column counts and its labels are whole numbers, perhaps after a word: "epoch_3".
    """
    columns, index, rows = (data.get(part) for part in ("columns", "index", "data"))
    if isinstance(columns, list) and isinstance(rows, list) and "index" not in data:  # `index=False` omits it
        index = list(range(len(rows)))
    if isinstance(columns, list) and isinstance(index, list) and isinstance(rows, list):
        if len(index) != len(rows) or not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
            return None
        return _table(path, index, [dict(zip(map(str, columns), row, strict=True)) for row in rows])
    if _SCHEMA in data and isinstance(rows, list) and all(isinstance(row, Mapping) for row in rows):
        named = [{name: value for name, value in row.items() if name != "index"} for row in rows]
        return _table(path, [row.get("index") for row in rows], named)
    return _by_label(path, data)


def _by_label(path: str, data: Mapping[object, object]) -> Table | None:
    inner = [value for value in data.values() if isinstance(value, Mapping) and value]
    if not inner or len(inner) != len(data) or not any(is_number(cell) for row in inner for _, cell in flat(row)):
        return None  # without numbers, these are histories of several sets, such as validation_0 and validation_1
    if _numbers(list(data)) is not None:  # indexed by row, then by column
        return _table(path, list(data), inner)
    labels = list(inner[0])
    known = set(labels)
    if _numbers(labels) is None or not all(column.keys() <= known for column in inner):
        return None
    if not all(map(is_cell, inner[0].values())):
        return None
    return _table(
        path, labels, [{name: column.get(at) for name, column in zip(data, inner, strict=True)} for at in labels]
    )


def _table(path: str, index: Sequence[object], rows: Sequence[Mapping[object, object]]) -> Table | None:
    numbers = _numbers(index)
    if numbers is None or any(counts(str(name)) for row in rows for name in row):
        return table_of_records(path, list(enumerate(rows, 1)), "pandas")
    word = _word(index)
    own = word if counts(word) else INDEX
    return table_of_records(
        path, [(i, {own: at, **row}) for i, (at, row) in enumerate(zip(numbers, rows, strict=True), 1)], "pandas"
    )  # fmt: skip


def _numbers(labels: Sequence[object]) -> list[int] | None:
    """The numbers of an index that counts: 3, "3" or "epoch_3"; None if it does not."""
    found = [_NUMBERED.fullmatch(str(label)) if isinstance(label, str | int) else None for label in labels]
    whole = [match for match in found if match is not None]
    if len(whole) < len(found) or len({match[1] for match in whole}) > 1 or not all(m[0].isascii() for m in whole):
        return None
    return [int(match[2]) for match in whole]


def _word(labels: Sequence[object]) -> str:
    match = _NUMBERED.fullmatch(str(labels[0])) if labels else None
    return match[1].rstrip("_ -") if match else ""
