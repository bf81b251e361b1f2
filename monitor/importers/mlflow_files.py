"""Runs of an MLflow file store, a folder such as `mlruns`, read without a server and without MLflow.

Each run is a folder with `meta.yaml`, and a file for each metric, parameter and tag; a metric's file has a line for
each point: time in ms, value, step.

Source: `mlflow/store/tracking/file_store.py` of MLflow 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from monitor.errors import FileUnreadable
from monitor.importers.imported import ImportedRun, NotTraining, PointList, by_role
from monitor.importers.mlflow_server import mirror_of
from monitor.limits import value_of

META: Final = "meta.yaml"
_STATUS: Final[Mapping[str, Literal["finished", "stopped", "failed"]]] = {"3": "finished", "4": "failed"}


def is_run(folder: Path) -> bool:
    """True for the folder of one run; that of an experiment has a `meta.yaml` as well, which names no run."""
    try:
        return "run_id" in _meta(folder)
    except FileUnreadable:
        return (folder / "metrics").is_dir()


def read_run_folder(folder: Path, shown: str) -> ImportedRun | NotTraining:
    """Read one run; a line that cannot be read is left out and noted.

    Args:
        folder: the run's folder.
        shown: what the user named, for errors.

    Raises:
        FileUnreadable: `meta.yaml` cannot be read.
    """
    meta = _meta(folder)
    if meta.get("lifecycle_stage") == "deleted":
        return NotTraining(shown, "was deleted in MLflow")
    tags = _texts(folder / "tags")
    mirrored = mirror_of(tags)
    if mirrored is not None:
        return NotTraining(shown, mirrored)
    points = _points(folder)
    if not len(points):
        return NotTraining(shown, "holds no metrics")
    started, finished = points.span()
    ident = meta.get("run_id") or folder.name
    return ImportedRun(
        source=shown,
        kind="mlflow",
        origin=f"mlflow:{ident}",
        name=meta.get("run_name") or tags.get("mlflow.runName") or ident,
        project=_experiment(folder.parent),
        config={key: value_of(text) for key, text in _texts(folder / "params").items()},
        tags={key: text for key, text in tags.items() if not key.startswith("mlflow.") or key == "mlflow.user"},
        status=_STATUS.get(meta.get("status", ""), "stopped"),
        started_ms=_time(meta, "start_time") or started,
        finished_ms=_time(meta, "end_time") or finished,
        keys=points.keys,
        points=points.columns(started or 0),
        skipped=tuple(points.skipped.values()),
    )


def _points(folder: Path) -> PointList:
    """All metrics in one stream, in the order in which they were logged: by time, then by step."""
    rows: list[tuple[int, int, int, int, str, float]] = []
    points, top = PointList(), folder / "metrics"
    for path in sorted(path for path in top.rglob("*") if path.is_file()):
        key = path.relative_to(top).as_posix()
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            points.skip(f"metrics/{key}", str(error), broken=True)
            continue
        for i, line in enumerate(lines):
            try:
                time, value, *step = line.split()[:3]
                rows.append((int(time), int(step[0]) if step else i, by_role(key), i, key, float(value)))
            except (ValueError, IndexError):
                points.skip(f"metrics/{key}", f"line {i + 1} is no time, value and step: {line[:40]!r}", broken=True)
    for time_ms, at, _, _, key, number in sorted(rows, key=lambda row: row[:4]):
        points.add(key, at, number, time_ms)
    return points


def _meta(folder: Path) -> dict[str, str]:
    """`meta.yaml`, which MLflow writes as one level of keys and scalars."""
    path = folder / META
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnreadable(str(path), "", f"cannot be read: {error}") from None
    found = {}
    for line in lines:
        key, colon, value = line.partition(": ")
        if colon and not key.startswith((" ", "#")):
            text = value.strip()
            quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
            found[key] = text[1:-1].replace("''", "'") if quoted else text
    return found


def _experiment(folder: Path) -> str | None:
    try:
        return _meta(folder).get("name") or None
    except FileUnreadable:
        return None


def _texts(top: Path) -> dict[str, str]:
    """The files below a folder by name, each with its text."""
    return {
        path.relative_to(top).as_posix(): path.read_text(encoding="utf-8", errors="replace").strip()
        for path in sorted(top.rglob("*"))
        if path.is_file()
    }


def _time(meta: Mapping[str, str], name: str) -> int | None:
    text = meta.get(name, "")
    return int(text) if text.isdigit() else None
