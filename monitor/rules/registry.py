"""All rules: the built-in ones, then those of installed packages.

A package provides rules under the entry point group `monitor.rules`. Each entry point names an object that satisfies
`monitor.rules.rule.Rule`, or a class that creates one without arguments (`monitor.rules.plugins`).
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final

from monitor.rules.plugins import BrokenRule, installed
from monitor.rules.rule import UNRANKED, Rule, Spec
from monitor.rules.rules.conflicting_parts import ConflictingParts
from monitor.rules.rules.convergence import Convergence
from monitor.rules.rules.divergence import Divergence
from monitor.rules.rules.dominant_part import DominantPart
from monitor.rules.rules.goal_decline import GoalDecline
from monitor.rules.rules.goal_plateau import GoalPlateau
from monitor.rules.rules.goal_unstable import GoalUnstable
from monitor.rules.rules.gradient_explosion import GradientExplosion
from monitor.rules.rules.gradient_vanishing import GradientVanishing
from monitor.rules.rules.growing_penalty import GrowingPenalty
from monitor.rules.rules.impossible_loss import ImpossibleLoss
from monitor.rules.rules.improving import Improving
from monitor.rules.rules.initial_loss import InitialLoss
from monitor.rules.rules.low_start import LowStart
from monitor.rules.rules.metric_missing import MetricMissing
from monitor.rules.rules.nan import Nan
from monitor.rules.rules.oscillation import Oscillation
from monitor.rules.rules.overfitting import Overfitting
from monitor.rules.rules.parts_sum import PartsSum
from monitor.rules.rules.rising_part import RisingPart
from monitor.rules.rules.spike import Spike
from monitor.rules.rules.stagnation import Stagnation
from monitor.rules.rules.underfitting import Underfitting
from monitor.rules.rules.vanishing_part import VanishingPart

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
    GoalDecline(),
    GoalPlateau(),
    GoalUnstable(),
)
RULE_NAMES: Final[tuple[str, ...]] = tuple(rule.spec.name for rule in BUILT_IN)
"""The built-in rules, in the order in which they run."""


@cache
def _found() -> tuple[tuple[Rule, ...], tuple[BrokenRule, ...]]:
    rules, broken = installed({rule.spec.name for rule in BUILT_IN})
    return (*BUILT_IN, *rules), tuple(broken)


@cache
def _specs() -> dict[str, Spec]:
    return {rule.spec.name: rule.spec for rule in all_rules()}


def all_rules() -> tuple[Rule, ...]:
    """The built-in rules, then the installed ones by name, without those that cannot be loaded."""
    return _found()[0]


def spec_of(name: str) -> Spec | None:
    """The spec of a rule by its name; None if no such rule is installed."""
    return _specs().get(name)


def rank_of(name: str) -> float:
    """Rank of a rule's finding among others, the lowest first; infinite if it only adds context.

    >>> rank_of("nan") < rank_of("overfitting") < rank_of("a removed rule") < rank_of("improving"), rank_of("low_start")
    (True, inf)
    """
    spec = spec_of(name)
    rank = UNRANKED if spec is None else spec.rank
    return math.inf if rank is None else rank


def broken_rules() -> tuple[BrokenRule, ...]:
    """Installed rules that were left out, and why."""
    return _found()[1]


def forget() -> None:
    """Clear the cache, so that the next call looks for installed packages again."""
    _found.cache_clear()
    _specs.cache_clear()
