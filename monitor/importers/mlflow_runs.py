"""An MLflow run, with the same result whether read from a server, its database, or a folder of files.

MLflow keeps neither infinities nor the order of logging. A value of ±1.797e308 is read as the infinity that it was, and
points are ordered by time, step and value. If a series was logged without steps, MLflow puts all points at one step;
then they are counted, against the longest such series, so that losses logged per epoch and per batch keep their
distance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from monitor.domain.mlflow_tags import OWN, is_marking
from monitor.errors import SettingsError
from monitor.importers.imported import ImportedRun, NotTraining, PointList, by_role
from monitor.importers.table import Skipped
from monitor.limits import value_of
from monitor.roles import NOTHING, said_of_tags
from monitor.wire import Columns

IMPORTED: Final = f"{OWN}imported_as"
"""The tag of a run that was imported from here."""
SEVERITY, SKILL, BEST = f"{OWN}severity", f"{OWN}skill", "best/val_loss"
_STATUS: Final[Mapping[str, Literal["finished", "stopped", "failed"]]] = {"FINISHED": "finished", "FAILED": "failed"}
_INFINITE: Final = float(np.finfo(np.float64).max)

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """All points of one metric; arrays of shape (n,), in any order.

    Attributes:
        key: the metric's name.
        times: int64, milliseconds since the Unix epoch.
        steps: int64.
        values: float64.
    """

    key: str
    times: Ints
    steps: Ints
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowRun:
    """A run without its points.

    Attributes:
        id: its id in MLflow.
        shown: how errors name it.
        name: the run's name.
        status: `FINISHED`, `FAILED`, `KILLED`, `RUNNING` or `SCHEDULED`.
        experiment: the experiment's name.
        deleted: True if it was deleted in MLflow.
        started_ms, finished_ms: milliseconds since the Unix epoch.
        params, tags: by name.
        parent: the name or id of its parent run.
        datasets: number of logged data sets.
        served: True if a monitor that serves MLflow has the run's history; None if only its tags can tell.
    """

    id: str
    shown: str
    name: str | None
    status: str
    experiment: str | None = None
    deleted: bool = False
    started_ms: int | None = None
    finished_ms: int | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    parent: str | None = None
    datasets: int = 0
    served: bool | None = None

    def left_out(self) -> NotTraining | None:
        """Why the run is skipped; None if it is read."""
        if self.deleted:
            return NotTraining(self.shown, "was deleted in MLflow")
        mirrored = mirror_of(self.tags, self.served)
        return None if mirrored is None else NotTraining(self.shown, mirrored)

    def imported(self, histories: Iterable[History], skipped: Sequence[Skipped] = ()) -> ImportedRun | NotTraining:
        """The run with its points."""
        notes = PointList()
        kept = _counted([h for h in histories if self._is_theirs(h.key) and notes.takes(h.key)], notes)
        if not kept:
            return NotTraining(self.shown, "holds no metrics")
        keys, points = _columns(kept)
        given = points.time_ms[points.time_ms > 0]
        started, finished = (int(given.min()), int(given.max())) if len(given) else (0, None)
        if len(given) < len(points):
            points = Columns(points.key, points.step, points.value, np.maximum(points.time_ms, started), None)
        if self.datasets:
            notes.skip("datasets", f"{self.datasets} are left out")
        said = NOTHING
        try:
            said = said_of_tags(self.tags)
        except SettingsError as error:
            notes.skip("tags", f"are not used to read the names: {error}", broken=True)
        tags = {name: text for name, text in self.tags.items() if not is_marking(name)}
        return ImportedRun(
            source=self.shown,
            kind="mlflow",
            origin=f"mlflow:{self.id}",
            name=self.name or self.tags.get("mlflow.runName") or self.id,
            project=self.experiment,
            group=self.parent,
            config={key: value_of(text) for key, text in self.params.items()},
            tags=tags,
            said=said,
            status=_STATUS.get(self.status, "stopped"),
            started_ms=self.started_ms or started,
            finished_ms=self.finished_ms or finished,
            keys=keys,
            points=points,
            skipped=(*skipped, *notes.skipped.values()),
        )

    def _is_theirs(self, key: str) -> bool:
        return key not in (SEVERITY, SKILL, BEST) or f"{OWN}verdict" not in self.tags


def mirror_of(tags: Mapping[str, str], served: bool | None = None) -> str | None:
    """Why a run need not be imported because a monitor has it; None for other runs.

    A run imported from here carries a verdict too, but may have grown since.

    >>> mirror_of({"monitor.run_id": "4f"})
    'is the mirror of run 4f; the monitor that wrote it has its history'
    >>> mirror_of({"monitor.verdict": "nan"})
    'was logged to a monitor that serves MLflow and is stored there; `monitor db copy` copies it'
    >>> mirror_of({"monitor.verdict": "nan", "monitor.imported_as": "4f"}), mirror_of({"monitor.verdict": "nan"}, False)
    (None, None)
    """
    run_id = tags.get(f"{OWN}run_id")
    if run_id:
        return f"is the mirror of run {run_id}; the monitor that wrote it has its history"
    if served is None:
        served = f"{OWN}verdict" in tags and IMPORTED not in tags
    words = "was logged to a monitor that serves MLflow and is stored there; `monitor db copy` copies it"
    return words if served else None


def _counted(histories: Sequence[History], notes: PointList) -> list[History]:
    """The points in order; series without steps get counted ones."""
    found = [_in_order(history) for history in histories if len(history.steps)]
    without = [h for h in found if len(h.steps) > 1 and (h.steps == h.steps[0]).all()]
    if not without:
        return found
    longest = max(without, key=lambda history: len(history.steps))
    names = {history.key for history in without}
    for name in sorted(names):
        notes.skip(f"steps of {name!r:.60}", "were not logged; the points are counted")
    return [_stepped(history, longest) if history.key in names else history for history in found]


def _in_order(history: History) -> History:
    infinite = np.abs(history.values) == _INFINITE
    values = np.where(infinite, np.copysign(np.inf, history.values), history.values)
    order = np.lexsort((values, history.steps, history.times))
    return History(history.key, history.times[order], history.steps[order], values[order])


def _stepped(history: History, longest: History) -> History:
    """Count a series by the longest one: each point gets that series' number of points so far, at least one more."""
    own = np.arange(len(history.steps), dtype=np.int64)
    steps = own
    if history is not longest:
        so_far = np.searchsorted(longest.times, history.times, side="right") - 1
        steps = np.maximum.accumulate(np.maximum(so_far, 0) - own) + own
    return History(history.key, history.times, steps, history.values)


def _columns(histories: Sequence[History]) -> tuple[tuple[str, ...], Columns]:
    """All histories as one stream, in the order of a loop: by time and step, validation after training."""
    lengths = [len(history.steps) for history in histories]
    key = np.repeat(np.arange(len(histories)), lengths)
    rank = np.repeat([by_role(history.key) for history in histories], lengths)
    times, steps = (
        np.concatenate([getattr(history, name) for history in histories]).astype(np.int64)
        for name in ("times", "steps")
    )
    values = np.concatenate([history.values for history in histories]).astype(np.float64)
    names = sorted(range(len(histories)), key=lambda i: histories[i].key)
    alphabetic = np.empty(len(histories), np.int64)
    alphabetic[names] = np.arange(len(histories))
    order = np.lexsort((alphabetic[key], rank, steps, times))
    first = dict.fromkeys(key[order].tolist())
    number = np.empty(len(histories), np.uint16)
    number[list(first)] = np.arange(len(first))
    keys = tuple(histories[i].key for i in first)
    return keys, Columns(number[key[order]], steps[order], values[order], times[order], None)
