"""`Api`: reads runs from a server or from the embedded store, with the same results.

It reads from the given server, else from `MONITOR_SERVER_URL`, else from the embedded store in `MONITOR_DIR`.
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
from monitor.reader.tables import RunList
from monitor.settings import Settings, load

if TYPE_CHECKING:
    import httpx

    from monitor.domain.rules_version import RulesVersion, SavedRule
    from monitor.reader.source import Source
    from monitor.rules import RulesConfig


class Api(Questions, AlertsApi):
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
        self._source: Source
        if self.server is not None:
            self._source = HttpSource(self.server, token or chosen.token, transport=transport)
        else:
            self._source = EmbeddedSource(chosen)

    def runs_page(self, wanted: RunQuery | None = None, **filters: Unpack[RunFilters]) -> RunPage:
        """One page of runs.

        Args:
            wanted: which runs, and in which order; None: the newest.
            **filters: fields of `RunQuery` to override, such as `project="p", status="running", limit=20`.

        Raises:
            WireError: the query is invalid; the message points at the character.
        """
        return self._source.runs(replace(wanted or RunQuery(), **filters))

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
        return self._source.snapshot(ref)

    def outlines(self, refs: Sequence[str]) -> Mapping[str, RunSnapshot]:
        """Runs with their series, findings and checkpoints, without what else a snapshot has; in one request.

        Args:
            refs: each as in `run`.

        Returns:
            By reference; one that names no run, or several, is left out.
        """
        return self._source.outlines([ref for ref in refs if "\x00" not in ref])  # which no run has, and no request may

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
        return self._source.curves(wanted, {"x": x, "lo": lo, "hi": hi, "width": width})

    def run(self, ref: str) -> RunView:
        """One run.

        Args:
            ref: its id, a unique prefix of it, or its name if unique.
        """
        return RunView(self._source, self._source.run(ref))

    def projects(self) -> tuple[tuple[str, int], ...]:
        """Project names, each with its number of runs."""
        return self._source.projects()

    def keeping(self) -> Mapping[str, tuple[float | None, float | None]]:
        """How long ended runs are kept, according to the server's settings.

        Returns:
            For each project, the days after a run's end when it is deleted, and when its curves are downsampled; None:
            never.
        """
        return self._source.keeping()

    def costs(self) -> tuple[str, Mapping[str, Mapping[str, float]]]:
        """What an hour costs: the currency, and by project the prices by words of a card's name; "*" of a machine."""
        return self._source.costs()

    def delete(self, ref: str) -> RunInfo:
        """Delete a run: it disappears from all lists, and can be restored for `purge_days`."""
        found = self._source.run(ref)
        self._source.delete(found.id)
        return found

    def deleted(self) -> tuple[tuple[RunInfo, int], ...]:
        """Deleted runs that can be restored, with the time of deletion in ms since the Unix epoch; latest first."""
        return self._source.deleted()

    def restore(self, ref: str) -> RunInfo:
        """Restore a deleted run.

        Args:
            ref: its id, a prefix that is unique among deleted runs, or a unique name.
        """
        return self._source.restore(ref)

    def views(self, page: str) -> tuple[SavedView, ...]:
        """The saved views of a dashboard page, by name."""
        return self._source.views(page)

    def save_view(self, page: str, name: str, query: str) -> SavedView:
        """Save a view of the dashboard, replacing one of the same page and name.

        Args:
            page: such as "runs".
            query: the query string of the page's URL, without the question mark.

        Raises:
            WireError: the name is empty, a text is too long, or there are too many views.
        """
        return self._source.save_view(page, name, query)

    def forget_view(self, page: str, name: str) -> None:
        """Delete a saved view, if it exists."""
        self._source.forget_view(page, name)

    def change_mark(self) -> str:
        """A string that changes whenever anything in the store changes, so that a viewer knows when to reload."""
        return self._source.change_mark()

    def purge_days(self) -> float:
        """Days for which a deleted run can be restored."""
        return self._source.purge_days()

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

    def me(self) -> Caller:
        """The identity and role of this reader, according to the server.

        Raises:
            Unauthorized: the server requires a token and does not know this one.
        """
        return self._source.me()

    def tokens(self) -> tuple[TokenInfo, ...]:
        """All tokens without their secrets, newest first. Needs the admin role, as do the other calls on tokens."""
        return self._source.tokens()

    def create_token(
        self, name: str, role: Access | str, *, project: str | None = None, expires_ms: int | None = None
    ) -> tuple[TokenInfo, str]:
        """Create a token.

        Args:
            role: "viewer", "logger", "editor" or "admin".
            project: the only project it can access; None: all.
            expires_ms: when it expires, in ms since the Unix epoch; None: never.

        Returns:
            Its description, and the token itself, which cannot be read again.
        """
        return self._source.create_token(name, Access(role), project, expires_ms)

    def revoke_token(self, ref: str) -> TokenInfo:
        """Revoke a token.

        Args:
            ref: its id, or its name if no other valid token has it.
        """
        return self._source.revoke_token(ref)

    def audit(self, limit: int = 100, offset: int = 0) -> tuple[int, tuple[AuditEntry, ...]]:
        """The audit log: who changed what, newest first.

        Returns:
            The number of entries in the log, and the requested ones.
        """
        return self._source.audit(limit, offset)

    def rules(self, project: str | None = None) -> RulesConfig:
        """The rules in effect: the settings of the server or of this machine, under what is saved in the store.

        Args:
            project: the project; None: the rules of projects without rules of their own.

        Raises:
            RulesError: a rule is not installed here, or a setting is invalid.
        """
        from monitor.rules import RulesConfig

        return RulesConfig.from_mapping(self._source.rules(project))

    def saved_rules(self, project: str | None = None) -> tuple[SavedRule, ...]:
        """The settings of rules that are saved in the store, for a project and for all.

        Args:
            project: the project; None: only what is saved for all.
        """
        return self._source.saved_rules(project)

    def save_rule(
        self, rule: str, settings: Mapping[str, object], project: str | None = None, *, basis: str | None = None
    ) -> None:
        """Save settings of a rule, in place of those saved before. They go before those of the settings file.

        Args:
            rule: its name.
            settings: as in the rule's table in `monitor.toml`; empty to forget what is saved.
            project: where they apply; None: in every project.
            basis: `RulesConfig.hash` of the rules that you saw; if they are others by now, nothing is saved.

        Raises:
            RulesError: the rule or a setting is not known, or not valid.
            RulesChanged: the rules are no longer those of `basis`.
            Forbidden: a project's rules need the role editor, those of all projects the role admin.
        """
        self._source.save_rule(rule, settings, project, basis)

    def rules_history(self, project: str | None = None) -> tuple[RulesVersion, ...]:
        """Versions of the rules, newest first: each start of a server with others, each saved change.

        Args:
            project: versions that apply to this project; None: those of every project.
        """
        return self._source.rules_history(project)

    def info(self) -> Mapping[str, object]:
        """The server's version, kind of store and background jobs."""
        return self._source.info()

    def health(self) -> Mapping[str, object]:
        """The health of the server or of the embedded store."""
        return self._source.health()

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
