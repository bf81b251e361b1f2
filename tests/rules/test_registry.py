from __future__ import annotations

import pytest

from monitor.domain import Severity
from monitor.errors import RulesError
from monitor.rules import rank_of
from monitor.rules.plugins import check_rule
from monitor.rules.registry import BUILT_IN


def test_every_rule_has_a_rank_of_its_own_problems_before_good_news() -> None:
    ranks = [rule.spec.rank for rule in BUILT_IN if rule.spec.rank is not None]
    assert len(set(ranks)) == len(ranks)
    good = {rule.spec.name for rule in BUILT_IN if rule.spec.severity is Severity.INFO}
    names = sorted((rule.spec.name for rule in BUILT_IN), key=rank_of)
    assert names[0] == "nan"
    context = {rule.spec.name for rule in BUILT_IN if rule.spec.rank is None}
    assert [name for name in names if name not in good] == [*names[: -len(good) - 1], "metric_missing"]
    assert names.index("metric_missing") > max(names.index(name) for name in good - context)


@pytest.mark.parametrize("bad", [object(), type("R", (), {"spec": 3})()])
def test_an_object_that_is_no_rule_is_refused(bad: object) -> None:
    with pytest.raises(RulesError, match="has no spec"):
        check_rule("bad", bad)
