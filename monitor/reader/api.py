"""Reads runs back: `Api`, over HTTP or from the embedded store, with the same answers.

Where it reads from: an explicit server, else `MONITOR_SERVER_URL`, else the embedded store of `MONITOR_DIR`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from monitor.domain import (
    Access,
    AuditEntry,
    Caller,
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
    TokenInfo,
)
from monitor.http.address import server_of, shown
from monitor.reader.alerting import AlertsApi
from monitor.reader.embedded import EmbeddedSource
from monitor.reader.questions import Questions
from monitor.reader.remote import HttpSource
from monitor.reader.run_view import RunView, XAxis
from monitor.reader.source import Source
from monitor.reader.tables import RunList
from monitor.settings import Settings, load

if TYPE_CHECKING:
    import httpx

    from monitor.domain.rules_version import RulesVersion
    from monitor.rules import RulesConfig


class Api(Questions, AlertsApi):
    """A reader of runs; cheap to make, connects when first asked.

    Args:
        server: the server's address; None: `MONITOR_SERVER_URL`, else the embedded store.
        token: bearer token; None: `MONITOR_TOKEN`.
        settings: settings to use instead of those of the environment.
        transport: for tests, what httpx sends through.

    Raises:
        SettingsError: the address or a setting cannot be used.

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
        self._source: Source
        if self.server is not None:
            self._source = HttpSource(self.server, token or chosen.token, transport=transport)
        else:
            self._source = EmbeddedSource(chosen)

    def runs_page(self, wanted: RunQuery | None = None, **filters: Unpack[RunFilters]) -> RunPage:
        """One page of runs.

        Args:
            wanted: which runs, and how; None: the newest.
            **filters: fields of `RunQuery` to change in it, such as `project="p", status="running", limit=20`.

        Raises:
            WireError: the query cannot be read; the message points at the character.
            MonitorError: the server or the store cannot be read.
        """
        return self._source.runs(replace(wanted or RunQuery(), **filters))

    def runs(self, query: str | None = None, /, **filters: Unpack[RunFilters]) -> RunList:
        """Runs as views: a list with `to_pandas()` and `to_arrow()`.

        Args:
            query: such as `status = "running" and val.best < 0.3 order by val.best`; see `docs/store.md`.
            **filters: as in `runs_page`.

        Raises:
            WireError: the query cannot be read; the message points at the character.
            MonitorError: the server or the store cannot be read.
        """
        page = self.runs_page(RunQuery(query=query), **filters)
        return RunList(RunView(self._source, info) for info in page.items)

    def view(self, info: RunInfo) -> RunView:
        """A view of a run that was read already; asks for nothing."""
        return RunView(self._source, info)

    def snapshot(self, ref: str) -> RunSnapshot:
        """A run with its series, findings and checkpoints, read at one moment.

        Args:
            ref: as in `run`.

        Raises:
            RunNotFound: there is none.
        """
        return self._source.snapshot(ref)

    def curves(
        self,
        wanted: Sequence[CurveOf],
        *,
        width: int = 2000,
        x: XAxis = "step",
        lo: float | None = None,
        hi: float | None = None,
    ) -> tuple[Curve, ...]:
        """Several series, of one run or of many, reduced to what a screen shows, in the order of `wanted`.

        Args:
            wanted: the series, each with its smoothing.
            width: pixels that each is drawn on, and so on as in `RunView.curve`.

        Raises:
            RunNotFound: the run does not exist.
            SeriesNotFound: a run has no such series.
        """
        return self._source.curves(wanted, {"x": x, "lo": lo, "hi": hi, "width": width})

    def run(self, ref: str) -> RunView:
        """One run.

        Args:
            ref: its id, a unique start of it, or its name where that is unique.

        Raises:
            RunNotFound: there is none.
        """
        return RunView(self._source, self._source.run(ref))

    def projects(self) -> tuple[tuple[str, int], ...]:
        """The projects and how many runs each has."""
        return self._source.projects()

    def keeping(self) -> Mapping[str, tuple[float | None, float | None]]:
        """How long the ended runs of each project are kept, as its server's settings say.

        Returns:
            By project the days after its end at which a run is deleted, None for never, and at which its curves are
            downsampled, None for never.
        """
        return self._source.keeping()

    def costs(self) -> tuple[str, Mapping[str, Mapping[str, float]]]:
        """What an hour costs: the currency, and by project the prices by words of a card's name; "*" of a machine."""
        return self._source.costs()

    def delete(self, ref: str) -> RunInfo:
        """Take a run out of every list; it can be restored for `purge_days`.

        Args:
            ref: as in `run`.

        Raises:
            RunNotFound: there is none.
        """
        found = self._source.run(ref)
        self._source.delete(found.id)
        return found

    def deleted(self) -> tuple[tuple[RunInfo, int], ...]:
        """The runs that can be restored and when each was deleted, milliseconds since the epoch; the latest first."""
        return self._source.deleted()

    def restore(self, ref: str) -> RunInfo:
        """Bring a deleted run back.

        Args:
            ref: its id, a start of it that no other deleted run shares, or a name that no other has.

        Raises:
            RunNotFound: no deleted run is called so.
        """
        return self._source.restore(ref)

    def views(self, page: str) -> tuple[SavedView, ...]:
        """The saved views of one of the dashboard's pages, by name."""
        return self._source.views(page)

    def save_view(self, page: str, name: str, query: str) -> SavedView:
        """Save a view of the dashboard; one of the same page and name is replaced.

        Args:
            page: such as "runs".
            name: what people call it.
            query: what stands in the page's address behind the question mark.

        Raises:
            WireError: it has no name, is too long, or there are too many.
        """
        return self._source.save_view(page, name, query)

    def forget_view(self, page: str, name: str) -> None:
        """Delete a saved view, where it exists."""
        self._source.forget_view(page, name)

    def change_mark(self) -> str:
        """A text that is another one after anything has changed, so that who shows runs need not read them again."""
        return self._source.change_mark()

    def purge_days(self) -> float:
        """Days that a deleted run can be restored."""
        return self._source.purge_days()

    def export(
        self,
        refs: Sequence[str],
        to: Path,
        *,
        keys: Sequence[str] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Write the points of runs to a CSV or Parquet file, in memory that does not grow with them.

        Args:
            refs: runs, as in `run`.
            to: the ending says the format, `.csv` or `.parquet`.
            keys: series to write; None for all.
            progress: called with (runs done, runs) after each run.

        Returns:
            Points written.

        Raises:
            RunNotFound: one of the runs is not there; nothing is written.
            SeriesNotFound: none of the runs has one of the keys; nothing is written.
            FileUnreadable: the path has another ending, or cannot be written.
        """
        from monitor.store.export import export_points

        return export_points(_Exported(self), refs, to, keys=keys, progress=progress)

    def me(self) -> Caller:
        """Who the server takes this reader for, and what it may do.

        Raises:
            Unauthorized: the server asks for a token and does not know this one.
        """
        return self._source.me()

    def tokens(self) -> tuple[TokenInfo, ...]:
        """All tokens, the newest first, without their secrets. Needs the role admin, as all that concerns tokens."""
        return self._source.tokens()

    def create_token(
        self, name: str, role: Access | str, *, project: str | None = None, expires_ms: int | None = None
    ) -> tuple[TokenInfo, str]:
        """Create a token.

        Args:
            name: what people call it.
            role: "viewer", "logger", "editor" or "admin".
            project: the only project that it reaches; None for all.
            expires_ms: from when on it is refused, milliseconds since the epoch; None for never.

        Returns:
            What is known of it, and the token itself, which cannot be read again.
        """
        return self._source.create_token(name, Access(role), project, expires_ms)

    def revoke_token(self, ref: str) -> TokenInfo:
        """Revoke a token.

        Args:
            ref: its id, or the name that no other valid token has.

        Raises:
            TokenNotFound: there is none.
        """
        return self._source.revoke_token(ref)

    def audit(self, limit: int = 100, offset: int = 0) -> tuple[int, tuple[AuditEntry, ...]]:
        """Who changed what.

        Args:
            limit: entries, at most; the newest.
            offset: entries to leave out at the front.

        Returns:
            How many entries the log has, and those asked for.
        """
        return self._source.audit(limit, offset)

    def rules(self, project: str | None = None) -> RulesConfig:
        """The rules in effect, as the settings of the server or of this machine say.

        Args:
            project: the rules of this one; None: those of every project that has none of its own.

        Raises:
            RulesError: a rule that is not installed here, or a setting that cannot be used.
        """
        from monitor.rules import RulesConfig

        return RulesConfig.from_mapping(self._source.rules(project))

    def rules_history(self, project: str | None = None) -> tuple[RulesVersion, ...]:
        """The rules that servers of this store have started with, newest first, where they were others than before.

        Args:
            project: its own and those of all projects; None: those of every project.
        """
        return self._source.rules_history(project)

    def info(self) -> Mapping[str, object]:
        """What the server is: its version, the kind of its store, its background jobs."""
        return self._source.info()

    def health(self) -> Mapping[str, object]:
        """How the server, or the embedded store, is."""
        return self._source.health()

    def close(self) -> None:
        """Give connections back."""
        self._source.close()

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Api {shown(self.server or 'embedded')}>"


class _Exported:
    """What an export asks for, from a reader of runs."""

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
