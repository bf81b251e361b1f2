"""Models that exist only in HTTP. Everything else is a domain dataclass, which OpenAPI shows as it is."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from typing_extensions import Annotated  # noqa: UP035  # pydantic reads it on every Python

from monitor.domain import (
    AlertInfo,
    Checkpoint,
    Delivery,
    Finding,
    Happened,
    JobHealth,
    LedgerEntry,
    LedgerMonth,
    Outcome,
    Regime,
    RunInfo,
    RunQuery,
    RunStatus,
    Saving,
    SeriesInfo,
    Silence,
    Stop,
)
from monitor.store.runs.query import MAX_LENGTH
from monitor.store.runs.run_list import MAX_SEARCH


class RunParameters(BaseModel):
    """Query parameters of the run list: the fields of `RunQuery` with their bounds."""

    project: str | None = Field(None, max_length=250)
    group: str | None = Field(None, max_length=250)
    status: list[RunStatus] = Field([], max_length=len(RunStatus), description="Of one of these statuses.")
    verdict: list[Annotated[str, StringConstraints(max_length=250)]] = Field(
        [], max_length=100, description="Of one of these verdicts."
    )
    search: str | None = Field(
        None, max_length=MAX_SEARCH, description="Words of a run's name, or the start of its id."
    )
    query: str | None = Field(
        None, max_length=MAX_LENGTH, description='Such as `val.best < 0.3 and tags.team = "vision"`.'
    )
    order: str = Field("-created", max_length=50, description='Column to sort by; prefix "-" for descending.')
    limit: int = Field(100, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=2**31)
    sparkline: int = Field(0, ge=0, le=1000, description="Values of each small curve; 0 for none.")
    metrics: list[Annotated[str, StringConstraints(max_length=250)]] = Field(
        [], max_length=50, description="Series whose last value and extremes are read with each run."
    )

    def wanted(self) -> RunQuery:
        """The query that these parameters make."""
        one_of = {"status": tuple(map(str, self.status)) or None, "verdict": tuple(self.verdict) or None}
        return RunQuery(**{**self.model_dump(), **one_of, "metrics": tuple(self.metrics)})


class RunsModel(BaseModel):
    """One page of runs."""

    total: int = Field(description="Runs that the filters leave, on all pages.")
    order: str = Field(description='What they are sorted by first, "-" in front for descending; a query may say.')
    runs: list[RunInfo]
    sparklines: dict[str, dict[str, list[float | str]]] = Field(description="Values by run id and role.")
    sorted_by: dict[str, float | str | None] = Field(
        description="By run id the value that it is sorted by, where a query says by what."
    )
    metrics: dict[str, dict[str, dict[str, float | str | None]]] = Field(
        description="By run id and series the last value, the extremes and their steps, where they were asked for."
    )


class RunModel(BaseModel):
    """A run with its series and checkpoints."""

    model_config = ConfigDict(extra="allow")

    id: str
    project: str
    name: str
    series: list[SeriesInfo]
    checkpoints: list[Checkpoint]


class OutlineModel(BaseModel):
    """A run with its series, findings and checkpoints."""

    run: RunInfo
    series: list[SeriesInfo]
    findings: list[Finding]
    checkpoints: list[Checkpoint]


class SnapshotModel(OutlineModel):
    """A run with everything stored about it except points and events."""

    regimes: list[Regime]
    remedies: list[dict[str, Any]] = Field(description="What to try against overfitting, the cheapest first.")
    progress: dict[str, Any] = Field(description="The generalisation gap and the rate; null where not known.")
    note: str = Field(description="What a person wrote of the run, as Markdown.")
    stops: list[Stop]
    saving: Saving | None
    examples: dict[str, Any] = Field(description="Newest summaries of the examples' losses, the slices, and words.")


Who = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class ItemModel(BaseModel):
    """An open run in the attention queue; its score is `severity * (1 + burn) * novelty`."""

    run: RunInfo
    kind: str
    sentence: str
    score: float
    severity: float
    burn: float
    novelty: float
    saving: Saving
    sparkline: dict[str, list[float | str]]
    alert: AlertInfo | None


class AttentionModel(BaseModel):
    """Open runs that need attention, and totals of the fleet."""

    items: list[ItemModel]
    total: int
    running: int
    stalled: int
    lost: int
    finished_today: int
    saved_hours: float
    saved_gpu_hours: float
    saved_cost: float
    currency: str


class LedgerModel(BaseModel):
    """What early stops saved and lost."""

    currency: str
    months: list[LedgerMonth]
    entries: list[LedgerEntry]


class ExplanationModel(BaseModel):
    """An explanation of a run; see `docs/agents.md`."""

    model_config = ConfigDict(extra="allow")

    verdict: str
    headline: str
    action: str
    text: str


class HappeningsModel(BaseModel):
    """Events since a cursor."""

    cursor: str
    events: list[Happened]
    ended: bool


class WaitModel(BaseModel):
    """The runs whose wait is over."""

    runs: list[str]
    outcomes: list[Outcome]


class StopRequest(BaseModel):
    """A request to stop the loop: who asks, and why."""

    model_config = ConfigDict(extra="forbid")

    who: Who = "api"
    reason: Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000, pattern=r"^[^\x00]*$")] = ""


class EditRequest(BaseModel):
    """Changes to a run; fields that are left out stay as they are."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, description="Its new name.")
    note: str | None = Field(None, description='Its note, as Markdown; "" takes it away.')
    tags: dict[str, str | None] = Field({}, max_length=1000, description="Values by tag; null takes a tag away.")


