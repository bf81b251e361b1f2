"""Many configurations judged at once say what each of them says alone."""

from __future__ import annotations

import pytest

from benchmarks.calibrate_rules import judge, judge_all
from benchmarks.corpus.runs import load
from benchmarks.sensitivity import CONDITIONS, moved
from monitor.rules import RulesConfig
from monitor.rules.registry import BUILT_IN

THRESHOLDS = [
    (rule.spec.name, name) for rule in BUILT_IN if rule.spec.name in CONDITIONS for name in rule.spec.thresholds
]
RUNS = load("dev-2")[::9]


@pytest.mark.parametrize("factor", [0.5, pytest.param(2.0, marks=pytest.mark.slow)])
def test_every_threshold_moved_on_its_own_is_judged_as_alone(factor: float) -> None:
    configs = [RulesConfig(), *(moved(*one, factor) for one in THRESHOLDS)]
    parted = 0
    for at, run in enumerate(RUNS):
        some = range(at % 4, len(configs), 4)  # a quarter of them each: alone they take ten times as long
        together = judge_all(run, configs)
        assert [together[i] for i in some] == [judge(run, configs[i]) for i in some]
        parted += sum(said != together[0] for said in together)
    assert parted >= 5  # 13 and 16: some threshold matters to some run


def test_what_differs_in_more_than_thresholds_is_judged_as_alone() -> None:
    settings: list[dict[str, object]] = [
        {}, {"overfitting": False}, {"convergence": {"patience": 3}}, {"stagnation": {"unit": "steps", "warmup": 200}}
    ]  # fmt: skip
    configs = [RulesConfig.from_mapping(each) for each in settings]
    for run in RUNS[::2]:
        assert judge_all(run, configs) == [judge(run, config) for config in configs]
