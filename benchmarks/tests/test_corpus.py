"""The labelled corpus is whole, and the engine keeps its figures on the half that may be looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.calibrate_rules import judge
from benchmarks.calibrate_rules import load as load_exported
from benchmarks.corpus.measures import agrees, proposal
from benchmarks.corpus.runs import CONDITIONS, SPLITS, Run, load
from benchmarks.score_corpus import figures, main, prechelt, wrong
from monitor.domain import Action
from monitor.rules import RulesConfig, diagnose
from monitor.rules.advice.recommend import CONFIDENCE
from tests.variants import some

# A little below what was measured: a rule that finds less, or cries more often, is seen. Raise them as it gets better.
# Of `dev` three of fifteen runs that overfit are missed: one memorises from the first evaluation, and is called that;
# in one training has not come back from a jump; in one it falls too little beside its noise. Of `dev-2` nine of 45
# healthy runs are told to stop for a while, seven of them games, lessons, poles or valleys. The calm runs of `dev` with
# overfitting are four trainings of one problem: validation rises by 20 to 40% while training falls by half, and comes
# down again.
AT_LEAST: dict[str, dict[str, float]] = {
    "dev": {
        "nan: F1": 1.0,
        "divergence: F1": 0.95,
        "overfitting: F1": 0.88,
        "stagnation: F1": 0.94,
        "oscillation: F1": 0.66,
        "spike: F1": 0.83,
        "convergence: F1": 0.93,
        "overfitting runs: saved": 0.63,
        "divergence runs: stopped": 1.0,
    },
    "dev-2": {
        "nan: F1": 1.0,
        "divergence: F1": 0.88,
        "overfitting: F1": 0.93,
        "stagnation: F1": 0.94,
        "oscillation: F1": 0.72,
        "spike: F1": 0.98,
        "convergence: F1": 0.80,
        "overfitting runs: saved": 0.65,
        "divergence runs: stopped": 1.0,
    },
}
AT_MOST: dict[str, dict[str, float]] = {
    "dev": {
        "calm: divergence": 0.05,
        "calm: overfitting": 0.10,
        "calm: any critical": 0.15,
        "calm: spike": 0.03,
        "calm: oscillation": 0.05,
        "overfitting runs: regret": 0.005,
        "improving runs: stopped": 0.12,
        "healthy runs: stopped": 0.17,
    },
    "dev-2": {
        "calm: divergence": 0.12,
        "calm: overfitting": 0.10,
        "calm: any critical": 0.17,
        "calm: spike": 0.07,
        "calm: oscillation": 0.25,
        "overfitting runs: regret": 0.005,
        "improving runs: stopped": 0.0,
        "healthy runs: stopped": 0.21,
    },
}


@pytest.fixture(scope="module")
def dev() -> list[Run]:
    return [run for run in load("dev") if run.confidence == "high"]


def test_every_run_is_labelled_and_nan_exactly_where_a_loss_is_not_finite() -> None:
    for run in (run for split in SPLITS for run in load(split)):
        assert run.labels and run.reason, run.run_id
        assert ("nan" in run.labels) == (run.nan_step() is not None), run.run_id
        for curve in (run.train, run.val):
            assert (np.diff(curve[:, 0]) > 0).all(), run.run_id


def test_no_domain_is_in_two_splits_and_the_first_two_have_every_condition() -> None:
    splits = {split: [run for run in load(split) if run.confidence == "high"] for split in SPLITS}
    domains = [source for runs in splits.values() for source in {run.source for run in runs}]
    assert len(domains) == len(set(domains))
    for runs in (splits["dev"], splits["held"]):
        assert all(sum(run.truth(name) is True for run in runs) >= 5 for name in CONDITIONS)
        assert sum(run.calm for run in runs) >= 0.45 * len(runs)


def test_the_measures_alone_say_what_the_rater_said_of_nearly_all_runs(dev: list[Run]) -> None:
    proposed = [proposal(run) for run in dev]
    for name, share in (("nan", 1.0), ("divergence", 0.9), ("overfitting", 0.9), ("convergence", 0.9)):
        same = [v for run, said in zip(dev, proposed, strict=True) if (v := agrees(run, said, name)) is not None]
        assert sum(same) >= share * len(same), name


@pytest.mark.parametrize("split", some(zip(AT_LEAST), every=2))
def test_the_engine_keeps_its_figures_on_the_splits_that_may_be_looked_at(split: str) -> None:
    runs = [run for run in load(split) if run.confidence == "high"]
    said = [judge(run, RulesConfig()) for run in runs]
    found = figures(runs, said)
    text = "\n".join(f"{run.run_id}: {bad}" for run, s in zip(runs, said, strict=True) if (bad := wrong(run, s)))
    assert {name: found[name] for name, floor in AT_LEAST[split].items() if not found[name] >= floor} == {}, text
    assert {name: found[name] for name, ceiling in AT_MOST[split].items() if not found[name] <= ceiling} == {}, text


def test_exported_runs_are_read_by_the_calibration_with_the_same_truth(dev: list[Run], tmp_path: Path) -> None:
    main(["--split", "dev", "--export", str(tmp_path / "dev.jsonl.gz")])
    read = load_exported(tmp_path / "dev.jsonl.gz")
    for before, after in zip(dev, read, strict=True):
        assert (before.run_id, before.source, before.unit) == (after.run_id, after.source, after.unit)
        np.testing.assert_array_equal(before.train, after.train)
        np.testing.assert_array_equal(before.val, after.val)
        assert [before.truth(name) for name in CONDITIONS] == [after.truth(name) for name in CONDITIONS]


def test_prechelts_rules_stop_at_the_third_rising_strip_and_five_percent_above_the_best() -> None:
    ends = [1.0, 0.5, 0.51, 0.52, 0.53, 0.6]  # of strips of five evaluations: 5, 10, .. 30
    val = np.array([[step, ends[(step - 1) // 5]] for step in range(1, 31)], dtype=float)
    nothing: frozenset[str] = frozenset()
    run = Run(
        run_id="", source="", unit="step", train=val, val=val, labels=nothing, open=nothing, confidence="", reason=""
    )
    assert prechelt(run, "up", 3).stop == 25
    assert prechelt(run, "up", 4).stop == 30
    assert prechelt(run, "up", 5).stop is None
    assert prechelt(run, "gl", 5).stop == 21


@pytest.mark.slow
def test_advice_is_right_as_often_as_it_says() -> None:
    right: dict[str, list[bool]] = {"continue": [], "stop": []}
    for run in load("held-3"):
        said = diagnose(run.train, run.val, unit=run.unit, loss={"comparable": True}).recommendation
        if run.confidence == "high" and said.confidence is not None and said.action.value in right:
            stop = bool({"overfitting", "divergence", "nan"} & run.labels)
            right[said.action.value].append(stop is (said.action is Action.STOP))
    for action, least in (("continue", CONFIDENCE["continue"]), ("stop", CONFIDENCE["divergence"])):
        assert len(right[action]) > 10 and np.mean(right[action]) >= least
