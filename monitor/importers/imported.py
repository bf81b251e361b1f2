"""A run as read from a file or another tracker, before it is stored."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np

from monitor.importers.table import Skipped, listed
from monitor.importers.totals import with_totals
from monitor.roles import NOTHING, Reading, Role, Said, read, role_of
from monitor.wire import MAX_KEY, Columns

_ORDER: Final = {Role.LR: 0, Role.GRAD_NORM: 1, Role.TRAIN: 2, Role.VAL: 4}
_MOST_KEYS: Final = 65_535  # series are numbered by a uint16
_NO_TIME: Final = 0  # marks a point without a time
_LEAST: Final = 3
"""Points needed to see what a series counts."""
_APART: Final = 10
"""The training must count at least this many times further."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImportedRun:
    """One run with all its series.

    Attributes:
        source: the file, folder or URL, as the user knows it.
        kind: its format, such as "csv" or "wandb".
        origin: stays the same when the source is read again; the run's id is derived from it.
        name: the run's name at its source, or its path below the folder that was given.
        part: which run of its file it is; "" if the file holds only one.
        project: the project at the source; None if unknown.
        group: the group at the source; None if unknown.
        config: parameters, as plain data.
        tags: the tags at the source.
        status: "finished", "stopped" or "failed".
        error: why it failed, if the source says so.
        started_ms: milliseconds since the Unix epoch; None if unknown.
        finished_ms: as `started_ms`.
        keys: names of the series, as in the source.
        points: all points, in order of logging. `time_ms` comes from the source, else from the file's modification
            time.
        attempts: indices into `points` at which the training was restarted at an earlier step, ascending.
        derived: series computed from others: sums of terms.
        unit: what a step is.
        steps: how the steps were found, in a few words; "" if the source has its own.
        skipped: what is not stored.
        said: what the user says about the names.
        columns: the columns of the table it was read from; empty if it was not a table and has its own steps.
    """

    source: str
    kind: str
    origin: str
    name: str
    part: str = ""
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
    derived: tuple[str, ...] = ()
    unit: Literal["step", "epoch"] = "step"
    steps: str = ""
    skipped: tuple[Skipped, ...] = ()
    said: Said = NOTHING
    columns: tuple[str, ...] = ()

    def reading(self) -> Reading:
        """The roles of the series, as the store decides them."""
        return read(self.keys, self.said)

    def mapped(self) -> Mapping[Role, str]:
        """For each diagnosed role, its series, as the store decides."""
        return self.reading().judged

    def parts(self) -> tuple[str, ...]:
        """The parts of a composite loss."""
        return tuple(key for key, role in self.reading().roles.items() if role is Role.PART)

    def unmapped(self) -> tuple[str, ...]:
        """Series that are stored and plotted but not diagnosed, except system metrics."""
        reading = self.reading()
        aside = {Role.SYSTEM, Role.PART}
        judged = set(reading.judged.values())
        return tuple(key for key, role in reading.roles.items() if key not in judged and role not in aside)


@dataclass(frozen=True, slots=True)
class NotTraining:
    """Something that was read and holds no training: a table without steps, a run without metrics.

    Attributes:
        source: the file, or the run.
        reason: what it is instead.
    """

    source: str
    reason: str


class PointList:
    """Collects the points of a run, and what is wrong with those that cannot be stored."""

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
        """Add a point. One whose name or step the store cannot take is skipped and noted."""
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
        """True if a series of this name can be stored; otherwise it is noted."""
        if key in self._keys:
            return True
        if not key.strip() or len(key) > MAX_KEY or "\0" in key or len(self._keys) >= _MOST_KEYS:
            self.skip(f"series {key!r:.60}", "has a name that cannot be stored")
            return False
        self._keys[key] = len(self._keys)
        return True

    def skip(self, place: str, reason: str, *, broken: bool = False) -> None:
        """Note something that is skipped; repeated notes are kept once."""
        self.note(Skipped(place=place, reason=reason, broken=broken))

    def note(self, what: Skipped) -> None:
        """Note something about the source; repeated notes are kept once."""
        self.skipped.setdefault((what.place, what.reason), what)

    def complete(self, run: ImportedRun, unit: Literal["step", "epoch"] | None) -> ImportedRun:
        """The run of these points with what its file does not say: totals, the unit, notes, its begin and its end.

        Args:
            unit: None if the source does not say what a step is.
        """
        points = run.points if run.attempts else self._on_one_scale(run.points, run.said)
        totals = with_totals(self.keys, points, run.attempts, run.said)
        for total, terms in totals.of.items():
            self.skip(f"series {total!r}", f"is the sum of {listed(terms)}, because no total loss was logged")
        started, finished = self.span()
        return replace(
            run,
            started_ms=started,
            finished_ms=finished,
            keys=totals.keys,
            points=totals.points,
            attempts=totals.attempts,
            derived=tuple(totals.of),
            unit=unit or _unit_of(totals.keys, totals.points, run.said),
            skipped=tuple(self.skipped.values()),
        )

    def _on_one_scale(self, points: Columns, said: Said) -> Columns:
        """The points, with series that count epochs moved to the training's current steps.

        A series that counts 1, 2, 3 ... while the training advances by many steps between its points counts epochs.
        """
        loss = read(self.keys, said).judged.get(Role.TRAIN)
        own = np.flatnonzero(points.key == self.keys.index(loss)) if loss is not None else ()
        if len(own) < _LEAST:
            return points
        steps, reached = points.step.copy(), np.maximum.accumulate(points.step[own])
        for series, name in enumerate(self.keys):
            at = np.flatnonzero(points.key == series)
            counted = points.step[at]
            if len(at) < _LEAST or (np.diff(counted) != 1).any() or counted[-1] * _APART > reached[-1]:
                continue
            before = np.searchsorted(own, at) - 1
            if before[0] >= 0 and (np.diff(reached[before]) > 0).all():
                steps[at] = reached[before]
                self.skip(f"series {name!r:.60}", f"counts epochs; it stands at the steps of {loss!r:.60}")
        return replace(points, step=steps)

    def columns(self, time_ms: int) -> Columns:
        """The points as arrays.

        Args:
            time_ms: time for points without one, in ms since the Unix epoch.
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
        """The first and last time of the points, in ms since the Unix epoch."""
        given = [time for time in self._time if time > 0]
        return (min(given), max(given)) if given else (None, None)


def by_role(key: str) -> int:
    """A sort key for series of one step, in the order of a loop: causes of the training loss first, validation last."""
    return _ORDER.get(role_of(key), 3)


def _unit_of(keys: Sequence[str], points: Columns, said: Said) -> Literal["step", "epoch"]:
    """Guess the unit of unnamed steps: epochs, if every step was validated and none is missing.

    Nobody validates after every optimiser step.
    """
    steps = {
        role: np.unique(points.step[points.key == keys.index(key)])
        for role, key in read(keys, said).judged.items()
        if role in (Role.TRAIN, Role.VAL)
    }
    train, val = steps.get(Role.TRAIN), steps.get(Role.VAL)
    if train is None or val is None or len(train) < 2 or not np.array_equal(train, val):
        return "step"
    return "epoch" if bool((np.diff(train) == 1).all()) else "step"
