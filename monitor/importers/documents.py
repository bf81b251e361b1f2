"""Reads JSON as a table: rows of objects, columns of lists, or curves by tag, anywhere in the document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Final

from monitor.directions import rises
from monitor.errors import FileUnreadable, NoHistory
from monitor.importers.curves_by_tag import read_charts, read_curve, read_sacred, read_scalars
from monitor.importers.frames import read_frame
from monitor.importers.json_text import Values, read_values
from monitor.importers.names import counts
from monitor.importers.table import INDEX, Skipped, Table, flat, is_cell, is_number, kind_of, table_of_records
from monitor.roles import Role, role_of, role_of_set

_SUMMARY: Final = "train_runtime"
"""Only the last entry of a trainer's log has this. Its `train_loss` is the mean over the training, not a point."""
_SETTINGS: Final = (
    "best_metric", "best_model_checkpoint", "eval_steps", "global_step", "logging_steps", "max_steps",
    "num_train_epochs", "save_steps", "total_flos", "train_batch_size",
)  # fmt: skip
_DEEP: Final = 4
"""Levels of nested objects that are searched for rows."""
Objects = list[tuple[int, Mapping[object, object]]]


def read_json(path: str, text: str) -> Table:
    """Read JSON text, by its structure.

    Raises:
        NoHistory: it is JSON, but not a training history.
        FileUnreadable: it is not JSON, or its parts do not fit together.
    """
    values, broken = read_values(path, text)
    one = values[0][1] if len(values) == 1 else None
    if isinstance(one, list):
        table = _of_list(path, list(enumerate(one, 1)))
    elif isinstance(one, Mapping):
        table = _of_document(path, one)
        row = bool(broken) or (PurePath(path).suffix != ".json" and "\n" not in text.strip())
        if table is None and row:  # only the first line of a log so far
            table = _of_list(path, values)
    else:
        table = _of_list(path, values)
    if table is None:
        raise NoHistory(path)
    return replace(table, notes=(*table.notes, *broken))


def _of_list(path: str, values: Values) -> Table | None:
    """Objects are rows; lists are rows below a header; pairs or numbers are one curve, named after the file."""
    if not values:
        raise FileUnreadable(path, "", "holds no rows")
    objects: Objects = [(number, value) for number, value in values if isinstance(value, Mapping)]
    if len(objects) == len(values) and any(isinstance(value, list) for _, value in flat(objects[0][1])):
        histories: dict[object, object] = {str(number): value for number, value in objects}
        if _is_of_runs(histories):
            return _of_runs(path, histories)
    if 2 * len(objects) >= len(values):
        notes = [
            Skipped(place=f"row {number}", reason=f"must be a JSON object, got {kind_of(value)}", broken=True)
            for number, value in values
            if not isinstance(value, Mapping)
        ]
        summary = next((dict(entry) for _, entry in objects if _SUMMARY in entry), None)
        rows = [(number, entry) for number, entry in objects if _SUMMARY not in entry] or objects
        config = {} if summary is None else {"summary": summary}
        return table_of_records(path, rows, "jsonl", config=config, notes=notes)
    items = [value for _, value in values]
    head = items[0]
    if isinstance(head, list) and head and all(isinstance(name, str) for name in head):
        lists = [(number, dict(zip(head, row, strict=False))) for number, row in values[1:] if isinstance(row, list)]
        return table_of_records(path, lists, "jsonl") if lists else None
    found = read_curve(path, PurePath(path).stem, items)
    if found is None:
        number, odd = next((number, value) for number, value in values if not isinstance(value, Mapping))
        raise NoHistory(path, f"must be a JSON object, got {kind_of(odd)}", f"row {number}")
    return found


def _of_document(path: str, data: Mapping[object, object]) -> Table | None:
    log = data.get("log_history")
    if isinstance(log, list):
        return _trainer_state(path, log, data)
    for read in (read_catboost, read_scalars, read_sacred, _charts, read_frame, _history):
        found = read(path, data)
        if found is not None:
            return found
    return _records(path, data)


