"""The rules engine: pure and streaming; its results do not depend on how points are batched.

Example:
    >>> from monitor.rules import diagnose
    >>> train = [(i, 2.0 * 0.97**i) for i in range(120)]
    >>> val = [(i, 2.0 * 0.97**i + 1e-3 * max(0, i - 30) ** 1.5) for i in range(0, 120, 2)]
    >>> diagnose(train, val).verdict
    'overfitting'
"""

from __future__ import annotations

from monitor.rules.config import RulesConfig, RuleSettings
from monitor.rules.engine import Engine, Update
from monitor.rules.registry import RULE_NAMES, rank_of, spec_of
from monitor.rules.replay import diagnose
from monitor.rules.rule import Reading, Rule, Spec, Threshold
from monitor.rules.sketch.points import ROLE_CODES, EnginePoints
from monitor.rules.sketch.state import State

__all__ = [
    "ROLE_CODES", "RULE_NAMES", "Engine", "EnginePoints", "Reading", "Rule", "RuleSettings", "RulesConfig", "Spec",
    "State", "Threshold", "Update", "diagnose", "rank_of", "spec_of",
]  # fmt: skip
