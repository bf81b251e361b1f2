"""Reads folders of TensorBoard event files as runs.

A folder with event files is a run. Some layouts spread a run over several folders, which are combined: Keras writes
`train` and `validation` folders with the same tags; `SummaryWriter` writes a folder next to its event file for each
curve of `add_scalars`, and one for the final metrics of `add_hparams`. A training restarted in its folder writes
another file; if its steps go back, that is another attempt of the run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise, zip_longest
from pathlib import Path
from typing import Final

from monitor.errors import FileUnreadable
from monitor.importers.attempts import begins
from monitor.importers.imported import ImportedRun, NotTraining, PointList
from monitor.importers.tensorboard import Scalar, scalars

_HPARAMS: Final = re.compile(r"\d{9,11}\.\d+")
"""`SummaryWriter.add_hparams` names its folder after the time."""
SPLITS: Final = frozenset(
    {"train", "training", "validation", "val", "valid", "eval", "evaluation", "dev", "test", "testing", "holdout"}
)
"""Folders of a run named after a data set."""


def group(folders: Mapping[Path, Sequence[Path]]) -> Mapping[Path, Mapping[str, Sequence[Path]]]:
    """Group event files by run.

    Args:
        folders: event files by folder.

    Returns:
        For each run's folder, its event files by subfolder; "" for its own.
    """
    runs: dict[Path, dict[str, Sequence[Path]]] = {}
    for folder, files in sorted(folders.items()):
        own = folder if folder.name else Path(os.path.realpath(folder))  # `.` has no name
        above = own.parent
        beside = above in folders and (_HPARAMS.fullmatch(own.name) or _of_add_scalars(own.name, files))
        if own.name.lower() in SPLITS or beside:
            runs.setdefault(above, {})[own.name] = files
        else:
            runs.setdefault(folder, {})[""] = files
    return {folder: _lone(parts) for folder, parts in runs.items()}


def of_file(path: Path, folder: Path) -> dict[str, Sequence[Path]]:
    """One event file in the form of `group`: in a folder named after a data set, its curves are of that set.

    Args:
        folder: the folder it really is in.
    """
    return {folder.name if folder.name.lower() in SPLITS else "": [path]}


def read_event_run(shown: str, place: str, name: str, parts: Mapping[str, Sequence[Path]]) -> ImportedRun | NotTraining:
    """Read the event files of one run; broken ones are skipped and noted.

    Args:
        place: where the run is; the same each time it is read.
        parts: as returned by `group`.
    """
    points, problems = PointList(), []
    streams: list[tuple[str, list[Scalar]]] = []
    for part, files in parts.items():
        stream: list[Scalar] = []
        for path in files:
            scalars_found, error = _read(path)
            stream += scalars_found
            if error is not None:
                problems.append(error)
                points.skip(path.name, str(error).removeprefix(f"{error.path}, "), broken=True)
        streams.append((part, stream))
    attempts = []
    for rounds in zip_longest(*(_rounds(stream) for _, stream in streams), fillvalue=()):
        begin = len(points)
        for part, scalar in _merged([(part, found) for (part, _), found in zip(streams, rounds, strict=True)]):
            points.add(_key(part, scalar.tag), scalar.step, scalar.value, scalar.time_ms)
        if 0 < begin < len(points):
            attempts.append(begin)
    if not len(points):
        if problems:
            raise problems[0]
        return NotTraining(shown, "holds no scalars")
    written_ms = max(int(path.stat().st_mtime * 1000) for files in parts.values() for path in files)
    run = ImportedRun(
        source=shown,
        kind="tensorboard",
        origin=f"tensorboard:{place}:{next(path.name for files in parts.values() for path in files)}",
        name=name,
        keys=points.keys,
        points=points.columns(written_ms),
        attempts=tuple(attempts),
    )
    return points.complete(run, None)


def _read(path: Path) -> tuple[list[Scalar], FileUnreadable | None]:
    """The scalars of a file, and the error if they are incomplete."""
    found: list[Scalar] = []
    try:
        found.extend(scalars(path))
    except FileUnreadable as error:
        return found, error
    return found, None


def _rounds(stream: Sequence[Scalar]) -> list[Sequence[Scalar]]:
    """Split the scalars into attempts.

    >>> def file(first: int, last: int) -> list[Scalar]:
    ...     return [Scalar(step, "loss", 1.0, 0) for step in range(first, last)]
    >>> [len(found) for found in _rounds(file(0, 50) + file(50, 80) + file(60, 99) + file(99, 120))]
    [80, 60]
    """
    tags: dict[str, int] = {}
    keys = [tags.setdefault(scalar.tag, len(tags)) for scalar in stream]
    bounds = (0, *begins(keys, [scalar.step for scalar in stream]), len(stream))
    return [stream[begin:end] for begin, end in pairwise(bounds)]


def _merged(streams: Sequence[tuple[str, Sequence[Scalar]]]) -> Iterator[tuple[str, Scalar]]:
    """Merge several folders in the order of logging: by time, or by step if there are no times."""
    all_of = [(part, scalar) for part, found in streams for scalar in found]
    times = [scalar.time_ms for _, scalar in all_of]
    if len(streams) > 1 and min(times, default=0) == max(times, default=0):
        times = [step for _, found in streams for step in accumulate((scalar.step for scalar in found), max)]
    order = sorted(range(len(all_of)), key=times.__getitem__) if len(streams) > 1 else range(len(all_of))
    return (all_of[i] for i in order)


def _lone(parts: dict[str, Sequence[Path]]) -> Mapping[str, Sequence[Path]]:
    """The run's own files first, then the training's: at each step the training loss comes first."""
    return {part: parts[part] for part in sorted(parts, key=lambda part: (bool(part), "train" not in part, part))}


def _key(part: str, tag: str) -> str:
    """The name of a series, from its folder and tag; the final metrics of `add_hparams` keep their tags.

    >>> _key("", "loss"), _key("validation", "epoch_loss"), _key("loss_train", "loss")
    ('loss', 'validation/loss', 'loss/train')
    """
    if not part or _HPARAMS.fullmatch(part):
        return tag
    if part.lower() in SPLITS:
        return f"{part}/{tag.removeprefix('epoch_')}"
    head = _folder_name(tag) + "_"
    return f"{tag}/{part.removeprefix(head)}" if part.startswith(head) else f"{part}/{tag}"


def _of_add_scalars(folder: str, files: Sequence[Path]) -> bool:
    return any(folder.startswith(_folder_name(tag) + "_") for tag in _first_tag(files))


def _first_tag(files: Sequence[Path]) -> Iterator[str]:
    try:
        yield from (found.tag for found, _ in zip(scalars(files[0]), (0,), strict=False))
    except FileUnreadable:
        return


def _folder_name(tag: str) -> str:
    return tag.replace("/", "_")
