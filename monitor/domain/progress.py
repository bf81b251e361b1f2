"""A run's progress: what its curves did, the gap between validation and training, and how fast the loss falls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final

from monitor.domain.formats import number, step
from monitor.domain.plain import Row, whole

SHARES: Final = (0.5, 0.9, 0.99)
"""Shares of the total improvement for which steps are given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime(Row):
    """One stretch of a curve, as a person would describe it.

    Attributes:
        series: "training" or "validation".
        kind: "fall", "slow fall", "flat", "rise" or "swing".
        begin, end: steps.
        start, stop: smoothed loss at both, to six digits; the middle level of a flat stretch, the lowest and
            the highest one of a swing.
    """

    series: str
    kind: str
    begin: float
    end: float
    start: float
    stop: float

    def to_dict(self) -> dict[str, object]:
        """The regime as strict JSON data; whole steps are ints."""
        return {**Row.to_dict(self), "begin": whole(self.begin), "end": whole(self.end)}

    def __str__(self) -> str:
        """As in "falls slowly from 0.52 to 0.48 until 900"."""
        if self.kind == "flat":
            return f"flat at {number(self.stop, 3)} until {step(self.end)}"
        if self.kind == "swing":
            return f"swings between {number(self.start, 3)} and {number(self.stop, 3)} until {step(self.end)}"
        how = {"fall": "falls", "slow fall": "falls slowly", "rise": "rises"}[self.kind]
        return f"{how} from {number(self.start, 3)} to {number(self.stop, 3)} until {step(self.end)}"


def courses(regimes: Iterable[Regime]) -> dict[str, str]:
    """Series -> a line that describes its curve."""
    told: dict[str, list[str]] = {}
    for regime in regimes:
        told.setdefault(regime.series, []).append(str(regime))
    return {series: ", ".join(parts) for series, parts in told.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The generalisation gap: the validation loss minus the training loss at the same steps.

    Attributes:
        now: mean of the last three levels of the validation loss (`val`) minus that of the training loss at the same
            steps (`train`).
        share: `now` as a share of `train`; None if `train` is not positive.
        before, since_step: the same mean, and its step, where the last third of the run begins; None in a short run.
        trend: "widening" or "narrowing" if a straight line through the last third shows by three standard errors
            that its size grows or shrinks, and by 2% of the validation loss, else "steady"; "" in a short run.
    """

    now: float
    train: float
    val: float
    share: float | None = None
    before: float | None = None
    since_step: float | None = None
    trend: str = ""

    def said(self, unit: str) -> str:
        """As in "0.12 (validation 0.52, training 0.4), widening: 0.05 at step 300". `unit` is what steps count."""
        share = "" if self.share is None or not 0.005 <= abs(self.share) < 10 else f", {self.share:+.0%} of training"
        text = f"{number(self.now, 3)} (validation {number(self.val, 3)}, training {number(self.train, 3)}{share})"
        if self.trend in ("", "steady") or self.before is None:
            return f"{text}{', steady' if self.trend else ''}"
        return f"{text}, {self.trend}: {number(self.before, 3)} at {unit} {step(round(self.since_step or 0))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """The step at which a share of the improvement was reached. `reached` is False if it is a prediction."""

    share: float
    step: float
    reached: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How fast the judged loss falls.

    Attributes:
        series: "validation", or "training" if no validation loss was logged.
        start, end: the improvement: from the first level to the lowest one, or to `heading` if that is lower.
        half_life: steps in which the distance to `heading` halves, by an exponential curve fitted to the later half of
            the run, or to all of it if both agree or the half is inconclusive; None if neither fits.
        heading: the level that this curve approaches; None without `half_life`, or if the loss has risen.
        milestones: when 50, 90 and 99% of the improvement were reached, or will be at this half-life.
        resolution: steps that one level covers, and so about how precise steps are.
    """

    series: str
    start: float
    end: float
    half_life: float | None = None
    heading: float | None = None
    milestones: tuple[Milestone, ...] = ()
    resolution: float = 0.0

    def said(self, unit: str) -> str:
        """As in "from 2.3 to 0.31: 50% by step 139, 90% by step 460; half-life 139 steps, heading for 0.3".

        What was not reached is conditional, since the run may have ended.
        """
        done = [
            f"{each.share:.0%} {'by' if each.reached else 'would be reached at'} {unit} {step(round(each.step))}"
            for each in self.milestones
        ]
        way = "to" if all(each.reached for each in self.milestones) else "towards"
        text = f"from {number(self.start, 3)} {way} {number(self.end, 3)}"
        text += f": {', '.join(done)}" if done else ""
        if self.half_life is not None:
            text += f"; half-life {number(self.half_life, 3)} {unit}s"
            text += (
                f", heading for {number(self.heading, 3)}"
                if self.heading is not None and self.heading <= self.end
                else ""
            )
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Gap and rate. Each is None if there are too few points, or if the loss does not measure the model's quality.

    Attributes:
        unit: what steps count, "step" or "epoch".
    """

    gap: Gap | None = None
    rate: Rate | None = None
    unit: str = "step"

    def sentences(self) -> tuple[str, ...]:
        """What is known, one sentence per line."""
        found = [f"Generalisation gap: {self.gap.said(self.unit)}."] if self.gap is not None else []
        if self.rate is not None:
            found.append(f"The {self.rate.series} loss came down {self.rate.said(self.unit)}.")
        return tuple(found)

    def to_dict(self) -> dict[str, object]:
        """The numbers as strict JSON data; whole steps are ints."""
        gap, rate = self.gap, self.rate
        return {
            "gap": None if gap is None else {**asdict(gap), "since_step": whole(gap.since_step)},
            "rate": None if rate is None else asdict(rate),
            "unit": self.unit,
        }
