"""Makes the records of a batch valid for the store: corrected, or set aside and reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from monitor.errors import WireError
from monitor.limits import MAX_TIME, Note, key, shown, valid
from monitor.wire import Batch, Columns, Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """The content of a `run` event; None for what it does not say."""

    project: str
    name: str | None
    group: str | None
    config: Mapping[str, object]
    tags: Mapping[str, str]
    loss: Mapping[str, object] | None
    resume: str
    heartbeat_s: float | None
    join: bool
    roles: Mapping[str, str] | None = None
    stop: Mapping[str, str] | None = None
    planned_steps: int | None = None


def checked(batch: Batch, note: Note) -> Batch:
    """Apply `limits` to each name, time and event of a batch. What cannot be made valid is left out.

    Args:
        note: called with what was corrected or dropped.
    """
    batch = _named(batch, note)
    events = tuple(found for event in batch.events if (found := _event(event, note)) is not None)
    return replace(batch, points=_timed(batch.points, note), events=events)


def run_event(data: Mapping[str, object]) -> RunEvent:
    """Read the data of a `run` event that `checked` has made valid."""
    return RunEvent(**data)  # type: ignore[arg-type]  # `limits.valid` made it


def first_event(batch: Batch) -> Event:
    """The `run` event with which a writer's first batch begins."""
    first = batch.events[0] if batch.events else None
    if first is None or first.kind != "run" or first.record != 0:
        found = shown(first.kind if first is not None and first.record == 0 else "points")
        raise WireError("events[0]", f"a writer's first record must be a run event, got {found}")
    return first


def _event(event: Event, note: Note) -> Event | None:
    data = valid(event.kind, event.data, note)
    return None if data is None else replace(event, data=data, time_ms=min(max(event.time_ms, 0), MAX_TIME))


def _named(batch: Batch, note: Note) -> Batch:
    """The batch with valid metric names. Series whose names become equal are merged."""
    names = [key(name) for name in batch.keys]
    if tuple(names) == batch.keys:
        return batch
    unique = {name: i for i, name in enumerate(dict.fromkeys(names))}
    logged = np.bincount(batch.points.key, minlength=len(names)).tolist()
    for given, name, n in zip(batch.keys, names, logged, strict=True):
        if given != name and n:
            note("renamed", name, shown(given), n)
    where = np.array([unique[name] for name in names], np.uint16)
    return replace(batch, keys=tuple(unique), points=replace(batch.points, key=where[batch.points.key]))


def _timed(points: Columns, note: Note) -> Columns:
    """The points with their times clipped to the allowed range. A clock set before 1970 loses no points."""
    times = points.time_ms
    if not len(times) or (times.min() >= 0 and times.max() <= MAX_TIME):
        return points
    outside = int(np.count_nonzero((times < 0) | (times > MAX_TIME)))
    note("converted", "time", f"{int(times.min())} ms since 1970; between 0 and 2**62 are stored", outside)
    return replace(points, time_ms=np.clip(times, 0, MAX_TIME))
