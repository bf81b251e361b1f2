"""The rules there are: the built-in ones in the order of `domain.RULE_NAMES`, then those of installed packages.

A package offers rules under the entry point group `monitor.rules`; each entry point names an object that satisfies
`monitor.rules.rule.Rule`, or a class that makes one without arguments. See `docs/adding-a-rule.md`.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Final, cast

from monitor.errors import RulesError
from monitor.rules.conflicting_parts import ConflictingParts
from monitor.rules.convergence import Convergence
from monitor.rules.divergence import Divergence
from monitor.rules.dominant_part import DominantPart
from monitor.rules.gradient_explosion import GradientExplosion
from monitor.rules.gradient_vanishing import GradientVanishing
from monitor.rules.growing_penalty import GrowingPenalty
from monitor.rules.impossible_loss import ImpossibleLoss
from monitor.rules.improving import Improving
from monitor.rules.initial_loss import InitialLoss
from monitor.rules.low_start import LowStart
from monitor.rules.metric_missing import MetricMissing
from monitor.rules.nan import Nan
from monitor.rules.oscillation import Oscillation
from monitor.rules.overfitting import Overfitting
from monitor.rules.parts_sum import PartsSum
from monitor.rules.rising_part import RisingPart
from monitor.rules.rule import Rule, Spec
from monitor.rules.spike import Spike
from monitor.rules.stagnation import Stagnation
from monitor.rules.underfitting import Underfitting
from monitor.rules.vanishing_part import VanishingPart

GROUP: Final = "monitor.rules"
MAX_NAME: Final = 32
"""Bytes of a rule's name, at most: it is part of the bounded state."""

BUILT_IN: Final[tuple[Rule, ...]] = (
    Nan(),
    Divergence(),
    Spike(),
    Oscillation(),
    Convergence(),
    Stagnation(),
    Underfitting(),
    Overfitting(),
    Improving(),
    GradientExplosion(),
    GradientVanishing(),
    InitialLoss(),
    LowStart(),
    ImpossibleLoss(),
    MetricMissing(),
    DominantPart(),
    VanishingPart(),
    RisingPart(),
    ConflictingParts(),
    GrowingPenalty(),
    PartsSum(),
)


@cache
def all_rules() -> tuple[Rule, ...]:
    """Built-in rules, then installed ones by name.

    Raises:
        RulesError: an installed rule is not a rule, or has the name of another one.
    """
    rules = list(BUILT_IN)
    names = {rule.spec.name for rule in rules}
    for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
        loaded: object = point.load()
        rule = loaded() if isinstance(loaded, type) else loaded
        check_rule(point.name, rule)
        custom = cast(Rule, rule)
        if custom.spec.name in names:
            raise RulesError(custom.spec.name, f"is defined twice, by {point.value} too", "give it another name")
        names.add(custom.spec.name)
        rules.append(custom)
    return tuple(rules)


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
