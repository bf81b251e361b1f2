"""JSON documents that hold a whole training: Keras histories, Hugging Face `trainer_state.json` and the like.

A JSON list of objects, and one object a line, are read by `jsonl`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from monitor.errors import FileUnreadable, NoHistory
from monitor.importers.curves_by_tag import read_sacred, read_scalars
from monitor.importers.frames import read_frame
from monitor.importers.jsonl import read_jsonl
from monitor.importers.table import Cell, Row, Table, is_cell, kind_of
from monitor.roles import Role, role_of

_SUMMARY: Final = "train_runtime"
"""Only the last entry of a trainer's log has it; its `train_loss` is a mean over the training, not a point."""
_SETTINGS: Final = (
    "best_metric", "best_model_checkpoint", "eval_steps", "global_step", "logging_steps", "max_steps",
    "num_train_epochs", "save_steps", "total_flos", "train_batch_size",
)  # fmt: skip


def read_json(path: str, text: str) -> Table:
    """Read a text that begins as JSON does, by what it holds.

    Args:
        path: the file as the user named it, for errors.
        text: its content.

    Raises:
        NoHistory: it is whole JSON, but no history of a training.
        FileUnreadable: it is no JSON, or its parts do not fit.
    """
    try:
        whole: object = json.loads(text)
    except (ValueError, RecursionError):
        return read_jsonl(path, text)  # one object a line, cut short, or broken; its reader says where
    found = read_document(path, whole)
    if found is not None:
        return found
    if isinstance(whole, Mapping) and "\n" in text.strip():
        raise NoHistory(path)
    return read_jsonl(path, text)


def read_document(path: str, data: object) -> Table | None:
    """Read a JSON document; None where it is none of those that are known.

    Args:
        path: the file as the user named it, for errors.
        data: its content.

    Raises:
        FileUnreadable: it is one of them, but its parts do not fit.
    """
    if not isinstance(data, Mapping):
        return None
    log = data.get("log_history")
    if isinstance(log, list):
        return _trainer_state(path, log, data)
    found = read_scalars(path, data) or read_sacred(path, data) or read_frame(path, data)
    if found is not None:
        return found
    inner = data.get("history")
    columns = inner if isinstance(inner, Mapping) else data
    lists = [name for name, column in columns.items() if isinstance(column, list)]
    if lists and (len(lists) == len(columns) or any(role_of(str(name)) in (Role.TRAIN, Role.VAL) for name in lists)):
        return _history(path, columns, data.get("epoch") if columns is inner else None)
    return None


def _trainer_state(path: str, log: list[object], data: Mapping[object, object]) -> Table:
    names: dict[str, None] = {}
    left_out: dict[str, str] = {}
    config: dict[str, object] = {
        name: data[name] for name in _SETTINGS if isinstance(data.get(name), str | int | float)
    }
    rows = []
    for i, entry in enumerate(log, 1):
        if not isinstance(entry, Mapping):
            raise FileUnreadable(path, f"log_history entry {i}", f"must be an object, got {kind_of(entry)}")
        if _SUMMARY in entry:
            config["summary"] = dict(entry)
            continue
        cells: dict[str, Cell] = {str(k): v for k, v in entry.items() if is_cell(v)}
        left_out |= {str(k): f"holds {kind_of(v)}s" for k, v in entry.items() if not is_cell(v)}
        names.update(dict.fromkeys(cells))
        rows.append(Row(i, cells))
    if not rows:
        raise FileUnreadable(path, "log_history", "is empty")
    return Table(path, tuple(names), tuple(rows), header=False, kind="trainer_state", config=config, left_out=left_out)


def _history(path: str, columns: Mapping[object, object], epochs: object) -> Table:
    """Lists by their names; a list of anything but numbers and texts is left out, a single value is a setting."""
    lists = {str(name): column for name, column in columns.items() if isinstance(column, list)}
    length = max(len(column) for column in lists.values())
    if length == 0:
        raise FileUnreadable(path, "", "holds no epochs")
    left_out = {
        name: f"holds {kind_of(cell)}s" for name, column in lists.items() for cell in column if not is_cell(cell)
    }
    left_out |= {str(name): "holds an object" for name, value in columns.items() if isinstance(value, Mapping)}
    kept = {
        name: column for name, column in lists.items() if any(cell is not None and is_cell(cell) for cell in column)
    }
    if not any(isinstance(cell, int | float) for column in kept.values() for cell in column):
        raise NoHistory(path)
    given = epochs if isinstance(epochs, list) and len(epochs) == length else list(range(length))
    kept.setdefault("epoch", given)
    rows = []
    for i in range(length):
        cells: dict[str, Cell] = {
            name: column[i] for name, column in kept.items() if i < len(column) and is_cell(column[i])
        }
        rows.append(Row(i + 1, cells))
    config = {str(name): value for name, value in columns.items() if is_cell(value) and value is not None}
    return Table(path, tuple(kept), tuple(rows), header=False, kind="keras", config=config, left_out=left_out)
