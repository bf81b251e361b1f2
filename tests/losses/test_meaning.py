"""What a value of a loss means: each phrase is checked against the predictions that give the value."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import losses
from monitor.errors import LossError
from monitor.losses import LossSpec


def figures(text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in re.findall(r"\d+(?:,\d{3})*\.?\d*(?:e[-+]\d+)?", text)]


@given(st.integers(0, 10_000), st.integers(2, 12), st.floats(0.3, 8))
def test_the_probability_and_the_share_of_mistakes_hold_for_any_classifier(
    seed: int, classes: int, sharp: float
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, 200)
    logits = rng.normal(size=(200, classes))
    logits[np.arange(200), labels] += sharp
    logp = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    own = logp[np.arange(200), labels]
    said = losses.meaning(losses.CrossEntropy(classes), float(-own.mean()))
    assert figures(said[0])[0] == pytest.approx(float(np.exp(own.mean())), rel=1e-3)
    wrong = float((logp.argmax(1) != labels).mean())
    assert len(said) == 1 or wrong <= figures(said[1])[0] / 100 + 0.005


@given(st.floats(0.01, 20), st.integers(2, 100_000))
def test_every_unit_of_a_language_model_says_the_same(nats: float, vocab: int) -> None:
    config = {"bytes_per_token": 4.0}
    said = [
        losses.meaning(losses.LanguageModel(vocab, unit=unit), value, config)
        for unit, value in (("nats", nats), ("bits", nats / math.log(2)), ("perplexity", math.exp(nats)))
    ]
    assert said[0] == said[1] == said[2]
    perplexity, bits, per_byte = (figures(text)[0] for text in said[0])
    assert perplexity == pytest.approx(math.exp(nats), rel=1e-3)
    assert bits == pytest.approx(4 * per_byte, rel=2e-3) == pytest.approx(nats / math.log(2), rel=1e-3)


def test_a_regression_is_told_in_the_targets_unit_and_by_r2() -> None:
    rng = np.random.default_rng(0)
    target = rng.normal(3, 2, 1000)
    guess = target + rng.normal(size=1000)
    value = float(np.mean((guess - target) ** 2))
    said = losses.meaning(losses.MSE(float(target.var())), value)
    assert figures(said[0])[0] == pytest.approx(math.sqrt(value), rel=1e-3)
    assert figures(said[1])[1] == pytest.approx(1 - value / target.var(), rel=1e-3)


def test_smoothing_says_its_floor_and_that_there_is_no_perplexity() -> None:
    spec = losses.CrossEntropy(1000, label_smoothing=0.1)
    said = losses.meaning(spec, spec.floor + 0.25)
    assert figures(said[0]) == [pytest.approx(spec.floor, rel=1e-3), 0.25]
    assert "not a perplexity" in said[1]


def test_a_contrastive_loss_says_chance_and_floor_and_when_nothing_is_left() -> None:
    spec = losses.InfoNCE(256, temperature=1.0)
    said = " ".join(losses.meaning(spec, spec.floor + 0.01))
    assert (
        "chance among 256 is 5.545" in said and "the floor at temperature 1 is 3.57" in said and "at its floor" in said
    )
    assert "at its floor" not in " ".join(losses.meaning(spec, 5.0))


@pytest.mark.parametrize(
    "spec",
    [losses.CrossEntropy(3, class_weights=(1, 2, 3)), losses.BinaryCrossEntropy(pos_weight=3.0),
     losses.Adversarial("gan"), losses.CrossEntropy(3, reduction="sum"), losses.Custom("mine")],
)  # fmt: skip
def test_nothing_is_said_where_the_definition_does_not_say_it(spec: LossSpec) -> None:
    assert losses.meaning(spec, 0.4) == () and losses.meaning_sentence(spec, 0.4, {}) == ""


@given(st.sampled_from(sorted(losses.REGISTRY)), st.floats())
def test_no_value_of_any_loss_is_an_error(kind: str, value: float) -> None:
    try:
        spec = losses.parse(kind)
    except LossError:
        return
    assert all(isinstance(text, str) for text in losses.meaning(spec.to_dict(), value))
    assert losses.meaning_sentence(None, value, {}) == losses.meaning_sentence({}, None, {}) == ""
