"""JSON lines: one object a line; also one JSON list of objects. Nested objects are joined by `/`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from monitor.errors import FileUnreadable
from monitor.importers.table import Cell, Row, Table


def read_jsonl(path: str, text: str) -> Table:
    """Read JSON lines.

    Args:
        path: the file as the user named it, for errors.
        text: its content; NaN, Infinity and -Infinity are taken as Python writes them.

    Raises:
        FileUnreadable: a line is no JSON object; the last one may be cut short.
    """
    text, torn = _whole_lines(text)
    rows = []
    names: dict[str, None] = {}
    for number, data in _objects(path, text):
        if not isinstance(data, Mapping):
            raise FileUnreadable(path, f"row {number}", f"must be a JSON object, got {type(data).__name__}")
        cells = dict(_flat(data))
        names.update(dict.fromkeys(cells))
        rows.append(Row(number, cells))
    if not rows:
        raise FileUnreadable(path, "", "holds no rows")
    return Table(path, tuple(names), tuple(rows), header=False, kind="jsonl", torn=torn)


def _whole_lines(text: str) -> tuple[str, int | None]:
    """The text without a last line that its writer did not end, and that line's number; None where all are whole."""
    if text.endswith("\n") or "\n" not in text or text.lstrip().startswith("["):
        return text, None
    before, last = text.rsplit("\n", 1)
    if not before.strip() or not last.lstrip().startswith("{"):
        return text, None
    try:
        json.loads(last)
    except ValueError:
        return before, before.count("\n") + 2
    except RecursionError:
        pass
    return text, None


def _objects(path: str, text: str) -> Iterator[tuple[int, object]]:
    if text.lstrip().startswith("["):
        try:
            yield from enumerate(json.loads(text), 1)
        except ValueError as error:
            raise FileUnreadable(path, "", f"is no JSON: {error}") from None
        return
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FileUnreadable(path, f"row {number}", f"is no JSON: {error}") from None


def _flat(data: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, Cell]]:
    for name, value in data.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{key}/")
        elif value is None or isinstance(value, str | int | float):
            yield key, value
