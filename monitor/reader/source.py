"""What `reader.Api` reads from: one protocol for the store in this process and for a server."""

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
"""Parameters by name; None is left out."""


class Source(AlertSource, Protocol):
    """Where runs are read from; `run_id` is always a full id."""

    def runs(self, wanted: RunQuery) -> RunPage:
        """One page of runs."""
        ...

    def snapshot(self, ref: str) -> RunSnapshot:
        """A run with all but its points and events."""
        ...

    def curves(self, wanted: Sequence[CurveOf], query: Query) -> tuple[Curve, ...]:
        """Series of one run or of many, reduced to what a screen shows."""
        ...

    def positions(self, run_id: str, keys: Sequence[str], steps: Sequence[int], x: str) -> tuple[float | None, ...]:
        """Where steps stand on an axis."""
        ...

    def run(self, ref: str) -> RunInfo:
        """One run, by id, unique start of it, or name."""
        ...

    def series(self, run_id: str) -> tuple[SeriesInfo, ...]:
        """A run's series."""
        ...

    def history(self, run_id: str, key: str, lo: int | None, hi: int | None, attempt: int | None) -> Points:
        """Every point of a series."""
        ...

    def batches(self, run_id: str, key: str, lo: int | None, hi: int | None, attempt: int | None) -> Iterator[Points]:
        """Every point of a series, some at a time."""
        ...

    def curve(self, run_id: str, key: str, query: Query) -> Curve:
        """A series reduced to what a screen shows."""
        ...

    def findings(self, run_id: str) -> tuple[Finding, ...]:
        """What the rules found."""
        ...

    def diagnosis(self, run_id: str) -> Diagnosis:
        """The whole judgement."""
        ...

    def checkpoints(self, run_id: str) -> tuple[Checkpoint, ...]:
        """The files that the loop saved."""
        ...

    def events(self, run_id: str) -> tuple[Event, ...]:
        """What happened besides points."""
        ...

    def output(self, run_id: str, search: str | None, after: int, limit: int) -> tuple[Output, ...]:
        """What the training wrote."""
        ...

    def media(self, run_id: str, key: str | None) -> tuple[Media, ...]:
        """Images, tables and histograms, without their contents."""
        ...

    def media_content(self, run_id: str, media_id: int) -> bytes:
        """The content of one of them."""
        ...

    def request_stop(self, run_id: str, who: str, reason: str) -> Stop:
        """Ask the loop to stop."""
        ...

    def edit(self, run_id: str, edit: RunEdit) -> RunInfo:
        """Change a run's name, note and tags; the run as it is then."""
        ...

    def views(self, page: str) -> tuple[SavedView, ...]:
        """The saved views of a page of the dashboard."""
        ...

    def save_view(self, page: str, name: str, query: str) -> SavedView:
        """Save a view under a name."""
        ...

    def forget_view(self, page: str, name: str) -> None:
        """Delete a saved view."""
        ...

    def withdraw_stop(self, run_id: str, who: str) -> Stop:
        """Take a stop back that the loop has not received."""
        ...

    def saving(self, run_id: str) -> Saving:
        """What ending a run now would save."""
        ...

    def explain(self, ref: str) -> Mapping[str, Any]:
        """A run explained."""
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
        """Projects and how many runs each has."""
        ...

    def keeping(self) -> Mapping[str, tuple[float | None, float | None]]:
        """By project, days to keep ended runs and days after which they are downsampled; None: for ever, never."""
        ...

    def costs(self) -> tuple[str, Mapping[str, Mapping[str, float]]]:
        """The currency, and by project the prices of an hour, by words of a card's name; "*" of a machine."""
        ...

    def delete(self, run_id: str) -> None:
        """Take a run out of the lists."""
        ...

    def deleted(self) -> tuple[tuple[RunInfo, int], ...]:
        """Runs that can be restored, and when each was deleted."""
        ...

    def restore(self, ref: str) -> RunInfo:
        """Bring a deleted run back."""
        ...

    def change_mark(self) -> str:
        """Another text after anything has changed."""
        ...

    def purge_days(self) -> float:
        """Days that a deleted run can be restored."""
        ...

    def me(self) -> Caller:
        """Who asks, and what they may do."""
        ...

    def tokens(self) -> tuple[TokenInfo, ...]:
        """All tokens, without their secrets."""
        ...

    def create_token(
        self, name: str, role: Access, project: str | None, expires_ms: int | None
    ) -> tuple[TokenInfo, str]:
        """A new token, and its text."""
        ...

    def revoke_token(self, ref: str) -> TokenInfo:
        """Revoke a token."""
        ...

    def audit(self, limit: int, offset: int) -> tuple[int, tuple[AuditEntry, ...]]:
        """How many entries the audit log has, and a page of them."""
        ...

    def rules(self, project: str | None) -> Mapping[str, object]:
        """What differs from the default rules, by rule."""
        ...

    def rules_history(self, project: str | None) -> tuple[RulesVersion, ...]:
        """The rules that servers have started with, newest first."""
        ...

    def info(self) -> Mapping[str, object]:
        """Versions, kind of store and background jobs."""
        ...

    def health(self) -> Mapping[str, object]:
        """How the source is."""
        ...

    def close(self) -> None:
        """Give connections back."""
        ...
