"""The thread that sends what the journal holds to the sink, in order, until it is acknowledged.

A server that is down costs only disk space: the shipper waits, longer each time, and continues where it was. A record
that the receiver refuses permanently is set aside; see `carrier`. If it refuses everything, that is logged once, and
the records stay in the journal.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

from monitor.domain import Reply
from monitor.errors import (
    OffsetGap,
    RunExists,
    RunNotFound,
    SchemaMismatch,
    ServerUnreachable,
    StoreError,
    Unauthorized,
    WireError,
)
from monitor.journal.ack import AckFile
from monitor.journal.notices import LOGGER

if TYPE_CHECKING:
    from monitor.shipping.carrier import Carrier
    from monitor.shipping.sinks import Sink

_FIRST_WAIT_S: Final = 0.25
"""Before the first retry; it doubles with every failure."""
_MOST_WAIT_S: Final = 30.0
"""Longest wait between retries."""
_SLOW_WAIT_S: Final = 60.0
"""Between retries after a refusal that only a person can fix: a token, a schema."""
_DRAIN_WAIT_S: Final = 0.5
"""Longest wait between retries while a caller waits in `drain`."""
_WORTH_RECORDS: Final = 5000
"""A batch of at least this many records is followed by the next one at once."""


class Shipper:
    """Ships one writer's journal from a thread.

    Args:
        open_sink: creates the sink, in the shipper's thread; may raise what `Sink.send` may.
        heartbeat_s: seconds between heartbeats when there is nothing to send.
        on_reply: called with each reply, in another thread.
        on_links: called once, after the first reply, with the addresses of the server's other parts.
        joins: True for an additional writer, which waits for the run to appear.
        rng: spreads the retries of many clients.

    Attributes:
        acked: number of records that are stored.
        refused: the receiver's permanent refusal, or None.
        trouble: the last error, while it is being retried; None if all is well.
    """

    def __init__(
        self,
        folder: Path,
        run_id: str,
        writer: str,
        open_sink: Callable[[], Sink],
        *,
        interval_s: float,
        heartbeat_s: float,
        on_reply: Callable[[Reply], None],
        on_links: Callable[[Mapping[str, str]], None] | None = None,
        joins: bool = False,
        rng: random.Random | None = None,
    ) -> None:
        self.folder, self.run_id, self.writer = folder, run_id, writer
        self.acked = 0
        self.refused: Exception | None = None
        self.trouble: Exception | None = None
        self._open_sink = open_sink
        self._interval_s, self._heartbeat_s = interval_s, heartbeat_s
        self._on_reply, self._on_links = on_reply, on_links
        self._joins = joins
        self._rng = rng or random.Random()  # jitter needs no secrecy
        self._sink: Sink | None = None
        self._carrier: Carrier | None = None
        self._failures = 0
        self._said: set[str] = set()
        self._awake = self._draining = self._stopped = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"monitor-shipper-{run_id[:8]}", daemon=True)

    def start(self) -> None:
        """Start shipping."""
        self._thread.start()

    def alive(self) -> bool:
        """True while something ships."""
        return self._thread.is_alive()

    def hurry(self, *, draining: bool) -> None:
        """Send what is there now.

        Args:
            draining: True while a caller waits for it: failures are then retried sooner.
        """
        with self._changed:
            self._awake = self._awake or draining or not self._draining
            self._draining = draining
            self._changed.notify_all()

    def stop(self, timeout_s: float = 2.0) -> bool:
        """Stop. False if it is still in a call that does not return."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def drain(self, target: int, timeout_s: float, *, patient: bool = True) -> bool:
        """Send at once, and wait until `target` records are acknowledged.

        Args:
            timeout_s: most seconds to wait.
            patient: False to give up on the first failure of the receiver.

        Returns:
            False if time ran out or the receiver refused.
        """

        def over() -> bool:
            failed = self.refused is not None or (self.trouble is not None and not patient)
            return self.acked >= target or failed or not self.alive()

        deadline = monotonic() + timeout_s
        self.hurry(draining=True)
        with self._changed:
            self._changed.wait_for(over, max(0.0, deadline - monotonic()))
        self.hurry(draining=False)
        return self.acked >= target

    def first_answer(self, timeout_s: float) -> None:
        """Wait for the receiver's first answer, or for a failure to reach it."""
        self.hurry(draining=False)
        with self._changed:
            self._changed.wait_for(
                lambda: self.acked > 0 or self.refused is not None or self.trouble is not None, timeout_s
            )

    def say(self, text: str, unexpected: Exception | None = None) -> None:
        """Log a warning."""
        with contextlib.suppress(Exception):  # the user's logging filters and handlers may raise anything
            LOGGER.warning("run %s: %s", self.run_id[:8], text, exc_info=unexpected)

    def note(
        self, *, acked: int | None = None, refused: Exception | None = None, trouble: Exception | None = None
    ) -> None:
        """Record progress and wake up those who wait for it.

        Omitting `trouble` clears it. An acknowledgement clears `refused`.
        """
        with self._changed:
            self.refused = refused if refused is not None or acked is not None else self.refused
            self.acked = self.acked if acked is None else acked
            self.trouble = trouble
            self._changed.notify_all()

    def _run(self) -> None:
        beat = monotonic()
        ack = None
        while not self._stopped:
            try:
                if ack is None:
                    ack = AckFile(self.folder)
                if self._ship(ack, heartbeat=monotonic() - beat >= self._heartbeat_s):
                    beat = monotonic()
                wait = self._interval_s
            except Exception as error:  # the thread must survive any error of a sink or a disk
                wait = self._failed(error)
                self._leave_alone(error)
            with self._changed:
                self._changed.wait_for(lambda: self._awake or self._stopped, wait)
                self._awake = False
        self._end(ack)

    def _leave_alone(self, error: Exception) -> None:
        """Wait as long as the receiver asked, even while draining. Impatient clients would keep it overloaded."""
        asked = getattr(error, "retry_after_s", None)
        if asked:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped, asked * self._rng.uniform(1.0, 1.2))

    def _end(self, ack: AckFile | None) -> None:
        if ack is not None:
            ack.close()
        if self._sink is not None:
            self._sink.close()

    def _ship(self, ack: AckFile, *, heartbeat: bool) -> bool:
        """Send all that is there. True if the receiver answered at least once."""
        # These never pass, whatever is sent.
        if isinstance(self.refused, RunExists | RunNotFound):
            return False
        carrier = self._carrier = self._carrier or self._begin(ack)
        answered = False
        while not self._stopped:
            part = carrier.load()
            if part is None and (answered or not heartbeat or not self.acked):
                return answered
            self._send(carrier, ack)
            answered = True
            if part is None or not (carrier.more or part.count >= _WORTH_RECORDS or carrier.reader.behind()):
                return True  # newer points wait for the next interval, or each would be a batch of its own
        return answered

    def _begin(self, ack: AckFile) -> Carrier:
        from monitor.journal.read.records import JournalReader
        from monitor.shipping.carrier import Carrier

        self.acked = ack.position.record
        reader = JournalReader(self.folder, ack.position, run_id=self.run_id)
        return Carrier(reader, self.run_id, self.writer, lambda text: self._say(f"{text}; the rest continues"))

    def _send(self, carrier: Carrier, ack: AckFile) -> None:
        if self._sink is None:
            self._sink = self._open_sink()
        aside = carrier.aside
        reply = carrier.send(self._sink, self.acked)
        if reply is not None and carrier.aside == aside:
            self._failures = 0  # not reset while it sets aside record after record, so that the back-off stays
        position, before = carrier.reader.position, ack.position
        if reply is None and position == before:
            return
        if position != before:
            ack.write(position)
        if position.segment != before.segment:
            carrier.reader.drop_read()
        if reply is not None:
            self._on_reply(reply)
            links = getattr(self._sink, "links", None)
            if self._on_links is not None and links is not None:
                self._on_links(links())
            self._on_links = None
        self.note(acked=position.record)

    def _failed(self, error: Exception) -> float:
        """Note a failure. Returns the seconds to wait before the next attempt."""
        waits_for_run = self._joins and isinstance(error, RunNotFound)
        if isinstance(error, WireError | RunExists | RunNotFound | OffsetGap) and not waits_for_run:
            self._say(f"refused: {error}; what was logged stays in {self.folder}")
            self.note(refused=error)
            return _SLOW_WAIT_S
        self._failures += 1
        known = isinstance(error, ServerUnreachable | StoreError | Unauthorized | OSError)
        self._say(f"{error}; logging continues, points wait in {self.folder}", None if known else error)
        self.note(trouble=error)
        if isinstance(error, Unauthorized | SchemaMismatch):
            most = _SLOW_WAIT_S
        else:
            most = _DRAIN_WAIT_S if self._draining else _MOST_WAIT_S
        # Exponential, with jitter, so that clients that lost the same server do not come back all at once.
        wait = min(most, _FIRST_WAIT_S * 2.0 ** min(self._failures - 1, 16))
        return wait * self._rng.uniform(0.5, 1.5)

    def _say(self, text: str, unexpected: Exception | None = None) -> None:
        kind = text[:60]
        if kind not in self._said:
            self._said.add(kind)
            self.say(text, unexpected)
