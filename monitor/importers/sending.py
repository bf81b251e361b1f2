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
from dataclasses import dataclass
from typing import Final

import numpy as np

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
    return hashlib.sha256(f"monitor import\0{project or ''}\0{run.origin}".encode(errors="surrogatepass")).hexdigest()[
        :32
    ]


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
    run_id, total = run_id_of(run, project), len(run.points)
    outbox = _Outbox(run, run_id, f"import-{_fingerprint(run)}", _events(run, project, name))
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
            return Sent(run_id, 0, True)
    return Sent(run_id, points, False)


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
        used, index = np.unique(self.run.points.key[low:high], return_inverse=True)
        p = self.run.points
        return Batch(
            run_id=self.run_id,
            writer=self.writer,
            first=first,
            count=last - first,
            keys=tuple(self.run.keys[k] for k in used.tolist()),
            points=Columns(
                index.astype(np.uint16),
                p.step[low:high],
                p.value[low:high],
                p.time_ms[low:high],
                None if p.epoch is None else p.epoch[low:high],
            ),
            events=tuple(event for event in self.events if first <= event.record < last),
        )


def _begins(run: ImportedRun) -> tuple[int, ...]:
    """The first record of each attempt, its `run` event."""
    return (0, *(at + _AHEAD + i for i, at in enumerate(run.attempts)))


def _events(run: ImportedRun, project: str | None, name: str | None) -> tuple[Event, ...]:
    times = run.points.time_ms
    started = int(times.min()) if run.started_ms is None else run.started_ms
    finished = int(times.max()) if run.finished_ms is None else run.finished_ms
    start = {
        "project": (project or run.project or "imported")[:_NAME],
        "name": (name or run.name)[:_NAME],
        "group": run.group[:_NAME] if run.group else None,
        "config": run.config,
        "tags": {key[:_NAME]: value for key, value in run.tags.items() if key},
        "resume": "allow",
        **({"roles": roles} if (roles := run.said.to_dict()) else {}),
    }
    place = {"source": run.source, "kind": run.kind, "origin": run.origin, "unit": run.unit, "steps": run.steps}
    origin = {"imported": {**place, "started_ms": started, "finished_ms": run.finished_ms}}
    end = {"status": run.status, "error": run.error}
    records: list[tuple[int, str, int, Mapping[str, object]]] = [
        (0, "run", started, start),
        (1, "capture", started, origin),
        *((b, "run", int(times[at]), start) for b, at in zip(_begins(run)[1:], run.attempts, strict=True)),
        (len(run.points) + _AHEAD + len(run.attempts), "finish", finished, end),
    ]
    return tuple(
        Event(kind=kind, record=record, time_ms=max(0, time), data=_strict(data))
        for record, kind, time, data in records
    )


def _strict(data: Mapping[str, object]) -> Mapping[str, object]:
    found = jsonable(data)
    assert isinstance(found, dict)
    return found


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
