"""What the pages read, and how they keep it: through `monitor.Api` alone, and no more than the screen shows.

A run's `version` changes with everything that is stored in it. What was read under a version is kept and shared by all
sessions, so that a page that is open costs one small request a second while nothing happens.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import numpy as np
import streamlit as st

from dashboard.axes import XAxis
from monitor import Api
from monitor.domain import Action, Checkpoint, Curve, Finding, RunInfo, RunPage, RunStatus, SeriesInfo
from monitor.errors import MonitorError, RunNotFound, ServerUnreachable, StoreBusy, StoreError, Unauthorized, WireError
from monitor.roles import Role

if TYPE_CHECKING:
    from monitor.reader.api import RunView
    from monitor.wire import Event

T = TypeVar("T")

PAGE_SIZE: Final = 50
SPARK_POINTS: Final = 40
_ASKS: Final = re.compile(r"[=<>~]|\bin\s*\(|\border\s+by\b", re.IGNORECASE)
"""What makes a text a query rather than a part of a name."""
CURVE_WIDTH: Final = 1000
"""Pixels of the large chart that points are asked for."""
SMALL_WIDTH: Final = 300
ATTENTION_LIMIT: Final = 20
"""Runs of one status that are looked at for the attention strip."""
FORGET_MS: Final = 3 * 24 * 3600 * 1000
"""A run without a heartbeat for so long no longer asks for attention."""


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """A value that was read, or the last one that could be, with what went wrong since.

    Attributes:
        value: None where nothing could ever be read.
        read_ms: when the value was read, milliseconds since the epoch.
        error: what the last try said; None where it worked.
    """

    value: T | None
    read_ms: int
    error: MonitorError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What the list of runs shows; None is everything."""

    project: str | None = None
    status: str | None = None
    verdict: str | None = None
    search: str | None = None
    """Part of a name, the start of an id, or a query in the language of `docs/store.md`."""
    order: str = "-created"
    page: int = 1


