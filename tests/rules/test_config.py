from __future__ import annotations

import pytest

from monitor.errors import RulesError
from monitor.rules import Engine, RulesConfig, diagnose
from monitor.rules.registry import all_rules

CURVE = [(float(i), float("nan") if i == 9 else 1.0) for i in range(10)]


def test_the_default_configuration_runs_every_rule() -> None:
    assert RulesConfig().rules == all_rules()


@pytest.mark.parametrize(
    ("given", "place", "hint"),
    [
        ({"overfiting": {}}, "overfiting", "'overfitting'"),
        ({"overfitting": {"patients": 3}}, "overfitting.patients", "'patience'"),
        ({"overfitting": {"severity": "critcal"}}, "overfitting.severity", "'critical'"),
        ({"overfitting": {"unit": "epoch"}}, "overfitting.unit", "'epochs'"),
        ({"overfitting": {"z": "high"}}, "overfitting.z", "number from 1 to 100"),
        ({"overfitting": {"z": 1000}}, "overfitting.z", "number from 1 to 100"),
        ({"overfitting": {"enabled": 1}}, "overfitting.enabled", "true or false"),
        ({"overfitting": 3}, "overfitting", "table of settings"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_nearest_valid_name(
    given: dict[str, object], place: str, hint: str
) -> None:
    with pytest.raises(RulesError, match="rules " + place) as refused:
        RulesConfig.from_mapping(given)
    assert hint in str(refused.value)


def test_the_hash_is_of_the_effective_rules_and_not_of_how_they_were_written() -> None:
    default = RulesConfig()
    assert RulesConfig.from_mapping({"spike": True, "nan": {"severity": "critical"}}).hash == default.hash
    assert RulesConfig.from_mapping({"spike": False}).hash != default.hash
    assert len(default.hash) == 12 and int(default.hash, 16) >= 0


def test_a_disabled_rule_is_silent() -> None:
    config = RulesConfig.from_mapping({"nan": False})
    assert "nan" not in {finding.rule for finding in diagnose(CURVE, config=config).findings}


def test_severity_and_hash_are_on_the_finding() -> None:
    config = RulesConfig.from_mapping({"nan": {"severity": "warning"}})
    finding = diagnose(CURVE, config=config).findings[0]
    assert (finding.severity, finding.rules_hash) == ("warning", config.hash)


@pytest.mark.parametrize(("unit", "patience", "fired"), [("checks", 1, 99), ("steps", 40, 139), ("evals", 8, 170)])
def test_patience_is_counted_in_the_declared_unit(unit: str, patience: float, fired: float) -> None:
    train = [(float(i), 2.3) for i in range(300)]
    val = [(float(i), 2.3) for i in range(0, 300, 10)]
    config = RulesConfig.from_mapping({"stagnation": {"unit": unit, "patience": patience}})
    found = next(f for f in diagnose(train, val, config=config).findings if f.rule == "stagnation")
    assert found.fired_step == fired


def test_warmup_keeps_a_rule_silent() -> None:
    train = [(float(i), 2.3) for i in range(800)]
    config = RulesConfig.from_mapping({"stagnation": {"unit": "steps", "warmup": 600}})
    found = next(f for f in diagnose(train, config=config).findings if f.rule == "stagnation")
    assert found.fired_step >= 600


def test_engines_of_other_configurations_do_not_disturb_each_other() -> None:
    strict = Engine(RulesConfig.from_mapping({"nan": False}))
    assert len(Engine().config.rules) == len(strict.config.rules) + 1
