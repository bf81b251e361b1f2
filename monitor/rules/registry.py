"""The rules there are: the built-in ones in the order of `domain.RULE_NAMES`, then those of installed packages.

A package offers rules under the entry point group `monitor.rules`; each entry point names an object that satisfies
`monitor.rules.rule.Rule`, or a class that makes one without arguments (`monitor.rules.plugins`).
"""

from __future__ import annotations

from functools import cache
from typing import Final

from monitor.rules.plugins import BrokenRule, installed
from monitor.rules.rule import Rule
from monitor.rules.rules.conflicting_parts import ConflictingParts
from monitor.rules.rules.convergence import Convergence
from monitor.rules.rules.divergence import Divergence
from monitor.rules.rules.dominant_part import DominantPart
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
)


@cache
def _found() -> tuple[tuple[Rule, ...], tuple[BrokenRule, ...]]:
    rules, broken = installed({rule.spec.name for rule in BUILT_IN})
    return (*BUILT_IN, *rules), tuple(broken)


def all_rules() -> tuple[Rule, ...]:
    """Built-in rules, then installed ones by name; installed ones that cannot be loaded are left out."""
    return _found()[0]


def broken_rules() -> tuple[BrokenRule, ...]:
    """Installed rules that are left out, and why."""
    return _found()[1]


def forget() -> None:
    """Look for installed packages anew when next asked."""
    _found.cache_clear()
