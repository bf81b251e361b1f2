"""Folders and files that belong to one training, as frameworks write them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.importers import ImportedRun, read_runs
from monitor.roles import Role


def only_run(path: Path) -> ImportedRun:
    (run,) = read_runs(path)
    assert isinstance(run, ImportedRun)
    return run


def series(run: ImportedRun, key: str) -> list[tuple[int, float]]:
    at = run.points.key == run.keys.index(key)
    return list(zip(run.points.step[at].tolist(), run.points.value[at].tolist(), strict=True))


def test_the_epochs_of_allennlp_are_one_run(tmp_path: Path) -> None:
    for epoch in (0, 2, 10, 1):
        found = {"epoch": epoch, "training_loss": 11.0 - epoch, "validation_loss": 12.0 - epoch, "best_epoch": 0}
        (tmp_path / f"metrics_epoch_{epoch}.json").write_text(json.dumps(found))
    (tmp_path / "metrics.json").write_text(json.dumps({"best_epoch": 10, "training_loss": 1.0}))
    run = only_run(tmp_path)
    assert series(run, run.mapped()[Role.TRAIN]) == [(0, 11.0), (1, 10.0), (2, 9.0), (10, 1.0)]
    assert run.mapped()[Role.VAL] == "validation_loss"


@pytest.mark.parametrize("endings", [("csv",), ("json",), ("csv", "json")])
def test_charts_that_tensorboard_downloaded_are_one_run(tmp_path: Path, endings: tuple[str, ...]) -> None:
    for tag, first in (("Loss_train", 1.0), ("Loss_val", 2.0)):
        rows = [[1.7e9 + i, 10 * i, first / (i + 1)] for i in range(4)]
        text = "\n".join(["Wall time,Step,Value", *(",".join(map(str, row)) for row in rows)])
        for ending, content in (("csv", text), ("json", json.dumps(rows))):
            if ending in endings:
                (tmp_path / f"run-exp_1-tag-{tag}.{ending}").write_text(content)
    run = only_run(tmp_path)
    assert dict(run.mapped()) == {Role.TRAIN: "Loss/train", Role.VAL: "Loss/val"}
    assert series(run, "Loss/train") == [(0, 1.0), (10, 0.5), (20, 1 / 3), (30, 0.25)]
    assert run.started_ms == 1_700_000_000_000
    alone = only_run(tmp_path / f"run-exp_1-tag-Loss_val.{endings[0]}")
    assert (alone.keys, alone.config["run"]) == (("Loss/val",), "exp_1")


@pytest.mark.parametrize(
    ("sets", "train", "val"),
    [
        (("validation_0", "validation_1"), "validation_0/logloss", "validation_1/logloss"),
        (("train", "holdout"), "train/logloss", "holdout/logloss"),
        (("valid_0", "valid_1"), None, "valid_0/logloss"),
    ],
)
def test_the_evaluations_of_numbered_sets_are_read_by_their_names(
    tmp_path: Path, sets: tuple[str, ...], train: str | None, val: str
) -> None:
    found = {name: {"error": [0.5, 0.25, 0.2], "logloss": [0.7, 0.6, 0.5], "mine": [1, 2, 3]} for name in sets}
    path = tmp_path / "evals_result.json"
    path.write_text(json.dumps(found))
    run = only_run(path)
    assert (run.mapped().get(Role.TRAIN), run.mapped().get(Role.VAL)) == (train, val)
    assert series(run, val) == [(0, 0.7), (1, 0.6), (2, 0.5)]


def test_a_table_whose_best_values_are_coloured_is_read(tmp_path: Path) -> None:
    green, plain = "\x1b[32m", "\x1b[0m"
    path = tmp_path / "train.log"
    path.write_text(
        "  epoch    train_loss    valid_loss     dur\n-------  ------------  ------------  ------\n"
        f"      1        {green}0.7585{plain}        {green}0.8034{plain}  0.0100\n"
        f"      2        {green}0.7491{plain}        0.9939  0.0100\n"
    )
    run = only_run(path)
    assert (series(run, "train_loss"), series(run, "valid_loss")) == (
        [(1, 0.7585), (2, 0.7491)],
        [(1, 0.8034), (2, 0.9939)],
    )
    assert not any(note.broken for note in run.skipped)
