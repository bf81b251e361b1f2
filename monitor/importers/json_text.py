"""Reads JSON values from text: one document, one value per line, several in a row, or a truncated one."""

from __future__ import annotations

import json
import re
from typing import Final

from monitor.errors import FileUnreadable
from monitor.importers.table import TORN, Skipped

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|["\[\]{},]', re.DOTALL)
"""A whole string, or a bracket or comma. A lone quote starts a string that does not end."""
_BETWEEN: Final = re.compile(r"[\s,]*")
_CLOSERS: Final = {"[": "]", "{": "}"}
Values = list[tuple[int, object]]
"""Values, each with its line number, from 1."""


def read_values(path: str, text: str) -> tuple[Values, list[Skipped]]:
    """The values of a text that starts as JSON, and what of it is broken.

    Args:
        text: its content; NaN, Infinity and -Infinity are accepted as Python writes them.

    Raises:
        FileUnreadable: it is not JSON, or most of its lines are not.
    """
    try:
        return [(1, json.loads(text))], []
    except (ValueError, RecursionError) as error:
        problem = _problem(error)
    if _is_json(next(line for line in text.splitlines() if line.strip())):
        return _by_line(path, text)
    values, rest = _behind_one_another(text)
    if not rest.strip():
        return values, []
    line = text[: len(text) - len(rest)].count("\n") + 1
    mended = _mended(rest)
    if mended is None or (not values and mended in ([], {})):
        short = " that is cut short before its first item ends" if mended is not None else ""
        raise FileUnreadable(path, "", f"is JSON{short}" if short else f"is not JSON: {problem}")
    if values:  # several objects in a row: only the last is incomplete
        return values, [Skipped(place=f"row {line}", reason=TORN, broken=True)]
    place = f"item {len(mended) + 1}" if isinstance(mended, list) else f"row {text.rstrip().count(chr(10)) + 1}"
    return [(1, mended)], [Skipped(place=place, reason=TORN, broken=True)]


def _by_line(path: str, text: str) -> tuple[Values, list[Skipped]]:
    values: Values = []
    broken: list[Skipped] = []
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    for number, line in lines:
        try:
            values.append((number, json.loads(line)))
        except (ValueError, RecursionError) as error:
            torn = number == lines[-1][0] and not text.endswith("\n")
            reason = TORN if torn else f"is not JSON: {_problem(error)}"
            broken.append(Skipped(place=f"row {number}", reason=reason, broken=True))
    if len(broken) > len(values):
        raise FileUnreadable(path, broken[0].place, broken[0].reason)
    return values, broken


def _behind_one_another(text: str) -> tuple[Values, str]:
    """The complete values at the start of a text, and the rest."""
    decoder, values, at = json.JSONDecoder(), Values(), 0
    while True:
        between = _BETWEEN.match(text, at)
        at = between.end() if between else at
        if at >= len(text):
            return values, ""
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return values, text[at:]
        values.append((text.count("\n", 0, at) + 1, value))
        at = end


def _mended(text: str) -> list[object] | dict[str, object] | None:
    """The complete part of truncated JSON: the outermost open list without its last item; None if it is broken.

    >>> _mended('{"log": [{"a": 1}, {"a": 2}, {"a'), _mended('{"loss": [1, 2], "val": [3, 4.'), _mended('{"a": x}')
    ({'log': [{'a': 1}, {'a': 2}]}, {'loss': [1, 2], 'val': [3]}, None)
    """
    open_at: list[tuple[str, int]] = []
    commas: list[int] = []  # the last comma of each open bracket
    for found in _TOKEN.finditer(text):
        token = found[0]
        if token == '"':
            break
        if token in _CLOSERS:
            open_at.append((token, found.end()))
            commas.append(-1)
        elif token in ("]", "}"):
            if not open_at:
                return None
            open_at.pop()
            commas.pop()
        elif token == "," and commas:
            commas[-1] = found.start()
    if not open_at:
        return None
    depth = next((i for i, (token, _) in enumerate(open_at) if token == "["), 0)
    cut = commas[depth] if commas[depth] >= 0 else open_at[depth][1]
    ends = "".join(_CLOSERS[token] for token, _ in reversed(open_at))
    without_last = text[:cut] + ends[len(open_at) - depth - 1 :]
    ended = text.rstrip().endswith(("}", "]", '"'))  # a number may have more digits
    for whole in (text + ends, without_last) if ended else (without_last,):
        try:
            data: list[object] | dict[str, object] = json.loads(whole)
        except (ValueError, RecursionError):
            continue
        return data
    return None


def _is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict | list)
    except (ValueError, RecursionError):
        return False


def _problem(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
