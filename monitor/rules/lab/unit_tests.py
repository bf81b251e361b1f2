"""Unit tests of rules on curves: replays a test's curves, and compares the engine's diagnosis with what is expected.

Example:
    >>> import numpy as np
    >>> from monitor.roles import Role
    >>> curve = np.array([[step, 1.0 / (1 + step)] for step in range(50)] + [[50, np.nan]])
    >>> test = RuleTest(name="NaN is named", series={Role.TRAIN: curve}, expect=Expectation(verdict="spike"))
    >>> [str(m) for m in run_test(test, RulesConfig()).mismatches]
    ['verdict: expected spike, got nan']

Source:
    Prometheus, `promtool test rules`, for tests of rules as data next to the rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from monitor.domain import Diagnosis, Finding, FindingState, Recommendation
from monitor.rules.config import RulesConfig
from monitor.rules.lab.suites import Expectation, RuleTest, Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """One difference from what is expected.

    Attributes:
        place: what was compared, such as `recommendation.best_step`.
        expected, got: in words for people.
    """

    place: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.place}: expected {self.expected}, got {self.got}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of one test; it has passed if there are no mismatches.

    Attributes:
        verdict: the engine's verdict.
    """

    name: str
    verdict: str
    mismatches: tuple[Mismatch, ...]

    @property
    def passed(self) -> bool:
        """True if everything is as expected."""
        return not self.mismatches

    def to_dict(self) -> dict[str, object]:
        """The outcome as JSON data."""
        return {**asdict(self), "passed": self.passed, "mismatches": [asdict(m) for m in self.mismatches]}


def run_test(test: RuleTest, config: RulesConfig) -> Outcome:
    """Replay the test's curves, and compare the diagnosis with what is expected."""
    said = test.diagnose(config)
    return Outcome(name=test.name, verdict=said.verdict, mismatches=tuple(compare(test.expect, said)))


def compare(expect: Expectation, said: Diagnosis) -> list[Mismatch]:
    """The mismatches of a diagnosis, in the order of the expectation's keys."""
    amiss = []
    if expect.verdict is not None and expect.verdict != said.verdict:
        amiss.append(Mismatch(place="verdict", expected=expect.verdict, got=said.verdict))
    firing = [f.rule for f in said.findings if f.state is FindingState.FIRING]
    if expect.firing is not None and not (set(expect.firing) <= set(firing) if expect.firing else not firing):
        amiss.append(Mismatch(place="firing", expected=_listed(expect.firing), got=_listed(firing)))
    for rule in expect.never:
        if found := [f for f in said.findings if f.rule == rule]:
            amiss.append(Mismatch(place="never", expected=f"no {rule}", got=_shown(found)))
    return [*amiss, *_findings(expect.findings, said.findings), *_advice(expect.recommendation, said.recommendation)]


def _findings(wanted: Sequence[Mapping[str, Wanted]], found: Sequence[Finding]) -> list[Mismatch]:
    """Mismatches for expected findings that remain unmatched in a maximum matching with the actual findings."""
    fits = [[k for k, f in enumerate(found) if _fits(want, f)] for want in wanted]
    taken: dict[int, int] = {}

    def place(want: int, tried: set[int]) -> bool:
        for k in fits[want]:
            if k not in tried:
                tried.add(k)
                if k not in taken or place(taken[k], tried):
                    taken[k] = want
                    return True
        return False

    missing = [k for k in range(len(wanted)) if not place(k, set())]
    return [
        Mismatch(
            place=f"findings[{k}]",
            expected=", ".join(_wanted(key, value) for key, value in wanted[k].items()),
            got=_shown([f for f in found if f.rule == wanted[k]["rule"]] or found),
        )
        for k in missing
    ]


def _fits(want: Mapping[str, Wanted], finding: Finding) -> bool:
    return all(_is(value, getattr(finding, key)) for key, value in want.items())


def _advice(wanted: Mapping[str, Wanted], said: Recommendation) -> list[Mismatch]:
    return [
        Mismatch(place=f"recommendation.{key}", expected=_value(value), got=_value(got))
        for key, value in wanted.items()
        if not _is(value, got := getattr(said, key))
    ]


def _is(wanted: Wanted, got: float | str | None) -> bool:
    if isinstance(wanted, tuple):
        return isinstance(got, int | float) and wanted[0] <= got <= wanted[1]
    return wanted == got


def _wanted(key: str, value: Wanted) -> str:
    return str(value) if key == "rule" else f"{key.removesuffix('_step')} {_value(value)}"


def _value(value: Wanted | float) -> str:
    if isinstance(value, tuple):
        return f"{value[0]:g}" if value[0] == value[1] else f"{value[0]:g} to {value[1]:g}"
    return "none" if value is None else value if isinstance(value, str) else f"{value:g}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names)) or "none"


def _shown(found: Sequence[Finding]) -> str:
    """The first five findings, in a few words each, and the number of the others."""
    texts = [
        f"{f.rule} (onset {f.onset_step:g}, fired {f.fired_step:g}, "
        + (f"{f.state}" if f.resolved_step is None else f"resolved {f.resolved_step:g}")
        + ")"
        for f in found[:5]
    ]
    return "; ".join(texts) + (f" and {len(found) - 5} more" if len(found) > 5 else "") or "no finding"
