"""What a rule is: a pure question about the features of a run, asked whenever a bucket of its series closes.

Source:
    Prometheus alerting rules, for the life of a finding: pending until its evidence has lasted, firing, resolved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Protocol, runtime_checkable

from monitor.domain import Action, Severity
from monitor.roles import Role
from monitor.rules.describe.features import Features

Evidence = Mapping[str, float | int | str | bool | None]


UNRANKED: Final = 85
"""Rank of a rule that does not say: behind all built-in problems, before good news."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """One number of a rule that a project may change.

    Attributes:
        default: what the engine uses unless told otherwise.
        low, high: the values that make sense, both included.
        doc: what it means, with its unit.
    """

    default: float
    low: float
    high: float
    doc: str


def rows(default: float) -> Threshold:
    """The rows of parts that a rule over them asks for."""
    return Threshold(default=default, low=8, high=1e9, doc="steps at which parts were logged, at least")


@dataclass(frozen=True, slots=True)
class Reading:
    """A rule's answer where its condition holds.

    Attributes:
        onset: step at which the condition began, as far as the curve shows.
        evidence: the numbers against their thresholds.
        sure: True where waiting would add nothing, so that patience is waived.
        likely: True where the evidence does not suffice yet: the finding stays pending, and a rule whose firing advises
            a stop advises it already. Not asked for where a project has set the rule's patience.
    """

    onset: float
    evidence: Evidence
    sure: bool = False
    likely: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What is fixed about a rule.

    Attributes:
        name: as in findings and in configuration.
        version: >= 1; raise it when the same curve would be judged otherwise.
        severity: of its findings, unless configured.
        rank: place among the findings of a run, of which the lowest is its verdict; None for a rule that only adds
            context and is never the verdict. Problems rank below 90, good news above.
        action: what a firing finding advises: stop, investigate, or continue.
        reads_error: True where it reads the loss as an error, so that it says nothing of a game.
        explained_by: the change of the learning rate that explains its findings: "rise", "drop" or "".
        reads: the roles whose buckets make the engine ask.
        urgent: ask at every quarter of a bucket, not only when one closes.
        patience: checks in a row for which the condition must hold before the finding fires, >= 1.
        hold: share of the run so far for which the condition must hold as well, from 0 to 1.
        relief: checks in a row for which it must not hold before the finding resolves, >= 1.
        counts: True where the evidence reads the state's counters too, which move with every point.
        passing: True where what it finds is over by the time it fires: people are told once it happens again.
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
        """Whether it reads the parts of a composite loss, and nothing else."""
        return self.reads == (Role.PART,)


class Quiet(NamedTuple):
    """What an urgent rule needs not be asked about until a bucket closes: its answer stays what it is meanwhile.

    Attributes:
        level: quarters whose centre is not above it.
        low, high: where training and validation losses lie.
    """

    level: float = math.inf
    low: float = -math.inf
    high: float = math.inf


LOUD: Final = Quiet(-math.inf)
"""A quarter may always change the answer."""


@runtime_checkable
class Foreseeing(Protocol):
    """An urgent rule that can tell which quarters will not change its answer; any other is asked at all of them."""

    def quiet(self, run: Features, limits: Mapping[str, float], firing: bool) -> Quiet:
        """By the closed buckets alone, what does not make the condition hold, or does not end it where it is `firing`.

        Asked when no finding is out or pending, or where it is out and held when last asked.
        """


class Rule(Protocol):
    """A diagnosis; see `docs/adding-a-rule.md` for the invariants."""

    @property
    def spec(self) -> Spec:
        """Name, severity, series and thresholds."""

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Whether the condition holds now; `firing` lets a rule ask less of a finding that is out already."""

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """A sentence with the numbers, and what to try next."""
