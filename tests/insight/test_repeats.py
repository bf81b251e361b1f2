"""Runs that differ only in their seed, and what a difference is worth next to that."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import insight
from monitor.domain import Recommendation, RunInfo, RunStatus, repeats
from monitor.settings import Settings
from monitor.store import Store
from tests.conftest import NOW_MS, Feed


def a_run(number: int, best: float, goal: float | None = None, **config: object) -> RunInfo:
    return RunInfo(
        id=f"{number:032x}", project="p", name=f"run-{number}", status=RunStatus.FINISHED, created_ms=0, config=config,
        recommendation=Recommendation(best_val_loss=best, best_step=1.0), goal_best=goal,
        reading={"goal": "acc", "rises": True},
    )  # fmt: skip


def lines_of(runs: Sequence[RunInfo]) -> str:
    return "\n".join(repeats.sentences(runs, {run.id: run.name for run in runs}))


def two_settings(apart: float) -> list[RunInfo]:
    values = [0.50, 0.52, 0.51]
    low = [a_run(i, value, lr=0.1, optim={"random_state": i}) for i, value in enumerate(values)]
    return low + [a_run(9 + i, value + apart, lr=0.01, optim={"random_state": i}) for i, value in enumerate(values)]


def test_a_difference_within_the_seed_noise_is_called_so_and_a_larger_one_too() -> None:
    near, far = lines_of(two_settings(0.01)), lines_of(two_settings(0.1))
    assert "lr 0.1: 3 runs differ only in the seed; best loss 0.51 ± 0.01 (0.5 to 0.52)." in near
    assert "lr 0.1 against lr 0.01: best loss 0.01 apart, smaller than the seed noise (0.0227 at 95%)." in near
    assert "best loss 0.1 apart, larger than the seed noise" in far


def test_one_run_is_held_to_the_spread_of_the_repeats_of_another_setting() -> None:
    runs = [*two_settings(0.0)[:3], a_run(7, 0.53, lr=0.2, optim={"random_state": 0})]
    assert "against run-7: best loss 0.02 apart, smaller" in lines_of(runs)


def test_losses_that_are_not_one_are_not_compared_but_a_common_goal_is() -> None:
    here = [a_run(i, 0.5 + i / 100, 0.9 + i / 1000, loss="mse", seed=i) for i in range(3)]
    there = [a_run(9 + i, 0.1 + i / 100, 0.8 + i / 1000, loss="mae", seed=i) for i in range(3)]
    said = lines_of([*here, *there])
    assert "loss mse against loss mae: best acc 0.1 apart, larger" in said
    assert "against loss mse: best loss" not in said and "against loss mae: best loss" not in said


def test_a_bad_start_stands_apart_and_noise_does_not() -> None:
    good = [a_run(i, value, lr=1, seed=i) for i, value in enumerate((0.50, 0.51, 0.49, 0.5))]
    assert "run-8 stands apart with 1.9" in lines_of([*good, a_run(8, 1.9, lr=1, seed=8)])
    assert "stands apart" not in lines_of([*good, a_run(8, 0.52, lr=1, seed=8)])


def test_runs_without_a_configuration_or_with_another_setting_are_no_repeats() -> None:
    assert lines_of([a_run(1, 0.5), a_run(2, 0.5)]) == ""
    assert lines_of([a_run(1, 0.5, lr=1, seed=1), a_run(2, 0.5, lr=2, seed=2)]) == ""
    same = [a_run(i, 0.5 + i / 10, lr=1, seed=i, output_dir=f"out/{i}") for i in (1, 2)]
    assert "2 runs differ only in the seed" in lines_of(same)


def test_chance_alone_seldom_makes_a_difference_larger_than_the_noise() -> None:
    rng = np.random.default_rng(0)
    pairs = [(rng.normal(size=3).tolist(), rng.normal(size=4).tolist()) for _ in range(2000)]
    beyond = [abs(statistics.fmean(a) - statistics.fmean(b)) > (repeats.seed_noise(a, b) or math.inf) for a, b in pairs]
    assert statistics.fmean(beyond) == pytest.approx(0.05, abs=0.015)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_the_noise_is_the_same_both_ways_and_unknown_only_without_repeats(a: list[float], b: list[float]) -> None:
    noise = repeats.seed_noise(a, b)
    assert (noise is None) == (len(a) == len(b) == 1)
    assert noise is None or (noise == pytest.approx(repeats.seed_noise(b, a)) and noise >= 0)


def test_an_explanation_says_whether_the_best_other_run_is_better_than_by_its_seed(store: Store) -> None:
    for i, (lr, best) in enumerate(((0.1, 0.50), (0.1, 0.53), (0.01, 0.51), (0.01, 0.49))):
        feed = Feed(store, run_id=f"{i:032x}")
        feed.start(name=f"run-{i}", config={"lr": lr, "seed": i})
        feed.log("val/loss", [0, 1], [1.0, best])
    found = insight.explain(store, Settings(), f"{0:032x}", now_ms=NOW_MS)
    noise = found["against_best"]["seed_noise"]
    assert (noise["here"], noise["there"], noise["within"]) == (2, 2, True)
    assert "smaller than the seed noise" in found["text"]
