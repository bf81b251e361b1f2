from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from monitor.errors import FileUnreadable
from monitor.importers import ImportedRun, NotTraining, read_curves, read_runs
from monitor.roles import Role


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
    assert curves.columns[Role.GOAL] == "accuracy"


@pytest.mark.parametrize(
    ("data", "place", "problem"),
    [
        ({"log_history": []}, "log_history", "empty"),
        ({"log_history": [5]}, "log_history entry 1", "object"),
        ({"loss": []}, "", "no epochs"),
        ({"loss": ["x", "y"], "widgets": [0.1, 0.2]}, "", "no series of losses among: widgets"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(tmp_path: Path, data: object, place: str, problem: str) -> None:
    with pytest.raises(FileUnreadable) as caught:
        read_curves(write(tmp_path, data))
    assert place in str(caught.value)
    assert problem in str(caught.value)


COLUMNS = {"loss": [3.0, 2.0, 1.0], "val_loss": [3.5, 2.5, 2.0]}
SCALARS = {"train/loss": [[1.7e9 + i, i * 5, 3.0 - i] for i in range(3)], "val/loss": [[1.7e9 + 0.5, 0, 3.5]]}
SACRED = {
    "training.loss": {
        "steps": [0, 1],
        "values": [3.0, 2.0],
        "timestamps": ["2024-01-01T00:00:00", "2024-01-01T00:00:01"],
    }
}
_ROWS = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]
FRAMES = (
    {name: {str(i): value for i, value in enumerate(column)} for name, column in COLUMNS.items()},
    {str(i): row for i, row in enumerate(_ROWS)},
    {"columns": list(COLUMNS), "index": [0, 1, 2], "data": [list(row.values()) for row in _ROWS]},
    {"schema": {"fields": []}, "data": [{"index": i, **row} for i, row in enumerate(_ROWS)]},
)


@pytest.mark.parametrize("data", [*FRAMES, _ROWS], ids=["columns", "index", "split", "table", "records"])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_frame_of_pandas_in_every_orient_that_names_its_columns(
    tmp_path: Path, data: object, indent: int | None
) -> None:
    path = tmp_path / "history.json"
    path.write_text(json.dumps(data, indent=indent))
    curves = read_curves(path)
    assert curves.train.tolist() == [[0, 3.0], [1, 2.0], [2, 1.0]]
    assert curves.val is not None
    assert curves.val.tolist() == [[0, 3.5], [1, 2.5], [2, 2.0]]
    (run,) = read_runs(path)
    assert isinstance(run, ImportedRun)
    assert run.keys == ("loss", "val_loss")
    assert len(run.points) == 6


def test_the_index_of_a_frame_is_the_step(tmp_path: Path) -> None:
    path = write(tmp_path, {"loss": {"0": 3.0, "10": 2.0, "25": 1.0}})
    assert read_curves(path).train[:, 0].tolist() == [0, 10, 25]


def test_scalars_by_their_tags(tmp_path: Path) -> None:
    path = write(tmp_path, SCALARS)
    assert read_curves(path).train.tolist() == [[0, 3.0], [5, 2.0], [10, 1.0]]
    (run,) = read_runs(path)
    assert isinstance(run, ImportedRun)
    assert run.kind == "scalars"
    assert run.points.step.tolist() == [0, 0, 5, 10]  # as they were logged
    assert run.points.time_ms.tolist() == [1_700_000_000_000, 1_700_000_000_500, 1_700_000_001_000, 1_700_000_002_000]


def test_metrics_of_sacred(tmp_path: Path) -> None:
    assert read_curves(write(tmp_path, SACRED)).train.tolist() == [[0, 3.0], [1, 2.0]]


@pytest.mark.parametrize("odd", [[[0.1, 0.2]] * 3, [{"a": 1}] * 3, [[0.1], None, {}]])
def test_what_is_no_number_of_a_history_is_left_out_and_named(tmp_path: Path, odd: list[object]) -> None:
    path = write(tmp_path, {**COLUMNS, "per_class": odd, "model": "resnet"}, "history.json")
    curves = read_curves(path)
    assert curves.train[:, 1].tolist() == [3.0, 2.0, 1.0]
    assert any("per_class" in what and "holds" in what for what in curves.left_out)
    (run,) = read_runs(path)
    assert isinstance(run, ImportedRun)
    assert run.config == {"model": "resnet"}
    assert [(n.place, n.broken) for n in run.skipped] == [("column 'per_class'", False)]


def test_lists_among_the_rows_of_a_log_are_left_out_and_named(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 0, "loss": 2.0, "f1": [0.1, 0.2], "a": {"b": {}, "c": 1}}\n{"step": 1, "loss": 1.0}\n')
    curves = read_curves(path)
    assert curves.left_out == ("column 'f1' holds lists",)
    assert curves.unmapped == ("a/c",)


@pytest.mark.parametrize("cut", range(1, 36))
def test_a_list_cut_anywhere_keeps_its_whole_items(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "log.json"
    whole = (
        '[\n{"step": 0, "loss": 2.0},\n{"step": 1, "loss": 1.5},\n{"step": 12, "loss": -1.5e-3, "w": "a\\u00e9b"}\n]'
    )
    path.write_text(whole[:-cut] if cut else whole)
    curves = read_curves(path)
    assert curves.train[:2].tolist() == [[0, 2.0], [1, 1.5]]
    assert curves.left_out[0].endswith("is cut short; its writer was killed there")


def test_a_list_that_is_broken_in_its_middle_is_refused_with_the_item(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text('[{"loss": 2.0}, {"loss": oops}, {"loss": 1.0}]')
    with pytest.raises(FileUnreadable, match="is not JSON: Expecting value: line 1 column 26"):
        read_curves(path)


@pytest.mark.parametrize(
    "data",
    [
        {"eval_loss": 0.05, "epoch": 3.0},
        {"classes": ["cat", "dog"]},
        {"boxes": [[1, 2]]},
        {"a": {"b": 1}},
        {"a": []},
        {},
    ],
)
def test_json_that_is_no_history_is_called_so_and_passed_over_in_a_folder(tmp_path: Path, data: object) -> None:
    path = write(tmp_path, data, "odd.json")
    with pytest.raises(FileUnreadable) as caught:
        read_curves(path)
    assert "is not JSON" not in str(caught.value)
    (tmp_path / "metrics.csv").write_text("epoch,train_loss\n" + "".join(f"{i},{2 / (i + 1)}\n" for i in range(20)))
    found = list(read_runs(tmp_path))
    assert [type(each).__name__ for each in found if not isinstance(each, NotTraining)] == ["ImportedRun"]
    assert len(read_curves(tmp_path).train) == 20
