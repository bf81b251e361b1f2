"""Background threads of a journal: prepare the next segment, write notices, fsync.

fsync has a thread of its own: it may take long, and the next segment must be ready in time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

from monitor.journal.notices import Notices
from monitor.journal.write.journal import Journal
from monitor.run.device import DeviceQueue
from monitor.run.system import INTERVAL_S, SystemSampler

# Poll fast while records or device values are coming in.
_FAST_S: Final = 0.02
_SLOW_S: Final = 0.5
# Repeated notices are summed up and written this often.
_NOTICES_S: Final = 2.0


class Keeper:
    """Maintains one writer's journal until `stop`.

    Args:
        devices: records that wait for values.
        notices: written as events from time to time.
        fsync_interval_s: seconds between fsyncs; 0: never.
        system: True to sample the machine as well.
    """

    def __init__(
        self, journal: Journal, devices: DeviceQueue, notices: Notices, fsync_interval_s: float, *, system: bool = False
    ) -> None:
        self._journal, self._devices, self._notices = journal, devices, notices
        self._fsync_s = fsync_interval_s
        self._system = system
        self._wake = threading.Event()
        self._sync_wake = threading.Event()
        self._stopped = False
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name=f"monitor-keeper-{journal.run_id[:8]}", daemon=True)

        self._disk = threading.Thread(target=self._sync, name=f"monitor-disk-{journal.run_id[:8]}", daemon=True)
        journal.rolled = self._wake.set

    def start(self) -> None:
        """Start the threads."""
        self._thread.start()
        self._disk.start()

    def hurry(self) -> None:
        """Wake up early: a value is coming from a device."""
        self._wake.set()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Stop the threads."""
        self._stopped = True
        self._wake.set()
        self._sync_wake.set()
        for thread in (self._thread, self._disk):
            if thread.is_alive():
                thread.join(timeout_s)

    def _run(self) -> None:
        noted = measured = monotonic()
        sampler = SystemSampler() if self._system else None
        before = 0
        while not self._stopped:
            now, count = monotonic(), self._journal.count
            self._quietly(self._journal.prepare)
            self._quietly(self._devices.resolve)
            if now - noted >= _NOTICES_S:
                self._note()
                noted = now
            if sampler is not None and now - measured >= INTERVAL_S:
                found = sampler.sample()
                self._journal.points(tuple(found), list(found.values()), aside=True)
                measured = now
            busy = count - before > 500 or len(self._devices)
            before = count
            self._wake.wait(_FAST_S if busy else _SLOW_S)
            self._wake.clear()

    def _sync(self) -> None:
        # Half the interval, because `Journal.sync` may skip a page that is being written once.
        interval = min(_SLOW_S, self._fsync_s / 2 or _SLOW_S)
        before = synced = -1
        while not self._sync_wake.wait(interval):
            count = self._journal.count
            # Sync once more after the last record, so that a skipped page follows.
            if not before == synced == count:
                self._quietly(lambda: self._journal.sync(flush=self._fsync_s > 0))
            before, synced = synced, count

    def _note(self) -> None:
        dropped = self._journal.dropped
        if dropped != self._dropped:
            why = self._journal.why_dropped
            self._notices.count(why, "points", f"{dropped} records in all", dropped - self._dropped)
            self._dropped = dropped
        self._notices.drain(self._journal.event)

    def _quietly(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # a disk may raise anything; the journal reports when it cannot grow
            self._notices.count("disk", type(error).__name__, str(error))

    def finish(self) -> None:
        """Write pending notices at the end of a run; space for them is reserved even on a full disk."""
        self._journal.open_last(1)
        self._note()

    def finish_summed(self) -> None:
        """Write a summary of the notices that did not fit, once the end of the run is written."""
        self._notices.drain(self._journal.event, summed=True)
