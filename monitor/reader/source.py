"""`Source`: the interface of `reader.Api` to a store in this process or to a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

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
    RunEdit,
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
from monitor.reader.alerting import AlertSource

if TYPE_CHECKING:
    from monitor.domain.media import Media
    from monitor.domain.rules_version import RulesVersion
    from monitor.wire import Event

Query = Mapping[str, str | float | Sequence[str] | None]
"""Query parameters by name; None values are omitted."""


class Source(AlertSource, Protocol):
    """Where runs are read from. `run_id` is always a full id."""

    def runs(self, wanted: RunQuery) -> RunPage:
        """One page of runs."""
        ...

    def snapshot(self, ref: str) -> RunSnapshot:
        """A run with everything but its points and events."""
        ...

    def outlines(self, refs: Sequence[str]) -> Mapping[str, RunSnapshot]:
        """Runs with their series, findings and checkpoints, by reference."""
        ...

    def curves(self, wanted: Sequence[CurveOf], query: Query) -> tuple[Curve, ...]:
        """Series of one run or many, reduced to what a screen can show."""
        ...

    def positions(self, run_id: str, keys: Sequence[str], steps: Sequence[int], x: str) -> tuple[float | None, ...]:
        """The positions of steps on an axis."""
        ...

    def run(self, ref: str) -> RunInfo:
        """One run, by id, unique prefix of it, or name."""
        ...

    def series(self, run_id: str) -> tuple[SeriesInfo, ...]:
        """A run's series."""
        ...

    def history(self, run_id: str, key: str, lo: int | None, hi: int | None, attempt: int | None) -> Points:
        """Every point of a series."""
        ...

    def batches(self, run_id: str, key: str, lo: int | None, hi: int | None, attempt: int | None) -> Iterator[Points]:
        """Every point of a series, in batches."""
        ...

    def curve(self, run_id: str, key: str, query: Query) -> Curve:
        """A series reduced to what a screen can show."""
        ...

    def findings(self, run_id: str) -> tuple[Finding, ...]:
        """The findings of the rules."""
        ...

    def diagnosis(self, run_id: str) -> Diagnosis:
        """The diagnosis: verdict, findings and recommendation."""
        ...

    def checkpoints(self, run_id: str) -> tuple[Checkpoint, ...]:
        """The checkpoints that the loop saved."""
        ...

    def events(self, run_id: str) -> tuple[Event, ...]:
        """The run's events."""
        ...

    def output(self, run_id: str, search: str | None, after: int, limit: int) -> tuple[Output, ...]:
        """The captured output."""
        ...

    def media(self, run_id: str, key: str | None) -> tuple[Media, ...]:
        """Images, tables and histograms, without their contents."""
        ...

    def media_content(self, run_id: str, media_id: int) -> bytes:
        """The content of one image, table or histogram."""
        ...

    def request_stop(self, run_id: str, who: str, reason: str) -> Stop:
        """Ask the loop to stop."""
        ...

    def edit(self, run_id: str, edit: RunEdit) -> RunInfo:
        """Change a run's name, note and tags, and return it."""
        ...

    def views(self, page: str) -> tuple[SavedView, ...]:
        """The saved views of a dashboard page."""
        ...

    def save_view(self, page: str, name: str, query: str) -> SavedView:
        """Save a view under a name."""
        ...

    def forget_view(self, page: str, name: str) -> None:
        """Delete a saved view."""
        ...

    def withdraw_stop(self, run_id: str, who: str) -> Stop:
        """Withdraw a stop request that the loop has not received."""
        ...

    def saving(self, run_id: str) -> Saving:
        """What stopping a run now would save."""
        ...

    def explain(self, ref: str) -> Mapping[str, Any]:
        """Explain a run."""
        ...

    def happened(self, ref: str, since: str, wait_s: float) -> Happenings:
        """What happened in a run since a cursor."""
        ...

    def outcomes(self, refs: Sequence[str], until: Sequence[str], wait_s: float) -> tuple[Outcome, ...]:
        """The runs whose wait is over."""
        ...

    def attention(self, limit: int, project: str | None, sparkline: int) -> Attention:
        """The open runs that need a person."""
        ...

    def ledger(self, project: str | None, since_ms: int, until_ms: int) -> Ledger:
        """What stops have saved and lost."""
        ...

    def stops(self, run_id: str) -> tuple[Stop, ...]:
        """The stops of a run."""
        ...

    def projects(self) -> tuple[tuple[str, int], ...]:
        """Project names, each with its number of runs."""
        ...

    def keeping(self) -> Mapping[str, tuple[float | None, float | None]]:
        """For each project, days until ended runs are deleted, and until they are downsampled; None: never."""
        ...

    def costs(self) -> tuple[str, Mapping[str, Mapping[str, float]]]:
        """The currency, and by project the prices of an hour, by words of a card's name; "*" of a machine."""
        ...

    def delete(self, run_id: str) -> None:
        """Delete a run; it can be restored."""
        ...

    def deleted(self) -> tuple[tuple[RunInfo, int], ...]:
        """Deleted runs that can be restored, with their times of deletion."""
        ...

    def restore(self, ref: str) -> RunInfo:
        """Restore a deleted run."""
        ...

    def change_mark(self) -> str:
        """A string that changes whenever anything in the store changes."""
        ...

    def purge_days(self) -> float:
        """Days for which a deleted run can be restored."""
        ...

    def me(self) -> Caller:
        """The identity and role of the caller."""
        ...

    def tokens(self) -> tuple[TokenInfo, ...]:
        """All tokens, without their secrets."""
        ...

    def create_token(
        self, name: str, role: Access, project: str | None, expires_ms: int | None
    ) -> tuple[TokenInfo, str]:
        """Create a token, and return its description and the token itself."""
        ...

    def revoke_token(self, ref: str) -> TokenInfo:
        """Revoke a token."""
        ...

    def audit(self, limit: int, offset: int) -> tuple[int, tuple[AuditEntry, ...]]:
        """The number of entries in the audit log, and a page of them."""
        ...

    def rules(self, project: str | None) -> Mapping[str, object]:
        """The settings that differ from the default rules, by rule."""
        ...

    def rules_history(self, project: str | None) -> tuple[RulesVersion, ...]:
        """Versions of the rules that servers started with, newest first."""
        ...

    def info(self) -> Mapping[str, object]:
        """Version, kind of store and background jobs."""
        ...

    def health(self) -> Mapping[str, object]:
        """The health of the source."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...
