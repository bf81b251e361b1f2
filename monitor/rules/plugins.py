"""Rules of installed packages: found by entry point, and isolated so that a broken rule harms no run.

A rule that cannot be loaded is left out and named in the log and by `monitor rules ls`. If a rule raises, or returns
something that is not an answer, this becomes a finding under the rule's name: the points are stored, and the other
rules run as usual. See `docs/adding-a-rule.md`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final, cast

from monitor.domain.formats import position
from monitor.errors import RulesError
from monitor.rules.describe.features import Features
from monitor.rules.rule import Reading, Rule, Spec

GROUP: Final = "monitor.rules"
MAX_NAME: Final = 32
"""Most bytes of a rule's name, which is part of the bounded state."""
RAISED: Final = "raised"
"""Key under which the evidence of a rule that failed holds what it raised."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRule:
    """An entry point that is not a valid rule.

    Attributes:
        name: of the entry point.
        value: the object it names, `package.module:attribute`.
        package: the distribution that provides it, with its version; empty if unknown.
        problem: what is wrong, and what to do.
    """

    name: str
    value: str
    package: str
    problem: str

    def __str__(self) -> str:
        of = f" of {self.package}" if self.package else ""
        return f"rule {self.name!r}{of} ({self.value}) is left out: {self.problem}"


class Guarded:
    """An installed rule whose failures become findings instead of errors of the caller.

    It does not forward `quiet`, so an urgent installed rule runs at every quarter.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.spec: Spec = rule.spec

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """The rule's answer, or one whose evidence is what it raised."""
        try:
            reading = self.rule.check(run, limits, firing)
            if reading is None:
                return None
            evidence = {str(key): _plain(value) for key, value in reading.evidence.items()}
            return Reading(float(reading.onset), evidence, bool(reading.sure), bool(reading.likely))
        except Exception as error:  # foreign code may raise anything; all of it is reported
            return Reading(run.step, {RAISED: _short(error)}, sure=True)

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The rule's sentences, or which rule of which class failed, and how."""
        problem = reading.evidence.get(RAISED)
        if problem is None:
            try:
                explanation, advice = self.rule.explain(reading, unit)
                return str(explanation), str(advice)
            except Exception as error:  # as above
                problem = _short(error)
        kind = type(self.rule)
        return (
            f"The installed rule {self.spec.name} ({kind.__module__}.{kind.__qualname__}) is broken: it raised "
            f"{problem} at {position(unit, reading.onset)}. It says nothing about this run.",
            f"Mend it, uninstall it, or set `[rules.{self.spec.name}] enabled = false`.",
        )


def installed(names: set[str]) -> tuple[list[Rule], list[BrokenRule]]:
    """The rules of installed packages, sorted by the name of their entry point, and those that could not be loaded.

    Args:
        names: names in use, extended in place; a second rule of the same name counts as broken.
    """
    rules: list[Rule] = []
    broken: list[BrokenRule] = []
    for point in sorted(entry_points(group=GROUP), key=lambda p: (p.name, p.value)):
        try:
            rule = _load(point)
            if rule.spec.name in names:
                raise RulesError(rule.spec.name, f"is defined twice, by {point.value} too", "give it another name")
        except Exception as error:  # an import may raise anything
            problem = str(error) if isinstance(error, RulesError) else f"loading it raised {_short(error)}"
            broken.append(BrokenRule(name=point.name, value=point.value, package=_package(point), problem=problem))
            _log.warning("%s", broken[-1])
            continue
        names.add(rule.spec.name)
        rules.append(Guarded(rule))
    return rules, broken


def check_rule(name: str, rule: object) -> None:
    """Refuse an object that is not a rule.

    Raises:
        RulesError: says what is missing.
    """
    spec = getattr(rule, "spec", None)
    if not isinstance(spec, Spec):
        raise RulesError(name, "has no spec", "give it a class attribute `spec` of type monitor.rules.rule.Spec")
    if not 0 < len(spec.name.encode()) <= MAX_NAME:
        raise RulesError(name, f"is named {spec.name!r}", f"use 1 to {MAX_NAME} bytes")
    for method in ("check", "explain"):
        if not callable(getattr(rule, method, None)):
            raise RulesError(name, f"has no method {method}()", "see docs/adding-a-rule.md")


def _load(point: EntryPoint) -> Rule:
    loaded: object = point.load()
    rule = loaded() if isinstance(loaded, type) else loaded
    check_rule(point.name, rule)
    return cast(Rule, rule)


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else ""


def _short(error: Exception) -> str:
    """The type of an error and the first 160 characters of its message."""
    text = " ".join(str(error).split())
    return (
        f"{type(error).__name__}: {text[:157] + '...' if len(text) > 160 else text}" if text else type(error).__name__
    )


def _plain(value: object) -> float | int | str | bool | None:
    """Evidence as a finding may hold it: NumPy numbers become Python's, other objects become text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    item = getattr(value, "item", None)
    plain = item() if callable(item) else str(value)
    return plain if isinstance(plain, (bool, int, float, str)) else str(value)
