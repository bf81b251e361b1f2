from __future__ import annotations

import pytest

from monitor.domain import RULE_NAMES
from monitor.errors import RulesError
from monitor.rules.plugins import check_rule
from monitor.rules.registry import BUILT_IN


def test_the_built_in_rules_are_those_of_the_domain_in_its_order() -> None:
    assert tuple(rule.spec.name for rule in BUILT_IN) == RULE_NAMES


@pytest.mark.parametrize("bad", [object(), type("R", (), {"spec": 3})()])
def test_an_object_that_is_no_rule_is_refused(bad: object) -> None:
    with pytest.raises(RulesError, match="has no spec"):
        check_rule("bad", bad)
