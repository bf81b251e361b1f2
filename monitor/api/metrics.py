"""`/metrics`: the server's metrics in Prometheus' text format."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from monitor.domain import Reply
from monitor.errors import MonitorError

if TYPE_CHECKING:
    from monitor.api.services import Services
    from monitor.wire import Batch

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LAG_S: Final = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 3600)


class Metrics:
    """Counters of this process, and gauges that are read at each scrape."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._points = Counter("monitor_points", "Points stored.", registry=registry)
        outcomes = "Batches by outcome: stored, duplicate, refused, failed."
        self._batches = Counter("monitor_batches", outcomes, ["outcome"], registry=registry)
        committed = "Seconds that a batch takes to be judged and committed, with its SQL."
        self._commit = Histogram("monitor_commit_seconds", committed, buckets=_SECONDS, registry=registry)
        lag = "Seconds from the newest point of a batch, by its client's clock, until it is stored."
        self._lag = Histogram("monitor_lag_seconds", lag, buckets=_LAG_S, registry=registry)
        self._queue = Gauge("monitor_queue", "Batches that wait for their turn to be written.", registry=registry)
        self._runs = Gauge("monitor_live_runs", "Live runs by status.", ["status"], registry=registry)
        self._verdicts = Gauge("monitor_live_verdicts", "Live runs by verdict.", ["verdict"], registry=registry)
        self._waiting = Gauge("monitor_alerts_waiting", "Alerts that a channel has not taken yet.", registry=registry)
        self._delivered = Gauge("monitor_alerts_delivered", "Alerts that every channel took.", registry=registry)
        lost = "Lines of the log that were dropped, because standard error was not read in time."
        self._lost = Gauge("monitor_log_lines_lost", lost, registry=registry)
        self._failing = Gauge("monitor_job_failing", "1 while a background job fails.", ["job"], registry=registry)

    def ingest(self, batch: Batch, store: Callable[[], Reply], now_ms: Callable[[], int]) -> Reply:
        """Store a batch and count it."""
        begun = time.perf_counter()
        try:
            reply = store()
        except MonitorError:
            self._batches.labels("refused").inc()
            raise
        except Exception:
            self._batches.labels("failed").inc()
            raise
        self._commit.observe(time.perf_counter() - begun)
        self._batches.labels("duplicate" if reply.duplicate else "stored").inc()
        if len(batch.points) and not reply.duplicate:
            self._points.inc(len(batch.points))
            self._lag.observe(max(0.0, (now_ms() - int(batch.points.time_ms[-1])) / 1000))
        return reply

    def text(self, served: Services) -> bytes:
        """All metrics in Prometheus' text format."""
        self._queue.set(served.writers.statistics().tasks_waiting)
        found = served.store.gauges()
        for gauge, values in ((self._runs, found.statuses), (self._verdicts, found.verdicts)):
            gauge.clear()
            for label, count in values.items():
                gauge.labels(label).set(count)
        self._waiting.set(found.waiting)
        self._delivered.set(found.delivered)
        self._lost.set(served.lines_lost())
        for name, health in served.jobs().items():
            self._failing.labels(name).set(health.failing)
        return generate_latest(self._registry)
