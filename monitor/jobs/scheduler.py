"""Wraps APScheduler: one daemon thread per job, no job twice at once, failures kept for `/readyz`."""

from __future__ import annotations

import contextlib
import functools
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from monitor.alerts import Book, Channel, Delivered, Route, deliver, held, key_of
from monitor.alerts.delivery import LAST_RETRY_MS
from monitor.domain import JobHealth, Severity
from monitor.domain.clocks import DIFFER_MS
from monitor.errors import MonitorError
from monitor.ingest import liveness
from monitor.jobs import digests
from monitor.jobs.clock import Trust, running_s
from monitor.jobs.describing import describe
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.retention import Kept, Policy, keep

COMPACT_INTERVAL_S: Final = 30.0
"""Seconds between checks for ended runs whose chunks can be merged."""
ROWS_INTERVAL_S: Final = 1.0
"""Seconds between checks for changed runs, if MLflow's tables are next to ours: it shows them within two."""
CHANNELS_INTERVAL_S: Final = 5.0
"""Seconds between checks for channels that were added or removed."""
UPKEEP_INTERVAL_S: Final = 30.0
"""Seconds between checks for alerts that no longer hold, or that nobody has answered."""
_DAY_MS: Final = 86_400_000
GATHER_S: Final = 0.1
"""Seconds between the first alert and its delivery.

Alerts of many runs with a common cause come together, and become one message.
"""
CLOCK_INTERVAL_S: Final = 2.0
"""Seconds between checks whether the clock was set back."""
ASLEEP: Final = 5
"""Liveness intervals between two checks after which the machine is assumed to have been asleep."""

_log = logging.getLogger(__name__)


class Every(BaseTrigger):  # type: ignore[misc]  # a library without types
    """Fires at a fixed interval from now.

    APScheduler's own interval trigger enumerates missed runs: hundreds of millions on a machine without a
    battery-backed clock, which boots in 1970 and then sets the time.
    """

    def __init__(self, seconds: float) -> None:
        self._interval = timedelta(seconds=seconds)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """When to fire next."""
        return now if previous_fire_time is None else now + self._interval


class Mirror(Protocol):
    """A copy of the runs elsewhere, kept up to date."""

    def sync(self, store: Store, now_ms: int, link: Callable[[str], str | None]) -> int:
        """Copy what changed. Returns how many runs that were. `link` maps a run's id to the address of its page."""


