"""JSON documents that hold a whole training: Keras histories and Hugging Face `trainer_state.json`."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.errors import FileUnreadable
from monitor.importers.table import Cell, Row, Table

_SUMMARY = "train_runtime"
"""Only the last entry of a trainer's log has it; its `train_loss` is a mean over the training, not a point."""
_SETTINGS = (
    "best_metric", "best_model_checkpoint", "eval_steps", "global_step", "logging_steps", "max_steps",
    "num_train_epochs", "save_steps", "total_flos", "train_batch_size",
)  # fmt: skip


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
    inner = data.get("history")
    columns = inner if isinstance(inner, Mapping) else data
    if columns and all(isinstance(column, list) for column in columns.values()):
        return _history(path, columns, data.get("epoch") if columns is inner else None)
    return None


def _trainer_state(path: str, log: list[object], data: Mapping[object, object]) -> Table:
    names: dict[str, None] = {}
    config: dict[str, object] = {
        name: data[name] for name in _SETTINGS if isinstance(data.get(name), str | int | float)
    }
    rows = []
    for i, entry in enumerate(log, 1):
        if not isinstance(entry, Mapping):
            raise FileUnreadable(path, f"log_history entry {i}", f"must be an object, got {type(entry).__name__}")
        if _SUMMARY in entry:
            config["summary"] = dict(entry)
            continue
        cells = {str(k): v for k, v in entry.items() if v is None or isinstance(v, str | int | float)}
        names.update(dict.fromkeys(cells))
        rows.append(Row(i, cells))
    if not rows:
        raise FileUnreadable(path, "log_history", "is empty")
    return Table(path, tuple(names), tuple(rows), header=False, kind="trainer_state", config=config)


def _history(path: str, columns: Mapping[object, object], epochs: object) -> Table:
    lists = {str(name): column for name, column in columns.items() if isinstance(column, list)}
    length = max(len(column) for column in lists.values())
    if length == 0:
        raise FileUnreadable(path, "", "holds no epochs")
    given = epochs if isinstance(epochs, list) and len(epochs) == length else list(range(length))
    lists.setdefault("epoch", given)
    rows = []
    for i in range(length):
        cells: dict[str, Cell] = {name: column[i] for name, column in lists.items() if i < len(column)}
        rows.append(Row(i + 1, cells))
    return Table(path, tuple(lists), tuple(rows), header=False, kind="keras")
