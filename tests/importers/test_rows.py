"""Tables as runs: every column of numbers is a series."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import FileUnreadable
from monitor.importers import ImportedRun, read_runs
from monitor.importers.axes import time_ms
from monitor.importers.rows import run_of_table
from monitor.importers.table import Row, Table
from monitor.roles import Role


def read(folder: Path, text: str, name: str = "run.csv") -> ImportedRun:
    path = folder / name
    path.write_text(text)
    (run,) = read_runs(path)
    assert isinstance(run, ImportedRun), run
    return run


def series(run: ImportedRun, key: str) -> list[tuple[int, float]]:
    at = run.points.key == run.keys.index(key)
    return list(zip(run.points.step[at].tolist(), run.points.value[at].tolist(), strict=True))


def test_all_columns_of_numbers_are_series_and_the_first_of_a_role_is_judged(tmp_path: Path) -> None:
    run = read(tmp_path, "step,train_loss,val_loss,accuracy,phase\n0,2.0,,0.1,warm\n10,1.0,1.5,0.2,up\n")
    assert series(run, "train_loss") == [(0, 2.0), (10, 1.0)]
    assert series(run, "val_loss") == [(10, 1.5)]
    assert series(run, "accuracy") == [(0, 0.1), (10, 0.2)]
    assert run.mapped() == {Role.TRAIN: "train_loss", Role.VAL: "val_loss", Role.GOAL: "accuracy"}
    assert run.unmapped() == ()
    assert [(s.place, s.reason, s.broken) for s in run.skipped] == [("column 'phase'", "holds text", False)]


def test_the_training_loss_comes_before_the_validation_loss_of_its_step(tmp_path: Path) -> None:
    run = read(tmp_path, "step,val_loss,loss,lr\n0,1,2,0.1\n1,1,2,0.1\n")
    assert [run.keys[k] for k in run.points.key[:3]] == ["lr", "loss", "val_loss"]


def test_a_broken_cell_is_named_and_leaves_out_one_point(tmp_path: Path) -> None:
    run = read(tmp_path, "step,loss,acc\n0,1.0,0.5\n1,oops,0.6\nx,0.5,0.7\n3,0.4,0.8\n")
    assert series(run, "loss") == [(0, 1.0), (3, 0.4)]
    assert series(run, "acc") == [(0, 0.5), (1, 0.6), (3, 0.8)]
    assert {s.place for s in run.skipped if s.broken} == {"row 3", "row 4"}
    assert any("'loss' is not a number: 'oops'" in s.reason for s in run.skipped)


def test_nan_and_infinities_are_points(tmp_path: Path) -> None:
    run = read(tmp_path, "step,loss\n0,nan\n1,inf\n2,-inf\n")
    assert run.points.value[1:].tolist() == [math.inf, -math.inf]
    assert math.isnan(run.points.value[0])


def test_fractions_of_epochs_become_the_epoch_and_rows_are_counted(tmp_path: Path) -> None:
    run = read(tmp_path, "epoch,loss\n0.5,3\n1.0,2\n1.5,1\n")
    assert run.points.step.tolist() == [0, 1, 2]
    assert run.points.epoch is not None
    assert run.points.epoch.tolist() == [0.5, 1.0, 1.5]
    assert run.unit == "step"


def test_whole_epochs_are_the_steps_where_there_are_no_others(tmp_path: Path) -> None:
    run = read(tmp_path, json.dumps({"loss": [3, 2], "val_loss": [4, 3]}), "history.json")
    assert (run.kind, run.unit, run.name) == ("keras", "epoch", tmp_path.name)
    assert series(run, "val_loss") == [(0, 4.0), (1, 3.0)]


def test_times_are_the_sources_own_and_else_the_files(tmp_path: Path) -> None:
    timed = read(tmp_path, "step,time,loss\n0,1700000000.5,1\n1,1700000001,1\n", "a.csv")
    assert timed.points.time_ms.tolist() == [1_700_000_000_500, 1_700_000_001_000]
    assert (timed.started_ms, timed.finished_ms) == (1_700_000_000_500, 1_700_000_001_000)
    bare = read(tmp_path, "step,loss\n0,1\n", "b.csv")
    assert bare.points.time_ms.tolist() == [int((tmp_path / "b.csv").stat().st_mtime * 1000)]
    assert bare.started_ms is None


def test_a_trainer_state_keeps_its_settings_and_its_summary(tmp_path: Path) -> None:
    log = [
        {"loss": 2.0, "grad_norm": 1.0, "epoch": 0.5, "step": 10},
        {"train_runtime": 9.5, "train_loss": 1.5, "step": 10},
    ]
    run = read(tmp_path, json.dumps({"log_history": log, "max_steps": 10, "is_hyper": [1]}), "trainer_state.json")
    assert series(run, "loss") == [(10, 2.0)]
    assert run.config["max_steps"] == 10
    assert run.config["summary"] == log[1]
    assert run.points.epoch is not None and run.points.epoch.tolist() == [0.5, 0.5]


def test_a_table_without_numbers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,city\nada,london\n")
    (problem,) = read_runs(tmp_path / "a.csv")
    assert isinstance(problem, FileUnreadable)
    assert "name, city" in str(problem)


@given(st.lists(st.one_of(st.none(), st.floats(width=64), st.text(max_size=5)), min_size=1, max_size=30))
def test_no_cell_is_lost_without_a_word(cells: list[float | str | None]) -> None:
    rows = (Row(1, {"step": 0, "loss": 1.0}), *(Row(i, {"step": i, "loss": c}) for i, c in enumerate(cells, 2)))
    run = (
        run_of_table(Table(path="x", names=("step", "loss"), rows=rows), place="x", name="x", written_ms=1)
        if _mostly(cells)
        else None
    )
    if run is None:
        return
    blank = sum(_is_blank(cell) for cell in cells)
    assert len(run.points) + len({s.place for s in run.skipped}) + blank == len(rows)


def _mostly(cells: list[float | str | None]) -> bool:
    numbers = 1 + sum(isinstance(c, float) for c in cells)
    return numbers >= sum(isinstance(c, str) for c in cells)


def _is_blank(cell: object) -> bool:
    return cell is None or (isinstance(cell, str) and cell.strip().lower() in ("", "-", "none", "null", "n/a", "na"))


@pytest.mark.parametrize("cell", ["soon", "", None, 12.0, math.nan, math.inf, True])
def test_what_is_no_time_is_none(cell: str | float | None) -> None:
    assert time_ms(cell) == 0


def test_a_step_beyond_int64_is_named() -> None:
    rows = (Row(1, {"step": 1e30, "loss": 1.0}), Row(2, {"step": 1, "loss": 2.0}))
    table = Table(path="x", names=("step", "loss"), rows=rows)
    run = run_of_table(table, place="x", name="x", written_ms=1)
    assert run.points.step.tolist() == [1]
    assert run.skipped[0].broken
    assert np.array_equal(run.points.value, [2.0])


def test_a_last_line_that_was_cut_at_any_byte_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    whole, last = '{"step": 0, "loss": 2.0}\n', '{"step": 1, "loss": 1.0}'
    for cut in range(1, len(last)):
        run = read(tmp_path, whole + last[:cut], "run.jsonl")
        assert series(run, "loss") == [(0, 2.0)]
        assert [(s.place, s.broken) for s in run.skipped] == [("row 2", True)]
    assert len(read(tmp_path, whole + last, "run.jsonl").points) == 2


def test_a_broken_line_in_the_middle_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    run = read(tmp_path, '{"step": 0, "loss": 2.0}\n{"step": 1,\n{"step": 2, "loss": 1.0}\n', "run.jsonl")
    assert series(run, "loss") == [(0, 2.0), (2, 1.0)]
    assert [(s.place, s.broken) for s in run.skipped] == [("row 2", True)]


def test_a_last_row_that_lacks_cells_is_cut_where_no_newline_ends_it(tmp_path: Path) -> None:
    run = read(tmp_path, "step,loss,acc\n0,1,2\n1,0.5")
    assert series(run, "loss") == [(0, 1.0)]
    assert [(s.place, s.broken) for s in run.skipped] == [("row 3", True)]
    ended = read(tmp_path, "step,loss,acc\n0,1,2\n1,0.5\n", "ended.csv")
    assert [(s.place, s.reason) for s in ended.skipped] == [("row 3", "has 2 cells, the header has 3")]


def test_a_single_row_that_lacks_cells_is_what_is_wrong_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    path.write_text("step,loss,acc\n0,1")
    (problem,) = read_runs(path)
    assert str(problem) == f"{path}, row 2: has 2 cells, the header has 3"


def test_many_rows_with_one_fault_are_named_at_first_and_then_counted(tmp_path: Path) -> None:
    lines = [f"{i},{i}.5" if i % 2 else f"{i}" for i in range(51)]
    run = read(tmp_path, "\n".join(["step,loss", "100,1", "101,1", *lines, ""]))
    reason = "has 1 cells, the header has 2"
    assert [s.reason for s in run.skipped] == [reason] * 21
    assert [s.place for s in run.skipped][19:] == ["row 42", "6 more rows"]
