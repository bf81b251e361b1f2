"""A stop of a loop: who requested it, why, and its state."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from monitor.domain.plain import Row

MONITOR = "monitor"
"""The requester of a stop when a rule's mode is `stop`."""


class StopState(StrEnum):
    """The state of a stop. Each state has its time in `Stop`."""

    REQUESTED = "requested"
    """It waits for the loop's next batch or heartbeat. Only in this state can it be withdrawn."""
    DELIVERED = "delivered"
    """The reply to a batch or heartbeat of the run carried it."""
    ACKNOWLEDGED = "acknowledged"
    """`should_stop()` of the loop returned True."""
    FINISHED = "finished"
    """The run has ended."""
    REFUSED = "refused"
    """The loop or the server has stops switched off."""
    WITHDRAWN = "withdrawn"
    """It was withdrawn before delivery, or another attempt of the run began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(Row):
    """A stop that was requested, or advised and obeyed. Times are milliseconds since the epoch, None if not yet.

    Attributes:
        id: its number within the run, from 1.
        who: a person, a program, or "monitor".
        reason: why, in a sentence; may be empty.
        rule: the rule that advised it; None if a person asked.
        attempt: of the run.
        step: the run's last step when the stop was requested.
        acknowledged_step: the loop's last step when `should_stop()` returned True.
        stopped_step: the run's last step when it ended as stopped; else None.
        best, best_step: what the run had reached by then, in its goal, else its validation or training loss.
        patience_step, patience_best: where patience 10 would have stopped by then, and the best loss it had.
        note: who withdrew it, or why it was refused.
    """

    id: int
    who: str
    reason: str = ""
    rule: str | None = None
    attempt: int = 1
    step: int | None = None
    requested_ms: int
    delivered_ms: int | None = None
    acknowledged_ms: int | None = None
    acknowledged_step: int | None = None
    finished_ms: int | None = None
    refused_ms: int | None = None
    withdrawn_ms: int | None = None
    note: str | None = None
    stopped_step: int | None = None
    best: float | None = None
    best_step: int | None = None
    patience_step: int | None = None
    patience_best: float | None = None

    @property
    def state(self) -> StopState:
        """Its current state."""
        for state in (StopState.WITHDRAWN, StopState.REFUSED, StopState.FINISHED):
            if getattr(self, f"{state}_ms") is not None:
                return state
        if self.acknowledged_ms is not None:
            return StopState.ACKNOWLEDGED
        return StopState.REQUESTED if self.delivered_ms is None else StopState.DELIVERED

    @property
    def open(self) -> bool:
        """True while the loop should stop, but has not ended."""
        return self.state in (StopState.REQUESTED, StopState.DELIVERED, StopState.ACKNOWLEDGED)

    def to_dict(self) -> dict[str, object]:
        """The stop as strict JSON data, including its state."""
        return {"state": str(self.state), **Row.to_dict(self)}

    def __str__(self) -> str:
        """As in "delivered, asked by ada: out of budget"."""
        asked = f"{self.state}, asked by {self.who}"
        return asked + (f": {self.reason}" if self.reason else "") + (f" ({self.note})" if self.note else "")
