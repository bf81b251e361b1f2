"""`Api`: reads runs from a server or from the embedded store, with the same results.

It reads from the given server, else from `MONITOR_SERVER_URL`, else from the embedded store in `MONITOR_DIR`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from monitor import __version__
from monitor.domain import (
    Curve,
    CurveOf,
    Points,
    RunFilters,
    RunInfo,
    RunPage,
    RunQuery,
    RunSnapshot,
    SavedView,
    SeriesInfo,
)
from monitor.http.address import server_of, shown
from monitor.reader.access import AccessApi
from monitor.reader.alerting import AlertsApi
from monitor.reader.questions import Questions
from monitor.reader.run_view import RunView, XAxis
from monitor.reader.server import Projects, Server, segment
from monitor.reader.source import Source, now_ms
from monitor.reader.tables import RunList
from monitor.settings import Settings, load

if TYPE_CHECKING:
    import httpx


class Api(Questions, AlertsApi, AccessApi):
    """Reads runs. Cheap to create; connects on the first call.

    What does not exist raises `RunNotFound`, `SeriesNotFound`, `AlertNotFound` or `TokenNotFound`, and so does a short
    reference that matches several. A server or a store that cannot be read raises another `MonitorError`.

    Args:
        server: the server's address; None: `MONITOR_SERVER_URL`, else the embedded store.
        token: bearer token; None: `MONITOR_TOKEN`.
        settings: settings to use instead of those from the environment.

    Example:
        >>> import tempfile
        >>> from monitor.settings import load
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Api(settings=load(dir=folder)) as api:
        ...         api.runs()
        []
    """

    def __init__(
        self,
        server: str | None = None,
        *,
        token: str | None = None,
        settings: Settings | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        chosen = settings or load()
        self.server = server_of(server or chosen.server_url)
        reached = self.server and Server(self.server, token or chosen.token, transport=transport)
        self._source = Source(chosen, reached or None)

    def runs_page(self, wanted: RunQuery | None = None, **filters: Unpack[RunFilters]) -> RunPage:
        """One page of runs.

        Args:
            wanted: which runs, and in which order; None: the newest.
            **filters: fields of `RunQuery` to override, such as `project="p", status="running", limit=20`.

        Raises:
            WireError: the query is invalid; the message points at the character.
        """
        wanted = replace(wanted or RunQuery(), **filters)
        if server := self._source.server:
            return server.ask(RunPage, "/runs", asdict(wanted), items="runs")
        return self._source.store.runs(wanted)

    def runs(self, query: str | None = None, /, **filters: Unpack[RunFilters]) -> RunList:
        """Runs as a list of views, with `to_pandas()` and `to_arrow()`.

        Args:
            query: such as `status = "running" and val.best < 0.3 order by val.best`; see `docs/store.md`.
            **filters: as in `runs_page`.

        Raises:
            WireError: the query is invalid; the message points at the character.
        """
        page = self.runs_page(RunQuery(query=query), **filters)
        return RunList(RunView(self._source, info) for info in page.items)

    def view(self, info: RunInfo) -> RunView:
        """A view of a run that is already loaded; reads nothing."""
        return RunView(self._source, info)

    def snapshot(self, ref: str) -> RunSnapshot:
        """A run with its series, findings and checkpoints, consistent at one moment."""
        if server := self._source.server:
            return server.ask(RunSnapshot, f"/runs/{segment(ref)}/snapshot", info="run")
        from monitor import insight

        return insight.snapshot(self._source.store, self._source.settings, ref)

    def outlines(self, run_ids: Sequence[str]) -> Mapping[str, RunSnapshot]:
        """Runs with their series, findings and checkpoints, without what else a snapshot has; in one request.

        Args:
            run_ids: full ids.

        Returns:
            By id; a run that is not here is left out.
        """
        if server := self._source.server:
            return server.outlines(run_ids)
        return self._source.store.outlines(run_ids)

    def curves(
        self,
        wanted: Sequence[CurveOf],
        *,
        width: int = 2000,
        x: XAxis = "step",
        lo: float | None = None,
        hi: float | None = None,
    ) -> tuple[Curve, ...]:
        """Several series, of one run or many, reduced to what a screen can show; in the order of `wanted`.

        Args:
            x: the axis, as in `RunView.curve`.
        """
        if server := self._source.server:
            return server.curves(wanted, {"x": x, "lo": lo, "hi": hi, "width": width})
        return self._source.store.curves(wanted, x=x, lo=lo, hi=hi, width=width)

    def run(self, ref: str) -> RunView:
        """One run.

        Args:
            ref: its id, a unique prefix of it, or its name if unique.
        """
        return RunView(self._source, self._source.run(ref))

    def projects(self) -> tuple[tuple[str, int], ...]:
        """Project names, each with its number of runs."""
        if server := self._source.server:
            return tuple((row.name, row.runs) for row in server.ask(Projects, "/projects").projects)
        return self._source.store.projects()

    def keeping(self) -> Mapping[str, tuple[float | None, float | None]]:
        """How long ended runs are kept, according to the server's settings.

        Returns:
            For each project, the days after a run's end when it is deleted, and when its curves are downsampled; None:
            never.
        """
        if server := self._source.server:
            rows = server.ask(Projects, "/projects").projects
            return {row.name: (row.keep_days, row.thin_days) for row in rows}
        from monitor.store.retention import Policy

        policy = Policy.of(self._source.settings)
        return {name: (policy.kept_for(name), policy.thinned_after(name)) for name, _ in self.projects()}

    def costs(self) -> tuple[str, Mapping[str, Mapping[str, float]]]:
        """What an hour costs: the currency, and by project the prices by words of a card's name; "*" of a machine."""
        if server := self._source.server:
            found = server.ask(Projects, "/projects")
            return found.cost_currency, {row.name: row.cost_per_hour for row in found.projects}
        settings = self._source.settings
        return settings.cost_currency, {name: settings.prices_of(name) for name, _ in self.projects()}

    def delete(self, ref: str) -> RunInfo:
        """Delete a run: it disappears from all lists, and can be restored for `purge_days`."""
        found = self._source.run(ref)
        if server := self._source.server:
            server.raw(f"/runs/{found.id}", method="DELETE")
        else:
            self._source.store.delete(found.id, **self._source.stamp())
        return found

    def deleted(self) -> tuple[tuple[RunInfo, int], ...]:
        """Deleted runs that can be restored, with the time of deletion in ms since the Unix epoch; latest first."""
        if server := self._source.server:
            return server.deleted()
        return self._source.store.deleted()

    def restore(self, ref: str) -> RunInfo:
        """Restore a deleted run.

        Args:
            ref: its id, a prefix that is unique among deleted runs, or a unique name.
        """
        if server := self._source.server:
            return server.restore(ref)
        return self._source.store.restore(ref, **self._source.stamp())

    def views(self, page: str) -> tuple[SavedView, ...]:
        """The saved views of a dashboard page, by name."""
        if server := self._source.server:
            return server.ask(tuple[SavedView, ...], f"/views/{segment(page)}", part="views")
        return self._source.store.views(page)

    def save_view(self, page: str, name: str, query: str) -> SavedView:
        """Save a view of the dashboard, replacing one of the same page and name.

        Args:
            page: such as "runs".
            query: the query string of the page's URL, without the question mark.

        Raises:
            WireError: the name is empty, a text is too long, or there are too many views.
        """
        if server := self._source.server:
            path = f"/views/{segment(page)}/{segment(name)}"
            return server.ask(SavedView, path, method="PUT", body={"query": query})
        view = SavedView(page=page, name=name, query=query, saved_ms=now_ms())
        return self._source.store.save_view(view, by=self._source.me())

    def forget_view(self, page: str, name: str) -> None:
        """Delete a saved view, if it exists."""
        if server := self._source.server:
            server.raw(f"/views/{segment(page)}/{segment(name)}", method="DELETE")
        else:
            self._source.store.forget_view(page, name, **self._source.stamp())

    def change_mark(self) -> str:
        """A string that changes whenever anything in the store changes, so that a viewer knows when to reload."""
        if server := self._source.server:
            return server.ask(str, "/change-mark", part="mark")
        return self._source.store.change_mark()

    def purge_days(self) -> float:
        """Days for which a deleted run can be restored."""
        if server := self._source.server:
            return server.ask(float, "/deleted", part="keep_days")
        return self._source.settings.purge_days

    def export(
        self,
        refs: Sequence[str],
        to: Path,
        *,
        keys: Sequence[str] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Write the points of runs to a CSV or Parquet file, in constant memory.

        Args:
            to: the file; its suffix, `.csv` or `.parquet`, selects the format.
            keys: series to write; None: all.
            progress: called with (runs done, all runs) after each run.

        Returns:
            The number of points written.

        Raises:
            RunNotFound: a run does not exist; nothing is written.
            SeriesNotFound: no run has one of the keys; nothing is written.
            FileUnreadable: the path has another suffix, or cannot be written.
        """
        from monitor.store.export import export_points

        return export_points(_Exported(self), refs, to, keys=keys, progress=progress)

    def info(self) -> Mapping[str, object]:
        """The server's version, kind of store and background jobs."""
        if server := self._source.server:
            return server.ask(dict[str, object], "/info")
        return {"version": __version__, "store": self._source.store_kind, "jobs": {}}

    def health(self) -> Mapping[str, object]:
        """The health of the server or of the embedded store."""
        if server := self._source.server:
            return server.ask(dict[str, object], "/healthz", root="")
        self._source.store.runs(RunQuery(limit=1))
        return {"status": "ok", "store": self._source.store_kind, "embedded": True}

    def close(self) -> None:
        """Close all connections."""
        self._source.close()

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Api {shown(self.server or 'embedded')}>"


class _Exported:
    """Adapts `Api` to what the export needs."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._views: dict[str, RunView] = {}

    def run(self, ref: str) -> RunInfo:
        view = self._api.run(ref)
        self._views[view.id] = view
        return view.info

    def series(self, run_id: str) -> Sequence[SeriesInfo]:
        return self._views[run_id].series()

    def history_batches(self, run_id: str, key: str) -> Iterator[Points]:
        return self._views[run_id].batches(key)
