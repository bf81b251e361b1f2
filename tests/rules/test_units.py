"""What the steps count, and what they are called, changes nothing about what is said of a curve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.domain import Diagnosis
from monitor.rules import diagnose

BATCH, TOKENS = 64, 64 * 2048


def told(found: Diagnosis, per_step: float) -> tuple[object, ...]:
    """What must be the same: the verdict, the advice, and the findings with their places in steps."""
    findings = [
        (f.rule, str(f.state), f.onset_step / per_step, None if f.fired_step is None else f.fired_step / per_step)
        for f in found.findings
    ]
    stop = found.recommendation.first_stop_step
    return found.verdict, str(found.recommendation.action), None if stop is None else stop / per_step, findings


@st.composite
def runs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A run of one of the shapes that matter, as (n, 2) training and validation loss."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, every = draw(st.integers(12, 400)), draw(st.sampled_from([1, 2, 5, 20]))
    u, noise = np.arange(n) / n, draw(st.sampled_from([0.0, 0.01, 0.1]))
    train = {
        "falls": 0.1 + 2 * np.exp(-5 * u), "dead": np.full(n, 2.3), "climbs": 0.2 + 2 * np.abs(u - 0.4),
        "swings": 1 + 0.6 * np.sin(60 * u), "blows up": np.where(u < 0.6, 2 * np.exp(-4 * u), 4.0),
    }[draw(st.sampled_from(["falls", "dead", "climbs", "swings", "blows up"]))]  # fmt: skip
    turn = draw(st.floats(0, 1.5))
    val = train + 0.1 + np.maximum(u - turn, 0)
    train, val = (curve * np.exp(noise * rng.normal(size=n)) for curve in (train, val))
    step = np.arange(float(n))
    return np.c_[step, train], np.c_[step, val][every - 1 :: every]


@settings(max_examples=60, deadline=None)
@given(runs(), st.booleans())
def test_steps_epochs_samples_and_tokens_are_judged_alike(run: tuple[np.ndarray, np.ndarray], validated: bool) -> None:
    train, val = run
    said = told(diagnose(train, val if validated else None), 1)
    for unit, per_step in (("epoch", 1), ("step", BATCH), ("step", TOKENS), ("epoch", TOKENS)):
        scale = np.array([per_step, 1.0])
        assert told(diagnose(train * scale, val * scale if validated else None, unit=unit), per_step) == said


@pytest.mark.parametrize("unit", ["step", "epoch"])
def test_a_run_that_logs_training_only_misses_nothing(unit: str) -> None:
    found = diagnose(2 * np.exp(-np.arange(5000) / 900), unit=unit)
    assert "metric_missing" not in {f.rule for f in found.findings}


def test_the_rhythm_of_rare_validation_is_learned_from_the_first_wait_on() -> None:
    train = np.c_[np.arange(20_000.0), 0.1 + 2 * np.exp(-np.arange(20_000) / 3000)]
    rare = train[[1999, 6999, 13_999]]
    assert "metric_missing" not in {f.rule for f in diagnose(train, rare).findings}
    assert "metric_missing" in {f.rule for f in diagnose(train, train[[0, 999]]).findings}


def test_validation_that_has_stopped_is_never_the_verdict_where_another_one_stands() -> None:
    step = np.arange(3000.0)
    train = np.c_[step, 0.05 + 2 * np.exp(-step / 200)]
    val = np.c_[step, 0.5 + np.exp(-step / 100) + np.maximum(step - 300, 0) / 500][9:1000:10]
    found = diagnose(train, val)
    assert found.verdict == "overfitting"
    assert {"overfitting", "metric_missing"} <= {f.rule for f in found.findings if f.state == "firing"}
