"""Fields of runs: named as a query names them, read, grouped, and turned into conditions."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from dashboard import fields
from dashboard.importance import ranked
from monitor.domain import Extremes, RunQuery
from monitor.store import Store

from .conftest import a_run, logged

NAMES = st.text(min_size=1, max_size=12).filter(lambda name: not set(name) & set('"{,'))


@given(st.lists(NAMES, min_size=1, max_size=3))
def test_a_field_is_read_back_as_it_was_named(names: list[str]) -> None:
    assert fields.parts(fields.named("config", *names)) == ("config", *names)


@given(st.lists(NAMES, min_size=1, max_size=3), st.one_of(st.integers(), st.text(max_size=9), st.booleans()))
def test_every_value_of_a_configuration_has_a_field(names: list[str], value: object) -> None:
    config: object = value
    for name in reversed(names):
        config = {name: config}
    run = a_run(config=config)
    [field] = fields.config_fields([run])
    assert fields.usable(field)
    assert fields.value(run, {}, field) == value


def test_a_metric_and_a_tag_are_fields() -> None:
    run = a_run(tags={"team": "vision"})
    metrics = {"val/acc": Extremes(last=0.5, max=0.75)}
    assert fields.value(run, metrics, 'metric."val/acc".max') == 0.75
    assert fields.series_of(['metric."val/acc".max', "config.lr"]) == ("val/acc",)
    assert fields.value(run, metrics, "tags.team") == "vision"
    assert fields.value(run, metrics, "config.none") is None
    assert not fields.usable('metric."val/acc".count') and not fields.usable("config") and not fields.usable("")


def test_groups_have_a_mean_and_a_deviation_over_their_seeds() -> None:
    runs = [a_run(id=f"{i:032x}", config={"lr": lr, "seed": i}) for i, lr in enumerate((0.1, 0.1, 0.01, None))]
    groups = fields.grouped(runs, {}, "config.lr")
    assert [(g.value, len(g.runs)) for g in groups] == [(0.01, 1), (0.1, 2), (None, 1)]
    found = fields.spread([1.0, 2.0, math.nan, None, True])
    assert found is not None and (found.count, found.mean) == (2, 1.5) and found.sd == math.sqrt(0.5)
    assert fields.spread([3.0]) == fields.Spread(1, 3.0, None)


def test_the_condition_of_a_group_finds_its_runs_in_the_store(embedded: Store) -> None:
    values = (0.1, 3, 'a "quoted" text', True, None)
    for i, value in enumerate(values):
        logged(embedded, f"run {i}", [1.0], config={} if value is None else {"odd name": value})
    for i, value in enumerate(values):
        query = fields.both('name ~ "run" order by name', fields.condition('config."odd name"', value))
        assert [run.name for run in embedded.runs(RunQuery(query=query)).items] == [f"run {i}"]


def test_what_is_best_in_the_middle_is_found_and_a_seed_is_not() -> None:
    rates = [lr for lr in (1, 2, 3, 4, 5) for _ in range(4)]
    seeds = list(range(4)) * 5
    losses = [abs(lr - 3) + 0.01 * seed for lr, seed in zip(rates, seeds, strict=True)]
    rate, seed = ranked({"config.lr": rates, "config.seed": seeds, "config.name": [str(i) for i in range(20)]}, losses)
    assert rate.field == "config.lr" and rate.strength > 0.9 > 0.5 > abs(rate.direction or 0.0)
    assert rate.strength > rate.chance and seed.strength < seed.chance and rate.count == 20


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(-1e6, 1e6)), max_size=40))
def test_no_strength_lies_beyond_its_bounds(pairs: list[tuple[int, float]]) -> None:
    for found in ranked({"config.x": [x for x, _ in pairs]}, [y for _, y in pairs]):
        assert 0 <= found.strength <= 1 and -1.0001 <= (found.direction or 0.0) <= 1.0001 and found.count == len(pairs)
