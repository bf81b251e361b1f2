"""Every rule is in the docs, with its thresholds as they are."""

import re

from monitor._resources import ROOT
from monitor.rules.registry import BUILT_IN

TEXT = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")


def test_every_rule_has_a_heading_and_no_heading_is_stale() -> None:
    assert re.findall(r"^## `([^`]+)`", TEXT, re.M) == [rule.spec.name for rule in BUILT_IN]


def test_every_threshold_is_documented_with_its_default() -> None:
    sections = dict(zip(*[iter(re.split(r"^## `([^`]+)`", TEXT, flags=re.M)[1:])] * 2, strict=True))
    for rule in BUILT_IN:
        for name, threshold in rule.spec.thresholds.items():
            assert f"| {name} | {threshold.default:g} |" in sections[rule.spec.name]
