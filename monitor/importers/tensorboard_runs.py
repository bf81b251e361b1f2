"""Folders of TensorBoard event files as runs.

A folder that holds event files is a run. Two layouts spread one run over folders, and are put together again: Keras
writes `train` and `validation` folders whose tags have the same names, and `SummaryWriter.add_scalars` writes a folder
for each of its curves beside the event file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from monitor.errors import FileUnreadable
from monitor.importers.imported import ImportedRun, NotTraining, PointList
from monitor.importers.tensorboard import scalars

SPLITS: Final = frozenset({"train", "training", "validation", "val", "valid", "eval", "test"})


def group(folders: Mapping[Path, Sequence[Path]]) -> Mapping[Path, Mapping[str, Sequence[Path]]]:
    """Event files by run.

    Args:
        folders: the event files of each folder that has some.

    Returns:
        By the run's folder, the event files by the name of the folder below it in which they are, "" for its own.
    """
    runs: dict[Path, dict[str, Sequence[Path]]] = {}
    for folder, files in sorted(folders.items()):
        above = folder.parent
        if folder.name.lower() in SPLITS or (above in folders and _of_add_scalars(folder.name, files)):
            runs.setdefault(above, {})[folder.name] = files
        else:
            runs.setdefault(folder, {})[""] = files
    return {folder: _lone(parts) for folder, parts in runs.items()}


def read_event_run(shown: str, place: str, name: str, parts: Mapping[str, Sequence[Path]]) -> ImportedRun | NotTraining:
    """Read the event files of one run; one that is broken is left out and noted.

    Args:
        shown: what the user named, for errors.
        place: where the run is, the same each time it is read.
        name: the run's name.
        parts: as `group` gives them.

    Raises:
        FileUnreadable: nothing but broken files.
    """
    points, problems = PointList(), []
    for part, files in parts.items():
        for path in files:
            try:
                for found in scalars(path):
                    points.add(_key(part, found.tag), found.step, found.value, found.time_ms)
            except FileUnreadable as error:
                problems.append(error)
                points.skip(path.name, str(error).removeprefix(f"{error.path}, "), broken=True)
    if not len(points):
        if problems:
            raise problems[0]
        return NotTraining(shown, "holds no scalars")
    started, finished = points.span()
    written = max(int(path.stat().st_mtime * 1000) for files in parts.values() for path in files)
    first = next(path.name for files in parts.values() for path in files)
    return ImportedRun(
        source=shown,
        kind="tensorboard",
        origin=f"tensorboard:{place}:{first}",
        name=name,
        started_ms=started,
        finished_ms=finished,
        keys=points.keys,
        points=points.columns(written),
        skipped=tuple(points.skipped.values()),
    )


def _lone(parts: dict[str, Sequence[Path]]) -> Mapping[str, Sequence[Path]]:
    """The run's own files first, then the training's: at one step its loss comes before the validation's."""
    return {part: parts[part] for part in sorted(parts, key=lambda part: (bool(part), "train" not in part, part))}


def _key(part: str, tag: str) -> str:
    """The name of a series: of its folder and its tag.

    >>> _key("", "loss"), _key("validation", "epoch_loss"), _key("loss_train", "loss")
    ('loss', 'validation/loss', 'loss/train')
    """
    if not part:
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
