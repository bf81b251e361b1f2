"""Exports points of runs to a file: CSV, or Parquet if pyarrow is installed.

One row per point of the curve (points that a newer attempt hides are left out): run_id, run, key, step, value, time_ms,
epoch. NaN and infinities are written as `NaN`, `Infinity` and `-Infinity` in CSV, and natively in Parquet. In CSV, a
name that a spreadsheet would take for a formula is prefixed with an apostrophe.
"""

from __future__ import annotations

import contextlib
import csv
import importlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from monitor.domain import Points, RunInfo, SeriesInfo, cell
from monitor.errors import FileUnreadable, SeriesNotFound, StoreError
from monitor.wire import number_to_json

COLUMNS: Final = ("run_id", "run", "key", "step", "value", "time_ms", "epoch")
FORMATS: Final = ("csv", "parquet")

Write = Callable[[RunInfo, str, Points], None]


class Exported(Protocol):
    """Where the points come from: a store, or a server."""

    def run(self, ref: str, /) -> RunInfo:
        """A run by its id, a unique prefix of it, or a unique name."""

    def series(self, run_id: str, /) -> Sequence[SeriesInfo]:
        """The series of a run."""

    def history_batches(self, run_id: str, key: str, /) -> Iterator[Points]:
        """The points of one series, in batches."""


def export_points(
    store: Exported,
    run_refs: Sequence[str],
    path: Path,
    *,
    keys: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write the curves of runs to a file, one series after another, with constant memory.

    The file appears only once it is complete.

    Args:
        run_refs: ids, unique prefixes or unique names.
        path: its suffix is the format, `.csv` or `.parquet`.
        keys: series to write; None for all.
        progress: called with (runs done, runs) after each run.

    Returns:
        Number of points written.

    Raises:
        RunNotFound: one of the runs does not exist; nothing is written.
        SeriesNotFound: none of the runs has one of the keys; nothing is written.
        FileUnreadable: the path has another suffix, or cannot be written.
        StoreError: pyarrow is needed, but not installed.
    """
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise FileUnreadable(str(path), "", f"ends in {path.suffix or 'nothing'}; write .csv or .parquet")
    runs = [store.run(ref) for ref in run_refs]
    if keys is not None:
        known = tuple(dict.fromkeys(series.key for run in runs for series in store.series(run.id)))
        for key in keys:
            if key not in known:
                raise SeriesNotFound(", ".join(run.name for run in runs[:3]), key, known)
    part = path.with_name(path.name + f".{os.getpid()}.part")
    if path.is_dir():
        raise FileUnreadable(str(path), "", "is a folder; name a file in it")
    try:
        with (_csv if kind == "csv" else _parquet)(part) as write:
            count = _write_all(store, runs, keys, write, progress)
        part.replace(path)
    except OSError as error:
        raise FileUnreadable(str(path), "", f"cannot be written ({(error.strerror or str(error)).lower()})") from None
    finally:
        with contextlib.suppress(OSError):  # its folder does not exist, or cannot be searched
            part.unlink(missing_ok=True)
    return count


def _write_all(
    store: Exported,
    runs: Sequence[RunInfo],
    keys: Sequence[str] | None,
    write: Write,
    progress: Callable[[int, int], None] | None,
) -> int:
    count = 0
    for done, run in enumerate(runs, start=1):
        for series in store.series(run.id):
            if keys is None or series.key in keys:
                for points in store.history_batches(run.id, series.key):
                    write(run, series.key, points)
                    count += len(points)
        if progress is not None:
            progress(done, len(runs))
    return count


@contextlib.contextmanager
def _csv(path: Path) -> Iterator[Write]:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)

        def write(run: RunInfo, key: str, points: Points) -> None:
            names = [cell(name) for name in (run.id, run.name, key)]
            epochs = points.epochs.tolist() if points.epochs is not None else [math.nan] * len(points)
            columns = zip(points.steps.tolist(), points.values.tolist(), points.times.tolist(), epochs, strict=True)
            writer.writerows(
                (*names, step, number_to_json(value), time, "" if math.isnan(epoch) else epoch)
                for step, value, time, epoch in columns
            )

        yield write


@contextlib.contextmanager
def _parquet(path: Path) -> Iterator[Write]:
    try:
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ModuleNotFoundError:
        raise StoreError("Parquet needs pyarrow; pip install pyarrow, or write .csv") from None
    word = arrow.dictionary(arrow.int32(), arrow.string())
    types = (word, word, word, arrow.int64(), arrow.float64(), arrow.timestamp("ms", tz="UTC"), arrow.float64())
    schema = arrow.schema(list(zip(COLUMNS, types, strict=True)))
    with parquet.ParquetWriter(path, schema) as writer:

        def write(run: RunInfo, key: str, points: Points) -> None:
            n = len(points)
            names = [
                arrow.DictionaryArray.from_arrays(np.zeros(n, np.int32), arrow.array([text]))
                for text in (run.id, run.name, key)
            ]
            epochs = points.epochs if points.epochs is not None else np.full(n, math.nan)
            numbers = [points.steps, points.values, arrow.array(points.times).cast(types[5]), epochs]
            found = [*names, arrow.array(numbers[0]), arrow.array(numbers[1]), numbers[2]]
            found.append(arrow.array(epochs, mask=np.isnan(epochs)))
            writer.write_table(arrow.Table.from_arrays(found, schema=schema))

        yield write
