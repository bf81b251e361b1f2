"""What a search finds, what each thing is called, and what is left alone."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from monitor.errors import FileUnreadable
from monitor.importers import ImportedRun, NotTraining, read_curves, read_runs, run_id_of
from monitor.importers.sources import sources
from monitor.roles import Role

CSV = "step,loss\n0,2\n1,1\n"


def runs(path: Path) -> dict[str, ImportedRun]:
    return {found.name: found for found in read_runs(path) if isinstance(found, ImportedRun)}


def state(path: Path, *losses: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    log = [{"loss": loss, "step": step} for step, loss in enumerate(losses)]
    path.write_text(json.dumps({"log_history": log}))


def test_a_folder_is_searched_and_runs_are_named_by_their_path(tmp_path: Path, formats) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "seed0.csv").write_text(CSV)
    (tmp_path / "a" / "metrics.csv").write_text(CSV)
    formats.events(tmp_path / "b" / "version_0", "loss", [2, 1])
    formats.wandb(tmp_path / "wandb" / "offline-run-1-abc" / "run-abc.wandb", [formats.history(0, loss="1")])
    (tmp_path / "wandb" / "offline-run-1-abc" / "files").mkdir()
    (tmp_path / "wandb" / "offline-run-1-abc" / "files" / "summary.csv").write_text(CSV)
    found = runs(tmp_path)
    assert {name: run.kind for name, run in found.items()} == {
        "a/seed0": "csv", "a": "csv", "b/version_0": "tensorboard", "abc": "wandb",
    }  # fmt: skip


def test_hidden_folders_and_links_are_left_alone(tmp_path: Path) -> None:
    for name in (".cache", "runs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.csv").write_text(CSV)
    (tmp_path / "latest").symlink_to(tmp_path / "runs")
    assert set(runs(tmp_path)) == {"runs/x"}


def test_files_that_are_no_training_are_ignored_where_nobody_named_them(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"hidden": 3}')
    (tmp_path / "iris.csv").write_text("sepal,petal\n1,2\n")
    assert [(type(f), Path(f.source).name) for f in read_runs(tmp_path) if isinstance(f, NotTraining)] == [
        (NotTraining, "config.json"), (NotTraining, "iris.csv"),
    ]  # fmt: skip
    (named,) = read_runs(tmp_path / "iris.csv")
    assert isinstance(named, ImportedRun)


def test_a_broken_file_is_an_error_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("step,loss\n0,1,2,3\n")
    (tmp_path / "b.csv").write_text(CSV)
    first, second = read_runs(tmp_path)
    assert isinstance(first, FileUnreadable) and first.place == "row 2"
    assert isinstance(second, ImportedRun)


def test_of_the_checkpoints_of_a_training_only_the_last_is_read(tmp_path: Path) -> None:
    state(tmp_path / "bert" / "checkpoint-500" / "trainer_state.json", 3.0)
    state(tmp_path / "bert" / "checkpoint-1000" / "trainer_state.json", 3.0, 2.0)
    before = runs(tmp_path)["bert"]
    assert len(before.points) == 2
    state(tmp_path / "bert" / "trainer_state.json", 3.0, 2.0, 1.0)
    after = runs(tmp_path)["bert"]
    assert len(after.points) == 3
    assert run_id_of(before) == run_id_of(after)


def test_keras_folders_are_one_run(tmp_path: Path, formats) -> None:
    formats.events(tmp_path / "logs" / "train", "epoch_loss", [2, 1])
    formats.events(tmp_path / "logs" / "validation", "epoch_loss", [3, 2])
    run = runs(tmp_path)["logs"]
    assert run.keys == ("train/loss", "validation/loss")
    assert [str(role) for role in run.mapped()] == ["train", "val"]
    assert run.points.time_ms.tolist() == [1_000_000_000_000 + 1000 * (i // 2) for i in range(4)]


def test_curves_of_add_scalars_are_series_of_their_run(tmp_path: Path, formats) -> None:
    formats.events(tmp_path / "x", "accuracy", [0.1])
    for split in ("train", "val"):
        formats.events(tmp_path / "x" / f"loss_{split}", "loss", [2, 1])
    formats.events(tmp_path / "x" / "other", "loss", [5])
    found = runs(tmp_path)
    assert found["x"].keys == ("accuracy", "loss/train", "loss/val")
    assert found["x/other"].keys == ("loss",)


def test_a_broken_event_file_is_noted_beside_a_good_one(tmp_path: Path, formats) -> None:
    formats.events(tmp_path, "loss", [2, 1])
    (tmp_path / "events.out.tfevents.2.host").write_bytes(b"step,loss\n0,1.0\n" * 4)
    (run,) = runs(tmp_path).values()
    assert len(run.points) == 2
    assert [(s.place, s.broken) for s in run.skipped] == [("events.out.tfevents.2.host", True)]


def test_event_files_without_scalars_are_no_training(tmp_path: Path, formats) -> None:
    formats.events(tmp_path, "loss", [])
    (found,) = read_runs(tmp_path)
    assert isinstance(found, NotTraining)


def test_a_folder_with_nothing_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert sources(tmp_path) == []
    (problem,) = read_runs(tmp_path / "none.csv")
    assert isinstance(problem, FileUnreadable) and "no such file" in str(problem)


def test_the_one_run_of_a_folder_is_judged(tmp_path: Path, formats) -> None:
    formats.events(tmp_path / "logs" / "train", "epoch_loss", [2, 1])
    formats.events(tmp_path / "logs" / "validation", "epoch_loss", [3, 2])
    curves = read_curves(tmp_path)
    assert curves.train.tolist() == [[0, 2], [1, 1]]
    assert curves.val is not None and curves.val.tolist() == [[0, 3], [1, 2]]
    (tmp_path / "more.csv").write_text(CSV)
    with pytest.raises(FileUnreadable, match=r"several runs, such as .* and .*; name one"):
        read_curves(tmp_path)


def test_an_offline_wandb_run_is_judged(tmp_path: Path, formats) -> None:
    path = formats.wandb(tmp_path / "run-a.wandb", [formats.history(i, loss=str(3 - i), acc="1") for i in range(3)])
    curves = read_curves(path)
    assert curves.train.tolist() == [[0, 3], [1, 2], [2, 1]]
    assert curves.columns[Role.GOAL] == "acc"
    with pytest.raises(FileUnreadable, match="no series of losses among: widgets"):
        read_curves(formats.wandb(path, [formats.history(0, widgets="1")]))


def test_what_is_not_a_regular_file_is_left_out_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text("step,loss\n0,1\n1,2\n")
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "endless.jsonl").symlink_to("/dev/zero")
    (tmp_path / "linked.csv").symlink_to("good.csv")
    (tmp_path / "dangling.csv").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket.csv"))
    assert [Path(found.shown).name for found in sources(tmp_path)] == ["good.csv", "linked.csv"]


def test_a_file_whose_name_is_not_text_is_a_run_with_an_id(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/\xff\n.csv", "w") as file:  # noqa: PTH123  # a path is text
        file.write(CSV)
    (run,) = runs(tmp_path).values()
    assert len(run_id_of(run, None)) == 32
