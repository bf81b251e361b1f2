"""Tells runs that are gone from runs that hang.

A run is *lost* when its heartbeat stops: its process is dead or cut off. It is *stalled* when the heartbeat continues
without points: the process lives, and the loop hangs. Both are judged by what the run itself has done so far, so a run
whose steps take an hour is not called stalled after ten minutes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Protocol

from monitor.alerts import status_alert
from monitor.domain import Alert, RunInfo, RunStatus, SeriesInfo
from monitor.domain.clocks import is_past
from monitor.settings import Settings

HEARTBEATS_MISSED: Final = 3
"""Heartbeats of the run's own that have to be missing, at least: one may be late, two may be a slow network."""
STEPS_MISSED: Final = 10
"""Mean intervals between the run's points that have to pass without one."""

_log = logging.getLogger(__name__)


class LiveRuns(Protocol):
    """What liveness needs of the store."""

    def live_runs(self) -> tuple[RunInfo, ...]:
        """Runs that more points may be expected of."""
        ...

    def series(self, run_id: str) -> tuple[SeriesInfo, ...]:
        """The run's series."""
        ...

    def set_status(
        self, run_id: str, status: RunStatus, *, now_ms: int, seen_heartbeat_ms: int | None, alert: Alert | None = None
    ) -> bool:
        """Change the status, unless the run ended or beat since it was read."""
        ...


def judge(
    run: RunInfo, now_ms: int, settings: Settings, *, since_ms: int = 0, points: Callable[[], int] = lambda: 0
) -> RunStatus | None:
    """What a live run has turned into, if anything.

    Args:
        run: a run that is running, stalled or lost.
        now_ms: milliseconds since the epoch.
        settings: `lost_after_s`, `stalled_after_s`, and `heartbeat_s` for a run that promised none.
        since_ms: when this server began to listen; silence before that is the server's, not the run's.
        points: counts the points of the run's longest series; called only where the answer hangs on it.

    Returns:
        LOST, STALLED, or None where the status stays.
    """
    if run.status not in (RunStatus.RUNNING, RunStatus.STALLED):
        return None
    beat_ms = run.heartbeat_ms if run.heartbeat_ms is not None else run.last_point_ms or run.created_ms
    silent_s = _silence_s(beat_ms, since_ms, now_ms)
    if silent_s > max(settings.lost_after_s, HEARTBEATS_MISSED * (run.heartbeat_s or settings.heartbeat_s)):
        return RunStatus.LOST
    if run.status is RunStatus.STALLED:
        return None
    point_ms = run.last_point_ms if run.last_point_ms is not None else run.created_ms
    idle_s = _silence_s(point_ms, since_ms, now_ms)
    if idle_s <= settings.stalled_after_s:
        return None
    return RunStatus.STALLED if idle_s > STEPS_MISSED * _interval_s(run, points()) else None


def check(store: LiveRuns, settings: Settings, now_ms: int, *, since_ms: int = 0, quiet: bool = False) -> int:
    """Judge every live run and write down what changed, with its alert.

    Args:
        now_ms: milliseconds since the epoch.
        since_ms: when this process began to listen, as in `judge`.
        quiet: True to log nothing.

    Returns:
        How many runs changed.
    """
    changed = 0
    for run in store.live_runs():

        def points(run_id: str = run.id) -> int:
            return max((series.count for series in store.series(run_id)), default=0)

        status = judge(run, now_ms, settings, since_ms=since_ms, points=points)
        if status is None:
            continue
        alert = status_alert(run, status, now_ms=now_ms)
        if store.set_status(run.id, status, now_ms=now_ms, seen_heartbeat_ms=run.heartbeat_ms, alert=alert):
            if not quiet:
                _log.warning("%s", alert.title)
            changed += 1
    return changed


def _silence_s(heard_ms: int, since_ms: int, now_ms: int) -> float:
    """Seconds without a sign; what was heard before the clock was set back counts from when the server listens."""
    if not is_past(heard_ms, now_ms):
        heard_ms = since_ms or now_ms
    return (now_ms - max(heard_ms, since_ms)) / 1000


def _interval_s(run: RunInfo, points: int) -> float:
    """Mean seconds between the run's points; 0 if there are too few."""
    if points < 2 or run.last_point_ms is None:
        return 0.0
    return (run.last_point_ms - run.created_ms) / 1000 / (points - 1)
