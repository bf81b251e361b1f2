from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import losses

TEN = losses.CrossEntropy(10).to_dict()
LN10 = math.log(10)


def test_a_start_near_chance_is_said_to_be_near() -> None:
    found = losses.check_initial(TEN, [2.41, 2.33, 2.2])
    assert (found.verdict, found.cause) == ("near_chance", None)
    assert "ln 10" in found.explanation
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("factor", "known", "cause", "word"),
    [
        (64, {"batch_size": 64}, "sum_reduction", "batch size 64"),
        (4, {"accumulation": 4}, "unscaled_accumulation", "4 accumulation steps"),
        (4, {"accumulation": 4, "batch_size": 32}, "unscaled_accumulation", "4 accumulation steps"),
        (128, {"batch_size": 32, "accumulation": 4}, "sum_reduction", "batch size 32 x 4 accumulation steps"),
        (512, {"tokens": 512, "batch_size": 8}, "token_sum", "512 tokens"),
        (4096, {"tokens": 512, "batch_size": 8}, "token_sum", "batch size 8 x 512 tokens"),
        (32, {"tokens": 32, "batch_size": 32}, "sum_reduction", "batch size 32 or the 32 tokens"),
    ],
)
def test_a_known_multiple_is_named(factor: int, known: dict[str, int], cause: str, word: str) -> None:
    found = losses.check_initial(TEN, [factor * LN10 * 1.06, factor * LN10, factor * LN10 * 0.97], **known)
    assert (found.verdict, found.cause) == ("far_above", cause)
    assert word in found.explanation
    assert found.ratio == pytest.approx(factor, rel=0.07)


def test_far_above_without_a_match_is_bad_initialisation() -> None:
    found = losses.check_initial(TEN, [30.0], batch_size=64)
    assert (found.verdict, found.cause, found.multiple) == ("far_above", "bad_initialisation", None)
    hint = losses.check_initial(TEN, [32 * LN10])
    assert "32" in hint.explanation
    assert "sum" in hint.explanation


def test_far_below_is_leakage_or_pretrained_or_divided_twice() -> None:
    assert losses.check_initial(TEN, [0.2]).cause == "leakage_or_pretrained"
    found = losses.check_initial(TEN, [LN10 / 8], accumulation=8)
    assert (found.verdict, found.cause) == ("far_below", "divided_twice")


def test_imbalance_is_no_false_alarm_at_the_start() -> None:
    rare = losses.BinaryCrossEntropy(positive_rate=0.01).to_dict()
    assert rare["chance_level"] < 0.06
    assert losses.check_initial(rare, [math.log(2)]).verdict == "near_chance"


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert losses.check_initial({"name": "mine"}, [1.0]).verdict == "unknown"
    assert losses.check_initial(TEN, []).verdict == "unknown"
    assert losses.check_initial(TEN, [math.nan, math.inf]).verdict == "unknown"
    assert losses.check_initial(losses.Triplet(0.3), [0.4]).verdict == "near_chance"
    assert losses.check_initial(losses.PoissonNLL(4.0, log_input=False).to_dict(), [-1.5]).verdict == "near_chance"


def test_non_finite_first_losses_are_skipped() -> None:
    assert losses.check_initial(TEN, [math.nan, 2.3, 2.3, 2.3]).verdict == "near_chance"


@pytest.mark.parametrize(
    ("spec", "value", "word"),
    [
        (losses.CrossEntropy(10), -0.4, "never negative"),
        (losses.CrossEntropy(10, label_smoothing=0.1), 0.2, "floor of 0.5"),
        (losses.LanguageModel(100, unit="perplexity"), 0.5, "floor of 1"),
        (losses.Dice(0.3), 1.4, "nothing scores above 1"),
        (losses.GaussianNLL(1.0), -9.0, "floor of -6.908"),
        (losses.InfoNCE(256, temperature=1.0), 1.0, "floor of 3.5"),
    ],
)
def test_impossible_values_are_told(spec: losses.LossSpec, value: float, word: str) -> None:
    for given_as in (spec, spec.to_dict(), json.loads(json.dumps(spec.to_dict()))):
        assert word in (losses.impossible(given_as, value) or "")


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        (losses.CrossEntropy(10), -1e-5),
        (losses.CrossEntropy(10), 0.0),
        (losses.CrossEntropy(10), math.nan),
        (losses.CrossEntropy(10), math.inf),
        (losses.GaussianNLL(1.0), -3.0),
        (losses.GaussianNLL(1.0, reduction="sum"), -300.0),
        (losses.Dice(0.3, reduction="sum"), 20.0),
        (losses.Adversarial("wgan"), -50.0),
        (losses.PoissonNLL(4.0), -100.0),
    ],
)
def test_possible_values_are_left_alone(spec: losses.LossSpec, value: float) -> None:
    assert losses.impossible(spec, value) is None


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=5), st.integers(1, 10**6))
def test_any_first_losses_get_a_verdict_in_json(first: list[float], batch: int) -> None:
    found = losses.check_initial(TEN, first, batch_size=batch)
    assert found.verdict in ("near_chance", "far_above", "far_below", "unknown")
    json.dumps(found.to_dict(), allow_nan=False)
