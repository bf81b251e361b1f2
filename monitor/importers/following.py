"""Follows a growing source as a live run: sends what is new, each point once.

Whenever its files change, the source is read again by the readers of `monitor import`, and what exceeds the part
already sent is sent. Before each batch, a note on disk records the state after it. If this process is killed, the note
and the store's acknowledged offset together tell what is new. The note only has the number of points sent per series
and a checksum of them.

If a file is truncated or replaced and its steps continue, it is the same run, as with a rotated log. If the steps start
over, it is another attempt, or another run if the first point differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.domain import Recommendation, Reply
from monitor.errors import OffsetGap, RunNotFound
from monitor.importers.beginnings import DERIVED, Beginning, Note, Sent, follows, holds, replayed
from monitor.importers.imported import ImportedRun
from monitor.importers.sending import event, points_at, run_id, start_of
from monitor.wire import Batch, Event

BATCH: Final = 20_000
"""Records per batch."""
HEARTBEAT_S: Final = 60.0
"""The heartbeat interval promised for a followed run; long, so that a short pause of the watch raises no alert."""
OVER_S: Final = 600.0
"""A file not written to for this long when first seen belongs to a finished training."""


class Follower:
    """Sends one run of a source as it grows.

    Args:
        place: identifies the source; the same each time it is followed.
        note: stores what was sent.
        project: the run's project; None: the source's own, else `watched`.

    Attributes:
        run: the last reading.
        sent: what was sent of it; None before the first.
        reply: the store's last reply.
        deleted: True once the run was deleted from the store.
    """

    def __init__(self, place: str, note: Note, send: Callable[[Batch], Reply], project: str | None = None) -> None:
        self.run: ImportedRun | None = None
        self.sent: Sent | None = None
        self.reply: Reply | None = None
        self.deleted = False
        self._place, self._note, self._send, self._project = place, note, send, project
        self._odd = 0
        self._last: Beginning | None = None

    @property
    def unsure(self) -> bool:
        """True while the file seems to hold something else and should be read once more."""
        return self._odd > 0

    @property
    def recommendation(self) -> Recommendation:
        """The latest recommendation."""
        return Recommendation() if self.reply is None else self.reply.recommendation

    def take(self, run: ImportedRun, *, over: bool, now_ms: int) -> int:
        """Send what is new in a reading.

        Args:
            over: its training has ended, so the run is ended too.

        Returns:
            The number of points sent.

        Raises:
            MonitorError: raised by `send`; the same reading may be taken again.
        """
        if self.deleted or not len(run.points):
            return 0
        try:
            return self._take(run, over=over, now_ms=now_ms)
        except RunNotFound:
            self.deleted = True
            return 0
        except Exception:  # whatever happened, ask the store again what it has
            self.sent = None
            raise

    def holds(self, run: ImportedRun) -> bool:
        """True if a reading contains what was sent, and perhaps more; also if nothing was sent yet."""
        if self.deleted or not len(run.points):
            return True
        reading = self._reading(run)
        try:
            self.sent = self.sent or self._known(run, reading)
        except RunNotFound:
            self.deleted = True
            return True
        return not self.sent.record or holds(reading, self.sent)

    def began(self, run: ImportedRun) -> bool:
        """True if a reading starts like one of the files that this run was read from."""
        noted = self._note.read() if self.sent is None else None
        sent = self.sent if noted is None else noted[1]
        head = self._reading(run).head()
        return sent is not None and head is not None and head in sent.heads

    def follows(self, run: ImportedRun) -> bool:
        """True if a reading starts after what was sent."""
        return self.sent is not None and len(run.points) > 0 and follows(run, self.sent)

    def beat(self) -> None:
        """Send a heartbeat."""
        if self.sent is not None and self.sent.record and not self.sent.over and not self.deleted:
            self.reply = self._send(
                Batch(run_id=self.sent.run_id, writer=self.sent.writer, first=self.sent.record, count=0)
            )

    def end(self, now_ms: int) -> None:
        """End the run: its training is known to have ended."""
        if self.run is not None and self.sent is not None and not self.sent.over:
            self._finish(self.run, now_ms)

    def _take(self, run: ImportedRun, *, over: bool, now_ms: int) -> int:
        reading = self._reading(run)
        sent = self.sent or self._known(run, reading)
        if sent.record and not holds(reading, sent):
            if not follows(run, sent):
                self._odd += 1  # a file that is being rewritten looks truncated for a moment
                # JSON is rewritten as a whole: a shorter reading is an unfinished one, however often it is seen.
                if self._odd < 2 or (reading.shorter(sent.counts) and run.source.endswith(".json")):
                    self.sent = sent
                    return 0
            sent = self._begin_anew(run, sent, now_ms)
        self.sent, self.run, self._odd = sent, run, 0
        points = self._send_all(reading, now_ms, over=over)
        if over and not self.sent.over:
            self._finish(run, now_ms)
        return points

    def _reading(self, run: ImportedRun) -> Beginning:
        if self._last is None or self._last.run is not run:
            self._last = Beginning(run)
        return self._last

    def _known(self, run: ImportedRun, reading: Beginning) -> Sent:
        """What was sent by whoever followed this source before."""
        noted = self._note.read()
        if noted is not None:
            # The last batch may have been stored before the previous process was killed, or not.
            before, after = noted
            there = self._acked(after)
            for state in (after, before):
                if state.record == there:
                    return state
        # Without a usable note, compare the reading with what the store has from each writer.
        for fresh in self._writers(run, self._run_id(run)):
            there = self._acked(fresh)
            if there == 0:
                return fresh
            known = replayed(reading, fresh, there)
            if known is not None:
                return known
        raise AssertionError  # there is always another writer

    def _acked(self, sent: Sent) -> int:
        """How many records of a writer are stored."""
        try:
            return self._send(Batch(run_id=sent.run_id, writer=sent.writer, first=0, count=0)).acked
        except OffsetGap as gap:
            return gap.expected

    def _begin_anew(self, run: ImportedRun, sent: Sent, now_ms: int) -> Sent:
        """The file holds something else now: the training's next part, its next attempt, or another training."""
        if follows(run, sent):  # a rotated log: the same run, whose points are counted from zero in this file
            fresh = replace(sent, origin=run.origin, counts={}, sums={}, attempt=0)
            self._note.write(fresh, fresh)
            return fresh
        ident = sent.run_id if run.origin == sent.origin else self._run_id(run)
        if ident != sent.run_id and self.run is not None and not sent.over:
            self.sent = sent
            self._finish(self.run, now_ms)
        fresh = next(fresh for fresh in self._writers(run, ident) if not self._acked(fresh))
        return replace(fresh, heads=sent.heads) if ident == sent.run_id else fresh

    def _run_id(self, run: ImportedRun) -> str:
        return run_id("watch", self._project, run)

    def _writers(self, run: ImportedRun, ident: str) -> Iterator[Sent]:
        """The possible writers of a run, one for each time its file started over."""
        return (Sent(origin=run.origin, run_id=ident, writer=f"watch-{turn}") for turn in count())

    def _send_all(self, reading: Beginning, now_ms: int, *, over: bool) -> int:
        sent, at = self.sent, 0
        assert sent is not None
        new = reading.beyond(sent.counts)
        while at < len(new) or (sent.record == 0 and at == 0):
            attempt = max(sent.attempt, reading.attempt_of(int(new[at])) if at < len(new) else 0)
            end = at
            while end < len(new) and end - at < BATCH and reading.attempt_of(int(new[end])) <= attempt:
                end += 1
            events = self._events(reading.run, sent, attempt, now_ms, over=over)
            sent = self._commit(sent, reading, new[at:end], events, attempt)
            at = end
            if not len(new):
                break
        return len(new)

    def _events(self, run: ImportedRun, sent: Sent, attempt: int, now_ms: int, *, over: bool) -> list[Event]:
        """Events before the points: the start of the run or of another attempt."""
        begins = sent.record == 0
        if not begins and attempt == sent.attempt and not sent.over:
            return []
        start = start_of(replace(run, project=self._project or run.project), "watched")
        times = run.points.time_ms
        origin = {
            "source": run.source, "kind": run.kind, "started_ms": int(times.min()), "unit": run.unit,
            "steps": run.steps, "finished_ms": int(times.max()) if over else None,
        }  # fmt: skip
        time_ms = int(times.min()) if begins else now_ms
        found = [event("run", sent.record, time_ms, {**start, "heartbeat_s": HEARTBEAT_S})]
        if begins:
            found.append(event("capture", 1, now_ms, {"imported" if over else "watched": origin}))
        return found

    def _commit(
        self, sent: Sent, reading: Beginning, index: NDArray[np.int64], events: list[Event], attempt: int
    ) -> Sent:
        """Send records, and write the note before."""
        after = replace(
            sent, record=sent.record + len(events) + len(index), attempt=attempt, counts=dict(sent.counts),
            sums=dict(sent.sums), heads=reading.heads(sent.heads), over=False,
        )  # fmt: skip
        run = reading.run
        keys, points = points_at(run, index)
        for key, name in enumerate(keys):
            after.counts[name] = after.counts.get(name, 0) + int(np.count_nonzero(points.key == key))
            after.sums[name] = DERIVED if name in run.derived else reading.sum(name, after.counts[name]) or 0
        if len(index):
            after.last = max(int(points.step.max()), -(2**62) if after.last is None else after.last)
        self._note.write(sent, after)  # before sending, so that a killed process leaves both possible states
        self.reply = self._send(
            Batch(
                run_id=sent.run_id,
                writer=sent.writer,
                first=sent.record,
                count=len(events) + len(index),
                keys=keys,
                points=points,
                events=tuple(events),
            )
        )
        self.sent = after
        return after

    def _finish(self, run: ImportedRun, now_ms: int) -> None:
        sent = self.sent
        assert sent is not None
        end = event("finish", sent.record, now_ms, {"status": run.status, "error": run.error})
        after = replace(sent, record=sent.record + 1, over=True)
        self._note.write(sent, after)
        self.reply = self._send(
            Batch(run_id=sent.run_id, writer=sent.writer, first=sent.record, count=1, events=(end,))
        )
        self.sent = after
