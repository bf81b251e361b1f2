"""Which open runs need attention, and what happened in a run, as reported to programs and pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitor.domain.alerts import AlertInfo
from monitor.domain.economics import Saving
from monitor.domain.runs import RunInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An open run in the attention queue.

    Attributes:
        kind: why: a rule's name, "lost", "stalled", "threshold", or "alert" for what the loop raised.
        sentence: what was seen, with the numbers.
        score: `severity * (1 + burn) * novelty`; the queue is sorted by it.
        severity: 1 for critical or advice to stop, 0.8 for lost, 0.5 for stalled, 0.4 for a warning.
        burn: what the rest of the run costs, or its (GPU-)hours if no price is set; 0 for a lost run.
        novelty: 1 at the beginning, halved each day down to 0.05; 0.05 at once if somebody has answered its alert.
        saving: what a stop would save.
        sparkline: role -> a few dozen values of the curve.
        alert: the alert of `kind`, with its id and who has answered it; None if none was raised.
    """

    run: RunInfo
    kind: str
    sentence: str
    score: float
    severity: float
    burn: float
    novelty: float
    saving: Saving
    sparkline: Mapping[str, tuple[float, ...]]
    alert: AlertInfo | None = None

    def to_dict(self) -> dict[str, object]:
        """The item as JSON data; a sparkline may hold NaN."""
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "run": self.run.to_dict(),
            "saving": self.saving.to_dict(),
            "alert": None if self.alert is None else self.alert.to_dict(),
            "sparkline": {role: list(values) for role, values in self.sparkline.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """The runs that need attention, most urgent first, and the fleet in numbers.

    Attributes:
        items: at most as many as requested.
        total: number of runs that need attention.
        running, stalled, lost: number of open runs.
        finished_today: runs that ended since midnight, UTC.
        saved_hours, saved_gpu_hours, saved_cost: what stops saved this month.
    """

    items: tuple[Item, ...]
    total: int
    running: int
    stalled: int
    lost: int
    finished_today: int
    saved_hours: float
    saved_gpu_hours: float
    saved_cost: float
    currency: str

    def to_dict(self) -> dict[str, object]:
        """The queue as JSON data."""
        return {**{name: getattr(self, name) for name in self.__slots__}, "items": [i.to_dict() for i in self.items]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """Something that happened in a run.

    Attributes:
        kind: "points", "finding", "recommendation", "stop", "alert", "event" or "status".
        time_ms: when it happened if known, else when it was read.
        data: the details; see `docs/agents.md`.
    """

    kind: str
    time_ms: int
    data: Mapping[str, Any]

    def to_dict(self) -> dict[str, object]:
        """The event as JSON data."""
        return {"kind": self.kind, "time_ms": self.time_ms, "data": dict(self.data)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Happenings:
    """What happened in a run since a cursor.

    Attributes:
        cursor: pass it to the next call.
        ended: True if the run has ended, so nothing more will come unless it is continued.
    """

    cursor: str
    events: tuple[Happened, ...]
    ended: bool

    def to_dict(self) -> dict[str, object]:
        """The events and the cursor as JSON data."""
        return {"cursor": self.cursor, "events": [e.to_dict() for e in self.events], "ended": self.ended}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a wait for a run ended.

    Attributes:
        what: the awaited condition that came true, such as "verdict=overfitting"; None if the run ended without it.
        status: the run's.
        why: a sentence.
    """

    run_id: str
    name: str
    project: str
    what: str | None
    status: str
    verdict: str
    action: str
    why: str

    def to_dict(self) -> dict[str, object]:
        """The outcome as JSON data."""
        return {name: getattr(self, name) for name in self.__slots__}
