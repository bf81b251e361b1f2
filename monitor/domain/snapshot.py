"""A run as its page shows it, and the curves that a page requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from monitor.domain.economics import Saving
from monitor.domain.progress import Progress, Regime
from monitor.domain.runs import Checkpoint, RunInfo
from monitor.domain.series import SeriesInfo
from monitor.domain.stops import Stop
from monitor.domain.verdicts import Finding
from monitor.roles import Role

MAIN_ROLES: Final = (Role.TRAIN, Role.VAL, Role.GOAL)
"""The roles whose judged series appear in a run's main chart, in drawing order."""

_REMEDIES: Final = 4
"""How many remedies are put in words; all are in the data."""


@dataclass(frozen=True, slots=True, eq=False)
class RunSnapshot:
    """A run with everything stored about it except points and events, read at one moment.

    `note` is Markdown. `examples` comes from `insight.examples`, `remedies` from `insight.remedies`.
    """

    info: RunInfo
    series: tuple[SeriesInfo, ...]
    findings: tuple[Finding, ...]
    checkpoints: tuple[Checkpoint, ...]
    regimes: tuple[Regime, ...] = ()
    stops: tuple[Stop, ...] = ()
    saving: Saving | None = None
    note: str = ""
    examples: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)
    remedies: tuple[Mapping[str, Any], ...] = ()

    def of_role(self, role: Role) -> tuple[SeriesInfo, ...]:
        """The run's series of one role."""
        return tuple(s for s in self.series if s.role is role)

    def of_examples(self) -> tuple[str, ...]:
        """What is known about the run's examples and slices, in words."""
        said = self.examples.get("text")
        return tuple(map(str, said)) if isinstance(said, Sequence) else ()

    def of_remedies(self) -> tuple[str, ...]:
        """What to try if the run overfits; the first is marked as such."""
        words = ("Try first", *("Then",) * (_REMEDIES - 1))
        return tuple(
            f"{word}: {remedy['text']} ({remedy['source']})" for word, remedy in zip(words, self.remedies, strict=False)
        )

    def judged(self, role: Role) -> SeriesInfo | None:
        """The series of this role that the engine judges: the first one."""
        return next((s for s in self.series if s.role is role), None)

    def main(self) -> dict[Role, SeriesInfo]:
        """The series in the main chart, by role."""
        return {role: found for role in MAIN_ROLES if (found := self.judged(role)) is not None}

    def others(self) -> tuple[SeriesInfo, ...]:
        """All series except those in the main chart."""
        main = {s.key for s in self.main().values()}
        return tuple(s for s in self.series if s.key not in main)

    def to_dict(self) -> dict[str, object]:
        """The snapshot as strict JSON data."""
        return {
            "run": self.info.to_dict(),
            "series": [s.to_dict() for s in self.series],
            "findings": [f.to_dict() for f in self.findings],
            "checkpoints": [c.to_dict() for c in self.checkpoints],
            "regimes": [regime.to_dict() for regime in self.regimes],
            "stops": [stop.to_dict() for stop in self.stops],
            "saving": None if self.saving is None else self.saving.to_dict(),
            "note": self.note,
            "examples": dict(self.examples),
            "progress": self.progress.to_dict(),
            "remedies": [dict(remedy) for remedy in self.remedies],
        }


@dataclass(frozen=True, slots=True)
class CurveOf:
    """A curve that a page requests.

    Attributes:
        run_id: the run, by its full id.
        key: the series.
        smoothing: weight of the moving average from one point to the next, in [0, 1).
    """

    run_id: str
    key: str
    smoothing: float = 0.0
