"""What a stop saves, and the ledger of what stops have saved."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.domain.formats import number, step
from monitor.domain.plain import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving(Row):
    """What ending a run now would save, with every number that it is computed from.

    Attributes:
        planned_steps: steps that the run is meant to make; None if undeclared, so nothing is known about the rest.
        steps: the steps left, `planned_steps - last_step - 1`.
        seconds_per_step: measured over this attempt.
        gpus: cards of its machine, as captured; 0: none.
        price_hour: of all cards, or of the machine; None: no price is set.
        hours: `steps * seconds_per_step / 3600`.
        gpu_hours: `hours * gpus`; None without a card.
        cost: `hours * price_hour`.
        best_step: of the goal, else of the loss.
        checkpoint, checkpoint_step: the checkpoint nearest to it.
        resume: the call that continues the run.
    """

    planned_steps: int | None = None
    last_step: int | None = None
    steps: int | None = None
    seconds_per_step: float | None = None
    gpus: int = 0
    price_hour: float | None = None
    currency: str = "USD"
    hours: float | None = None
    gpu_hours: float | None = None
    cost: float | None = None
    best_step: float | None = None
    checkpoint: str | None = None
    checkpoint_step: int | None = None
    resume: str | None = None

    @property
    def amount(self) -> str:
        """As in "3.2 GPU-hours, about 8.30 USD"; empty if nothing is known."""
        return amount(self.hours, self.gpu_hours, self.cost, self.currency)

    @property
    def sentence(self) -> str:
        """The saving as a sentence that a person or a program can act on."""
        parts = [f"a stop now saves {self.amount}"] if self.amount else []
        if self.best_step is not None:
            file = f", checkpoint {self.checkpoint}" if self.checkpoint is not None else ""
            at = self.checkpoint_step
            far = f" (step {step(at)})" if at is not None and at != self.best_step else ""
            parts.append(f"best is step {step(self.best_step)}{file}{far}")
        if self.resume is not None and self.checkpoint is not None:
            parts.append(f"resume with {self.resume}")
        text = "; ".join(parts)
        return f"{text[:1].upper()}{text[1:]}." if text else ""

    def to_dict(self) -> dict[str, object]:
        """The saving as strict JSON data, including its sentence."""
        return {**Row.to_dict(self), "sentence": self.sentence}


def amount(hours: float | None, gpu_hours: float | None, cost: float | None, currency: str) -> str:
    """Time and money as text.

    >>> amount(0.8, 3.2, 8.3, "USD"), amount(0.02, None, None, "USD"), amount(None, None, None, "USD")
    ('3.2 GPU-hours, about 8.30 USD', '1 min', '')
    >>> amount(0.005, None, None, "USD")
    'less than a minute'
    """
    if hours is None:
        return ""
    if gpu_hours is not None:
        time = _hours(round(gpu_hours, 2), "GPU-hour")
    else:
        minutes = "less than a minute" if 0 < hours < 0.5 / 60 else f"{round(hours * 60)} min"
        time = _hours(round(hours, 1), "hour") if round(hours * 60) >= 60 else minutes
    return time + ("" if cost is None else f", about {cost:,.2f} {currency}")


def _hours(hours: float, unit: str) -> str:
    return f"{number(hours, 3)} {unit}" if hours == 1 else f"{number(hours, 3)} {unit}s"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry(Row):
    """One stop in the ledger.

    Attributes:
        month: of the stop, as "2026-11", in UTC.
        stopped_step: where the run was stopped.
        last_step: where it ended; beyond `stopped_step` if it was continued.
        saved_steps: planned steps that were never made; None without a plan, 0 while it is still running.
        saved_hours, saved_gpu_hours, saved_cost: the same, by the run's seconds per step and its price.
        continued: True if another attempt of the run followed.
        best_at_stop, best_now: of the goal, else the loss.
        regret: True if it was continued and got better.
        lost_hours, lost_cost: for a regretted stop, what was spent after it: the stop did not save that.
        patience_step: where patience 10 would have stopped; None: not by `stopped_step`.
        patience_hours, patience_cost: what that would have saved.
        patience_missed: True if the run reached a better loss than patience would have kept.
    """

    run_id: str
    name: str
    project: str
    month: str
    who: str
    rule: str | None
    stopped_step: int
    last_step: int
    planned_steps: int | None
    seconds_per_step: float | None
    gpus: int
    price_hour: float | None
    saved_steps: int | None
    saved_hours: float | None
    saved_gpu_hours: float | None
    saved_cost: float | None
    continued: bool
    best_at_stop: float | None
    best_now: float | None
    regret: bool
    lost_hours: float | None
    lost_cost: float | None
    patience_step: int | None
    patience_hours: float | None
    patience_cost: float | None
    patience_missed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerMonth(Row):
    """The totals of one project and month. Each is a sum over its entries, ignoring unknown values."""

    project: str
    month: str
    stops: int
    unplanned: int
    saved_hours: float
    saved_gpu_hours: float
    saved_cost: float
    regrets: int
    lost_hours: float
    lost_cost: float
    patience_stops: int
    patience_hours: float
    patience_cost: float
    patience_missed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What stops have saved and lost, by project and month, and stop by stop."""

    currency: str
    months: tuple[LedgerMonth, ...] = ()
    entries: tuple[LedgerEntry, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """The ledger as strict JSON data."""
        months, entries = [m.to_dict() for m in self.months], [e.to_dict() for e in self.entries]
        return {"currency": self.currency, "months": months, "entries": entries}
