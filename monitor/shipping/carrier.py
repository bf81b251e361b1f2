"""Sends a journal's records to a sink, in order, in batches that the receiver accepts.

A batch that fails is never resent unchanged forever. If it is too large, or the connection breaks while it is sent, it
is halved, and the size that worked is remembered. If it is refused permanently, or the receiver fails on it repeatedly,
it is bisected to find the record at fault. That record is set aside: a notice takes its place and number, is stored
with the run, and the rest continues.

A failure that may not be the record's fault sets nothing aside: if a receiver is down, or refuses the notice as well,
the carrier waits for it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from monitor.domain import Reply
from monitor.errors import (
    BatchTooLarge,
    MonitorError,
    OffsetGap,
    ServerFailed,
    ServerUnreachable,
    StoreError,
    WireError,
)
from monitor.journal.claim import note_of
from monitor.journal.read.scan import MAX_RECORDS, Range
from monitor.wire import Batch, Event

if TYPE_CHECKING:
    from monitor.domain import Counter
    from monitor.journal.ack import Position
    from monitor.journal.read.records import JournalReader
    from monitor.shipping.sinks import Sink

_FAILURES: Final = 3
"""Failures on one batch, while the receiver answers others, after which the batch is to blame."""
_RESETS: Final = 5
"""The same for broken connections, for a single record. A larger batch is halved on the second one."""
_STEADY: Final = 32
"""After this many batches of a size that works, a slightly larger one is tried."""
_GAPS: Final = 3
"""Times in a row that a receiver may ask for another record."""
_NOTE: Final = "aside.json"
_STATE: Final[Mapping[str, tuple[str, ...]]] = {"run": ("resume", "join"), "finish": ("status",)}
"""Events that a run needs to begin or end, and the fields of them that are never dropped just to save space."""


class Carrier:
    """Sends one writer's records.

    Args:
        reader: where they come from; used by this carrier only.
        on_aside: called with one line for each record that is set aside.

    Attributes:
        more: True if the journal may hold more than the last batch.
        failing: how many times in a row the last error occurred for the same batch.
        aside: number of records set aside.
    """

    def __init__(
        self, reader: JournalReader, run_id: str, writer: str, on_aside: Callable[[str], None] = lambda _: None
    ) -> None:
        self.reader, self.run_id, self.writer = reader, run_id, writer
        self.more = False
        self.failing = self.aside = 0
        self._on_aside = on_aside
        self._part: Range | None = None
        self._from: Position = reader.position
        self._asked = self._ramp = MAX_RECORDS
        self._most, self._worked, self._steady = math.inf, 0.0, 0
        self._suspect = 0
        self._gaps = 0
        self._error: type[Exception] | None = None

    def load(self) -> Range | None:
        """The records that `send` will send; None if there are none yet.

        Raises:
            OSError: a segment cannot be read.
        """
        if self._part is None:
            self._from, self._asked = self.reader.position, self._size()
            part = self._within(self.reader.read(self._asked))
            lacks_start = part is not None and part.first == 0 and not _starts(part)
            self._part = self._with_a_start(part) if part is not None and lacks_start else part
        return self._part

    def _within(self, part: Range | None) -> Range | None:
        """Shorten a range to the size that the receiver accepts."""
        while self._most < math.inf and part is not None and not _single(part) and _length(part) > self._most:
            self._asked = max(1, min(part.count - 1, int(part.count * self._most / _length(part))))
            self.reader.go_to(self._from)
            part = self.reader.read(self._asked)
        return part

    def send(self, sink: Sink, acked: int = 0) -> Reply | None:
        """Send what `load` returned, or a heartbeat if it returned nothing.

        Args:
            acked: the acknowledged offset that a heartbeat carries.

        Returns:
            None if nothing was stored and another batch should be sent at once: a smaller one, or one that starts at
            another record. Otherwise the reply; `reader.position` is then after what is stored.

        Raises:
            WireError: the receiver accepts nothing of this journal.
            Exception: any error of the sink; try again.
        """
        part = self._part
        try:
            reply = sink.send(self._batch(part, acked))
        except OffsetGap as gap:
            self._go_to(gap)
            return None
        except Exception as error:
            if part is None:
                raise
            return self._refused(sink, part, error)
        if part is not None:
            self._learn(part)
            self._ramp = min(MAX_RECORDS, 2 * self._ramp)
        self._stored(part, reply)
        return reply

    def _batch(self, part: Range | None, acked: int = 0) -> Batch:
        """A range as a batch; a heartbeat with the acknowledged offset if there is none."""
        if part is None:
            return Batch(run_id=self.run_id, writer=self.writer, first=acked, count=0)
        return Batch(
            run_id=self.run_id,
            writer=self.writer,
            first=part.first,
            count=part.count,
            keys=part.keys,
            points=part.points,
            events=part.events,
        )

    def _learn(self, part: Range) -> None:
        """Raise a known limit of the receiver a little from time to time."""
        if self._most < math.inf:
            self._worked = _length(part)
            self._steady += 1
            if self._steady >= _STEADY:
                self._most, self._steady = self._most * 17 / 16, 0

    def worth_a_try(self, error: Exception) -> bool:
        """True if resending the same batch soon may help: the receiver was busy, or its failures are still counted."""
        single = self._part is not None and _single(self._part)
        patience = None if isinstance(error, WireError) else _patience(error, single=single)
        slow = isinstance(error, ServerUnreachable) and error.cut == "timeout"
        return patience is not None and self.failing < patience and not slow

    def _stored(self, part: Range | None, reply: Reply) -> None:
        self._part = self._error = None
        self._gaps = self.failing = 0
        self.more = part is not None and part.count >= self._asked
        position = self.reader.position
        if position.record >= self._suspect:
            self._suspect = 0
        if reply.acked > position.record and not self.reader.seek(reply.acked):
            self.reader.go_to(position)  # it acknowledges records that the journal does not hold; ask again

    def _go_to(self, gap: OffsetGap) -> None:
        self._gaps += 1
        self._back()
        position = self.reader.position
        if not self.reader.seek(gap.expected):
            self.reader.go_to(position)
            raise WireError("first", f"{gap}; the journal does not hold that record") from gap
        if self._gaps > _GAPS:  # the receiver contradicts itself; do not spin
            raise StoreError(f"the receiver asks for another record each time: {gap}") from gap

    def _back(self) -> None:
        """Go back to before the last batch, to read it again, perhaps in smaller parts."""
        if self._part is not None:
            self.reader.go_to(self._from)
        self._part, self.more = None, True

    def _size(self) -> int:
        """How many records the next batch may have."""
        left = self._suspect - self.reader.position.record
        return min(self._ramp, max(1, left // 2)) if left > 0 else self._ramp

    def _refused(self, sink: Sink, part: Range, error: Exception) -> Reply | None:
        """Decide what an error says about a batch. Raise it if it says nothing, or nothing yet."""
        single = _single(part)
        patience = _patience(error, single=single)
        if type(error) is not self._error:
            self._error, self.failing = type(error), 0
        self.failing += 1
        # While a batch is being bisected, a half that fails is split again at once.
        if patience is None or (self.failing < patience and (single or not self._suspect)):
            raise error
        if single and patience > 1:
            return self._once_more(sink, part, error)
        if single:
            return self._set_aside(sink, part, error)
        self._halve(part, error)
        return None

    def _halve(self, part: Range, error: Exception) -> None:
        if isinstance(error, BatchTooLarge):
            length = _length(part)
            # The last size that worked, if it is larger than half of this one.
            self._most = self._worked if length / 2 < self._worked < length else length / 2
            self._steady = 0
        elif isinstance(error, ServerUnreachable) and not isinstance(error, ServerFailed):
            self._ramp = max(1, part.count // 2)
        else:
            self._suspect = part.first + part.count
        self.failing = 0
        self._back()

    def _once_more(self, sink: Sink, part: Range, error: Exception) -> Reply | None:
        """Retry a record that keeps failing, between two heartbeats that show that the receiver is well.

        Then set it aside.

        Raises:
            Exception: the receiver is not well.
        """
        self._beat(sink, part)
        try:
            reply = sink.send(self._batch(part))
        except Exception as again:
            if type(again) is not type(error):
                raise
            self._beat(sink, part)
            return self._set_aside(sink, part, error)
        self._stored(part, reply)
        return reply

    def _beat(self, sink: Sink, part: Range) -> None:
        with suppress(OffsetGap):  # a gap is an answer too: the run is not stored yet
            sink.send(self._batch(None, part.first))

    def _set_aside(self, sink: Sink, part: Range, error: Exception) -> Reply:
        """Send a notice in place of a record. Events that begin or end a run are kept, without the refused part.

        Raises:
            Exception: the receiver refuses the notice as well, so the record is not at fault.
        """
        kept = tuple(event for event in part.events if event.kind in _STATE)
        what = ", ".join(event.kind for event in part.events if event.kind != "warning") or "points"
        again = error
        while True:
            smaller = tuple(found for event in kept if (found := _without_cause(event, again)) is not None)
            if len(smaller) < len(kept):
                raise error
            kept = smaller
            events = (*kept, _notice(part, what, str(error)))
            try:
                reply = sink.send(
                    Batch(run_id=self.run_id, writer=self.writer, first=part.first, count=part.count, events=events)
                )
                break
            except Exception as problem:
                if not isinstance(problem, WireError) and not failed(problem):
                    raise
                if not kept:
                    raise error from problem
                again = problem
        # Batches grow again from a single record.
        self._suspect, self._ramp = 0, 1
        self._stored(part, reply)
        self.more = True
        self.aside += part.count
        _add_to_note(self.reader.folder, part.count, f"{what}: {error}")
        self._on_aside(f"{part.count} of its records refused and left out ({what}: {error})")
        return reply

    def _with_a_start(self, part: Range) -> Range:
        """Restore the `run` event of a journal whose first record is lost, from what its writer noted."""
        note = note_of(self.reader.folder)
        start = note.get("start")
        known = dict(start) if isinstance(start, Mapping) else {}
        project, name = str(note.get("project") or "default"), str(note.get("run") or "") or None
        data = {"project": project, "name": name, "resume": "allow", **known}
        time_ms = part.events[0].time_ms if part.events else int(part.points.time_ms[0])
        return replace(part, events=(Event(kind="run", record=0, time_ms=max(0, time_ms), data=data), *part.events))


def failed(error: Exception) -> bool:
    """True if a receiver failed on a batch: a server answered 500, or a sink raised an unexpected error."""
    return isinstance(error, ServerFailed) or not isinstance(error, MonitorError | OSError)


def aside(folder: Path) -> tuple[int, str | None]:
    """How many records of a writer's folder were set aside, and why the last one was."""
    with suppress(OSError, ValueError, TypeError, LookupError, AttributeError):
        data = json.loads((folder / _NOTE).read_bytes())
        return int(data["count"]), str(data["why"])
    return 0, None


