"""Reads runs back: `Api` and `RunView`, over HTTP or from the embedded store, with the same answers.

Where it reads from: an explicit server, else `MONITOR_SERVER_URL`, else the embedded store of `MONITOR_DIR`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from monitor.domain import (
    Access,
    AuditEntry,
    Caller,
    Checkpoint,
    Curve,
    CurveOf,
    Diagnosis,
    Finding,
    Output,
    Points,
    RunEdit,
    RunFilters,
    RunInfo,
    RunPage,
    RunQuery,
    RunSnapshot,
    SavedView,
    Saving,
    SeriesInfo,
    Stop,
    TokenInfo,
)
from monitor.http.address import server_of, shown
from monitor.reader.alerting import AlertsApi
from monitor.reader.embedded import EmbeddedSource
from monitor.reader.questions import Questions
from monitor.reader.remote import HttpSource
from monitor.reader.source import Source
from monitor.reader.tables import RunList, figure_of, view_html
from monitor.settings import Settings, load

if TYPE_CHECKING:
    import httpx

    from monitor.domain.media import Media
    from monitor.rules import RulesConfig
    from monitor.wire import Event

XAxis = Literal["step", "epoch", "wall_time", "relative"]


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


class RunView:
    """One run as a reader sees it; each call reads anew.

    Attributes:
        info: the run as it was when the view was made; `refresh` reads it again.
    """

    def __init__(self, source: Source, info: RunInfo) -> None:
        self._source = source
        self.info = info

    @property
    def id(self) -> str:
        """The run's id."""
        return self.info.id

    @property
    def name(self) -> str:
        """The run's name."""
        return self.info.name

    def refresh(self) -> RunInfo:
        """Read `info` again."""
        self.info = self._source.run(self.id)
        return self.info

    def series(self) -> tuple[SeriesInfo, ...]:
        """The run's series with their counts, last values and extremes."""
        return self._source.series(self.id)

    def history(self, key: str, *, lo: int | None = None, hi: int | None = None, attempt: int | None = None) -> Points:
        """Every point of a series, in the order of their steps.

        Args:
            key: the series.
            lo: first step.
            hi: last step, inclusive.
            attempt: points of this attempt alone; None: the newest where attempts overlap.

        Raises:
            SeriesNotFound: the run has no such series.
        """
        return self._source.history(self.id, key, lo, hi, attempt)

    def batches(
        self, key: str, *, lo: int | None = None, hi: int | None = None, attempt: int | None = None
    ) -> Iterator[Points]:
        """What `history` reads, some at a time, for series that do not fit into memory.

        A server streams them as Arrow where pyarrow is installed here; without it everything comes at once. The read
        transaction lasts until the last batch was taken: do not keep it waiting.

        Args:
            key: the series, and so on as in `history`.

        Raises:
            SeriesNotFound: when the first batch is asked for; the run has no such series.
        """
        return self._source.batches(self.id, key, lo, hi, attempt)

    def curve(
        self,
        key: str,
        *,
        width: int = 2000,
        x: XAxis = "step",
        lo: float | None = None,
        hi: float | None = None,
        smoothing: float = 0.0,
    ) -> Curve:
        """A series reduced to what a screen shows.

        Args:
            key: the series.
            width: pixels that it is drawn on.
            x: the axis: steps, epochs, milliseconds since the epoch, or seconds since the run's start.
            lo: left end of the window, on the x axis.
            hi: right end.
            smoothing: weight of the moving average, in [0, 1).

        Raises:
            SeriesNotFound: the run has no such series.
        """
        return self._source.curve(self.id, key, {"x": x, "lo": lo, "hi": hi, "width": width, "smoothing": smoothing})

    def positions(self, keys: Sequence[str], steps: Sequence[int], *, x: XAxis) -> tuple[float | None, ...]:
        """Where steps stand on an axis.

        Args:
            keys: series that are asked one after the other, until one has a point at the step.
            steps: any.
            x: the axis, as in `curve`.

        Returns:
            An x for each step; None where no series has a point there, or the point no epoch.

        Raises:
            SeriesNotFound: the run has no such series.
        """
        known = [step for step in dict.fromkeys(steps) if -(2**63) <= step < 2**63]
        if not keys or not known:
            return (None,) * len(steps)
        found = dict(zip(known, self._source.positions(self.id, keys, known, x), strict=True))
        return tuple(found.get(step) for step in steps)

    def findings(self) -> tuple[Finding, ...]:
        """What the rules found, firing and resolved."""
        return self._source.findings(self.id)

    def diagnosis(self) -> Diagnosis:
        """The whole judgement."""
        return self._source.diagnosis(self.id)

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """The files that the loop saved."""
        return self._source.checkpoints(self.id)

    def events(self) -> tuple[Event, ...]:
        """What happened in the run besides points, in order."""
        return self._source.events(self.id)

    def output(self, search: str | None = None, *, after: int = -1, limit: int = 1000) -> tuple[Output, ...]:
        """What the training wrote to its standard output and error, where that was captured, and logged as text.

        Args:
            search: only pieces that hold this text, in any case of its letters.
            after: only pieces behind this one, by its id; negative: the last ones.
            limit: pieces, at most.
        """
        return self._source.output(self.id, search, after, limit)

    def media(self, key: str | None = None) -> tuple[Media, ...]:
        """The images, tables and histograms that the training logged, by name and step, without their contents.

        Args:
            key: only those of this name.
        """
        return self._source.media(self.id, key)

    def media_content(self, media: Media | int) -> bytes:
        """The content of one of them: a PNG or WebP file, or JSON.

        A table is `{"columns": [...], "rows": [[...]]}`, a histogram `{"edges": [...], "counts": [...]}` and its
        statistics.

        Args:
            media: one of `media()`, or its id.

        Raises:
            MediaNotFound: the run has none of this id, or no longer.
        """
        return self._source.media_content(self.id, media if isinstance(media, int) else media.id)

    def edit(
        self, *, name: str | None = None, note: str | None = None, tags: Mapping[str, str | None] | None = None
    ) -> RunInfo:
        """Change the run's name, note or tags; what is not given stays as it is.

        Args:
            name: its new name.
            note: its note, as Markdown; "" takes it away.
            tags: values by tag; None takes a tag away.

        Returns:
            The run as it is then; `info` is that too.

        Raises:
            WireError: the name is empty, a text is too long, or the run would have too many tags.
        """
        self.info = self._source.edit(self.id, RunEdit(name=name, note=note, tags=dict(tags or {})))
        return self.info

    def request_stop(self, who: str, reason: str = "") -> Stop:
        """Ask the loop to stop; it receives that with the answer to its next batch or heartbeat.

        Args:
            who: who asks, shown to the loop's owner.
            reason: why, in a sentence.

        Returns:
            The stop; the one that is open where the loop was asked before. `stops` says how far it is.

        Raises:
            StopRefused: the run has ended.
        """
        return self._source.request_stop(self.id, who, reason)

    def withdraw_stop(self, who: str) -> Stop:
        """Take a stop back that the loop has not received yet.

        Raises:
            StopRefused: none is open, or the loop has received it.
        """
        return self._source.withdraw_stop(self.id, who)

    def saving(self) -> Saving:
        """What ending the run now would save, with every number that it is made from."""
        return self._source.saving(self.id)

    def stops(self) -> tuple[Stop, ...]:
        """The stops of the run: asked for, or advised and obeyed; each with how far it is."""
        return self._source.stops(self.id)

    def plot(self, keys: Sequence[str] | None = None, *, smoothing: float = 0.0) -> Any:
        """Curves as a Plotly figure.

        Args:
            keys: the series; None for the judged losses.
            smoothing: weight of the moving average, in [0, 1).

        Raises:
            ModuleNotFoundError: Plotly is not installed.
            SeriesNotFound: the run has no such series.
        """
        return figure_of(self, keys, smoothing)

    def _repr_html_(self) -> str:
        return view_html(self)

    def __repr__(self) -> str:
        return f"<RunView {self.info.project}/{self.info.name} {self.id[:8]} {self.info.verdict}>"
