"""Finds what to import: a file, a folder that is searched, or an MLflow address."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from monitor.errors import FileUnreadable, NoHistory, SettingsError
from monitor.importers.folders import reader_of
from monitor.importers.imported import ImportedRun, NotTraining
from monitor.importers.mlflow_files import META, is_run, read_run_folder
from monitor.importers.mlflow_source import is_address, read_address, without_password
from monitor.importers.reading import TABLES, read_table
from monitor.importers.rows import looks_like_training, run_of_table
from monitor.importers.shapes import curves_in
from monitor.importers.table import Table
from monitor.importers.tensorboard import is_event_file
from monitor.importers.tensorboard_runs import group, of_file, read_event_run
from monitor.importers.twins import Twins
from monitor.importers.wandb_offline import read_wandb
from monitor.roles import NOTHING, Said

_LOGS: Final = re.compile(
    r".*\.(?:log|out|err)|(?:.*[^a-z])?(?:train(?:ing)?|log|logs|output|stdout|slurm|nohup)(?:[^a-z].*)?\.txt",
    re.IGNORECASE,
)
"""Names of text logs that a search reads, if nothing else in their folder is a training."""
_STATE: Final = "trainer_state.json"
_CHECKPOINT: Final = re.compile(r"checkpoint-(\d+)")
_GENERIC: Final = frozenset(
    {"trainer_state", "metrics", "history", "log", "logs", "losses", "results", "training", "train_log", "data"}
)
"""File names that say nothing about the run; then the folder's name is used."""


Found = ImportedRun | FileUnreadable | NotTraining


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One thing to read.

    Attributes:
        shown: its name for the user.
        name: the run's name, if the source has none of its own.
        path: the file or folder; None for an MLflow address.
        place: its location, independent of how it was named; an MLflow address as given.
        parts: the event files, for a TensorBoard folder.
        searched: True if a search found it; False if the user named it.
        problem: why it cannot be read; "" if it can.
        pattern: what to look for in a text log, instead of the known formats.
        growing: True if it is still being written, so that an unfinished line is not read.
        said: what the user says about its columns and series.
    """

    shown: str
    name: str = ""
    path: Path | None = None
    place: str = ""
    parts: dict[str, Sequence[Path]] = field(default_factory=dict)
    searched: bool = False
    problem: str = ""
    pattern: str | None = None
    growing: bool = False
    said: Said = NOTHING

    @property
    def many(self) -> bool:
        """True if it may hold several runs: an MLflow address, unless it is that of one run."""
        return self.path is None and "runs/" not in self.shown

    def read(self, twins: Twins | None = None) -> Iterator[Found]:
        """Read its runs; one that cannot be read is yielded as its error.

        Args:
            twins: runs that the same search has found before; a duplicate of one is yielded as `NotTraining`.

        Raises:
            SettingsError: the user named a column or series that does not exist. For a source found by a search, it is
                yielded as `NotTraining` instead.
        """
        try:
            for found in self._read():
                yield self._as_said(found, twins) if isinstance(found, ImportedRun) else found
        except SettingsError as error:
            if not self.searched:
                raise
            yield NotTraining(self.shown, str(error))

    def _as_said(self, run: ImportedRun, twins: Twins | None) -> ImportedRun | NotTraining:
        """A run with what the user says: options override the run's own tags, and these override the settings."""
        self.said.check(run.keys, run.columns)
        run = replace(run, said=self.said.over(run.said) if self.said.strict else run.said.over(self.said))
        return twins.told(run, self._folder()) if twins is not None and self.searched and self.path else run

    def _folder(self) -> Path:
        assert self.path is not None
        if self.path.name == _STATE:
            return _run_folder(self.path)
        return self.path if self.parts or self.path.is_dir() else self.path.parent

    def _read(self) -> Iterator[Found]:
        try:
            if self.problem:
                raise FileUnreadable(self.shown, "", self.problem.lower())
            if self.path is None:
                yield from read_address(self.place)
            elif self.parts:
                yield read_event_run(self.shown, self.place, self.name, self.parts)
            elif self.path.name == META:
                yield read_run_folder(self.path.parent, self.shown)
            elif self.path.suffix == ".wandb":
                yield read_wandb(self.path, self.shown)
            else:
                yield from self._tables(self.path)
        except FileUnreadable as error:
            yield error
        except OSError as error:  # it disappeared, or is not readable
            yield FileUnreadable(self.shown, "", error.strerror or str(error))

    def _tables(self, path: Path) -> Iterator[Found]:
        try:
            tables = curves_in(replace(self._table(path), said=self.said))
            if self.searched and not any(map(looks_like_training, tables)):
                yield NotTraining(self.shown, "has no column of losses, of other metrics, or of steps")
                return
            written = 0 if str(path) == "-" else int(path.stat().st_mtime * 1000)
            runs = []
            for table in tables:
                name = f"{self.name}/{table.run}" if table.run else str(table.config.get("run") or self.name)
                runs.append(run_of_table(table, place=self.place, name=name, written_ms=written))
        except FileUnreadable as error:  # JSON found by a search may be anything
            if self.searched and (isinstance(error, NoHistory) or path.suffix.lower() == ".json"):
                yield NotTraining(self.shown, f"{error.place + ': ' if error.place else ''}{error.problem}")
                return
            raise
        yield from runs

    def _table(self, path: Path) -> Table:
        if not path.is_dir():
            return read_table(path, self.pattern, growing=self.growing)
        read = reader_of(path, [each.name for each in path.iterdir()])
        if read is None:
            raise FileUnreadable(self.shown, "", "is a folder")
        return read(path, self.shown)


