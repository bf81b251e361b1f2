"""Unit tests of rules: what a file of tests may hold, what it is compared with, and where it says it is wrong."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import RulesError
from monitor.roles import Role
from monitor.rules import RulesConfig, diagnose
from monitor.rules.lab.formula import evaluate, generate, steps_of
from monitor.rules.lab.suites import parse_suite
from monitor.rules.lab.unit_tests import compare, run_test

TRAIN = {"formula": "2 / (1 + step / 80)", "steps": "0..1500/10", "noise": 0.02, "seed": 1}
VAL = {"formula": "0.5 + abs(step - 600) / 1000", "steps": "0..1500/50", "noise": 0.005}
OVERFITTING = {"name": "rises", "train": TRAIN, "val": VAL}


class Beside:
    """Files that are not files: one curve, and a loss that is told by its own text."""

    def series(self, path: str, column: str | None, role: Role) -> np.ndarray:
        return np.array([[0.0, 1.0], [1.0, len(path) + len(column or "")]])

    def loss(self, text: str) -> dict[str, object]:
        return {"spec": text, "floor": 0.0}


def suite(*tests: object, **top: object):
    return parse_suite({"tests": list(tests), **top}, Beside())


def mismatches(expect: dict[str, Any], test: dict[str, Any] = OVERFITTING, **rules: object) -> list[str]:
    found = suite({**test, "expect": expect}, rules=rules)
    return [str(m) for m in run_test(found.tests[0], found.config).mismatches]


def refused(*tests: object, **top: object) -> str:
    with pytest.raises(RulesError) as caught:
        suite(*tests, **top)
    return str(caught.value)


def test_a_test_passes_where_everything_is_as_expected():
    assert mismatches({
        "verdict": "overfitting",
        "firing": ["overfitting"],
        "never": ["divergence", "nan"],
        "findings": [{"rule": "overfitting", "onset_step": [500, 800], "fired_step": [600, 1100], "state": "firing"}],
        "recommendation": {"action": "stop", "first_stop_step": [600, 1100], "best_step": [550, 650]},
    }) == []  # fmt: skip


def test_each_thing_that_is_not_as_expected_is_named_with_what_came_instead():
    found = mismatches({
        "verdict": "healthy",
        "firing": ["spike"],
        "never": ["overfitting"],
        "findings": [{"rule": "overfitting", "onset_step": [0, 3]}, {"rule": "nan"}],
        "recommendation": {"action": "continue", "first_stop_step": None},
    })  # fmt: skip
    assert [line.split(":")[0] for line in found] == [
        "verdict", "firing", "never", "findings[0]", "findings[1]", "recommendation.action",
        "recommendation.first_stop_step",
    ]  # fmt: skip
    assert found[0] == "verdict: expected healthy, got overfitting"
    assert found[3].startswith("findings[0]: expected overfitting, onset 0 to 3, got overfitting (onset ")
    assert found[5] == "recommendation.action: expected continue, got stop"
    assert "expected none, got " in found[6]


def test_an_empty_firing_list_means_that_nothing_may_fire():
    assert mismatches({"firing": []})[0].startswith("firing: expected none, got ")


def test_the_rules_of_the_file_are_those_that_are_tested():
    assert mismatches({"never": ["overfitting"]}, overfitting=False) == []


def test_two_expected_findings_need_two_findings():
    spikes = {
        "name": "two spikes",
        "train": {"formula": "1 / (1 + step / 50) + (20 if step == 400 or step == 700 else 0)",
                  "steps": "0..1000", "noise": 0.005},
    }  # fmt: skip
    assert mismatches({"findings": [{"rule": "spike"}, {"rule": "spike"}]}, spikes) == []
    three = mismatches({"findings": [{"rule": "spike"}] * 3}, spikes)
    assert [line.split(":")[0] for line in three] == ["findings[2]"]


def test_a_finding_that_fits_two_expectations_is_given_to_the_one_that_needs_it():
    expect = {"findings": [{"rule": "overfitting"}, {"rule": "improving"}]}
    found = suite({**OVERFITTING, "expect": expect})
    said = diagnose(found.tests[0].series[Role.TRAIN], found.tests[0].series[Role.VAL])
    one = next(f for f in said.findings if f.rule == "overfitting")
    wide, narrow = {"rule": "overfitting"}, {"rule": "overfitting", "fired_step": (2000.0, 2000.0)}
    both = replace(said, findings=(replace(one, fired_step=2000.0), one))
    expectation = replace(found.tests[0].expect, findings=(wide, narrow))
    assert compare(expectation, both) == []


def test_a_series_comes_from_a_file_and_a_loss_from_its_text():
    found = suite({
        "name": "file", "unit": "epoch", "loss": "mse", "train": {"file": "abc", "column": "xy"},
        "expect": {"verdict": "too_early"},
    })  # fmt: skip
    assert found.tests[0].series[Role.TRAIN].tolist() == [[0.0, 1.0], [1.0, 5.0]]
    assert found.tests[0].loss == {"spec": "mse", "floor": 0.0}
    assert found.tests[0].unit == "epoch"


def test_a_list_of_points_may_hold_nan():
    test = {"name": "nan", "train": [[0, 1.0], [1, 0.5], [2, float("nan")], [3, "nan"]]}
    assert mismatches({"verdict": "nan", "findings": [{"rule": "nan", "fired_step": 2}]}, test) == []


GOOD = {**OVERFITTING, "expect": {"verdict": "overfitting"}}


@pytest.mark.parametrize(
    ("test", "place", "fix"),
    [
        ({**GOOD, "expct": 1}, "tests[0].expct", "'expect'"),
        ({**GOOD, "expect": {"verdct": "nan"}}, "tests[0] 'rises'.expect.verdct", "'verdict'"),
        ({**GOOD, "expect": {"verdict": "overfiting"}}, "expect.verdict: is 'overfiting'", "'overfitting'"),
        ({**GOOD, "expect": {"never": ["spikes"]}}, "expect.never[0]", "'spike'"),
        ({**GOOD, "expect": {"findings": [{"rule": "nan", "onset": 1}]}}, "expect.findings[0].onset", "'onset_step'"),
        ({**GOOD, "expect": {"findings": [{"onset_step": 1}]}}, "expect.findings[0]: names no rule", "rule"),
        ({**GOOD, "expect": {"recommendation": {"action": "halt"}}}, "recommendation.action", "continue"),
        ({**GOOD, "expect": {"recommendation": {"best_step": [3, 1]}}}, "recommendation.best_step", "[first, last]"),
        ({**GOOD, "expect": {}}, "expect: is empty", "verdict"),
        ({"name": "rises", "train": TRAIN}, "expect: is missing", "verdict"),
        ({**GOOD, "unit": "batch"}, "unit", "step or epoch"),
        ({**GOOD, "train": {**TRAIN, "stepz": 1}}, "train.stepz", "'steps'"),
        ({**GOOD, "train": {**TRAIN, "formula": "stp + 1"}}, "train.formula: 'stp'", "'step'"),
        ({**GOOD, "train": [[0, 1], [1]]}, "train[1]", "[step, value]"),
        ({**GOOD, "train": {"file": "a", "colum": "b"}}, "train.colum", "'column'"),
        ({"name": "no", "lr": [[0, 1]], "expect": {"verdict": "healthy"}}, "has no losses", "train"),
        ({"expect": {}}, "tests[0].name: is missing", "tested"),
        ("text", "tests[0]", "table"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_place_and_the_nearest_valid_key(test, place, fix):
    message = refused(test)
    assert place in message
    assert fix in message


def test_a_file_without_tests_or_with_one_name_twice_is_refused():
    assert "is empty" in refused()
    assert "used twice" in refused(GOOD, GOOD)
    assert "'rise'" in refused(GOOD, rules={"overfitting": {"rize": 1}})


def test_noise_differs_between_series_of_one_seed_and_is_the_same_each_time():
    found = suite({**GOOD, "train": TRAIN, "val": TRAIN}).tests[0].series
    again = suite({**GOOD, "train": TRAIN, "val": TRAIN}).tests[0].series
    assert not np.array_equal(found[Role.TRAIN], found[Role.VAL])
    assert np.array_equal(found[Role.TRAIN], again[Role.TRAIN])


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("2 ** 3 - 7 // 2 + 9 % 4", 6.0),
        ("-max(1, step, 3) + min(2, 5)", -8.0),
        ("1 if 5 < step <= 10 and not step == 7 else 2", 1.0),
        ("exp(log(4)) * sqrt(4) + abs(-1) + floor(1.5) + tanh(0) + sin(0) + cos(0)", 11.0),
        ("nan if step > 100 else pi - pi + e / e", 1.0),
        ("1 / 0", math.inf),
        (3, 3.0),
    ],
)
def test_a_formula_is_arithmetic(formula, value):
    assert evaluate(formula, np.array([10.0]), "f").tolist() == pytest.approx([value])


@pytest.mark.parametrize(
    "formula",
    [
        "__import__('os').system('true')", "step.__class__", "[step]", "(lambda: 1)()", "'a' * 9", "open",
        "step @ step",
        "exp(x=1)", "exp(1, 2)", "max(1)", "1 if", "", "True", "step[0]", "1j", "x := 2", "1" + "+1" * 600,
        "1e4 + " + "9" * 400, "(" * 400 + ")" * 400, None, True,
        10**400,
    ],
    ids=lambda formula: f"{formula!s:.20}",
)  # fmt: skip
def test_anything_else_in_a_formula_is_refused(formula):
    with pytest.raises(RulesError):
        evaluate(formula, np.arange(3.0), "f")


@given(st.text(alphabet="step0123456789+-*/()., <>=ifelsnaexplog", max_size=60))
def test_a_formula_gives_one_number_a_step_or_a_rules_error(text):
    try:
        found = evaluate(text, np.arange(4.0), "f")
    except RulesError:
        return
    assert found.shape == (4,) and found.dtype == float


def test_steps_are_ranges_with_both_ends_or_a_list():
    assert steps_of("0..1/0.25, 3..4", "s").tolist() == [0, 0.25, 0.5, 0.75, 1, 3, 4]
    assert steps_of([1, 5, 2], "s").tolist() == [1, 5, 2]
    assert generate({"formula": "i", "steps": "5..7"}, "t").tolist() == [[5, 0], [6, 1], [7, 2]]


@pytest.mark.parametrize(
    "given_steps", [None, "5", "5..1", "0..9/0", "0..1e9", "0..999999999", "a..b", [], ["a"], 3, "1.2.3..4"]
)
def test_steps_that_cannot_be_read_are_refused(given_steps):
    with pytest.raises(RulesError, match="steps"):
        steps_of(given_steps, "steps")


def test_a_seed_is_a_whole_number():
    with pytest.raises(RulesError, match="seed"):
        generate({"formula": "1", "steps": "0..1", "seed": -1}, "t")


def test_an_outcome_is_plain_data():
    found = suite({**OVERFITTING, "expect": {"verdict": "nan"}})
    data = run_test(found.tests[0], RulesConfig()).to_dict()
    assert data == {
        "name": "rises", "verdict": "overfitting", "passed": False,
        "mismatches": [{"place": "verdict", "expected": "nan", "got": "overfitting"}],
    }  # fmt: skip


PENALISED = {
    "name": "the penalty outgrows the data",
    "train": {"formula": "1 + 2 * exp(-step / 75) + 0.2 * exp(step / 150)", "steps": "0..599"},
    "parts": {
        "data": {"formula": "1 + 2 * exp(-step / 75)", "steps": "0..599", "noise": 0.02},
        "l2": {"formula": "exp(step / 150)", "steps": "0..599"},
    },
    "weights": {"l2": 0.2},
}


def test_parts_and_weights_of_a_loss_may_be_given():
    expect = {"firing": ["growing_penalty"], "never": ["parts_sum"]}
    assert mismatches(expect, PENALISED) == []
    untold = {key: value for key, value in PENALISED.items() if key != "weights"}
    assert mismatches(expect, untold)[-1].startswith("never: expected no parts_sum, got parts_sum")


def test_the_configuration_of_a_run_may_be_given():
    summed = {"name": "sum", "train": {"formula": 148, "steps": "0..20"}, "loss": {"chance_level": 2.3026}}
    assert mismatches({"never": ["initial_loss"]}, {**summed, "config": {"batch_size": 64}})[0].startswith("never")


def test_a_weight_of_no_part_is_refused_with_the_nearest_one():
    said = refused({**PENALISED, "weights": {"l1": 0.2}, "expect": {"verdict": "healthy"}})
    assert "weights.l1" in said and "did you mean 'l2'" in said
