"""Backtests: what a stop saves and misses, what a rule said, and against what labels."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from monitor.roles import Role
from monitor.rules import RulesConfig
from monitor.rules.lab.backtest import (
    Case,
    Hit,
    Replayed,
    Side,
    Stop,
    changed,
    labels_of,
    outcome,
    patience_stop,
    replay,
    stops,
    summarise,
)  # fmt: skip

STEPS = np.arange(0.0, 2000.0, 10.0)
FALLING = np.column_stack([STEPS, 2 / (1 + STEPS / 100)])
RISING = np.column_stack([STEPS, 0.5 + np.abs(STEPS - 600) / 1000])[::5]


def case(**given: object) -> Case:
    fields = {"ref": "1", "name": "n", "series": {Role.TRAIN: FALLING, Role.VAL: RISING}, **given}
    return Case(**fields)  # type: ignore[arg-type]  # a test's shorthand


def side(verdict: str = "healthy", stop: Stop | None = None, **hits: Hit) -> Side:
    return Side(verdict=verdict, hits=hits, stop=stop or outcome({}, None))


def run(name: str, *sides: Side, labels: str = "") -> Replayed:
    found = frozenset(labels.split())
    return Replayed(ref=name, name=name, labels=found, sides=sides, patience=outcome({}, None))


def test_an_overfitting_run_is_stopped_after_its_best_and_nothing_is_missed():
    found = replay(case(), [RulesConfig()])
    said = found.sides[0]
    assert said.verdict == "overfitting"
    assert said.hits["overfitting"].firing
    assert said.stop.step is not None and 600 < said.stop.step < 1500
    assert said.stop.saved_steps == 1990 - said.stop.step
    assert (said.stop.missed, said.stop.regret) == (False, 0.0)
    assert said.hits["overfitting"].fired == pytest.approx(said.stop.step / 1990)


def test_each_configuration_has_its_own_side():
    found = replay(case(), [RulesConfig(), RulesConfig.from_mapping({"overfitting": False})])
    assert "overfitting" in found.sides[0].hits and "overfitting" not in found.sides[1].hits
    assert found.sides[1].stop.step is None
    assert changed([found]) == (found,)
    assert changed([run("a", side(), side())]) == ()


def test_a_stop_before_the_best_costs_what_was_still_to_come():
    val = np.array([[0, 1.0], [100, 0.5], [200, 0.7], [300, 0.25]])
    found = outcome({Role.VAL: val}, 200)
    assert found.missed is True
    assert found.regret == pytest.approx(0.25 / 0.75)
    assert (found.saved_steps, found.saved) == (100, pytest.approx(1 / 3))


def test_a_run_without_a_stop_saves_and_misses_nothing():
    found = outcome({Role.VAL: RISING}, None)
    assert found == Stop(step=None, saved_steps=0.0, saved=0.0, missed=False, regret=0.0)


def test_without_three_finite_validation_losses_the_cost_is_unknown():
    found = outcome({Role.TRAIN: FALLING, Role.VAL: np.array([[0, 1.0], [1, np.nan], [2, 0.5]])}, 1)
    assert (found.missed, found.regret) == (None, None)
    assert found.saved == pytest.approx(1989 / 1990)


@given(hnp.arrays(float, st.integers(1, 30), elements=st.floats(width=64)), st.one_of(st.none(), st.integers(-5, 40)))
def test_regret_and_saving_are_shares(values, stop):
    val = np.column_stack([np.arange(len(values)), values]).astype(float)
    found = outcome({Role.VAL: val}, stop)
    assert 0 <= found.saved <= 1
    assert found.regret is None or 0 <= found.regret <= 1
    assert found.missed or not found.regret


def test_patience_counts_evaluations_without_a_new_best_and_a_nan_is_none():
    values = [1.0, 0.9, math.nan, 0.9, 0.95, 0.8, *[0.8] * 12]
    val = np.column_stack([np.arange(len(values)) * 10, values])
    assert patience_stop(val, patience=3) == 40
    assert patience_stop(val, patience=10) == 150
    assert patience_stop(val, patience=20) is None
    assert patience_stop(np.empty((0, 2))) is None


def hit(fired: float, *, firing: bool, regret: float = 0.0) -> Hit:
    """A rule that first fired at this share of a run of 100 steps."""
    stop = Stop(step=100 * fired, saved_steps=100 - 100 * fired, saved=1 - fired, missed=regret > 0, regret=regret)
    return Hit(fired=fired, firing=firing, stop=stop)


def test_precision_and_recall_are_over_labelled_runs_and_what_is_said_at_the_end():
    over, firing = hit(0.5, firing=False), hit(0.25, firing=True)
    runs = [
        run("right", side(overfitting=firing), labels="overfitting"),
        run("withdrawn", side(overfitting=over), labels="overfitting"),
        run("false", side(overfitting=firing), labels="healthy"),
        run("unlabelled", side(overfitting=firing)),
    ]
    row = summarise(runs, 0, ["overfitting"])[0]
    assert (row.fired, row.firing, row.position, row.labelled) == (4, 3, 0.25, 2)
    assert (row.precision, row.recall) == (0.5, 0.5)


def test_a_spike_that_is_over_was_right_all_the_same():
    row = summarise([run("a", side(spike=hit(0.1, firing=False)), labels="spike")], 0, ["spike"])[0]
    assert (row.precision, row.recall) == (1.0, 1.0)


def test_a_rule_that_no_label_names_has_neither_precision_nor_recall():
    row = summarise([run("a", side(improving=hit(0.1, firing=True)), labels="healthy")], 0, ["improving"])[0]
    assert (row.precision, row.recall, row.labelled) == (None, None, 0)


def test_healthy_runs_count_neither_way_for_convergence_which_they_do_not_exclude():
    said = side(convergence=hit(0.1, firing=True))
    runs = [run("a", said, labels="healthy"), run("b", said, labels="convergence"), run("c", said, labels="improving")]
    row = summarise(runs, 0, ["convergence"])[0]
    assert (row.precision, row.recall) == (0.5, 1.0)


def test_a_rule_has_the_cost_of_a_stop_where_it_first_fires_and_none_where_it_does_not():
    runs = [run("a", side(spike=hit(0.25, firing=True, regret=0.5))), run("b", side(spike=hit(0.75, firing=False)))]
    known = Replayed(ref="c", name="c", labels=frozenset(), sides=(side(),), patience=outcome({Role.VAL: RISING}, None))
    found = summarise([*runs, known, run("without validation", side())], 0, ["spike"])[0].stops
    assert (found.runs, found.stopped, found.saved_steps) == (4, 2, 100)
    assert (found.judged, found.missed, found.regret_mean) == (3, 1, pytest.approx(0.5 / 3))


def test_a_replay_says_what_a_stop_at_the_first_firing_of_a_rule_costs():
    found = replay(Case(ref="a", name="a", series={Role.TRAIN: FALLING, Role.VAL: RISING}), [RulesConfig()])
    first = found.sides[0].hits["overfitting"]
    assert first.stop == outcome({Role.TRAIN: FALLING, Role.VAL: RISING}, first.stop.step)
    assert first.stop.saved > 0 and first.fired == pytest.approx(1 - first.stop.saved)


def test_stops_are_summed_over_all_runs_and_their_cost_over_those_where_it_is_known():
    def stop(step: float | None, saved: float, regret: float | None) -> Stop:
        return Stop(step=step, saved_steps=saved * 100, saved=saved, missed=bool(regret), regret=regret)

    found = stops([stop(50, 0.5, 0.0), stop(90, 0.1, 0.2), stop(None, 0.0, 0.0), stop(None, 0.0, None)])
    assert (found.runs, found.stopped, found.judged, found.missed) == (4, 2, 3, 1)
    assert (found.saved, found.saved_steps) == (pytest.approx(0.15), pytest.approx(60))
    assert (found.regret_mean, found.bad) == (pytest.approx(0.2 / 3), pytest.approx(1 / 3))
    assert stops([]).regret_mean is None


def test_labels_are_rules_and_calm_verdicts_and_the_rest_is_named():
    found = labels_of("Overfitting;spike | healthy lovely", ["overfitting", "spike"])
    assert found == (frozenset({"overfitting", "spike", "healthy"}), ("lovely",))
