"""The curves of a single run for `monitor diagnose`, from any source that holds just one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from monitor.errors import FileUnreadable, NoHistory
from monitor.importers.imported import ImportedRun, NotTraining
from monitor.importers.sources import read_runs
from monitor.importers.table import listed
from monitor.roles import NOTHING, Reading, Role, Said

Series = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """The curves of a source, in the form that `monitor.diagnose` takes.

    Attributes:
        train: float64 (n, 2), steps and training losses, in order of logging.
        val: float64 (m, 2), steps and validation losses; None if there are none.
        unit: what a step is, "step" or "epoch".
        grad_norm: float64 (k, 2), or None.
        lr: float64 (k, 2), or None.
        parts: parts of a composite loss, from series named `loss/<part>`: float64 (k, 2) by part.
        unmapped: series without a role.
        columns: the series used for each role.
        left_out: what else the source holds that was not read, one phrase each.
        goal: the metric to improve, float64 (k, 2), or None.
        reading: the roles of the names.
        run: the run as read.
    """

    train: Series
    val: Series | None
    unit: Literal["step", "epoch"]
    grad_norm: Series | None = None
    lr: Series | None = None
    parts: Mapping[str, Series] = field(default_factory=dict)
    unmapped: tuple[str, ...] = ()
    columns: Mapping[Role, str]
    left_out: tuple[str, ...] = ()
    goal: Series | None = None
    reading: Reading = field(default_factory=Reading)
    run: ImportedRun


def read_curves(
    source: str | Path, said: Said = NOTHING, pattern: str | None = None, wanted: str | None = None
) -> Curves:
    """Read the curves of the only run of a source.

    Args:
        source: anything `read_runs` accepts: a file, a folder, `-`, or the URL of an MLflow run.
        pattern: as in `read_runs`.
        wanted: the run to read if there are several, by its name or the end of it.

    Raises:
        FileUnreadable: names the file, the row and the problem; or there are several runs, or no losses.
    """
    run, others = read_one_run(source, pattern, said, wanted)
    return curves_of_run(run, *others)


def read_one_run(
    source: str | Path, pattern: str | None = None, said: Said = NOTHING, wanted: str | None = None
) -> tuple[ImportedRun, tuple[str, ...]]:
    """The only run of a source, and what else could not be read.

    Raises:
        FileUnreadable: names the file, the row and the problem; or there are several runs.
    """
    runs: list[ImportedRun] = []
    problems: list[FileUnreadable] = []
    other: list[NotTraining] = []
    others: list[str] = []
    for found in read_runs(source, pattern, said):
        if isinstance(found, ImportedRun):
            if wanted is None or f"/{found.name}".endswith(f"/{wanted}"):
                runs.append(found)
            else:
                others.append(found.name)
        elif isinstance(found, FileUnreadable):
            problems.append(found)
        else:
            other.append(found)
        if len(runs) > 1:
            raise FileUnreadable(str(source), "", f"holds several runs, such as {_shown(*runs)}")
    if runs:
        return runs[0], tuple(map(str, problems))
    if others:
        raise FileUnreadable(str(source), "", f"holds no run called {wanted!r:.60}, but {listed(others)}")
    if problems:
        raise problems[0]
    if len(other) == 1:
        raise NoHistory(other[0].source, other[0].reason)
    what = "is a folder that holds no training" if Path(source).is_dir() else "holds no training"
    raise FileUnreadable(str(source), "", what)


def _shown(one: ImportedRun, other: ImportedRun) -> str:
    if one.source == other.source:
        return f"{one.name!r:.60} and {other.name!r:.60}; name one with --run, or import all with `monitor import`"
    return f"{one.source} and {other.source}; name one of them"


def curves_of_run(run: ImportedRun, *left_out: str) -> Curves:
    """The diagnosed series of a run.

    Args:
        left_out: what could not be read next to it, one phrase each.
    """
    chosen = dict(run.mapped())
    if chosen.keys().isdisjoint((Role.TRAIN, Role.VAL, Role.GOAL)):
        raise NoHistory(run.source, f"no series of losses among: {listed(run.keys)}; say which with --train and --val")

    def series(role: Role) -> Series | None:
        return series_of(run, chosen[role]) if role in chosen else None

    train = series(Role.TRAIN)
    return Curves(
        train=np.empty((0, 2)) if train is None else train,
        val=series(Role.VAL),
        unit=run.unit,
        grad_norm=series(Role.GRAD_NORM),
        lr=series(Role.LR),
        parts={key[len("loss/") :]: series_of(run, key) for key in run.parts()},
        unmapped=run.unmapped(),
        columns=chosen,
        left_out=(*(f"{note.place} {note.reason}" for note in run.skipped), *left_out),
        goal=series(Role.GOAL),
        reading=run.reading(),
        run=run,
    )


def series_of(run: ImportedRun, key: str) -> Series:
    """A series of a run, float64 (n, 2), as the store shows it: where attempts overlap, the newest."""
    at = np.flatnonzero(run.points.key == run.keys.index(key))
    step, attempt = run.points.step[at], np.searchsorted(np.array(run.attempts), at, "right")
    lowest = np.full(len(run.attempts) + 2, np.iinfo(np.int64).max)
    np.minimum.at(lowest, attempt, step)
    hidden_from = np.minimum.accumulate(lowest[::-1])[::-1][attempt + 1]
    seen = at[(step < hidden_from) | (attempt == len(run.attempts))]
    return np.column_stack([run.points.step[seen], run.points.value[seen]]).astype(np.float64)
