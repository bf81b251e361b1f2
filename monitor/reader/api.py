"""Reads runs back: `Api` and `RunView`, over HTTP or from the embedded store, with the same answers.

Where it reads from: an explicit server, else `MONITOR_SERVER_URL`, else the embedded store of `MONITOR_DIR`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Literal, Unpack

from monitor.domain import (
    Access,
    Attention,
    AuditEntry,
    Caller,
    Checkpoint,
    Curve,
    CurveOf,
    Diagnosis,
    Finding,
    Happenings,
    Ledger,
    Outcome,
    Output,
    Points,
    RunFilters,
    RunInfo,
    RunPage,
    RunQuery,
    RunSnapshot,
    Saving,
    SeriesInfo,
    Stop,
    TokenInfo,
)
from monitor.http.address import server_of, shown
from monitor.reader.alerting import AlertsApi
from monitor.reader.embedded import EmbeddedSource
from monitor.reader.remote import HttpSource
from monitor.reader.source import Source
from monitor.settings import Settings, load

if TYPE_CHECKING:
    import httpx

    from monitor.wire import Event

WAIT_S: Final = 25.0
"""Seconds that a server lets one request wait, at most."""
XAxis = Literal["step", "epoch", "wall_time", "relative"]


class Api(AlertsApi):
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

    def runs(self, query: str | None = None, /, **filters: Unpack[RunFilters]) -> list[RunView]:
        """Runs as views.

        Args:
            query: such as `status = "running" and val.best < 0.3 order by val.best`; see `docs/store.md`.
            **filters: as in `runs_page`.

        Raises:
            WireError: the query cannot be read; the message points at the character.
            MonitorError: the server or the store cannot be read.
        """
        page = self.runs_page(RunQuery(query=query), **filters)
        return [RunView(self._source, info) for info in page.items]

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

    def attention(self, limit: int = 10, *, project: str | None = None, sparkline: int = 0) -> Attention:
        """The open runs that need a person, the most urgent first, and the fleet in numbers.

        A run's place is `severity * (1 + burn) * novelty`: how bad it is, what its rest still costs, and how new it is.

        Args:
            limit: runs, at most.
            project: of this one; None: of all.
            sparkline: values of each small curve; 0 for none.
        """
        return self._source.attention(limit, project, sparkline)

    def ledger(self, project: str | None = None, *, since_ms: int = 0, until_ms: int = 2**62) -> Ledger:
        """What stops have saved and lost, by project and month, and stop by stop.

        Args:
            project: of this one; None: of all.
            since_ms: stops from here on, milliseconds since the epoch.
            until_ms: stops until here, exclusive.
        """
        return self._source.ledger(project, since_ms, until_ms)

    def events(self, ref: str, since: str = "", *, wait_s: float = 0.0) -> Happenings:
        """What happened in a run since a cursor: points, findings, advice, stops, alerts, status; each once.

        Args:
            ref: as in `run`.
            since: the `cursor` of the answer before; "" from the beginning.
            wait_s: seconds to wait for something to happen, at most 25.

        Raises:
            RunNotFound: there is no such run.
            WireError: the cursor is not one of this run.
        """
        return self._source.happened(ref, since, wait_s)

    def wait(
        self, *refs: str, until: str | Sequence[str] = "finish", timeout_s: float | None = None, every: bool = False
    ) -> tuple[Outcome, ...]:
        """Wait until something has happened in one of some runs, or in every one of them.

        Args:
            refs: each as in `run`.
            until: "finish", "stop" (advised or asked for), "alert", "verdict=NAME", or several of these.
            timeout_s: seconds; None: no limit.
            every: wait for all of the runs instead of the first.

        Returns:
            The runs whose wait is over, each with what happened, or with what None where it ended without that; none
            of them, or some, where the time is up.

        Raises:
            RunNotFound: there is no such run.
            WireError: it is not something to wait for.
        """
        words = [until] if isinstance(until, str) else list(until)
        deadline = inf if timeout_s is None else monotonic() + timeout_s
        found: dict[str, Outcome] = {}
        left = list(dict.fromkeys(self._source.run(ref).id for ref in refs))
        while left:
            wait_s = max(0.0, min(WAIT_S, deadline - monotonic()))
            some = self._source.outcomes(left, words, wait_s)
            found |= {each.run_id: each for each in some}
            left = [run_id for run_id in left if run_id not in found]
            if (some and not every) or monotonic() >= deadline:
                break
        return tuple(found.values())

    def explain(self, ref: str) -> Mapping[str, Any]:
        """A run explained from what is stored; `text` says it in under 500 tokens.

        Args:
            ref: as in `run`.

        Raises:
            RunNotFound: there is none.
        """
        return self._source.explain(ref)

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

    def purge_days(self) -> float:
        """Days that a deleted run can be restored."""
        return self._source.purge_days()

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
        """Who stopped, deleted and restored runs, and changed tokens.

        Args:
            limit: entries, at most; the newest.
            offset: entries to leave out at the front.

        Returns:
            How many entries the log has, and those asked for.
        """
        return self._source.audit(limit, offset)

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

    def __repr__(self) -> str:
        return f"<RunView {self.info.project}/{self.info.name} {self.id[:8]} {self.info.verdict}>"
