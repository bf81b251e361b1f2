"""JSON lines: one object a line; also one JSON list of objects. Nested objects are joined by `/`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from monitor.errors import FileUnreadable
from monitor.importers.table import Cell, Row, Table, is_cell, kind_of

_TORN_WORD: Final = re.compile(r"[\w.+\-]*\s*")
"""What may follow the place at which a decoder gave up where the text just ends: the begin of a number or a word."""
_BETWEEN: Final = re.compile(r"[\s,]*")


def read_jsonl(path: str, text: str) -> Table:
    """Read JSON lines.

    Args:
        path: the file as the user named it, for errors.
        text: its content; NaN, Infinity and -Infinity are taken as Python writes them.

    Raises:
        FileUnreadable: a line is no JSON object; the last one may be cut short.
    """
    if text.lstrip().startswith("["):
        found, torn = _whole_list(path, text)
    else:
        whole, torn = _whole_lines(text)
        found = list(_lines(path, whole))
    rows = []
    names: dict[str, None] = {}
    left_out: dict[str, str] = {}
    for number, data in found:
        if not isinstance(data, Mapping):
            raise FileUnreadable(path, f"row {number}", f"must be a JSON object, got {kind_of(data)}")
        cells: dict[str, Cell] = {}
        for name, value in _flat(data):
            if is_cell(value):
                cells[name] = value
            else:
                left_out[name] = f"holds {kind_of(value)}s"
        names.update(dict.fromkeys(cells))
        rows.append(Row(number, cells))
    if not rows:
        raise FileUnreadable(path, "", "holds no rows")
    return Table(path, tuple(names), tuple(rows), header=False, kind="jsonl", torn=torn, left_out=left_out)


def _whole_lines(text: str) -> tuple[str, int | None]:
    """The text without a last line that its writer did not end, and that line's number; None where all are whole."""
    if text.endswith("\n") or "\n" not in text:
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


def _lines(path: str, text: str) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise FileUnreadable(path, f"row {number}", f"is no JSON: {_problem(error)}") from None


def _whole_list(path: str, text: str) -> tuple[list[tuple[int, object]], int | None]:
    """The items of a JSON list, and the number of the one at which its writer was killed; None where the list ends."""
    try:
        return list(enumerate(json.loads(text), 1)), None
    except (ValueError, RecursionError):
        pass
    decoder, items, at = json.JSONDecoder(), list[object](), text.index("[") + 1
    while True:
        between = _BETWEEN.match(text, at)
        at = between.end() if between else at
        if at >= len(text):
            break
        try:
            item, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            if error.msg.startswith("Unterminated string") or _TORN_WORD.fullmatch(text, error.pos):
                break
            raise FileUnreadable(path, f"item {len(items) + 1}", f"is no JSON: {error}") from None
        except (ValueError, RecursionError) as error:
            raise FileUnreadable(path, f"item {len(items) + 1}", f"is no JSON: {_problem(error)}") from None
        items.append(item)
    if not items:
        raise FileUnreadable(path, "", "is a JSON list that is cut short before its first item ends")
    return list(enumerate(items, 1)), len(items) + 1


def _problem(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _flat(data: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Names and values in their order; an object's are joined to its name, however deep."""
    waiting = [("", data.items().__iter__())]
    while waiting:
        prefix, items = waiting[-1]
        for name, value in items:
            if isinstance(value, Mapping):
                waiting.append((f"{prefix}{name}/", iter(value.items())))
                break
            yield f"{prefix}{name}", value
        else:
            waiting.pop()
