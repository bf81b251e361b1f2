"""The losses of one run, from whatever holds just one: what `monitor diagnose` judges."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from monitor.errors import FileUnreadable
from monitor.importers import curves
from monitor.importers.curves import Curves, Series
from monitor.importers.imported import ImportedRun
from monitor.importers.mlflow_source import is_address
from monitor.importers.sources import read_runs
from monitor.importers.table import listed
from monitor.roles import Role, role_of


def read_curves(source: str | Path) -> Curves:
    """Read the curves of the one run that a source holds.

    Args:
        source: CSV (comma, semicolon or tab), JSONL with one object a line, a Keras history as JSON, a Hugging Face
            `trainer_state.json`, a TensorBoard event file, an offline W&B run, a folder that holds one of them, or an
            MLflow run's address.

    Raises:
        FileUnreadable: the file, the row and what is wrong there; or there are more runs than one.
    """
    if not is_address(str(source)) and not Path(source).is_dir() and Path(source).suffix != ".wandb":
        return curves.read_curves(source)
    runs, problems = [], []
    for found in read_runs(source):
        if isinstance(found, ImportedRun):
            runs.append(found)
        elif isinstance(found, FileUnreadable):
            problems.append(found)
        if len(runs) > 1:
            raise FileUnreadable(
                str(source), "", f"holds several runs, such as {runs[0].source} and {runs[1].source}; name one of them"
            )
    if not runs and problems:
        raise problems[0]
    if not runs:
        raise FileUnreadable(
            str(source), "", "is a folder that holds no training" if Path(source).is_dir() else "holds no training"
        )
    return curves_of_run(runs[0], *(str(problem) for problem in problems))


def curves_of_run(run: ImportedRun, *left_out: str) -> Curves:
    """The judged series of a run.

    Args:
        run: as it was read.
        left_out: what lies beside it and could not be read, a phrase each.

    Raises:
        FileUnreadable: it has no losses.
    """
    chosen = dict(run.mapped())
    if chosen.keys().isdisjoint((Role.TRAIN, Role.VAL, Role.GOAL)):
        raise FileUnreadable(run.source, "", f"no series of losses among: {listed(run.keys)}")

    def series(role: Role) -> Series | None:
        if role not in chosen:
            return None
        return _curve(run, chosen[role])

    train = series(Role.TRAIN)
    return Curves(
        train=np.empty((0, 2)) if train is None else train,
        val=series(Role.VAL),
        unit=run.unit,
        grad_norm=series(Role.GRAD_NORM),
        lr=series(Role.LR),
        parts={key[len("loss/") :]: _curve(run, key) for key in run.keys if role_of(key) is Role.PART},
        unmapped=run.unmapped(),
        columns=chosen,
        left_out=(*(f"{note.place} {note.reason}" for note in run.skipped), *left_out),
        goal=series(Role.GOAL),
        reading=run.reading(),
    )


def _curve(run: ImportedRun, key: str) -> Series:
    """A series as the store shows it: where the training began again, the newest attempt stands."""
    at = np.flatnonzero(run.points.key == run.keys.index(key))
    step, attempt = run.points.step[at], np.searchsorted(np.array(run.attempts), at, "right")
    lowest = np.full(len(run.attempts) + 2, np.iinfo(np.int64).max)
    np.minimum.at(lowest, attempt, step)
    hidden_from = np.minimum.accumulate(lowest[::-1])[::-1][attempt + 1]
    seen = at[(step < hidden_from) | (attempt == len(run.attempts))]
    return np.column_stack([run.points.step[seen], run.points.value[seen]]).astype(np.float64)
