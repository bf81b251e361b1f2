"""The interface of a rule: a pure question about the features of a run, asked whenever a bucket of its series closes.

Source:
    Prometheus alerting rules, for the life of a finding: pending until its evidence has lasted, firing, resolved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Protocol, runtime_checkable

from monitor.domain import Action, Severity, formats
from monitor.roles import Role
from monitor.rules.describe.features import Features

Evidence = Mapping[str, float | int | str | bool | None]


UNRANKED: Final = 85
"""Default rank: below all built-in problems, above good news."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """One number of a rule that a project may change.

    Attributes:
        default: used unless configured.
        low, high: the allowed range, both ends included.
        doc: what it means, with its unit.
    """

    default: float
    low: float
    high: float
    doc: str


def rows(default: float) -> Threshold:
    """The threshold `rows`: how many rows of parts a rule over parts needs."""
    return Threshold(default=default, low=8, high=1e9, doc="steps at which parts were logged, at least")


@dataclass(frozen=True, slots=True)
class Reading:
    """A rule's answer when its condition holds.

    Attributes:
        onset: step at which the condition began, as far as the curve shows.
        evidence: the numbers against their thresholds.
        sure: True if waiting would add nothing; the rule's patience is then skipped.
        likely: True if the condition is probable, but the evidence does not suffice to fire. The finding stays pending,
            but a rule that advises a stop when it fires already advises it. If a project sets the rule's patience, such
            a reading counts as none.
    """

    onset: float
    evidence: Evidence
    sure: bool = False
    likely: bool = False

    def number(self, name: str) -> float:
        """A number of the evidence; 0 for None."""
        return float(self.evidence[name] or 0)

    def shown(self, name: str, digits: int = 4) -> str:
        """A number of the evidence, as sentences show it."""
        return formats.number(self.number(name), digits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """The fixed properties of a rule.

    Attributes:
        name: as in findings and in the configuration.
        version: >= 1; raise it when the same curve would be judged differently.
        severity: of its findings, unless configured.
        rank: order among the findings of a run; the lowest rank gives the verdict. None for a rule that only adds
            context and is never the verdict. Problems have ranks below 90, good news above.
        action: what a firing finding advises: stop, investigate, or continue.
        reads_error: True if it reads the loss as an error. Such a rule is not applied to a game.
        explained_by: the change of the learning rate that explains its findings: "rise", "drop" or "".
        reads: the rule runs when a bucket of one of these roles closes.
        urgent: True to run at every quarter of a bucket, not only when a bucket closes.
        patience: checks in a row for which the condition must hold before the finding fires, >= 1.
        hold: the condition must also hold for this share of the run so far, from 0 to 1.
        relief: checks in a row for which it must not hold before the finding resolves, >= 1.
        counts: True if the evidence also reads the state's counters, which change with every point.
        passing: True if the event is over by the time the rule fires. People are notified only if it happens again.
        thresholds: by name.
    """

    name: str
    version: int = 1
    severity: Severity
    rank: int | None = UNRANKED
    action: Action = Action.CONTINUE
    reads_error: bool = False
    explained_by: Literal["rise", "drop", ""] = ""
    reads: tuple[Role, ...]
    urgent: bool = False
    patience: int = 1
    hold: float = 0.0
    counts: bool = False
    passing: bool = False
    relief: int = 2
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)

    @property
    def of_parts(self) -> bool:
        """Whether it reads only the parts of a composite loss."""
        return self.reads == (Role.PART,)


class Quiet(NamedTuple):
    """Bounds within which an urgent rule's answer cannot change before a bucket closes, so that it need not run.

    Attributes:
        level: highest centre of a quarter.
        low, high: range of the training and validation losses.
    """

    level: float = math.inf
    low: float = -math.inf
    high: float = math.inf


LOUD: Final = Quiet(-math.inf)
"""Empty bounds: any quarter may change the answer."""


@runtime_checkable
class Foreseeing(Protocol):
    """An urgent rule that can tell which quarters will not change its answer. Any other runs at every quarter."""

    def quiet(self, run: Features, limits: Mapping[str, float], firing: bool) -> Quiet:
        """The bounds within which the condition cannot begin to hold (or end, if `firing`), from closed buckets alone.

        Called when there is no finding of the rule, or when it is firing and the condition held at the last check.

        """


class Rule(Protocol):
    """A rule; see `docs/adding-a-rule.md` for the invariants."""

    @property
    def spec(self) -> Spec:
        """Name, severity, series and thresholds."""

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Whether the condition holds now; `firing` is true while the finding is active: use looser limits then."""

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """A sentence with the numbers, and what to try next, which stays true when the run has ended."""
