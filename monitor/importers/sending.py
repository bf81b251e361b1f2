"""Sends an imported run as the batches of one writer, through the write path of a training loop.

The run's id is derived from the source's location, the writer's name from the content. Importing the same source again
sends duplicates, which are ignored; importing a changed source starts a new attempt of the same run; an interrupted
import continues where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.domain import Reply
from monitor.errors import OffsetGap
from monitor.importers.imported import ImportedRun
from monitor.wire import Batch, Columns, Event, jsonable

BATCH: Final = 50_000
"""Records per batch."""
_AHEAD: Final = 2
"""Records before the first point: the start of the run, and its origin."""
_NAME: Final = 250  # characters; longer names are refused


@dataclass(frozen=True, slots=True)
class Sent:
    """The result of sending a run.

    Attributes:
        run_id: the run's id in the store.
        points: points stored now.
        known: True if everything was stored before.
    """

    run_id: str
    points: int
    known: bool


def run_id_of(run: ImportedRun, project: str | None = None) -> str:
    """The id under which a run is stored.

    Args:
        project: the project that the user chose, if any; each project gets a copy of its own.
    """
    return run_id("import", project, run)


def run_id(verb: str, project: str | None, run: ImportedRun) -> str:
    """The id of a run that a verb stores in a project."""
    text = f"monitor {verb}\0{project or ''}\0{run.origin}"
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


def send_run(
    run: ImportedRun,
    send: Callable[[Batch], Reply],
    *,
    project: str | None = None,
    name: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Sent:
    """Store a run.

    Args:
        name: overrides the source's name.
        progress: called after each batch with the number of points stored so far.

    Raises:
        MonitorError: raised by `send`, except for offset gaps, which are handled.
    """
    ident, total = run_id_of(run, project), len(run.points)
    outbox = _Outbox(run, ident, f"import-{_fingerprint(run)}", _events(run, project, name))
    at = points = 0
    while at < outbox.end:
        batch = outbox.batch(at)
        try:
            reply = send(batch)
        except OffsetGap as gap:
            # An interrupted import left its first records in the store: continue after them.
            if not at < gap.expected <= outbox.end:
                raise
            at = gap.expected
            continue
        if not reply.duplicate:
            points += len(batch.points)
        known = reply.duplicate and reply.acked >= outbox.end
        at = max(reply.acked, batch.end)
        if progress is not None:
            progress(min(total, max(0, at - _AHEAD)))
        if known and not points:
            return Sent(ident, 0, True)
    return Sent(ident, points, False)


@dataclass(frozen=True, slots=True)
class _Outbox:
    """The records of a run: its start, its origin, one per point, its end; and a start before each further attempt."""

    run: ImportedRun
    run_id: str
    writer: str
    events: tuple[Event, ...]

    @property
    def end(self) -> int:
        return len(self.run.points) + _AHEAD + len(self.run.attempts) + 1

    def batch(self, first: int) -> Batch:
        """The records from `first` on, all from one attempt."""
        begins = _begins(self.run)
        attempt = bisect_right(begins, first) - 1
        last = min(first + BATCH, self.end, *begins[attempt + 1 :])
        ends = (*self.run.attempts, len(self.run.points))
        most, least = ends[attempt], ends[attempt - 1] if attempt else 0
        # Records to points: `_AHEAD` events come first, and one `run` event before each further attempt.
        low, high = (min(most, max(least, at - _AHEAD - attempt)) for at in (first, last))
        keys, points = points_at(self.run, slice(low, high))
        return Batch(
            run_id=self.run_id,
            writer=self.writer,
            first=first,
            count=last - first,
            keys=keys,
            points=points,
            events=tuple(event for event in self.events if first <= event.record < last),
        )


def points_at(run: ImportedRun, at: slice | NDArray[np.int64]) -> tuple[tuple[str, ...], Columns]:
    """Some points of a run and the names of their series, in the form of a batch."""
    p = run.points
    used, key = np.unique(p.key[at], return_inverse=True)
    epoch = None if p.epoch is None else p.epoch[at]
    names = tuple(run.keys[k] for k in used.tolist())
    return names, Columns(key.astype(np.uint16), p.step[at], p.value[at], p.time_ms[at], epoch)


def start_of(run: ImportedRun, project: str) -> dict[str, object]:
    """The data of a run's `run` event.

    Args:
        project: used if the source has none.
    """
    return {
        "project": (run.project or project)[:_NAME],
        "name": run.name[:_NAME],
        "group": run.group[:_NAME] if run.group else None,
        "config": run.config,
        "tags": {key[:_NAME]: value for key, value in run.tags.items() if key},
        "resume": "allow",
        **({"roles": roles} if (roles := run.said.to_dict()) else {}),
    }


def event(kind: str, record: int, time_ms: int, data: Mapping[str, object]) -> Event:
    """An event with data of any kind."""
    found = jsonable(dict(data))
    assert isinstance(found, dict)
    return Event(kind=kind, record=record, time_ms=max(0, time_ms), data=found)


def _begins(run: ImportedRun) -> tuple[int, ...]:
    """The first record of each attempt, its `run` event."""
    return (0, *(at + _AHEAD + i for i, at in enumerate(run.attempts)))


def _events(run: ImportedRun, project: str | None, name: str | None) -> tuple[Event, ...]:
    times = run.points.time_ms
    started = int(times.min()) if run.started_ms is None else run.started_ms
    finished = int(times.max()) if run.finished_ms is None else run.finished_ms
    start = start_of(replace(run, project=project or run.project, name=name or run.name), "imported")
    place = {"source": run.source, "kind": run.kind, "origin": run.origin, "unit": run.unit, "steps": run.steps}
    origin = {"imported": {**place, "started_ms": started, "finished_ms": run.finished_ms}}
    end = {"status": run.status, "error": run.error}
    return (
        event("run", 0, started, start),
        event("capture", 1, started, origin),
        *(event("run", b, int(times[at]), start) for b, at in zip(_begins(run)[1:], run.attempts, strict=True)),
        event("finish", len(run.points) + _AHEAD + len(run.attempts), finished, end),
    )


def _fingerprint(run: ImportedRun) -> str:
    """A hash of the run's content without times, because a file's times change when it is copied."""
    digest = hashlib.sha256()
    for part in _parts(run):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()[:24]


def _parts(run: ImportedRun) -> Iterator[bytes]:
    yield json.dumps([run.keys, jsonable(run.config), run.status], sort_keys=True).encode()
    columns = (run.points.key, run.points.step, run.points.value, run.points.epoch)
    if run.attempts:
        yield json.dumps(run.attempts).encode()
    yield from (column.tobytes() for column in columns if column is not None)
