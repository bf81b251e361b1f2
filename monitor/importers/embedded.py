"""Reads logs with a JSON object at the end of each line: fairseq's `json`, MLPerf's MLLOG, NVIDIA's DLLogger.

Source: fairseq/logging/progress_bar.py; mlperf_logging/mllog/mllog.py; dllogger/logger.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from monitor.importers.table import Table, is_number, table_of_records
from monitor.roles import Role, role_of_set

_LINE: Final = re.compile(r"(?P<words>[^{\n]*[^\s{])\s*(?P<json>\{.*\})\s*")
_LAST: Final = re.compile(r"(\w+)\W*$")
_LEAST: Final = 3
"""Lines of this kind that identify such a log."""
_SPLIT: Final = "split"


def read_embedded(path: str, text: str) -> Table | None:
    """Read the objects; None if fewer lines end in one than do not, or none has a number.

    If the words before an object name a data set, and two sets have metrics of the same name, the set becomes a column.
    """
    found: list[tuple[int, str, dict[str, object]]] = []
    others = 0
    for number, line in enumerate(text.splitlines(), 1):
        data = _object(line)
        if data is not None:
            found.append((number, *data))
        else:
            others += bool(line.strip())
        if others > len(found) + 100:
            return None
    if len(found) < _LEAST or others > len(found):
        return None
    split = _is_split([(which, data) for _, which, data in found])
    return table_of_records(
        path, [(number, {_SPLIT: which, **data} if split and which else data) for number, which, data in found], "jsonl"
    )


def _object(line: str) -> tuple[str, dict[str, object]] | None:
    """The data set named before a line's object ("" if none), and the object."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    try:
        data: object = json.loads(match["json"])
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    last = _LAST.search(match["words"])
    which = last[1] if last and role_of_set(last[1]) is not None else ""
    return which, _spread(data)


def _spread(data: Mapping[str, object]) -> dict[str, object]:
    """Flatten a DLLogger object: its step is a list of epoch, iteration and so on."""
    step, values = data.get("step"), data.get("data")
    if not isinstance(values, dict):
        return dict(data)
    counts: dict[str, object] = {}
    if isinstance(step, list) and step and all(map(is_number, step)):
        counts = {"step": step[-1]} if len(step) == 1 else {"epoch": step[0], "iteration": step[-1]}
    return {**{name: value for name, value in data.items() if name not in ("data", "step", "type")}, **counts, **values}


def _is_split(rows: Sequence[tuple[str, Mapping[str, object]]]) -> bool:
    """True if rows of training and of validation use the same names."""
    names: dict[Role, set[str]] = {Role.TRAIN: set(), Role.VAL: set()}
    for which, data in rows:
        role = role_of_set(which) if which else None
        if role in names:
            names[role] |= {name for name in data if "loss" in name.lower() or "acc" in name.lower()}
    return bool(names[Role.TRAIN] & names[Role.VAL])