def _add_to_note(folder: Path, count: int, why: str) -> None:
    with suppress(OSError):  # the run's warnings hold it as well
        (folder / _NOTE).write_text(json.dumps({"count": aside(folder)[0] + count, "why": why[:500]}), encoding="utf-8")


def _patience(error: Exception, *, single: bool) -> int | None:
    """How many times an error must occur before the batch, or its size, is to blame; None if it never is."""
    if isinstance(error, WireError):
        return 1
    if failed(error):
        return _FAILURES
    cut = error.cut if isinstance(error, ServerUnreachable) else ""
    if single:
        return _RESETS if cut == "reset" else None
    return 2 if cut else None


def _single(part: Range) -> bool:
    """True for a range that cannot be halved: one record, or a gap, for which one notice is enough."""
    return part.count == 1 or (part.lost == part.count and not len(part.points))


def _length(part: Range) -> float:
    """The approximate size of a batch of these records in bytes."""
    points = (26 if part.points.epoch is None else 34) * len(part.points)
    return 100 + points + sum(100 + len(json.dumps(event.data, default=str)) for event in part.events)


def _starts(part: Range) -> bool:
    return bool(part.events) and part.events[0].kind == "run" and part.events[0].record == 0


def _without_cause(event: Event, error: Exception) -> Event | None:
    """An event without the field that the error names, else without its longest one; None if all must stay."""
    named = re.search(r"\bdata\.(\w+)", error.field) if isinstance(error, WireError) else None
    can_go = [key for key, value in event.data.items() if value is not None and key not in _STATE[event.kind]]
    if named is not None and named[1] in event.data:
        out = named[1]
    elif can_go:
        out = max(can_go, key=lambda key: len(json.dumps(event.data[key], default=str)))
    else:
        return None
    return replace(event, data={key: value for key, value in event.data.items() if key != out})


def _notice(part: Range, what: str, why: str) -> Event:
    """The warning that takes the place of records that were set aside."""
    counter: Counter = "lost" if part.lost == part.count else "refused"
    time_ms = part.events[0].time_ms if part.events else int(part.points.time_ms[0])
    data = {"name": counter, "key": what[:200], "count": part.count, "example": f"record {part.first}: {why}"[:200]}
    return Event(kind="warning", record=part.first, time_ms=max(0, time_ms), data=data)
