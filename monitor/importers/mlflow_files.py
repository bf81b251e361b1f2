"""Reads runs from an MLflow file store, a folder such as `mlruns`, without a server and without MLflow.

Each run is a folder with `meta.yaml` and a file for each metric, parameter and tag. A metric's file has one line per
point: time in ms, value, step.

Source: `mlflow/store/tracking/file_store.py` of MLflow 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import yaml

from monitor.errors import FileUnreadable
from monitor.files import content
from monitor.importers.imported import ImportedRun, NotTraining, PointList
from monitor.importers.mlflow_runs import History, MlflowRun

META: Final = "meta.yaml"
_STATUS: Final[Mapping[str, str]] = {"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"}


def is_run(folder: Path) -> bool:
    """True for the folder of a run. An experiment's folder has a `meta.yaml` too, but without a run id."""
    try:
        return "run_id" in _meta(folder)
    except FileUnreadable:
        return (folder / "metrics").is_dir()


def run_folders(top: Path) -> list[Path]:
    """The folders of all runs in a file store or an experiment, or the folder itself if it is a run's."""
    if (top / META).is_file() and is_run(top):
        return [top]
    metas = (*top.glob(f"*/{META}"), *top.glob(f"*/*/{META}"), *top.glob(f".trash/*/*/{META}"))
    return sorted(meta.parent for meta in metas if is_run(meta.parent))


def read_run_folder(folder: Path, shown: str) -> ImportedRun | NotTraining:
    """Read one run. Lines that cannot be read are skipped and noted.

    Raises:
        FileUnreadable: `meta.yaml` cannot be read.
    """
    meta, tags = _meta(folder), _texts(folder / "tags")
    parent = tags.get("mlflow.parentRunId")
    experiment = _meta_or_none(folder.parent)
    inputs = folder / "inputs"
    run = MlflowRun(
        id=meta.get("run_id") or folder.name,
        shown=shown,
        name=meta.get("run_name"),
        status=_STATUS.get(meta.get("status", ""), "RUNNING"),
        experiment=experiment.get("name"),
        deleted="deleted" in (meta.get("lifecycle_stage"), experiment.get("lifecycle_stage")),
        started_ms=_time(meta, "start_time"),
        finished_ms=_time(meta, "end_time"),
        params=_texts(folder / "params"),
        tags=tags,
        parent=parent and (_meta_or_none(folder.parent / Path(parent).name).get("run_name") or parent),
        datasets=len(list(inputs.iterdir())) if inputs.is_dir() else 0,
    )
    left_out = run.left_out()
    if left_out is not None:
        return left_out
    notes = PointList()
    histories = list(_histories(folder / "metrics", notes))
    return run.imported(histories, tuple(notes.skipped.values()))


def _histories(top: Path, notes: PointList) -> Iterator[History]:
    for path in sorted(path for path in top.rglob("*") if path.is_file()):
        key = path.relative_to(top).as_posix()
        try:
            lines = content(path).decode().splitlines()
        except (FileUnreadable, UnicodeDecodeError) as error:
            notes.skip(f"metrics/{key}", str(error), broken=True)
            continue
        rows = []
        for i, line in enumerate(lines):
            try:
                time, value, *step = line.split()[:3]
                rows.append((np.int64(int(time)), np.int64(int(step[0]) if step else i), float(value)))
            except (ValueError, IndexError, OverflowError):
                notes.skip(f"metrics/{key}", f"line {i + 1} is not a time, value and step: {line[:40]!r}", broken=True)
        times, steps = ([row[j] for row in rows] for j in (0, 1))
        values = [row[2] for row in rows]
        yield History(key, np.array(times, np.int64), np.array(steps, np.int64), np.array(values, np.float64))


def _meta(folder: Path) -> dict[str, str]:
    """The scalars of `meta.yaml`, as text."""
    path = folder / META
    try:
        found = yaml.load(content(path), Loader=yaml.BaseLoader)  # this loader creates only strings
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise FileUnreadable(str(path), "", f"cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise FileUnreadable(str(path), "", "does not hold the keys of a run or an experiment")
    return {str(key): value for key, value in found.items() if isinstance(value, str) and value}


def _meta_or_none(folder: Path) -> Mapping[str, str]:
    """As `_meta`; empty if it cannot be read."""
    try:
        return _meta(folder)
    except FileUnreadable:
        return {}


def _texts(top: Path) -> dict[str, str]:
    """The content of the files below a folder, by name."""
    return {
        path.relative_to(top).as_posix(): content(path).decode(errors="replace")
        for path in sorted(top.rglob("*"))
        if path.is_file()
    }


def _time(meta: Mapping[str, str], name: str) -> int | None:
    text = meta.get(name, "")
    return int(text) if text.isdecimal() else None
