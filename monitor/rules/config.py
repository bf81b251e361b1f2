"""Which rules run, and their settings: from the defaults, a mapping, or the `[rules]` table of `monitor.toml`.

Example:
    >>> config = RulesConfig.from_mapping({"overfitting": {"severity": "warning", "patience": 5, "unit": "evals"}})
    >>> config.settings["overfitting"].patience, len(config.hash), config.hash == RulesConfig().hash
    (5.0, 12, False)
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from monitor.domain import Severity
from monitor.errors import RulesError, suggestion
from monitor.rules.registry import all_rules
from monitor.rules.rule import Rule, Spec

UNITS: Final = ("checks", "steps", "evals", "epochs")
_COMMON: Final = ("enabled", "severity", "warmup", "patience", "unit")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSettings:
    """The effective settings of one rule.

    Attributes:
        enabled: False switches the rule off.
        severity: of its findings.
        warmup: the rule does not run before this many `unit`s, >= 0.
        patience: how many `unit`s its condition must hold before it fires, >= 0; None for the rule's own.
        unit: what warmup and patience count: checks of the rule, the run's steps, its evaluations, or epochs (the same
            as steps if the run's steps are epochs).
        limits: the rule's thresholds by name.
    """

    enabled: bool = True
    severity: Severity
    warmup: float = 0.0
    patience: float | None = None
    unit: str = "checks"
    limits: Mapping[str, float]


@dataclass(frozen=True)
class RulesConfig:
    """Settings of every rule; `RulesConfig()` is the default configuration.

    Attributes:
        overrides: settings that differ from the defaults, by rule name, as passed to `from_mapping`.
    """

    overrides: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check every key and value, so that every instance is valid."""
        _ = self.settings

    @classmethod
    def from_mapping(cls, data: Mapping[str, object]) -> RulesConfig:
        """The configuration described by a mapping of rule name to settings.

        Args:
            data: `{"overfitting": {"enabled": True, "severity": "warning", "min_rise": 0.1}, "spike": False}`.

        Raises:
            RulesError: a rule, key or value is invalid; names the nearest valid one.
        """
        overrides: dict[str, Mapping[str, object]] = {}
        for name, value in data.items():
            if isinstance(value, bool):
                overrides[name] = {"enabled": value}
            elif isinstance(value, Mapping):
                overrides[name] = {str(key): item for key, item in value.items()}
            else:
                raise RulesError(name, f"is {value!r}", "give a table of settings, or true or false")
        return cls(overrides)

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The enabled rules, in the order of the registry."""
        return tuple(rule for rule in all_rules() if self.settings[rule.spec.name].enabled)

    @cached_property
    def named(self) -> Mapping[str, Rule]:
        """The enabled rules, by name."""
        return {rule.spec.name: rule for rule in self.rules}

    @cached_property
    def settings(self) -> Mapping[str, RuleSettings]:
        """The effective settings, by rule name."""
        specs = {rule.spec.name: rule.spec for rule in all_rules()}
        for name in self.overrides:
            if name not in specs:
                raise RulesError(name, "is not a rule", suggestion(name, specs))
        return {name: _settings(spec, self.overrides.get(name, {})) for name, spec in specs.items()}

    @cached_property
    def hash(self) -> str:
        """12 hex digits of the effective configuration; the same however it was written."""
        effective = {
            name: [s.enabled, str(s.severity), s.warmup, s.patience, s.unit, dict(sorted(s.limits.items()))]
            for name, s in sorted(self.settings.items())
        }
        # A new version of a rule judges differently, so it changes the hash too.
        versions = {rule.spec.name: rule.spec.version for rule in all_rules()}
        text = json.dumps([effective, versions], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _settings(spec: Spec, given: Mapping[str, object]) -> RuleSettings:
    known = (*_COMMON, *spec.thresholds)
    for key in given:
        if key not in known:
            raise RulesError(f"{spec.name}.{key}", "is not a setting of this rule", suggestion(key, known))
    limits = {}
    for key, threshold in spec.thresholds.items():
        limits[key] = _number(f"{spec.name}.{key}", given.get(key, threshold.default), threshold.low, threshold.high)
    enabled, severity, unit = given.get("enabled", True), given.get("severity", spec.severity), given.get("unit")
    if not isinstance(enabled, bool):
        raise RulesError(f"{spec.name}.enabled", f"is {enabled!r}", "write true or false")
    if severity not in list(Severity):
        raise RulesError(f"{spec.name}.severity", f"is {severity!r}", suggestion(str(severity), list(Severity)))
    if unit is not None and unit not in UNITS:
        raise RulesError(f"{spec.name}.unit", f"is {unit!r}", suggestion(str(unit), UNITS))
    patience = given.get("patience")
    return RuleSettings(
        enabled=enabled,
        severity=Severity(str(severity)),
        warmup=_number(f"{spec.name}.warmup", given.get("warmup", 0.0), 0.0, 1e15),
        patience=None if patience is None else _number(f"{spec.name}.patience", patience, 0.0, 1e15),
        unit=str(unit or "checks"),
        limits=limits,
    )


def _number(place: str, value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RulesError(place, f"is {value!r}", f"write a number from {low:g} to {high:g}")
    if not low <= value <= high:
        raise RulesError(place, f"is {value:g}", f"write a number from {low:g} to {high:g}")
    return float(value)
