from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from monitor.errors import FileUnreadable
from monitor.importers import read_curves


def write(folder: Path, data: object, name: str = "trainer_state.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(data, indent=2))
    return path


def test_a_trainer_state_without_its_summary(tmp_path: Path) -> None:
    log = [
        {"epoch": 0.1, "grad_norm": 2.0, "learning_rate": 1e-3, "loss": 1.0, "step": 10},
        {"epoch": 0.2, "eval_loss": 0.9, "eval_runtime": 1.0, "step": 20},
        {"epoch": 0.2, "grad_norm": 1.0, "learning_rate": 5e-4, "loss": 0.5, "step": 20},
        {"epoch": 0.2, "train_loss": 0.75, "train_runtime": 9.0, "step": 20},
    ]
    curves = read_curves(write(tmp_path, {"log_history": log, "global_step": 20}))
    assert curves.train.tolist() == [[10, 1.0], [20, 0.5]]
    assert curves.val is not None
    assert curves.val.tolist() == [[20, 0.9]]
    assert curves.lr is not None
    assert curves.lr.tolist() == [[10, 1e-3], [20, 5e-4]]
    assert curves.grad_norm is not None
    assert curves.unit == "step"
    assert curves.unmapped == ("eval_runtime",)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_keras_history(tmp_path: Path, wrapped: bool) -> None:
    history = {"loss": [3.0, 2.0, float("nan")], "val_loss": [3.5, 2.5, 2.0], "accuracy": [0.1, 0.2, 0.3]}
    curves = read_curves(write(tmp_path, {"history": history, "epoch": [1, 2, 3]} if wrapped else history))
    first = 1 if wrapped else 0
    assert curves.train[:2].tolist() == [[first, 3.0], [first + 1, 2.0]]
    assert np.isnan(curves.train[2, 1])
    assert curves.unit == "epoch"
    assert curves.unmapped == ("accuracy",)


@pytest.mark.parametrize(
    ("data", "place", "problem"),
    [
        ({"log_history": []}, "log_history", "empty"),
        ({"log_history": [5]}, "log_history entry 1", "object"),
        ({"loss": []}, "", "no epochs"),
        ({"loss": [1.0, "x"]}, "row 2", "'x'"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(tmp_path: Path, data: object, place: str, problem: str) -> None:
    with pytest.raises(FileUnreadable) as caught:
        read_curves(write(tmp_path, data))
    assert place in str(caught.value)
    assert problem in str(caught.value)
