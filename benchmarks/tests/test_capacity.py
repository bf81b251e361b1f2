"""The capacity model agrees with what was measured, and the page shows what it says."""

from __future__ import annotations

import json

import pytest

from benchmarks.capacity import FITTED, PAGE, RESULTS, Cell, Cost, Costs, checks, plans, simulate, tables, written
from benchmarks.draw_soak import PICTURES, pictures
from benchmarks.draw_soak import RESULTS as SOAKED

FIGURES = json.loads(RESULTS.read_text(encoding="utf-8"))["figures"]
COSTS = Costs.measured(FIGURES)
FREE = Cost(0.0, 0.0)


@pytest.mark.parametrize("check", checks(FIGURES, COSTS), ids=lambda check: check.what)
def test_what_the_model_was_not_given_it_says_within_a_factor_of_two_and_a_half(check: object) -> None:
    assert 0.4 < check.ratio < 2.5, check  # type: ignore[attr-defined]  # a `Check`


def test_embedded_one_server_and_replicas_are_all_among_the_checks() -> None:
    checked = {each["what"] for each in FIGURES if each["points"] not in FITTED or each["what"] == "paced"}
    assert checked >= {"embedded", "server", "replicas", "balanced", "paced"}


def test_one_server_that_is_asked_for_more_than_a_core_gives_a_core_and_its_clients_send_more_at_once() -> None:
    ten_ms = Costs(FREE, Cost(0.01, 0.0), FREE, FREE, FREE, FREE, FREE, 4.0)
    made = simulate(Cell(runs=200, rate=20, interval_s=0.5, cores=1), ten_ms)
    assert made.batches_s == pytest.approx(100, rel=0.05)  # 400 are due
    assert made.points_s == pytest.approx(4000, rel=0.05)  # nothing stays behind
    assert made.p50_ms == pytest.approx(2000, rel=0.05)  # 200 runs wait for one another


def test_an_idle_server_answers_in_the_time_that_a_batch_takes() -> None:
    ten_ms = Costs(FREE, Cost(0.01, 0.0), FREE, FREE, FREE, FREE, FREE, 4.0)
    made = simulate(Cell(runs=1, rate=20, interval_s=0.5, cores=1), ten_ms, seconds=200)
    assert 8 < made.p50_ms < 16  # with the flush of its commit


@pytest.mark.slow
def test_the_fleets_reach_a_hundred_thousand_runs_and_ten_million_points_and_hold_them() -> None:
    made = plans(COSTS)
    assert max(each.cells * each.cell.runs for each in made) >= 100_000
    for each in made:
        assert each.outcome.points_s == pytest.approx(each.cell.runs * each.cell.rate, rel=0.1), each.name
        assert each.outcome.p95_ms < 1000, each.name
    assert max(each.cells * each.outcome.points_s for each in made) > 9_500_000


@pytest.mark.slow
def test_the_page_shows_these_tables() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page, tables()) == page, "run `python benchmarks/capacity.py --write`"


def test_the_pictures_of_the_soak_are_those_of_its_samples() -> None:
    for name, picture in pictures(json.loads(SOAKED.read_text(encoding="utf-8"))).items():
        assert (PICTURES / name).read_text(encoding="utf-8") == picture, "run `python benchmarks/draw_soak.py`"


@pytest.mark.slow
@pytest.mark.postgres
def test_the_smoke_version_measures_every_part() -> None:
    from benchmarks.bench_scale import main

    figures = main(["--smoke"])["figures"]
    assert isinstance(figures, list)
    assert {each["what"] for each in figures} >= {"embedded", "server", "replicas", "paced"}
    for each in figures:
        assert each["server_ms"] > 0
        assert each["what"] == "embedded" or (each["database_ms"] > 0 and each["wal_bytes"] > 0 < each["p50_ms"])
