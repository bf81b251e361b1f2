"""One training that wrote its losses twice into a folder is one run."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from monitor.errors import FileUnreadable
from monitor.importers import ImportedRun, NotTraining, read_curves, read_runs

from ..rights import without_rights

TRAIN = [2 * math.exp(-i / 8) + 0.1 for i in range(40)]
VAL = [1 + 0.6 * math.exp(-i / 4) + max(0.0, 0.03 * (i - 10)) for i in range(40)]


def csv(path: Path, train: list[float], val: list[float], digits: int = 17) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{i},{t:.{digits}g},{v:.{digits}g},0.1" for i, (t, v) in enumerate(zip(train, val, strict=True))]
    path.write_text("\n".join(["epoch,train/loss,val/loss,lr", *rows]) + "\n")
    return path


def runs(folder: Path) -> list[str]:
    return [found.source for found in read_runs(folder) if isinstance(found, ImportedRun)]


@pytest.mark.parametrize("digits", [5, 17])
def test_an_event_file_and_a_table_beside_it_are_one_run(tmp_path: Path, formats, digits: int) -> None:
    exp = tmp_path / "exp"
    formats.events(exp, "train/loss", TRAIN)
    formats.events(exp, "val/loss", VAL)
    formats.events(exp / "1700000000.1234567", "hparam/val_loss", [1.0])
    csv(exp / "results.csv", TRAIN, VAL, digits)
    run, again = read_runs(tmp_path)
    assert isinstance(run, ImportedRun)
    assert run.keys == ("train/loss", "val/loss", "hparam/val_loss")
    assert isinstance(again, NotTraining)
    assert again.reason == f"is the training that {exp} holds, which is read"
    assert len(read_curves(tmp_path).train) == 40


def test_two_files_of_which_one_ends_earlier_or_differs_are_two_runs(tmp_path: Path) -> None:
    csv(tmp_path / "a.csv", TRAIN, VAL)
    csv(tmp_path / "b.csv", TRAIN[:30], VAL[:30])
    csv(tmp_path / "c.csv", TRAIN, [*VAL[:-1], 3.0])
    assert len(runs(tmp_path)) == 3


def test_the_same_losses_in_another_folder_are_another_run(tmp_path: Path) -> None:
    for seed in "ab":
        csv(tmp_path / seed / "log.csv", TRAIN, VAL)
    assert len(runs(tmp_path)) == 2


def test_flat_or_few_losses_are_not_taken_for_the_same(tmp_path: Path) -> None:
    for name in "ab":
        csv(tmp_path / f"{name}.csv", [1.0] * 40, [1.0] * 40)
        csv(tmp_path / f"few-{name}.csv", TRAIN[:4], VAL[:4])
    assert len(runs(tmp_path)) == 4


def test_a_folder_that_may_not_be_searched_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    csv(tmp_path / "log.csv", TRAIN, VAL)
    csv(tmp_path / "closed" / "log.csv", TRAIN, VAL)
    assert len(runs(tmp_path)) == 2  # loads what reading needs, which another user may not
    (tmp_path / "closed").chmod(0)
    with without_rights(tmp_path):
        found = list(read_runs(tmp_path))
    (tmp_path / "closed").chmod(0o755)
    assert [str(each) for each in found if isinstance(each, FileUnreadable)] == [
        f"{tmp_path}/closed: permission denied"
    ]
    assert sum(isinstance(each, ImportedRun) for each in found) == 1


def test_an_event_file_of_terms_and_a_table_whose_terms_are_summed_are_one_run(tmp_path: Path, formats) -> None:
    for side, box in (("train", TRAIN), ("val", VAL)):
        formats.events(tmp_path, f"{side}/box_loss", box)
        formats.events(tmp_path, f"{side}/cls_loss", [2 * value for value in box])
    rows = [f"{i},{t:.5g},{2 * t:.5g},{v:.5g},{2 * v:.5g}" for i, (t, v) in enumerate(zip(TRAIN, VAL, strict=True))]
    header = "epoch,train/box_loss,train/cls_loss,val/box_loss,val/cls_loss"
    (tmp_path / "results.csv").write_text("\n".join([header, *rows]) + "\n")
    assert len(runs(tmp_path)) == 1