class Jobs:
    """The background jobs of one server.

    Args:
        channels: where alerts go, each in its own job. Without channels they stay in the outbox, where the dashboard
            shows them.
        mirror: copies runs to MLflow; None for none.
        rows: writes runs into MLflow's tables in the same database; None if there are none.
        clock: milliseconds since the epoch.
        running_s: seconds that pass evenly, whatever is done to the clock.

    Attributes:
        links: addresses of the server's other parts, by name; messages link to the dashboard.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        channels: Sequence[Channel] = (),
        mirror: Mirror | None = None,
        rows: Mirror | None = None,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        running_s: Callable[[], float] = running_s,
    ) -> None:
        self._store, self._settings, self._mirror, self._clock = store, settings, mirror, clock
        self._health: dict[str, JobHealth] = {}
        self.links: Mapping[str, str] = {}
        self._registered = self._known = False
        self._holder = secrets.token_hex(16)
        self._digest_after_ms: dict[str, int] = {}
        self._fixed = tuple(channels)
        self._book = Book(store, settings)
        self._since_ms = clock()
        self._checked_ms = self._since_ms
        self._trusts, self._seen = Trust(self._since_ms, running_s), liveness.Seen()
        self._work: dict[str, Callable[[], None]] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._again: set[str] = set()
        self._beginning = threading.Lock()
        self._news, self._closed = threading.Event(), threading.Event()
        self._scheduler = BackgroundScheduler(timezone=UTC)
        # Only one server at a time does a job. Delivery is the exception: each channel has its own lease, since servers
        # may have different channels.
        self._add("liveness", self._liveness, settings.liveness_interval_s)
        self._channels: dict[str, Channel] = {}
        # one job each, so that a channel that hangs delays no other
        for number, channel in enumerate(channels, start=1):
            self._take_up("delivery" if number == 1 else f"delivery-{number}", channel)
        self._add("channels", self._look_for_channels, CHANNELS_INTERVAL_S, shared=True)
        self._add("alerts", self._follow_up, UPKEEP_INTERVAL_S)
        if mirror is not None:
            self._add("mlflow", self._sync, settings.mlflow_interval_s)
        if rows is not None:
            self._add("mlflow-rows", lambda: rows.sync(self._store, self._clock(), self._link), ROWS_INTERVAL_S)
        self._add("compaction", self._compact, COMPACT_INTERVAL_S)
        self._add("retention", self._keep, settings.keeping_interval_s)

    def start(self) -> None:
        """Start the scheduler."""
        self._since_ms = self._checked_ms = self._clock()
        self._scheduler.start()
        threading.Thread(target=self._watch_clock, name="clock", daemon=True).start()
        threading.Thread(target=self._watch_outbox, name="news", daemon=True).start()
        self._store.on_alerts = self._news.set

    def close(self, timeout_s: float = 2.0) -> None:
        """Start no more jobs, and wait for the running ones.

        Args:
            timeout_s: most seconds to wait. A job that takes longer is abandoned. The next server repeats its work,
                just as after a crash.
        """
        self._closed.set()
        self._news.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        end = time.monotonic() + timeout_s
        for thread in tuple(self._threads.values()):
            thread.join(max(0.0, end - time.monotonic()))

    def health(self) -> Mapping[str, JobHealth]:
        """The health of each job by name, including jobs that have never run."""
        return dict(self._health)

    def run(self, name: str) -> None:
        """Run a job once in the caller's thread. A failure is logged and kept, not raised."""
        self._work[name]()

    def _add(self, name: str, work: Callable[[], object], every_s: float, *, shared: bool = False) -> None:
        self._health[name] = JobHealth()
        work = work if shared else functools.partial(self._led, name, work)
        self._work[name] = functools.partial(self._guarded, name, work)
        self._scheduler.add_job(
            self._begin,
            Every(every_s),
            args=(name,),
            id=name,
            name=name,
            next_run_time=datetime.now(UTC),
            max_instances=3,  # instances of `_begin`, which itself prevents a job from running twice
            coalesce=True,
            misfire_grace_time=None,
        )

    def _begin(self, name: str, *, news: bool = False) -> None:
        """Run a job in its own daemon thread, unless it is still running; if there is news, once more after that.

        Threads of the scheduler's pool would keep the process alive until every job ends, and a webhook may hang.
        """
        with self._beginning:
            running = self._threads.get(name)
            if running is not None and running.is_alive():
                if news:
                    self._again.add(name)  # its last look may have been before
            elif name in self._work:
                thread = threading.Thread(target=self._run_through, args=(name,), name=f"job-{name}", daemon=True)
                thread.start()
                self._threads[name] = thread  # only once it runs, because `close` joins it

    def _run_through(self, name: str) -> None:
        """Run a job until no news has come while it ran."""
        while True:
            self._again.discard(name)
            if (work := self._work.get(name)) is not None:
                work()
            with self._beginning:
                if name not in self._again:
                    self._threads.pop(name, None)
                    return

    def _watch_outbox(self) -> None:
        """Deliver new alerts at once. Those of other processes wait for the interval."""
        while self._news.wait() and not self._closed.wait(GATHER_S):
            self._news.clear()
            for job in tuple(self._channels):
                self._begin(job, news=True)

    def _watch_clock(self) -> None:
        """Reschedule all jobs when the clock is set back.

        Otherwise each would wait for its old time of the next run.
        """
        before = datetime.now(UTC).timestamp() - time.monotonic()
        while not self._closed.wait(CLOCK_INTERVAL_S):
            offset = datetime.now(UTC).timestamp() - time.monotonic()
            if offset < before - CLOCK_INTERVAL_S:
                _log.warning("the clock was set back by %.0f s", before - offset)
                self._registered = False
                self._digest_after_ms.clear()
                for job in self._scheduler.get_jobs():
                    with contextlib.suppress(JobLookupError):  # its channel was removed in the meantime
                        job.modify(next_run_time=datetime.now(UTC))
            before = offset

    def _led(self, name: str, work: Callable[[], object]) -> None:
        """Do a job, unless another server does it."""
        if self._store.leads(name):
            work()

    def _guarded(self, name: str, work: Callable[[], object]) -> None:
        before = self._health[name]
        try:
            work()
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            # A job that fails every two seconds for the same reason is one line in the log, not a flood.
            if not (before.failing and before.last_error == said):
                known = isinstance(error, MonitorError)  # its message is enough, without a traceback
                _log.error("job %s failed: %s; it will be retried", name, said, exc_info=not known)
            after = replace(before, failures=before.failures + 1, failing=True, last_error=said)
        else:
            if before.failing:
                _log.warning("job %s works again", name)
            after = replace(before, failing=False)
        self._health[name] = replace(after, runs=before.runs + 1, last_run_ms=self._clock())

    def _liveness(self) -> None:
        now = self._clock()
        asleep_s = max(ASLEEP * self._settings.liveness_interval_s, self._settings.lost_after_s / 2)
        if not -DIFFER_MS <= now - self._checked_ms <= 1000 * asleep_s:
            # After a laptop wakes up, or a clock is set, every heartbeat looks old, even of runs on the same machine.
            # Give them time to send one.
            self._since_ms = now
        self._checked_ms = now
        liveness.check(self._store, self._settings, now, since_ms=self._since_ms, seen=self._seen)

    def _take_up(self, job: str, channel: Channel) -> None:
        self._channels[job] = channel
        self._registered = False
        self._add(job, functools.partial(self._deliver, channel), self._settings.alert_interval_s, shared=True)

    def _look_for_channels(self) -> None:
        """Start jobs for channels that were added through the API, and stop those of removed ones."""
        found = {f"delivery-{entry.name}": entry.channel for entry in self._book.stored()}
        kept = {job: channel for job, channel in self._channels.items() if channel in self._fixed}
        wanted = kept | {job: channel for job, channel in found.items() if channel is not None}
        for job in [job for job, channel in self._channels.items() if wanted.get(job) is not channel]:
            self._scheduler.remove_job(job)
            del self._channels[job], self._work[job], self._health[job]
            self._registered = False  # register again, which settles messages that only this channel had not taken
        for job, channel in wanted.items():
            if job not in self._channels:
                self._take_up(job, channel)

    def _follow_up(self) -> None:
        """Resolve alerts that no longer hold, and repeat unanswered ones."""
        now, settings = self._clock(), self._settings
        if self._trusts(now):
            self._store.sweep_alerts(now - int(settings.alert_age_days * _DAY_MS), now_ms=now)
        if settings.alert_repeat_h:
            before_ms = now - int(settings.alert_repeat_h * _DAY_MS / 24)
            self._store.repeat_alerts(before_ms, (Severity.CRITICAL,), now_ms=now)

    def _deliver(self, channel: Channel) -> None:
        if not self._registered:
            keys = self._keys
            self._store.register_channels(keys, self._since_ms if not self._known else self._clock())
            self._registered = self._known = True
        done = Delivered(sent=1)
        while done != Delivered() and not done.failed:
            done = self._deliver_once(channel)
        self._digest(channel)

    @property
    def _keys(self) -> list[str]:
        return [key_of(channel) for channel in tuple(self._channels.values())]

    def _deliver_once(self, channel: Channel) -> Delivered:
        about = functools.partial(describe, self._store, self._settings)
        trusted = self._trusts(self._clock())
        return deliver(
            self._store, channel, self._clock, channels=self._keys, link=self._link, describe=about, give_up=trusted
        )

    def _digest(self, channel: Channel) -> None:
        """Send a channel its digest if it is due. Only one of several servers does."""
        route, key, now = getattr(channel, "route", Route()), key_of(channel), self._clock()
        if route.digest is None or now < self._digest_after_ms.get(key, 0):
            return
        sent_ms = self._store.digest_sent(key)
        at_ms = digests.due(route, sent_ms, now)
        if at_ms is None:
            return
        try:
            with held(self._store, key, self._holder) as hold:
                if hold is not None and self._store.digest_sent(key) == sent_ms:
                    page = self.links.get("dashboard")
                    message = digests.compose(self._store, self._settings, route, sent_ms, now, page)
                    channel.send(replace(message, id=f"digest-{at_ms}"))
                    self._store.note_digest(key, at_ms)
        except Exception:
            self._digest_after_ms[key] = now + LAST_RETRY_MS
            raise

    def _link(self, run_id: str) -> str | None:
        """The address of the run's page on the dashboard, if there is one."""
        dashboard = self.links.get("dashboard")
        return None if dashboard is None else f"{dashboard.rstrip('/')}/run?id={run_id}"

    def _sync(self) -> None:
        assert self._mirror is not None
        self._mirror.sync(self._store, self._clock(), self._link)

    def _compact(self) -> None:
        for run_id in self._store.compactable():
            self._store.compact(run_id, now_ms=self._clock())

    def _keep(self) -> None:
        now = self._clock()
        if not self._trusts(now):
            return
        done = keep(self._store, Policy.of(self._settings), now)
        if done != Kept():
            counts = len(done.deleted), len(done.thinned), len(done.purged), done.tokens
            _log.info("retention: %d runs deleted, %d downsampled, %d purged; %d ended tokens removed", *counts)
