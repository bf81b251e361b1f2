"""Distinguishes runs that are gone from runs that hang.

A run is *lost* if its heartbeat stops: its process is dead or cut off. It is *stalled* if heartbeats arrive without
points: the process is alive, but the loop hangs. Both limits adapt to the run, so one whose steps take an hour is not
called stalled after ten minutes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from monitor.alerts import status_alert
from monitor.domain import Alert, RunInfo, RunStatus, SeriesInfo
from monitor.domain.clocks import is_past
from monitor.settings import Settings

HEARTBEATS_MISSED: Final = 3
"""At least this many of the run's own heartbeats must be missing: one may be late, two may be a slow network."""
STEPS_MISSED: Final = 10
"""A run is stalled only after this many mean intervals between its points."""

_log = logging.getLogger(__name__)


class LiveRuns(Protocol):
    """What liveness needs from the store."""

    def live_runs(self) -> tuple[RunInfo, ...]:
        """Runs that are running or stalled."""
        ...

    def series(self, run_id: str) -> tuple[SeriesInfo, ...]:
        """The run's series."""

    def set_status(
        self, run_id: str, status: RunStatus, *, now_ms: int, seen_heartbeat_ms: int | None, alert: Alert | None = None
    ) -> bool:
        """Change the status, unless the run has ended or sent a heartbeat since it was read."""


def judge(
    run: RunInfo, now_ms: int, settings: Settings, *, since_ms: int = 0, points: Callable[[], int] = lambda: 0
) -> RunStatus | None:
    """The new status of a live run, if it changes.

    Args:
        run: a run that is running, stalled or lost.
        settings: `lost_after_s`, `stalled_after_s`, and `heartbeat_s` for a run that promised no interval.
        since_ms: when this server started to listen; earlier silence is the server's, not the run's.
        points: counts the points of the run's longest series; called only if the answer depends on it.

    Returns:
        LOST, STALLED, or None if the status stays.
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


class Seen:
    """When signs of life with a time in the future were first seen.

    Another server's clock may be ahead: what matters then is that the sign changes.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], tuple[int, int]] = {}

    def corrected(self, runs: Sequence[RunInfo], now_ms: int) -> Iterator[RunInfo]:
        """The runs, with such times replaced."""
        before, self._first = self._first, {}
        for run in runs:
            changed: dict[str, Any] = {}
            for name in ("heartbeat_ms", "last_point_ms"):
                sign_ms = getattr(run, name)
                known_ms, first_ms = before.get((run.id, name), (None, now_ms))
                if sign_ms is not None and (sign_ms == known_ms or not is_past(sign_ms, now_ms)):
                    changed[name] = min(first_ms, now_ms) if sign_ms == known_ms else now_ms
                    self._first[run.id, name] = sign_ms, changed[name]
            yield replace(run, **changed) if changed else run


def check(
    store: LiveRuns,
    settings: Settings,
    now_ms: int,
    *,
    since_ms: int = 0,
    seen: Seen | None = None,
    quiet: bool = False,
) -> int:
    """Judge every live run, and store changes with their alerts.

    Args:
        since_ms: when this process started to listen, as in `judge`.
        seen: of the checks before; None for a single check.
        quiet: True to log nothing.

    Returns:
        How many runs changed.
    """
    changed = 0
    runs = store.live_runs()
    for run, judged in zip(runs, (seen or Seen()).corrected(runs, now_ms), strict=True):

        def points(run_id: str = run.id) -> int:
            return max((series.count for series in store.series(run_id)), default=0)

        status = judge(judged, now_ms, settings, since_ms=since_ms, points=points)
        if status is None:
            continue
        alert = status_alert(run, status, now_ms=now_ms)
        if store.set_status(run.id, status, now_ms=now_ms, seen_heartbeat_ms=run.heartbeat_ms, alert=alert):
            if not quiet:
                _log.warning("%s", alert.title)
            changed += 1
    return changed


def _silence_s(heard_ms: int, since_ms: int, now_ms: int) -> float:
    """Seconds of silence. A sign from the future (the clock was set back) counts as heard when the server started."""
    if not is_past(heard_ms, now_ms):
        heard_ms = since_ms or now_ms
    return (now_ms - max(heard_ms, since_ms)) / 1000


def _interval_s(run: RunInfo, points: int) -> float:
    """Mean seconds between the run's points; 0 if there are fewer than two."""
    if points < 2 or run.last_point_ms is None:
        return 0.0
    return (run.last_point_ms - run.created_ms) / 1000 / (points - 1)
