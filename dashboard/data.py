"""All reads of the pages: only through `monitor.Api`, and no more than the screen shows. `readings.py` caches them.

A run's `version` changes whenever anything is stored for it. What was read under a version is cached and shared by all
sessions, so an open page costs one small request a second while nothing happens.
"""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import streamlit as st

from dashboard import sessions
from dashboard.charts.axes import XAxis
from dashboard.readings import BY_ID, BY_VERSION, Kept, api, keep, reader
from monitor import Api
from monitor.domain import Access, Caller, Curve, CurveOf, RunInfo, RunPage, RunQuery, RunSnapshot, SeriesInfo
from monitor.errors import MonitorError, Unauthorized, WireError
from monitor.roles import Role

if TYPE_CHECKING:
    from monitor.wire import Event

PAGE_SIZE: Final = 50
KNOWN_S: Final = 10.0
"""Seconds for which a user's permissions are cached."""
_NOBODY: Final = Caller(name="", access=Access.VIEWER)
NEEDY_S: Final = 4.0
"""Seconds for which the number of runs that need attention is cached."""
SPARK_POINTS: Final = 40
_ASKS: Final = re.compile(r"[=<>~]|\bin\s*\(|\border\s+by\b", re.IGNORECASE)
"""Matches text that is a query rather than part of a name."""
_SORTS: Final = re.compile(r"\border\s+by\b", re.IGNORECASE)
CURVE_WIDTH: Final = 1000
"""Pixels of the large chart that points are asked for."""
SMALL_WIDTH: Final = 300
COMPARED_WIDTH: Final = 600
ATTEMPTS: Final = 6
"""Maximum number of attempts whose start is drawn."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The number of runs, of open runs, and of runs that need attention."""

    live: int
    total: int
    needy: int


def me() -> Caller | None:
    """The current user and their permissions; None if they have to sign in.

    A server that requires no token is not shown to other machines.
    """
    token = sessions.token()
    known: tuple[str | None, float, Caller | None] | None = st.session_state.get("_me")
    if known is not None and known[0] == token and time.monotonic() - known[1] < KNOWN_S:
        return known[2]
    try:
        found: Caller | None = api().me()
        if found is not None and not found.asked and sessions.exposed():
            found = None
    except Unauthorized:
        found = None
    except MonitorError:  # the page reports this itself
        found = known[2] if known is not None and known[0] == token else _NOBODY
    st.session_state["_me"] = (token, time.monotonic(), found)
    return found


def may(needed: Access) -> bool:
    """Whether to offer actions that need this role. The server enforces it in any case."""
    found = me()
    return found is not None and found.access.covers(needed)


def lacks(needed: Access, what: str) -> str:
    """Why the user is offered no such action: which role it needs, and which they have. "" if they may.

    Args:
        needed: the role.
        what: the actions, such as "rename or delete it".
    """
    found = me()
    if found is None or not found.name or found.access.covers(needed):
        return ""
    return f"To {what}, you need a token with the role {needed}; yours has the role {found.access}."


def runs_page(wanted: RunQuery, reader: Api | None = None) -> RunPage:
    """The runs that match a query or part of a name.

    What was typed, `wanted.search`, is a query where it compares or sorts something, such as `val.best < 0.3`; but runs
    may well be named `lr=0.1`, so what cannot be read as a query is looked for in the names before it is called wrong.
    `wanted.query` is an order that holds where what was typed has none.

    Args:
        reader: what reads them; None: that of whoever looks at the page.

    Raises:
        WireError: the text is not a query that can be read, and no run has it in its name.
    """
    reader, typed = reader or api(), wanted.search
    if typed is None or not is_query(typed):
        return reader.runs_page(wanted)
    ordered = typed if _SORTS.search(typed) else f"{typed} {wanted.query or ''}".strip()
    try:
        return reader.runs_page(wanted, search=None, query=ordered)
    except WireError:
        named = reader.runs_page(wanted)
        if named.total:
            return named
        raise


def is_query(typed: str) -> bool:
    """True for a text that compares or sorts, rather than part of a name."""
    return _ASKS.search(typed) is not None


def projects() -> tuple[str, ...]:
    """The names of the projects; none while they cannot be read."""
    return keep("projects", lambda: tuple(name for name, _ in api().projects())).value or ()


@st.cache_resource(show_spinner=False, max_entries=64, ttl=60.0, hash_funcs=BY_ID)
def series_keys(run: RunInfo) -> tuple[str, ...]:
    """The names of a run's series; empty if they cannot be read."""
    try:
        return tuple(series.key for series in api().view(run).series()[:300])
    except MonitorError:
        return ()


def overview(project: str | None) -> Overview:
    """Counts; what needs a person is what the front page shows."""
    live, needy = _needy(sessions.token(), project)
    return Overview(live, api().runs_page(RunQuery(project=project, limit=1)).total, needy)


@st.cache_resource(show_spinner=False, max_entries=256, ttl=NEEDY_S)
def _needy(token: str | None, project: str | None) -> tuple[int, int]:
    """The number of open runs, and of those that need attention; cached for all pages with the same token."""
    queue = reader(token).attention(1, project=project)
    return queue.running + queue.stalled + queue.lost, queue.total


