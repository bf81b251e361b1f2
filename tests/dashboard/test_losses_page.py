from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import measuring
from dashboard.charts import profile
from dashboard.markup import losses_page
from monitor import losses
from monitor.errors import LossError
from monitor.losses import LossProfile, LossSpec

from .conftest import LOOK, checked


@pytest.fixture(scope="module")
def huber() -> LossProfile:
    """Huber's loss, measured."""
    return measuring.named("huber(delta=1)")[0]


def test_a_profiles_picture_has_the_loss_its_slope_and_its_kinks(huber: LossProfile) -> None:
    figure = checked(profile.profile_figure(huber, LOOK))
    loss, slope = figure.data[0], figure.data[1]
    assert np.interp(2.0, loss.x, loss.y) == pytest.approx(1.5)
    assert np.interp([-4.0, 0.5, 4.0], slope.x, slope.y) == pytest.approx([-1, 0.5, 1], abs=0.05)
    assert slope.yaxis == "y3"
    assert not [t for t in figure.data if t.name == "kink"]
    absolute = checked(profile.profile_figure(measuring.named("mae")[0], LOOK))
    assert [list(t.x) for t in absolute.data if t.name == "kink"] == [[0.0]]


def test_a_steep_loss_is_cut_and_the_caption_says_how_far_it_goes() -> None:
    squared = measuring.named("mse")[0]
    figure = checked(profile.profile_figure(squared, LOOK))
    assert figure.layout.yaxis.range[1] < 25
    assert any("it continues to 25" in said for said in profile.captions(squared))


@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=5), max_size=3))
def test_limits_are_a_range_for_whatever_was_measured(values: list[list[float]]) -> None:
    low, high = profile.limits(values)
    assert low < high or not any(-profile.STEEP < v < profile.STEEP for part in values for v in part)


def test_the_table_and_the_sentences_are_those_of_the_profile(huber: LossProfile) -> None:
    body = losses_page.profile(huber) + losses_page.sentences(huber)
    assert "quadratic for small errors, then linear" in body
    assert "The gradient stays within 1." in body


@pytest.mark.parametrize("kind", sorted(losses.REGISTRY))
def test_every_kind_of_specification_has_its_levels_shown(kind: str) -> None:
    written = {
        "composite": "composite(a=mse(1.0))", "language_model": "language_model(50000)",
        "cross_entropy": "cross_entropy(10)",
    }.get(kind, kind)  # fmt: skip
    try:
        spec = losses.parse(written)
    except LossError:
        pytest.fail(f"{kind} needs parameters to be shown here")
    body = losses_page.levels(spec)
    assert "chance level" in body
    assert "not known from these parameters" in body or spec.chance_level is not None


@pytest.mark.parametrize(
    ("spec", "value", "said"),
    [
        (losses.CrossEntropy(10), -0.3, "Impossible."),
        (losses.CrossEntropy(10), 0.23, "Skill 0.900."),
        (losses.CrossEntropy(10), 3.0, "above chance"),
        (losses.Adversarial("gan"), 1.0, "no skill score"),
    ],
)
def test_a_logged_value_is_judged(spec: LossSpec, value: float, said: str) -> None:
    assert said in losses_page.judged(spec, value)


def test_advice_has_a_card_for_every_candidate_with_its_reasons() -> None:
    found = measuring.advised("regression", None, 1.0, True, 0.0, False)
    body = losses_page.advice(found)
    assert body.count('data-testid="candidate"') == len(found.candidates)
    assert body.index("1. ") < body.index("2. ")
    assert "moves the best constant" in body
    assert "<code>monitor losses compare</code>" in body


def test_what_is_named_by_users_is_escaped() -> None:
    nasty = losses.Custom("<script>", chance_level=1.0, floor=0.0)
    assert "<script" not in losses_page.levels(nasty) + losses_page.judged(nasty, -1.0)


@pytest.mark.parametrize("name", ["cross_entropy", "log_cosh", "HuberLoss", "CrossEntropyLoss"])
def test_a_loss_is_measured_with_or_without_torch(name: str) -> None:
    assert name in measuring.names()
    found, spec = measuring.named(name)
    assert math.isfinite(found.relative_cost)
    assert spec is not None


def test_a_specification_is_measured_with_its_own_parameters_where_that_can_be() -> None:
    found, said = measuring.specified("huber(0.5)")
    assert found is not None
    assert found.lipschitz == pytest.approx(0.5, rel=0.01)
    assert said == "Measured with huber(0.5)."
    for written in ("triplet(margin=0.2)", "dice(positive_rate=0.1)"):
        own, said = measuring.specified(written)
        assert own is not None
        assert said == f"Measured with {written}."
    none, said = measuring.specified("adversarial(game='wgan')")
    assert none is None
    assert "No function of the kind adversarial" in said


def test_a_loss_that_is_not_there_is_one_line() -> None:
    with pytest.raises(LossError, match="choose one from the list"):
        measuring.named("NoSuchLoss")