def _charts(path: str, data: Mapping[object, object]) -> Table | None:
    """Curves of charts, unless the losses are elsewhere in the document and the charts show something else."""
    found = read_charts(path, data)
    if found is None or any(map(_is_loss, found.names)):
        return found
    return None if any(_is_loss(name) and isinstance(column, list) for name, column in flat(data)) else found


def _trainer_state(path: str, log: list[object], data: Mapping[object, object]) -> Table:
    config: dict[str, object] = {
        name: data[name] for name in _SETTINGS if isinstance(data.get(name), str | int | float)
    }
    objects: Objects = []
    for i, entry in enumerate(log, 1):
        if not isinstance(entry, Mapping):
            raise FileUnreadable(path, f"log_history entry {i}", f"must be an object, got {kind_of(entry)}")
        if _SUMMARY in entry:
            config["summary"] = dict(entry)
        else:
            objects.append((i, entry))
    table = table_of_records(path, objects, "trainer_state", config=config)
    if table is None:
        raise FileUnreadable(path, "log_history", "is empty")
    return table


def _history(path: str, data: Mapping[object, object]) -> Table | None:
    """Lists by name, as in Keras' `history.history` and XGBoost's `evals_result`: one column each.

    Lists of anything but numbers and text are skipped; single values are settings. A list much shorter than the longest
    is spread over it: losses per epoch next to losses per batch.
    """
    inner = data.get("history")
    columns = dict(flat(inner if isinstance(inner, Mapping) else data))
    lists = {name: column for name, column in columns.items() if isinstance(column, list)}
    if not lists or not (len(lists) == len(columns) or any(_is_metric(name) for name in lists)):
        return None
    if inner is None and (runs := _runs(data)) is not None:
        return _of_runs(path, runs)
    length = max(map(len, lists.values()))
    if length == 0:
        raise FileUnreadable(path, "", "holds no epochs")
    notes = [
        Skipped(place=f"column {name!r:.60}", reason=f"holds {kind_of(odd[0])}s")
        for name, column in lists.items()
        if (odd := [cell for cell in column if not is_cell(cell)])
    ]
    settings = {name for name, column in lists.items() if 2 * len(column) < length and not _is_metric(name)}
    notes += [
        Skipped(place=f"column {name!r:.60}", reason=f"has {len(lists.pop(name))} values where others have {length}")
        for name in sorted(settings)
    ]
    kept = {name: column for name, column in lists.items() if any(c is not None and is_cell(c) for c in column)}
    if not any(is_number(cell) for column in kept.values() for cell in column):
        return None
    epochs = data.get("epoch")
    if isinstance(inner, Mapping) and isinstance(epochs, list) and len(epochs) == length:
        kept.setdefault("epoch", epochs)
    if not any(map(counts, kept)):
        kept = {"epoch" if inner is not None or _even(kept) else INDEX: list(range(length)), **kept}
    cells: list[dict[str, object]] = [{} for _ in range(length)]
    for name, column in kept.items():
        at = _places(len(column), length)
        if at != list(range(len(column))):
            reason = f"has {len(column)} values where others have {length}: they are spread evenly"
            notes.append(Skipped(place=f"column {name!r:.60}", reason=reason))
        for i, cell in zip(at, column, strict=True):
            if is_cell(cell):
                cells[i][name] = cell
    config = {name: value for name, value in columns.items() if is_cell(value) and value is not None}
    return table_of_records(path, list(enumerate(cells, 1)), "keras", config=config, notes=notes)


def _runs(data: Mapping[object, object]) -> Mapping[object, object] | None:
    """The histories of several runs by name, perhaps below a common name; None for anything else."""
    while len(data) == 1 and isinstance(only := next(iter(data.values())), Mapping):
        data = only
    return data if _is_of_runs(data) else None


def _is_of_runs(data: Mapping[object, object]) -> bool:
    """True if each value is the history of a run: all have losses, and no name is that of a data set."""
    if len(data) < 2 or any(role_of_set(str(name)) is not None for name in data):
        return False
    return all(
        isinstance(inner, Mapping)
        and any(_is_loss(name) and isinstance(column, list) and column for name, column in flat(inner))
        for inner in data.values()
    )


