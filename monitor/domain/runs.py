"""A run as lists show it, what it saved, and the reply to its writer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from monitor.domain.plain import Json, Row
from monitor.domain.verdicts import Recommendation


class RunStatus(StrEnum):
    """The status of a run."""

    RUNNING = "running"
    """Heartbeats arrive, and so do steps."""
    STALLED = "stalled"
    """Heartbeats arrive, but no new step for a long time."""
    LOST = "lost"
    """Heartbeats stopped without a finish: killed, crashed, or cut off. It runs again once points arrive."""
    FINISHED = "finished"
    """The loop reported that it is done."""
    STOPPED = "stopped"
    """The loop ended early because the recommendation, or a person, asked for it."""
    FAILED = "failed"
    """The loop ended with an exception."""

    @property
    def live(self) -> bool:
        """True while more points may come."""
        return self in (RunStatus.RUNNING, RunStatus.STALLED, RunStatus.LOST)

    @property
    def ended(self) -> bool:
        """True if the loop, or whoever waited for it, reported how it ended."""
        return not self.live

    @property
    def over(self) -> bool:
        """True once the run has ended or is lost. A lost run may come back."""
        return self not in (RunStatus.RUNNING, RunStatus.STALLED)


LEAST_PREFIX: Final = 8
"""Fewest digits of an id that identify a run to be changed: as many as lists show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """One run as the run list shows it.

    Attributes:
        id: 32 hex digits.
        verdict: as in `Diagnosis`.
        roles: the roles that the user assigned to series; None: none.
        reading: the roles read from the series' names: a `line` for people, the `goal` and whether it `rises`; None for
            a run of an older version, or without series.
        goal_last, goal_best, goal_best_step: of the goal's series.
        gap, half_life: of `Progress`; None if unknown.
        attempt: from 1; incremented each time a loop resumes the run.
        heartbeat_s: seconds between heartbeats that its client promised; None if it did not say.
        warnings: counters of what was set aside, by name; `SET_ASIDE` explains each of them.
        stop_requested: who asked the loop to stop, or None.
        stop_modes: the stop modes that the loop was started with, by rule; None: the receiver's settings apply.
        stop_step: step at which the run would have been stopped, if its mode kept that from the loop.
        planned_steps: steps that the loop is meant to make, if it declared them; see also its configuration.
        error: the last line of the traceback, for a failed run.
    """

    id: str
    project: str
    name: str
    status: RunStatus
    created_ms: int
    group: str | None = None
    config: Json = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    loss: Json | None = None
    roles: Mapping[str, str] | None = None
    reading: Json | None = None
    goal_last: float | None = None
    goal_best: float | None = None
    goal_best_step: int | None = None
    gap: float | None = None
    half_life: float | None = None
    attempt: int = 1
    heartbeat_s: float | None = None
    heartbeat_ms: int | None = None
    last_point_ms: int | None = None
    last_step: int | None = None
    finished_ms: int | None = None
    verdict: str = "too_early"
    headline: str = ""
    recommendation: Recommendation = field(default_factory=Recommendation)
    warnings: Mapping[str, int] = field(default_factory=dict)
    stop_requested: str | None = None
    stop_modes: Mapping[str, str] | None = None
    stop_step: int | None = None
    planned_steps: int | None = None
    error: str | None = None
    version: int = 0

    def is_meant_by(self, ref: str) -> bool:
        """True if a reference that found this run is precise enough to change it: its id, its name, or eight digits."""
        given = ref.strip()
        return given in (self.id, self.name) or (len(given) >= LEAST_PREFIX and self.id.startswith(given))

    def took_ms(self, now_ms: int) -> int:
        """Milliseconds from its start to its end; to now while it lives, or to its last point if its end is unknown."""
        end = self.finished_ms or (now_ms if self.status.live else self.last_point_ms) or self.created_ms
        return end - self.created_ms

    def to_dict(self) -> dict[str, object]:
        """The row as strict JSON data."""
        d = {name: getattr(self, name) for name in self.__slots__}
        return {
            **d,
            "status": str(self.status),
            "config": dict(self.config),
            "tags": dict(self.tags),
            "loss": dict(self.loss) if self.loss is not None else None,
            "roles": dict(self.roles) if self.roles is not None else None,
            "reading": dict(self.reading) if self.reading is not None else None,
            "warnings": dict(self.warnings),
            "stop_modes": dict(self.stop_modes) if self.stop_modes is not None else None,
            "recommendation": self.recommendation.to_dict(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint(Row):
    """A file that the loop saved, so that training can go back to the best step."""

    step: int
    path: str
    time_ms: int


def best_checkpoint(advice: Recommendation, checkpoints: Iterable[Checkpoint]) -> Checkpoint | None:
    """The checkpoint to go back to: the one nearest to the best step.

    Of two equally near ones, the earlier step: after its best step a run gets worse. Of one step, the newest.

    Returns:
        None before the run has a best step, or without a checkpoint.

    >>> saved = [Checkpoint(step=s, path=p, time_ms=t) for s, p, t in ((80, "a", 1), (120, "b", 2), (80, "c", 3))]
    >>> best_checkpoint(Recommendation(best_step=100.0), saved)
    Checkpoint(step=80, path='c', time_ms=3)
    """
    at = advice.best_at
    if at is None:
        return None
    return min(checkpoints, key=lambda each: (abs(each.step - at), each.step, -each.time_ms), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output(Row):
    """A piece of what a training printed, one line or several.

    Attributes:
        id: its number within the run.
        time_ms: when it was printed.
        stream: "stdout", "stderr", or "text" for text that was logged.
        step: of logged text; None if it has none.
        position: characters of the run's output up to the end of this piece, including those no longer stored.
    """

    id: int
    time_ms: int
    stream: str
    step: int | None
    position: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEdit:
    """A person's changes to a run; None leaves a field as it is.

    Attributes:
        name: its new name.
        note: its note, as Markdown; "" removes it.
        tags: values by tag; None removes a tag.
    """

    name: str | None = None
    note: str | None = None
    tags: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedView(Row):
    """A saved view of one of the dashboard's pages.

    Attributes:
        page: the page, such as "runs".
        name: what people call it.
        query: the query string of the page's address.
        saved_ms: when, milliseconds since the epoch.
    """

    page: str
    name: str
    query: str
    saved_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Extremes(Row):
    """A series in the run list: its last value, and its extremes with their steps."""

    last: float | None = None
    min: float | None = None
    min_step: int | None = None
    max: float | None = None
    max_step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """One page of the run list.

    Attributes:
        total: number of runs that match, over all pages.
        sparklines: run id -> role ("train", "val") -> a few dozen values of the curve; empty unless requested.
        order: what the runs are sorted by first, with a leading "-" for descending; a query's own order if it has one.
        sorted_by: run id -> the value it is sorted by, if a query has an order.
        metrics: run id -> series -> what `RunQuery.metrics` requested.
    """

    items: tuple[RunInfo, ...]
    total: int
    sparklines: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)
    order: str = "-created"
    sorted_by: Mapping[str, str | int | float | None] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, Extremes]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The reply of `ingest` to a batch.

    Attributes:
        acked: number of the writer's records that are stored; the next batch starts there.
        recommendation: the engine's, after this batch.
        stop_requested: who asked the loop to stop, or None.
        stop: whether the loop should stop, according to its mode; None from a server without modes.
        stop_reason: why, in a sentence.
        stop_request: the number of the requested stop; None if it is only advised.
        duplicate: True if the batch was already stored and nothing was done.
        set_aside: what of the batch was corrected or dropped, in words; only the first few.
    """

    acked: int
    recommendation: Recommendation
    stop_requested: str | None = None
    duplicate: bool = False
    set_aside: tuple[str, ...] = ()
    stop: bool | None = None
    stop_reason: str | None = None
    stop_request: int | None = None

    def to_dict(self) -> dict[str, object]:
        """The reply as strict JSON data."""
        return {
            "acked": self.acked,
            "recommendation": self.recommendation.to_dict(),
            "stop_requested": self.stop_requested,
            "stop": self.stop,
            "stop_reason": self.stop_reason,
            "stop_request": self.stop_request,
            "duplicate": self.duplicate,
            **({"set_aside": list(self.set_aside)} if self.set_aside else {}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Reply:
        """The inverse of `to_dict`."""
        rec, who, aside = data["recommendation"], data.get("stop_requested"), data.get("set_aside")
        stop, reason, request = data.get("stop"), data.get("stop_reason"), data.get("stop_request")
        return cls(
            acked=int(str(data["acked"])),
            duplicate=bool(data.get("duplicate")),
            stop_requested=None if who is None else str(who),
            stop=stop if isinstance(stop, bool) else None,
            stop_reason=None if reason is None else str(reason),
            stop_request=int(str(request)) if request is not None else None,
            set_aside=tuple(map(str, aside)) if isinstance(aside, list) else (),
            recommendation=Recommendation.from_dict(rec) if isinstance(rec, Mapping) else Recommendation(),
        )