@dataclass(frozen=True, slots=True)
class Overview:
    """How the runs are, in numbers, and which of them need a person now."""

    live: int
    total: int
    needy: tuple[RunInfo, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A run as its page shows it, read under one version."""

    info: RunInfo
    series: tuple[SeriesInfo, ...]
    findings: tuple[Finding, ...]
    checkpoints: tuple[Checkpoint, ...]

    def of_role(self, role: Role) -> tuple[SeriesInfo, ...]:
        """The run's series of one role."""
        return tuple(s for s in self.series if s.role is role)

    def judged(self, role: Role) -> SeriesInfo | None:
        """The series of this role that the engine judges: the first one."""
        return next(iter(self.of_role(role)), None)

    def others(self) -> tuple[SeriesInfo, ...]:
        """Every series but the two that the large chart shows."""
        main = {s.key for role in (Role.TRAIN, Role.VAL) if (s := self.judged(role)) is not None}
        return tuple(s for s in self.series if s.key not in main)


def now_ms() -> int:
    """The clock, read at the edge of the page."""
    return time.time_ns() // 1_000_000


@st.cache_resource(show_spinner=False)
def api() -> Api:
    """The one reader of this process; where it reads from comes from the settings."""
    return Api()


def keep(name: str, read: Callable[[], T]) -> Reading[T]:
    """Read a value; where the server does not answer, give back the last one of this session with the error.

    Args:
        name: under which the session keeps the value.
        read: reads it; a `RunNotFound` passes through, since waiting does not mend it.
    """
    kept: dict[str, Reading[T]] = st.session_state.setdefault("_kept", {})
    try:
        kept[name] = Reading(read(), now_ms())
    except RunNotFound:
        raise
    except MonitorError as error:
        last = kept.get(name)
        return Reading(last.value if last else None, last.read_ms if last else 0, error)
    return kept[name]


def explain(error: MonitorError) -> tuple[str, str]:
    """A title and a sentence for an error that reading gave.

    >>> explain(ServerUnreachable("http://localhost:8470", "connection refused"))[0]
    'The server does not answer.'
    """
    if isinstance(error, ServerUnreachable):
        return "The server does not answer.", "This page tries again by itself and goes on when it is back."
    if isinstance(error, Unauthorized):
        return "The server refused the token.", str(error)
    if isinstance(error, StoreBusy):
        return "The database is busy.", "This page tries again by itself."
    if isinstance(error, StoreError):
        return "The database cannot be read.", str(error)
    if isinstance(error, WireError):
        return "The query cannot be read.", str(error)
    return "The run cannot be read.", str(error)


def runs_page(filters: Filters) -> RunPage:
    """One page of the list, with sparklines.

    Raises:
        WireError: the text is no query that can be read, and no run has it in its name.
    """
    return _either(filters, limit=PAGE_SIZE, offset=(filters.page - 1) * PAGE_SIZE, sparkline=SPARK_POINTS)


def matching(search: str | None, limit: int) -> RunPage:
    """The newest runs, or those that a search or a query finds, without sparklines.

    Raises:
        WireError: as `runs_page`.
    """
    return _either(Filters(search=search), limit=limit)


def _either(filters: Filters, *, limit: int, offset: int = 0, sparkline: int = 0) -> RunPage:
    """The runs that a query or a part of a name finds.

    What was typed is a query where it compares or sorts something, such as `val.best < 0.3`; but runs may well be named
    `lr=0.1`, so what cannot be read as a query is looked for in the names before it is called wrong.
    """
    typed = filters.search
    if typed is None or not _ASKS.search(typed):
        return _page(filters, limit, offset, sparkline, search=typed)
    try:
        return _page(filters, limit, offset, sparkline, query=typed)
    except WireError:
        named = _page(filters, limit, offset, sparkline, search=typed)
        if named.total:
            return named
        raise


def _page(
    filters: Filters, limit: int, offset: int, sparkline: int, *, search: str | None = None, query: str | None = None
) -> RunPage:
    return api().runs_page(
        project=filters.project,
        status=filters.status,
        verdict=filters.verdict,
        search=search,
        query=query,
        order=filters.order,
        limit=limit,
        offset=offset,
        sparkline=sparkline,
    )


def overview(project: str | None) -> Overview:
    """Counts, and the live runs that need a person: lost, stalled, or told to stop or to be looked at."""
    reader = api()
    pages = {
        s: reader.runs_page(project=project, status=str(s), order="-heartbeat", limit=ATTENTION_LIMIT)
        for s in (RunStatus.LOST, RunStatus.STALLED, RunStatus.RUNNING)
    }
    now = now_ms()
    needy = tuple(r for page in pages.values() for r in page.items if needs_person(r, now))
    total = reader.runs_page(project=project, limit=1).total
    return Overview(sum(p.total for p in pages.values()), total, needy)


def needs_person(run: RunInfo, now: int) -> bool:
    """True for a live run that is lost or stalled, or that is advised to be stopped or looked at.

    Args:
        run: as the list has it.
        now: milliseconds since the epoch; a run that was lost longer than `FORGET_MS` ago is an old story.
    """
    if not run.status.live or now - (run.heartbeat_ms or run.created_ms) > FORGET_MS:
        return False
    return run.status is not RunStatus.RUNNING or run.recommendation.action is not Action.CONTINUE


def snapshot(ref: str) -> Snapshot:
    """A run with its series, findings and checkpoints; all but the run itself are read once a version."""
    view = api().run(ref)
    rest = _rest(view.id, view.info.version, view)
    return Snapshot(view.info, *rest)


@st.cache_resource(show_spinner=False, max_entries=512)
def _rest(
    run_id: str,  # noqa: ARG001  # id and version are what the cache goes by
    version: int,  # noqa: ARG001
    _view: RunView,
) -> tuple[tuple[SeriesInfo, ...], tuple[Finding, ...], tuple[Checkpoint, ...]]:
    return tuple(_view.series()), tuple(_view.findings()), tuple(_view.checkpoints())


@st.cache_resource(show_spinner=False, max_entries=512)
def curve(
    run_id: str,
    version: int,  # noqa: ARG001  # as above
    key: str,
    *,
    x: XAxis,
    width: int,
    smoothing: float,
    lo: float | None = None,
    hi: float | None = None,
) -> Curve:
    """A series reduced to `width` pixels, read once a version and look.

    Args:
        run_id: of the run.
        version: the run's version under which the curve holds.
        key: of the series.
        x: "step", "epoch", "wall_time" or "relative".
        width: pixels.
        smoothing: weight of the moving average, in [0, 1).
        lo: left end of the window on the x axis; None for all.
        hi: right end of it.
    """
    return api().run(run_id).curve(key, width=width, x=x, lo=lo, hi=hi, smoothing=smoothing)


@st.cache_resource(show_spinner=False, max_entries=4096)
def position(run_id: str, attempt: int, key: str, step: float, *, x: XAxis, created_ms: int) -> float | None:  # noqa: ARG001  # the attempt is part of the key
    """Where a step stands on another axis: epoch, milliseconds since the epoch, or seconds since the run's start.

    Returns:
        None where the series has no point at this step, or the point no epoch.
    """
    whole_step = int(step)
    points = api().run(run_id).history(key, lo=whole_step, hi=whole_step)
    if not len(points):
        return None
    if x == "epoch":
        return None if points.epochs is None or np.isnan(points.epochs[0]) else float(points.epochs[0])
    return float(points.times[0]) if x == "wall_time" else (float(points.times[0]) - created_ms) / 1000


@st.cache_resource(show_spinner=False, max_entries=32)
def events(run_id: str, version: int) -> tuple[Event, ...]:  # noqa: ARG001  # the version is part of the key
    """What happened in a run besides points, oldest first."""
    return tuple(api().run(run_id).events())
