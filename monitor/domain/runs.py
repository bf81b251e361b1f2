"""A run as lists show it, what it saved, and what its writer is answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final

from monitor.domain.plain import Json, make
from monitor.domain.verdicts import Recommendation


class RunStatus(StrEnum):
    """Where a run is in its life."""

    RUNNING = "running"
    """The client's heartbeat arrives and its steps continue."""
    STALLED = "stalled"
    """The heartbeat continues, but no new step has come for a long while."""
    LOST = "lost"
    """The heartbeat stopped without a finish: killed, crashed, or cut off. It runs again once points arrive."""
    FINISHED = "finished"
    """The loop said that it is done."""
    STOPPED = "stopped"
    """The loop ended early because the recommendation, or a person, asked for it."""
    FAILED = "failed"
    """The loop ended with an exception."""

    @property
    def live(self) -> bool:
        """True while more points may be expected."""
        return self in (RunStatus.RUNNING, RunStatus.STALLED, RunStatus.LOST)

    @property
    def ended(self) -> bool:
        """True where the loop, or whoever waited for it, said how it ended."""
        return not self.live

    @property
    def over(self) -> bool:
        """True once the run has ended, though a lost run may come back."""
        return self not in (RunStatus.RUNNING, RunStatus.STALLED)


LEAST_PREFIX: Final = 8
"""Digits of an id that name a run to be changed, at least: as many as lists show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """One run as the list of runs shows it.

    Attributes:
        id: 32 hex digits.
        verdict: as in `Diagnosis`.
        roles: what the user said of the series' names; None: nothing.
        reading: what the names were taken for: a `line` for people, the `goal` and whether it `rises`; None for a run
            of an older version, or without series.
        goal_last, goal_best, goal_best_step: of the goal's series.
        gap, half_life: of `Progress`; None where not known.
        attempt: 1, and one more each time a loop resumed the run.
        heartbeat_s: seconds between the heartbeats that its client promised; None where it did not say.
        warnings: counter by name of what was set aside; `SET_ASIDE` says what each of them means.
        stop_requested: who asked the loop to stop, or None.
        stop_modes: what the loop said of obeying, by rule; None: nothing, so the receiver's settings hold.
        stop_step: step at which the run would have been stopped, where its mode did not let the loop know.
        planned_steps: steps that the loop means to make, where it declared that; see also its configuration.
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
        """Whether a reference that found this run is clear enough to change it: its id, its name, or eight digits."""
        given = ref.strip()
        return given in (self.id, self.name) or (len(given) >= LEAST_PREFIX and self.id.startswith(given))

    def took_ms(self, now_ms: int) -> int:
        """Milliseconds from its start to its end, to now while it lives, or to its last point where no end is known."""
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

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> RunInfo:
        """The inverse of `to_dict`."""
        rec = data["recommendation"]
        return make(
            cls,
            data,
            status=RunStatus(str(data["status"])),
            recommendation=Recommendation.from_dict(rec) if isinstance(rec, Mapping) else Recommendation(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A file that the loop saved, so that the best step can be gone back to."""

    step: int
    path: str
    time_ms: int

    def to_dict(self) -> dict[str, object]:
        """The row as JSON data."""
        return asdict(self)


def best_checkpoint(advice: Recommendation, checkpoints: Iterable[Checkpoint]) -> Checkpoint | None:
    """The checkpoint to go back to, wherever one is named: the one nearest to the best step.

    Of two that are as near, the earlier step's: after its best step a run gets worse. Of one step's, the newest.

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
class Output:
    """A piece of what a training wrote, a line or several.

    Attributes:
        id: counts the pieces of a run.
        time_ms: when it was written.
        stream: "stdout", "stderr", or "text" for what was logged as such.
        step: of a text that was logged; None where it has none.
        position: characters of the run's output up to the end of this piece, those included that are no longer kept.
    """

    id: int
    time_ms: int
    stream: str
    step: int | None
    position: int
    text: str

    def to_dict(self) -> dict[str, object]:
        """The row as JSON data."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEdit:
    """What a person changes of a run; None leaves it as it is.

    Attributes:
        name: its new name.
        note: its note, as Markdown; "" takes it away.
        tags: values by tag; None takes a tag away.
    """

    name: str | None = None
    note: str | None = None
    tags: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedView:
    """A view of one of the dashboard's pages that was saved under a name.

    Attributes:
        page: the page, such as "runs".
        name: what people call it.
        query: what stands in the page's address behind the question mark.
        saved_ms: when, milliseconds since the epoch.
    """

    page: str
    name: str
    query: str
    saved_ms: int = 0

    def to_dict(self) -> dict[str, object]:
        """The row as JSON data."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extremes:
    """A series in the list of runs: its last value, and its extremes with their steps."""

    last: float | None = None
    min: float | None = None
    min_step: int | None = None
    max: float | None = None
    max_step: int | None = None

    def to_dict(self) -> dict[str, object]:
        """The values as JSON data."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """One page of the list of runs.

    Attributes:
        total: runs that the filters leave, on all pages.
        sparklines: by run id and role ("train", "val"), a few dozen values of the curve; empty unless asked for.
        order: what the runs are sorted by first, "-" in front for descending: a query's own order where it has one.
        sorted_by: by run id the value that it is sorted by, where a query says by what.
        metrics: by run id and series what was asked for with `RunQuery.metrics`.
    """

    items: tuple[RunInfo, ...]
    total: int
    sparklines: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)
    order: str = "-created"
    sorted_by: Mapping[str, str | int | float | None] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, Extremes]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What `ingest` answers a batch with.

    Attributes:
        acked: number of the writer's records that are permanently stored; the next batch starts there.
        recommendation: the engine's, after this batch.
        stop_requested: who asked the loop to stop, or None.
        stop: whether the loop is to stop, as the mode says; None from a server that knows no modes.
        stop_reason: why, in a sentence.
        stop_request: the number of the stop that was asked for; None where it is only advised.
        duplicate: True where the batch was already stored and nothing was done.
        set_aside: what of the batch was mended or left out, the first of it, in words.
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
