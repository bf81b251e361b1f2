"""Reads the folder that a tracker writes for one training: DVCLive, CatBoost, Sacred, AllenNLP.

Source: `dvclive/plots/metric.py` of DVCLive 3; the folder `catboost_info` of CatBoost 1.2; `FileStorageObserver` of
    Sacred 0.8; `GradientDescentTrainer` of AllenNLP 2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from monitor.errors import FileUnreadable, NoHistory
from monitor.files import content
from monitor.importers.csv import read_csv
from monitor.importers.names import counts
from monitor.importers.reading import read_table, read_text
from monitor.importers.shapes import one_curve, run_of_chart
from monitor.importers.table import INDEX, Cell, Row, Skipped, Table, number_in, table_of_records

_CATBOOST: Final = ("learn_error.tsv", "test_error.tsv")
_OF_EPOCH: Final = re.compile(r"metrics_epoch_(\d{1,9})\.json")
_DVCLIVE: Final = ("plots/metrics", "scalars")
Reader = Callable[[Path, str], Table]


def reader_of(folder: Path, names: Sequence[str]) -> Reader | None:
    """The reader for a folder that holds one training; None if its files are separate trainings.

    Args:
        names: its file names.
    """
    if any(name in names for name in _CATBOOST):
        return _catboost
    if "metrics.json" in names and "run.json" in names:
        return _sacred
    if any(map(_OF_EPOCH.fullmatch, names)):
        return _allennlp
    charts = [run_of_chart(name) for name in names]
    if len(charts) > 1 and None not in charts and len(set(charts)) == 1:
        return _charts
    if any(_is_dvclive(folder / below) for below in _DVCLIVE):
        return _dvclive
    return None


def _is_dvclive(folder: Path) -> bool:
    return folder.is_dir() and next(folder.rglob("*.tsv"), None) is not None


def _dvclive(folder: Path, shown: str) -> Table:
    """One file per metric, named by its path; one row per step."""
    top = next(folder / below for below in _DVCLIVE if (folder / below).is_dir())
    tables = [(path.relative_to(top).with_suffix("").as_posix(), path) for path in sorted(top.rglob("*.tsv"))]
    config: dict[str, object] = {}
    for name in ("params.yaml", "params.yml"):
        if (folder / name).is_file():
            config = _yaml(folder / name)
    return _joined(shown, "dvclive", tables, config)


def _yaml(path: Path) -> dict[str, object]:
    from monitor.documents import read_data, tables

    try:
        return dict(tables(read_data(path)) or {})
    except FileUnreadable:
        return {}


def _catboost(folder: Path, shown: str) -> Table:
    """The metrics of the training and evaluation set, one row per iteration."""
    tables = [(name.removesuffix("_error.tsv"), folder / name) for name in _CATBOOST if (folder / name).is_file()]
    return _joined(shown, "catboost", tables, {})


def _sacred(folder: Path, shown: str) -> Table:
    """Read `metrics.json`, with the configuration next to it."""
    table = read_table(folder / "metrics.json")
    if table.kind != "sacred":
        raise NoHistory(shown, "its metrics.json holds no metrics of Sacred")
    return replace(table, path=shown, config={**_json(folder / "config.json"), **table.config})


def _allennlp(folder: Path, shown: str) -> Table:
    """One file per epoch with its metrics. `metrics.json` has the last values again and is not read."""
    found = ((int(match[1]), path) for path in folder.iterdir() if (match := _OF_EPOCH.fullmatch(path.name)))
    rows = [(epoch, {"epoch": epoch, **_json(path)}) for epoch, path in sorted(found)]
    table = table_of_records(shown, rows, "allennlp")
    if table is None:
        raise NoHistory(shown, "its metrics_epoch_*.json hold no metrics")
    return table


def _charts(folder: Path, shown: str) -> Table:
    """The curves of one run downloaded from TensorBoard, one file each."""
    rows: list[tuple[float, Row]] = []
    names: dict[str, None] = {"step": None, "wall_time": None}
    config: dict[str, object] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and run_of_chart(path.name) is not None:
            table = one_curve(read_table(path))
            metric = table.names[-1]
            if metric in names:  # downloaded both as CSV and as JSON
                continue
            step = next(filter(counts, table.names), INDEX)
            time = next((name for name in table.names if "time" in name.lower()), None)
            for row in table.rows:
                places = {"step": row.cells.get(step), "wall_time": row.cells.get(time) if time else None}
                cells: dict[str, Cell] = {**places, metric: row.cells.get(metric)}
                rows.append((number_in(row.cells.get(step)), Row(row.number, cells)))
            names[metric] = None
            config.update(table.config)
    rows.sort(key=lambda row: row[0])
    return Table(path=shown, names=tuple(names), rows=tuple(row for _, row in rows), kind="tensorboard", config=config)


def _json(path: Path) -> Mapping[str, object]:
    try:
        found: object = json.loads(content(path))
    except (ValueError, RecursionError):  # FileUnreadable is a ValueError
        return {}
    return {str(name): value for name, value in found.items()} if isinstance(found, dict) else {}


def _joined(shown: str, kind: str, files: Iterable[tuple[str, Path]], config: Mapping[str, object]) -> Table:
    """Merge tables with the same kind of steps; each column is named after its file."""
    rows: list[tuple[float, Row]] = []
    notes: list[Skipped] = []
    names: dict[str, None] = {}
    broken: FileUnreadable | None = None
    for name, path in files:
        try:
            table = read_csv(str(path), read_text(path))
        except FileUnreadable as error:
            broken = error
            notes.append(Skipped(place=path.name, reason=error.problem, broken=True))
            continue
        notes += table.notes
        step = next((column for column in table.names if counts(column)), None)
        metrics = [column for column in table.names if column != step]
        for i, row in enumerate(table.rows):
            at = number_in(row.cells.get(step)) if step else float(i)
            cells: dict[str, Cell] = {} if step is None else {step: row.cells.get(step)}
            cells |= {_column(name, metric, metrics, kind): row.cells.get(metric) for metric in metrics}
            names.update(dict.fromkeys(cells))
            rows.append((at, Row(row.number, cells)))
    if not rows:
        raise broken or NoHistory(shown, "holds no metrics")
    rows.sort(key=lambda row: row[0])
    return Table(
        path=shown, names=tuple(names), rows=tuple(row for _, row in rows), kind=kind, config=config, notes=tuple(notes)
    )


def _column(file: str, metric: str, metrics: Sequence[str], kind: str) -> str:
    """The name of a series: the file's name alone if the file holds one metric named like it, perhaps with times."""
    if "time" in metric.lower() or counts(metric):
        return metric
    single = len([name for name in metrics if "time" not in name.lower()]) == 1
    return file if single and kind == "dvclive" else f"{file}/{metric}"