def _of_runs(path: str, data: Mapping[object, object]) -> Table | None:
    """The rows of all runs, with the run's name in a column."""
    records: list[tuple[int, dict[str, object]]] = []
    notes: list[Skipped] = []
    for name, inner in data.items():
        table = _history(path, inner) if isinstance(inner, Mapping) else None
        if table is not None:
            notes += [Skipped(place=f"{name}, {note.place}", reason=note.reason) for note in table.notes]
            records += [(len(records) + 1, {"run": str(name), **row.cells}) for row in table.rows]
    return table_of_records(path, records, "keras", notes=notes)


def _even(columns: Mapping[str, Sequence[object]]) -> bool:
    lengths = {len(column) for column in columns.values()}
    return max(lengths) - min(lengths) <= 1


def _places(many: int, length: int) -> list[int]:
    """The rows on which the values of a column stand.

    >>> _places(3, 4), _places(2, 10)
    ([0, 1, 2], [4, 9])
    """
    if many > length // 2 or many == 0:
        return list(range(many))
    return [(i + 1) * length // many - 1 for i in range(many)]


def _records(path: str, data: Mapping[object, object]) -> Table | None:
    """Lists of objects in a document, such as one for training and one for validation."""
    found = {name: rows for name, rows in _lists_of_objects(data, "", _DEEP) if _of_training(rows)}
    if not found:
        return None
    config = {str(name): value for name, value in data.items() if is_cell(value) and value is not None}
    if len(found) == 1:
        rows = next(iter(found.values()))
        return table_of_records(path, list(enumerate(rows, 1)), "jsonl", config=config)
    parts = []
    for name, rows in found.items():
        for i, row in enumerate(rows):
            cells = {key if counts(key) else f"{name}/{key}": value for key, value in flat(row)}
            at = next((value for key, value in cells.items() if counts(key) and is_number(value)), i)
            parts.append((at, cells))
    parts.sort(key=lambda part: part[0])
    return table_of_records(path, [(i, cells) for i, (_, cells) in enumerate(parts, 1)], "jsonl", config=config)


def _lists_of_objects(
    data: Mapping[object, object], prefix: str, deep: int
) -> Iterator[tuple[str, list[Mapping[object, object]]]]:
    for name, value in data.items():
        if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            yield f"{prefix}{name}", value
        elif isinstance(value, Mapping) and deep:
            yield from _lists_of_objects(value, f"{prefix}{name}/", deep - 1)


def _of_training(rows: Sequence[Mapping[object, object]]) -> bool:
    names = {name for row in rows[:100] for name, value in flat(row) if is_number(value)}
    return any(map(_is_loss, names)) or (any(map(counts, names)) and not all(map(counts, names)))


def _is_metric(name: str) -> bool:
    return _is_loss(name) or rises(name) is not None


def _is_loss(name: str) -> bool:
    return role_of(name) in (Role.TRAIN, Role.VAL)


def read_catboost(path: str, data: Mapping[object, object]) -> Table | None:
    """The metrics of the training set and of each evaluation set by iteration; None if the data is anything else."""
    meta, iterations = data.get("meta"), data.get("iterations")
    if not isinstance(meta, Mapping) or not isinstance(iterations, list):
        return None
    rows = []
    for i, entry in enumerate(iterations, 1):
        if not isinstance(entry, Mapping):
            return None
        cells: dict[object, object] = {"iteration": entry.get("iteration")}
        for part in ("learn", "test"):
            values = entry.get(part)
            cells.update(zip(_names(meta, part), values if isinstance(values, list) else [], strict=False))
        rows.append((i, cells))
    config = {"name": meta["name"]} if isinstance(meta.get("name"), str) else {}
    return table_of_records(path, rows, "catboost", config=config)


def _names(meta: Mapping[object, object], part: str) -> list[str]:
    """The names of a part's values: every metric of every set."""
    sets, metrics = meta.get(f"{part}_sets"), meta.get(f"{part}_metrics")
    if not isinstance(sets, list) or not isinstance(metrics, list):
        return []
    names = [str(metric["name"]) for metric in metrics if isinstance(metric, Mapping) and "name" in metric]
    return [f"{each}/{name}" for each in sets for name in names]
