"""A run as another tracker or a file holds it, before it is stored here."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from monitor.importers.table import Kind as FileKind
from monitor.roles import NOTHING, Reading, Role, Said, read, role_of
from monitor.wire import MAX_KEY, Columns

Kind = FileKind | Literal["wandb", "mlflow"]
_ORDER: Final = {Role.LR: 0, Role.GRAD_NORM: 1, Role.TRAIN: 2, Role.VAL: 4}
_MOST_KEYS: Final = 65_535
_NO_TIME: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Something of a source that is not stored.

    Attributes:
        place: the row, column or metric.
        reason: why, in a few words.
        broken: True where the source is damaged there; False where it holds what no store of curves keeps.
    """

    place: str
    reason: str
    broken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImportedRun:
    """One run with all its series.

    Attributes:
        source: the file, folder or address, as the user knows it.
        origin: what stays the same when the source is read again; the run's id comes from it.
        name: the run's name at its source, or its path below the folder that was named.
        project: the project at the source, None where it knows none.
        config: parameters, as plain data.
        status: "finished", "stopped" or "failed".
        started_ms: milliseconds since the epoch, None where the source does not say; so `finished_ms`.
        keys: names of the series, as the source has them.
        points: all points, in the order in which they were logged; `time_ms` is the source's own or, without one, the
            time at which the file was last written.
        attempts: indices into `points` at which the training began again at an earlier step, ascending.
        unit: what the steps count.
        skipped: what is not stored.
        said: what the user says of the series' names.
    """

    source: str
    kind: Kind
    origin: str
    name: str
    project: str | None = None
    group: str | None = None
    config: Mapping[str, object] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    status: Literal["finished", "stopped", "failed"] = "finished"
    error: str | None = None
    started_ms: int | None = None
    finished_ms: int | None = None
    keys: tuple[str, ...]
    points: Columns
    attempts: tuple[int, ...] = ()
    unit: Literal["step", "epoch"] = "step"
    skipped: tuple[Skipped, ...] = ()
    said: Said = NOTHING

    def reading(self) -> Reading:
        """What the names of the series are taken for, as the store reads them."""
        return read(self.keys, self.said)

    def mapped(self) -> Mapping[Role, str]:
        """By role that is judged, the series that has it, as the store chooses."""
        return self.reading().judged

    def unmapped(self) -> tuple[str, ...]:
        """Series that are stored and shown but not judged, without the machine's own measurements."""
        reading = self.reading()
        aside = {Role.SYSTEM, Role.PART}
        judged = set(reading.judged.values())
        return tuple(key for key, role in reading.roles.items() if key not in judged and role not in aside)


@dataclass(frozen=True, slots=True)
class NotTraining:
    """What was looked at and holds no training: a table without steps, a run without metrics.

    Attributes:
        source: the file, or the run.
        reason: what it is instead.
    """

    source: str
    reason: str


class PointList:
    """Collects the points of a run, and what is wrong with those that cannot be taken."""

    def __init__(self) -> None:
        self.skipped: dict[tuple[str, str], Skipped] = {}
        self._keys: dict[str, int] = {}
        self._key, self._step, self._time = array("H"), array("q"), array("q")
        self._value, self._epoch = array("d"), array("d")

    def __len__(self) -> int:
        return len(self._step)

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the series, in order of their first point."""
        return tuple(self._keys)

    def add(self, key: str, step: int, value: float, time_ms: int = _NO_TIME, epoch: float = math.nan) -> None:
        """Add one point; a name or a step that the store cannot take is skipped and noted."""
        if not self.takes(key):
            return
        at = self._keys[key]
        if not -(2**63) <= step < 2**63:
            self.skip(f"series {key!r:.60}", f"step {step} is too large", broken=True)
            return
        self._key.append(at)
        self._step.append(step)
        self._value.append(value)
        self._time.append(time_ms)
        self._epoch.append(epoch)

    def takes(self, key: str) -> bool:
        """Whether a series of this name can be stored; one that cannot is noted."""
        if key in self._keys:
            return True
        if not key.strip() or len(key) > MAX_KEY or "\0" in key or len(self._keys) >= _MOST_KEYS:
            self.skip(f"series {key!r:.60}", "has a name that cannot be stored")
            return False
        self._keys[key] = len(self._keys)
        return True

    def skip(self, place: str, reason: str, *, broken: bool = False) -> None:
        """Note that something is not taken; the same note twice is one."""
        self.skipped.setdefault((place, reason), Skipped(place=place, reason=reason, broken=broken))

    def columns(self, time_ms: int) -> Columns:
        """The points.

        Args:
            time_ms: the time of points that have none, milliseconds since the epoch.
        """
        times = np.array(self._time, np.int64)
        epochs = np.array(self._epoch, np.float64)
        return Columns(
            np.array(self._key, np.uint16),
            np.array(self._step, np.int64),
            np.array(self._value, np.float64),
            np.where(times > 0, times, max(0, time_ms)),
            None if np.isnan(epochs).all() else epochs,
        )

    def span(self) -> tuple[int | None, int | None]:
        """The first and the last time that a point has, milliseconds since the epoch."""
        given = [time for time in self._time if time > 0]
        return (min(given), max(given)) if given else (None, None)


def by_role(key: str) -> int:
    """Sorts the series of one step as a loop logs them: what led to the training loss first, validation last."""
    return _ORDER.get(role_of(key), 3)
