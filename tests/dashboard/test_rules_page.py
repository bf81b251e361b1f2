"""The page of rules: every rule has its meaning and its example, and a change is tried against stored runs."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import UTC

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.charts import rules as charts
from dashboard.markup import rules_page
from monitor.domain.rules_version import RulesVersion
from monitor.rules import RULE_NAMES, RulesConfig
from monitor.rules.lab import examples
from monitor.rules.registry import all_rules
from monitor.store import Store

from .conftest import LOOK, NOW_MS, Show, checked, logged, notes

RULES = {rule.spec.name: rule for rule in all_rules()}


@pytest.mark.parametrize("name", RULE_NAMES)
def test_every_rule_has_a_meaning_thresholds_and_an_example_with_its_steps(name: str) -> None:
    body = rules_page.facts(RULES[name], RulesConfig()) + rules_page.meaning(RULES[name])
    assert f"version {RULES[name].spec.version}" in body
    assert body.count("<p>") >= 1
    assert "Source:" not in body.partition('class="lm-dim"')[0]
    table = rules_page.thresholds(RULES[name], RulesConfig())
    assert all(limit in table for limit in RULES[name].spec.thresholds)
    trace = examples.FIRING[name]
    found = next(f for f in trace.diagnose().findings if f.rule == name)
    figure = checked(
        charts.example_figure(name, examples.shown(trace, name), examples.levels(trace, name), [("fires", found)], LOOK)
    )
    assert any(f"reported at {trace.fired:g}" in note for note in notes(figure))
    assert np.isfinite(np.concatenate([np.asarray(t.y, float) for t in figure.data])).any()


def test_a_star_marks_what_is_not_the_default() -> None:
    config = RulesConfig.from_mapping({"overfitting": {"rise": 0.2}, "spike": False})
    assert "0.2*" in rules_page.thresholds(RULES["overfitting"], config)
    every = rules_page.every(list(RULES.values()), config)
    assert "rise = 0.2" in every
    assert "off*" in every


def test_the_history_says_who_changed_what_of_which_rule() -> None:
    first = RulesVersion(time_ms=NOW_MS - 3000, who="ann@a", project=None, hash="1")
    own = replace(first, time_ms=NOW_MS - 2000, project="<b>", hash="2", overrides={"spike": {"enabled": False}})
    last = replace(first, time_ms=NOW_MS, who="bob@b", hash="3", overrides={"overfitting": {"rise": 0.2}})
    every = rules_page.history([last, own, first], NOW_MS, UTC)
    assert every.count("<tr>") == 4
    assert "overfitting.rise: default → 0.2" in every and "bob@b" in every
    assert "spike.enabled: default → False" in every and "&lt;b&gt;" in every
    assert "the first start that was written down" in every
    spike = rules_page.history([last, own, first], NOW_MS, UTC, "spike")
    assert spike.count("<tr>") == 2 and "enabled: default → False" in spike
    assert not rules_page.history([last, own, first], NOW_MS, UTC, "divergence")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.floats(0, 1), st.booleans())
def test_what_is_to_be_saved_is_toml_that_reads_as_it_was_tried(project: str, rise: float, on: bool) -> None:
    given_ = {"enabled": on, "rise": rise, "unit": "evals"}
    read = tomllib.loads(rules_page.as_toml("overfitting", given_, project))
    assert read == {"projects": {project: {"rules": {"overfitting": given_}}}}
    assert tomllib.loads(rules_page.as_toml("overfitting", given_, None)) == {"rules": {"overfitting": given_}}


def test_the_picture_of_a_trial_has_a_mark_for_every_run_and_side() -> None:
    figure = checked(charts.trial_figure([("a", 0.5, None), ("<b>b</b>", 0.2, 0.4)], LOOK))
    assert [list(t.x) for t in figure.data] == [[50, 20], [40]]
    assert "&lt;b&gt;" in figure.layout.yaxis.ticktext[1]


def test_a_tried_change_says_which_runs_would_fire_and_what_the_stops_would_do(embedded: Store, show: Show) -> None:
    steps = np.arange(40)
    val = np.concatenate([np.linspace(2, 0.5, 15), np.linspace(0.5, 2, 25)])
    train = [float(value) for value in 2 * np.exp(-steps / 8) + 0.01]
    logged(embedded, "turns", train, [float(value) for value in val]).event("finish", status="finished")
    logged(embedded, "open", train, [float(value) for value in val])
    calm = show("rules")
    assert "Change a value to see" in calm and "Save for" not in calm
    assert "overfitting: an example" in calm
    body = show("rules", **{"overfitting.enabled": "false"})
    assert "[rules.overfitting]\nenabled = false" in body
    assert "Ended runs, replayed (1)" in body
    assert "No longer fires (1)" in body
    assert "as tried: silent" in body


def test_a_query_that_cannot_be_read_is_one_line(embedded: Store, show: Show) -> None:
    logged(embedded, "one", [2.0, 1.0]).event("finish", status="finished")
    body = show("rules", runs="val.best <", **{"overfitting.enabled": "false"})
    assert "The query cannot be read." in body