class ViewModel(BaseModel):
    """A saved view of a dashboard page."""

    page: str
    name: str
    query: str = Field(description="What stands in the page's address behind the question mark.")
    saved_ms: int


class ViewRequest(BaseModel):
    """The view to save."""

    model_config = ConfigDict(extra="forbid")

    query: str


class ViewsModel(BaseModel):
    """The saved views of a page, by name."""

    views: list[ViewModel]


class StopModel(BaseModel):
    """A stop and its progress."""

    run_id: str
    stop_requested: str | None = Field(description="Who asks for a stop now; null: nobody.")
    stop: Stop


class RunIdModel(BaseModel):
    """The run that was changed."""

    run_id: str


class DeletedRunModel(BaseModel):
    """A deleted run, with the time of its deletion."""

    model_config = ConfigDict(extra="allow")

    id: str
    deleted_ms: int = Field(description="When it was deleted, milliseconds since the epoch.")


class DeletedModel(BaseModel):
    """The runs that can be restored."""

    keep_days: float = Field(description="Days after which a deleted run is permanently removed.")
    deleted: list[DeletedRunModel]


class ProjectModel(BaseModel):
    """A project, its number of runs and its retention."""

    name: str
    runs: int
    keep_days: float | None = Field(description="Days that a run is kept after its end; null: for ever.")
    thin_days: float | None = Field(description="Days after a run's end until its curves are downsampled; null: never.")
    cost_per_hour: dict[str, float] = Field(description="Prices of an hour, by words of a card's name; * of a machine.")


class ProjectsModel(BaseModel):
    """All projects, and the retention that applies to all."""

    projects: list[ProjectModel]
    purge_days: float = Field(description="Days for which a deleted run can be restored.")
    cost_currency: str = Field(description="What prices are counted in.")


class AlertsModel(BaseModel):
    """One page of alerts, those that changed last first."""

    alerts: list[AlertInfo]
    cursor: str | None = Field(description="Gives the next page; null on the last.")
    counts: dict[str, int] = Field(description="Alerts by state that the other filters leave, on all pages.")


class DeliveriesModel(BaseModel):
    """Alert messages, newest first, with their delivery status."""

    deliveries: list[Delivery]


class SilencesModel(BaseModel):
    """Silences, latest end first."""

    silences: list[Silence]


class HistoryModel(BaseModel):
    """All points of a series; each list has one entry per point."""

    key: str
    steps: list[int]
    values: list[float | str]
    times: list[int] = Field(description="Milliseconds since the epoch.")
    epochs: list[float | str] | None


class CurveModel(BaseModel):
    """A series reduced to what a screen shows."""

    key: str
    x_axis: str
    x: list[float | str]
    y: list[float | str]
    shown: int
    total: int
    smoothed: list[float | str] | None


class CurvesModel(BaseModel):
    """Several curves, in the order of the request."""

    curves: list[CurveModel]


class PositionsModel(BaseModel):
    """Positions of steps on an axis."""

    positions: list[float | str | None] = Field(description="In the order of the steps; null: no point is there.")


class HealthModel(BaseModel):
    """The server answers."""

    status: str
    name: str
    version: str
    store_id: str = Field(description="Tells two stores apart without telling where they are.")


class ReadyModel(BaseModel):
    """The store accepts points."""

    status: str = Field(description='"ok", or "degraded" where a background job fails.')
    store: str
    jobs: dict[str, str] = Field(description='"ok" or "failing" by name; `/api/v1/info` says why.')


class InfoModel(BaseModel):
    """Versions and parts of this server."""

    name: str
    version: str
    wire: int
    store: str
    store_id: str
    rules_hash: str = Field(description="Of the rules of every project that has none of its own.")
    project_rules: dict[str, str] = Field(description="Hash of the rules of each project that has its own.")
    heartbeat_s: float
    links: dict[str, str]
    jobs: dict[str, JobHealth]