def read_runs(source: str | Path, pattern: str | None = None, said: Said = NOTHING) -> Iterator[Found]:
    """Every run of a source with all its series.

    Args:
        source: a file, a folder that is searched, `-` for standard input, or an MLflow address.
        pattern: for text logs, a regular expression with named groups, used instead of the known formats.

    Returns:
        The runs as they are read; an error for what cannot be read, and a `NotTraining` for what is not a training.

    Raises:
        SettingsError: the user named a column or series that the source does not have.
    """
    twins = Twins()
    for found in sources(source, pattern, said):
        yield from found.read(twins)


def sources(source: str | Path, pattern: str | None = None, said: Said = NOTHING) -> list[Source]:
    """The sources behind a name, not read yet; empty for a folder without any.

    Args:
        source, pattern, said: as in `read_runs`.
    """
    return [replace(found, said=said) for found in _sources(source, pattern)]


def _sources(source: str | Path, pattern: str | None) -> list[Source]:
    shown = str(source)
    if is_address(shown):
        return [Source(shown=without_password(shown), place=shown)]
    path = Path(source)
    if path.is_dir():
        return _search(path, pattern)
    place = str(_real(path))
    if shown == "-":
        return [Source(shown="standard input", name="standard input", path=path, place="-", pattern=pattern)]
    if is_event_file(path) and path.is_file():
        parts = of_file(path, Path(place).parent)
        name = Path(place).parent.parent.name if "" not in parts else ""
        return [Source(shown=shown, name=name or _name(path, path.parent), path=path, place=place, parts=parts)]
    return [Source(shown=shown, name=_name(path, path.parent), path=path, place=_of_state(path), pattern=pattern)]


def _search(top: Path, pattern: str | None) -> list[Source]:
    events: dict[Path, list[Path]] = {}
    files: list[Path] = []
    closed: list[Source] = []

    def note(error: OSError) -> None:
        closed.append(Source(shown=os.fsdecode(error.filename), path=Path(), problem=error.strerror or str(error)))

    for folder, folders, found_names in os.walk(top, onerror=note):
        here = Path(folder)
        names = [name for name in found_names if (here / name).is_file()]  # reading a pipe or a device may never end
        folders[:] = sorted(
            name for name in folders if not name.startswith((".", "__")) and not (here / name).is_symlink()
        )
        if META in names and is_run(here):  # the rest of an MLflow run's folder is its artifacts
            files.append(here / META)
            folders.clear()
            continue
        if reader_of(here, names) is not None:
            files.append(here)
            folders.clear()
            continue
        offline = sorted(name for name in names if name.endswith(".wandb"))
        if offline:  # the rest of a W&B folder describes the same run
            files += [here / name for name in offline]
            folders.clear()
            continue
        for path in (here / name for name in sorted(names)):
            if is_event_file(path):
                events.setdefault(here, []).append(path)
            elif path.suffix.lower() in TABLES:
                files.append(path)
        if here not in events and not any(path.parent == here for path in files):
            files += [here / name for name in sorted(names) if _LOGS.fullmatch(name)]
    found = [
        Source(shown=str(run), name=_name(run, top), path=run, place=str(_real(run)), parts=dict(parts), searched=True)
        for run, parts in group(events).items()
    ]
    found += [
        Source(
            shown=_shown(path), name=_name(path, top), path=path, place=_of_state(path), searched=True, pattern=pattern
        )
        for path in _latest_states(files)
    ]
    return sorted([*found, *closed], key=lambda source: source.shown)


def _shown(path: Path) -> str:
    """The name by which the user can import this run alone: for MLflow, its folder."""
    return str(path.parent if path.name == META else path)


def _latest_states(files: Sequence[Path]) -> list[Path]:
    """The files without trainer states of checkpoints that a later one includes."""
    latest: dict[Path, Path] = {}
    for path in files:
        if path.name == _STATE:
            run = _run_folder(path)
            latest[run] = max(latest.get(run, path), path, key=_progress)
    return [path for path in files if path.name != _STATE or latest[_run_folder(path)] == path]


def _run_folder(path: Path) -> Path:
    """The folder of the training that a trainer state belongs to."""
    return path.parent.parent if _CHECKPOINT.fullmatch(path.parent.name) else path.parent


def _progress(path: Path) -> float:
    checkpoint = _CHECKPOINT.fullmatch(path.parent.name)
    return float(checkpoint[1]) if checkpoint else float("inf")


def _of_state(path: Path) -> str:
    """The location of a file; all trainer states of one training share one."""
    resolved = _real(path)
    return str(_run_folder(resolved) / _STATE if path.name == _STATE else resolved)


def _name(path: Path, top: Path) -> str:
    """A run's name: its path below the folder that was named, without parts that say nothing."""
    if path.name == _STATE:
        path = _run_folder(path)
    elif path.is_dir():
        pass
    elif is_event_file(path) or path.stem.lower() in _GENERIC:
        path = path.parent
    elif path.suffix.lower() in TABLES or _LOGS.fullmatch(path.name):
        path = path.with_suffix("")
    real, above = _real(path), _real(top)
    below = real.relative_to(above) if real.is_relative_to(above) else Path()
    return "/".join(below.parts)[-250:] or real.name or "run"


def _real(path: Path) -> Path:
    """The path with symbolic links resolved; a circular link stays as it is."""
    return Path(os.path.realpath(path))
