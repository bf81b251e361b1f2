"""A batch as client and server hold it in memory: columns of points, and events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Points in the order in which they were logged. All arrays have shape (n,).

    Attributes:
        key: uint16, index into the batch's `keys`.
        step: int64.
        value: float64, NaN and infinities included.
        time_ms: int64, milliseconds since the epoch.
        epoch: float64, NaN where a point has none; None if no point has one.
    """

    key: NDArray[np.uint16]
    step: NDArray[np.int64]
    value: NDArray[np.float64]
    time_ms: NDArray[np.int64]
    epoch: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.step)

    @classmethod
    def empty(cls) -> Columns:
        """No points."""
        return cls(np.empty(0, "u2"), np.empty(0, "i8"), np.empty(0, "f8"), np.empty(0, "i8"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in a run besides a point.

    Attributes:
        kind: one of `limits.EVENT_KINDS`, or one that only a newer version knows. `run` starts or joins a run: project,
            name, group, config, tags, loss, resume, heartbeat_s, stop, planned_steps, join (True: an additional writer
            of the current attempt). `config` and `tags` are merged. `checkpoint`: step, path, deleted. `finish`:
            status, error, exit_code (of a process that somebody waited for). `warning`: name, key, count, example.
            `capture`: what was recorded about the environment. `weights`: step, weights. `alert`: title, body,
            severity. `loss`: loss, kept only if the run has none. `output`: stream, step, text. `stop`: the loop was
            told to stop: request, step.
        record: index of the event's record in the writer's journal.
        time_ms: milliseconds since the epoch.
        data: strict JSON data, as returned by `limits.valid`.
    """

    kind: str
    record: int
    time_ms: int
    data: Mapping[str, object] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """The event as JSON data."""
        return {"kind": self.kind, "record": self.record, "time_ms": self.time_ms, "data": dict(self.data)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Records `first` up to `first + count` of one writer of one run; with count 0, a heartbeat.

    Attributes:
        run_id: 32 hex digits.
        writer: unique for every process that writes to the run; letters, digits, `_`, `.`, `-`, at most 64.
        first: index of the first record, >= 0.
        count: number of records, >= 0. A record holds the points of one `log()` call, or one event.
        keys: metric names that `points.key` refers to.
    """

    run_id: str
    writer: str
    first: int
    count: int
    keys: tuple[str, ...] = ()
    points: Columns = field(default_factory=Columns.empty)
    events: tuple[Event, ...] = ()

    @property
    def end(self) -> int:
        """Index of the record after the last one."""
        return self.first + self.count