@st.cache_resource(show_spinner=False, ttl=600.0)
def mlflow() -> str | None:
    """The URL of MLflow's UI, if the server serves it; cached for ten minutes for all users."""
    try:
        links = api().info().get("links")
    except MonitorError:
        return None
    found = str(links.get("mlflow", "")) if isinstance(links, Mapping) else ""
    return found.rstrip("/") if found.startswith(("http://", "https://")) else None


def outlines(run_ids: Sequence[str]) -> Mapping[str, RunSnapshot]:
    """Runs with their series by id, in one request; a run that is not here is left out.

    A run in which nothing was stored since it was last read is the same object, so that what was made of it holds.
    """
    found = {}
    for run_id, seen in api().outlines(run_ids).items():
        known = _outlines().known(run_id)
        found[run_id] = known if known is not None and known.info == seen.info else seen
        _outlines().keep(run_id, found[run_id])
    return found


@st.cache_resource(show_spinner=False)
def _outlines() -> Kept[str, RunSnapshot]:
    return Kept(1024)


@dataclass(frozen=True, slots=True)
class _View:
    """How a curve is viewed. The version of its run is not part of it: what was read under an older one is let go."""

    of: CurveOf
    x: XAxis
    width: int
    lo: float | None
    hi: float | None


def curves(
    wanted: Sequence[tuple[RunInfo, str, float]],
    *,
    x: XAxis,
    width: int,
    lo: float | None = None,
    hi: float | None = None,
) -> tuple[Curve, ...]:
    """Downsampled series; those not in the cache are read in one request.

    Args:
        wanted: run, key and weight of the moving average of each.
        x: "step", "epoch", "wall_time" or "relative".
        lo: left end of the window on the x axis; None for all.
    """
    views = [_View(CurveOf(run.id, key, weight), x, width, lo, hi) for run, key, weight in wanted]
    found: dict[_View, Curve] = {}
    missing: dict[_View, int] = {}
    for view, (run, _, _) in zip(views, wanted, strict=True):
        known = _curves().known(view)
        if known is not None and known[0] == run.version:
            found[view] = known[1]
        else:
            missing[view] = run.version
    if missing:
        read = api().curves([view.of for view in missing], x=x, width=width, lo=lo, hi=hi)
        for (view, version), curve in zip(missing.items(), read, strict=True):
            found[view] = curve
            _curves().keep(view, (version, curve))
    return tuple(found[view] for view in views)


@st.cache_resource(show_spinner=False)
def _curves() -> Kept[_View, tuple[int, Curve]]:
    return Kept(512)


def positions(run: RunInfo, keys: Sequence[str], steps: Sequence[float], *, x: XAxis) -> Mapping[float, float]:
    """Positions of steps on another axis: epoch, milliseconds since 1970, or seconds since the run's start.

    Args:
        keys: series to look in, in order of preference.
        steps: any that are finite.

    Returns:
        The x by step; a step at which no series has a point, or the point no epoch, is left out.
    """
    places = [(run.id, run.attempt, tuple(keys), int(step), x) for step in steps]

    def read(some: Sequence[_Place]) -> tuple[float | None, ...]:
        return api().view(run).positions(keys, [step for _, _, _, step, _ in some], x=x)

    found = zip(steps, _positions().get(places, read), strict=True)
    return {step: at for step, at in found if at is not None}


_Place = tuple[str, int, tuple[str, ...], int, XAxis]


@st.cache_resource(show_spinner=False)
def _positions() -> Kept[_Place, float | None]:
    return Kept(8192)


def attempts(run: RunInfo, main: Mapping[Role, SeriesInfo]) -> tuple[tuple[int, int], ...]:
    """Number and first step of each attempt after the first, the newest ones, by the first series that is drawn."""
    key = next((series.key for series in main.values()), None)
    if key is None:
        return ()
    numbers = range(max(2, run.attempt - ATTEMPTS + 1), run.attempt + 1)
    found = ((n, _first_step(run, n, key, run.last_step if n == run.attempt else None)) for n in numbers)
    return tuple((n, at) for n, at in found if at is not None)


@st.cache_resource(show_spinner=False, max_entries=512, hash_funcs=BY_ID)
def _first_step(run: RunInfo, attempt: int, key: str, last: int | None) -> int | None:  # noqa: ARG001  # what the cache goes by
    batches = api().view(run).batches(key, attempt=attempt)
    first = next(batches, None)
    if isinstance(batches, Generator):
        batches.close()  # so that the server stops sending
    return None if first is None or not len(first.steps) else int(first.steps[0])


def deleted(ref: str) -> RunInfo | None:
    """The deleted run with this id, if it can still be restored."""
    return next((run for run, _ in api().deleted() if run.id == ref), None)


@st.cache_resource(show_spinner=False, max_entries=32, hash_funcs=BY_VERSION)
def events(run: RunInfo) -> tuple[Event, ...]:
    """The events of a run, oldest first."""
    return tuple(api().view(run).events())
