"""Folders of TensorBoard event files as runs.

A folder that holds event files is a run. Some layouts spread one run over folders, and are put together again: Keras
writes `train` and `validation` folders whose tags have the same names; beside its event file `SummaryWriter` writes a
folder for each curve of `add_scalars`, and one for the final figures of `add_hparams`. A training that was started
again in its folder writes another file there; where its steps go back it is another attempt of the run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from monitor.errors import FileUnreadable
from monitor.importers.imported import ImportedRun, NotTraining, PointList
from monitor.importers.tensorboard import Scalar, scalars

_HPARAMS: Final = re.compile(r"\d{9,11}\.\d+")
"""The folder that `SummaryWriter.add_hparams` makes is called after the time."""
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
        beside = above in folders and (_HPARAMS.fullmatch(folder.name) or _of_add_scalars(folder.name, files))
        if folder.name.lower() in SPLITS or beside:
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
    points, problems, attempts = PointList(), [], []
    read = {part: [(path, *_read(path)) for path in files] for part, files in parts.items()}
    rounds = {part: _rounds([found for _, found, _ in files]) for part, files in read.items()}
    for attempt in range(max(map(max, rounds.values())) + 1):
        begin = len(points)
        for part, files in read.items():
            for (path, found, error), own in zip(files, rounds[part], strict=True):
                if own != attempt:
                    continue
                for scalar in found:
                    points.add(_key(part, scalar.tag), scalar.step, scalar.value, scalar.time_ms)
                if error is not None:
                    problems.append(error)
                    points.skip(path.name, str(error).removeprefix(f"{error.path}, "), broken=True)
        if 0 < begin < len(points):
            attempts.append(begin)
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
        attempts=tuple(attempts),
        skipped=tuple(points.skipped.values()),
    )


def _read(path: Path) -> tuple[list[Scalar], FileUnreadable | None]:
    """The scalars of a file, and what is wrong with it where those are not all."""
    found: list[Scalar] = []
    try:
        found.extend(scalars(path))
    except FileUnreadable as error:
        return found, error
    return found, None


def _rounds(files: Sequence[Sequence[Scalar]]) -> list[int]:
    """Which attempt each of a folder's files belongs to: one that logs steps again that were logged begins another.

    >>> def file(first: int, last: int) -> list[Scalar]:
    ...     return [Scalar(step, "loss", 1.0, 0) for step in range(first, last)]
    >>> _rounds([file(0, 50), file(50, 80), file(60, 99), file(99, 120)])
    [0, 0, 1, 1]
    """
    last: dict[str, int] = {}
    rounds: list[int] = []
    for found in files:
        before = rounds[-1] if rounds else 0
        again = any(scalar.tag in last and scalar.step <= last[scalar.tag] for scalar in found)
        rounds.append(before + again)
        if again:
            last = {}
        for scalar in found:
            last[scalar.tag] = max(scalar.step, last.get(scalar.tag, scalar.step))
    return rounds


def _lone(parts: dict[str, Sequence[Path]]) -> Mapping[str, Sequence[Path]]:
    """The run's own files first, then the training's: at one step its loss comes before the validation's."""
    return {part: parts[part] for part in sorted(parts, key=lambda part: (bool(part), "train" not in part, part))}


def _key(part: str, tag: str) -> str:
    """The name of a series: of its folder and its tag; the final figures of `add_hparams` have their own.

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
