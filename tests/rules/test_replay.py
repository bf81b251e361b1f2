from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from monitor import losses
from monitor.errors import LossError, RulesError
from monitor.roles import Role
from monitor.rules import ROLE_CODES, diagnose
from monitor.rules.replay import merge


def test_training_comes_before_validation_at_the_same_step() -> None:
    points = merge({Role.TRAIN: [(0, 1), (5, 2)], Role.VAL: [(0, 3), (5, 4)]})
    assert points.value.tolist() == [1, 3, 2, 4]


def test_a_step_that_goes_back_keeps_its_place_in_its_own_series() -> None:
    points = merge({Role.TRAIN: [(0, 1), (5, 2), (3, 3), (6, 4)], Role.VAL: [(4, 9), (6, 8)]})
    assert points.value.tolist() == [1, 9, 2, 3, 4, 8]


@pytest.mark.parametrize("bad", [[[[1, 2]]], [(1, 2, 3)], [("a", 1)]])
def test_what_is_no_curve_is_refused(bad: object) -> None:
    with pytest.raises(RulesError, match="train series"):
        diagnose(bad)  # type: ignore[arg-type]


def test_nothing_logged_is_too_early() -> None:
    found = diagnose([], [])
    assert (found.verdict, found.findings, found.recommendation.best_step) == ("too_early", (), None)


def test_the_dictionary_is_the_contract() -> None:
    train = np.c_[np.arange(120), 2.0 * 0.97 ** np.arange(120)]
    val = train[::2] + np.c_[np.zeros(60), 1e-3 * np.maximum(train[::2, 0] - 30, 0) ** 1.5]
    data = diagnose(train, val).to_dict()
    assert data["schema"] == 1 and data["verdict"] == "overfitting"
    advice = data["recommendation"]
    assert isinstance(advice, dict) and advice["action"] == "stop" and advice["first_stop_step"] == advice["stop_step"]
    assert data["counts"] == {
        "train": 120,
        "val": 60,
        "goal": 0,
        "non_finite": 0,
        "late": 0,
        "unmapped": [],
        "beyond": 0,
    }


def test_a_loss_may_be_a_specification_a_mapping_or_nothing() -> None:
    train = [(step, 8.0 / (1 + step / 50)) for step in range(200)]
    spec = losses.CrossEntropy(classes=10)
    by_spec, by_mapping = diagnose(train, loss=spec), diagnose(train, loss=spec.to_dict())
    assert by_spec == by_mapping
    assert "initial_loss" in {finding.rule for finding in by_spec.findings}
    assert "initial_loss" not in {finding.rule for finding in diagnose(train).findings}


def test_a_loss_that_is_none_of_these_is_an_error_that_names_the_fix() -> None:
    with pytest.raises(LossError, match=r"give one of monitor\.losses"):
        diagnose([(0, 1.0)], loss="mse")  # type: ignore[arg-type]  # that is the test


def test_steps_of_several_workers_are_no_restart() -> None:
    train = [(i + k, 2 / (1 + i + k)) for i in range(0, 80, 4) for k in (3, 2, 1, 0)]
    val = [(i, 2 / (1 + i)) for i in range(0, 80, 5)]
    points = merge({Role.TRAIN: train, Role.VAL: val})
    at = np.flatnonzero(points.role == ROLE_CODES[Role.VAL])
    assert np.diff(at).min() > 1  # among the training points of their steps, not before all of them


FALL = 2 * np.exp(-np.arange(60) / 15)
RISE = FALL + 0.05 * np.maximum(0, np.arange(60) - 15)


@pytest.mark.parametrize("kind", ["list", "Series", "index", "DataFrame", "one column"])
def test_a_curve_without_steps_is_counted_or_has_its_index(kind: str) -> None:
    steps = np.arange(60) * (10 if kind in ("index", "DataFrame") else 1)

    def made(values: np.ndarray) -> object:
        return {
            "list": values.tolist(),
            "Series": pd.Series(values),
            "index": pd.Series(values, index=steps),
            "DataFrame": pd.DataFrame({"step": steps, "loss": values}),
            "one column": pd.DataFrame({"loss": values}),
        }[kind]

    found = diagnose(made(FALL), made(RISE), unit="epoch")
    assert found.to_dict() == diagnose(np.c_[steps, FALL], np.c_[steps, RISE], unit="epoch").to_dict()
    assert found.verdict == "overfitting"


@pytest.mark.parametrize(
    "bad",
    [
        pd.DataFrame({"step": [0, 1], "loss": [1.0, 0.5], "lr": [0.1, 0.1]}),
        pd.Series(["a", "b"]),
        pd.DataFrame({"loss": ["a", "b"]}),
    ],
    ids=["three columns", "text", "column of text"],
)
def test_a_frame_that_is_no_curve_is_refused_in_one_line(bad: object) -> None:
    with pytest.raises(RulesError, match="train series") as caught:
        diagnose(bad)  # type: ignore[arg-type]  # what is refused
    assert "\n" not in str(caught.value)


def test_an_index_of_text_or_of_dates_is_counted() -> None:
    counted = diagnose(FALL.tolist()).to_dict()
    assert diagnose(pd.Series(FALL, index=[f"row {i}" for i in range(60)])).to_dict() == counted
    dated = pd.Series(FALL, index=pd.date_range("2026-01-01", periods=60, freq="min"))
    assert diagnose(dated).to_dict() == counted


def test_a_loss_that_is_no_specification_is_refused_of_curves_and_of_a_table_alike() -> None:
    import monitor

    history = {"loss": [1.0, 0.5], "val_loss": [1.1, 0.6]}
    for train in (history["loss"], history):
        with pytest.raises(LossError, match="'rmse': it is no specification"):
            monitor.diagnose(train, loss="rmse")  # type: ignore[arg-type]  # the fault
