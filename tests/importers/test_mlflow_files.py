"""An MLflow file store that the real MLflow wrote, read without it."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.errors import FileUnreadable
from monitor.importers import read_curves, read_runs
from monitor.importers.imported import ImportedRun, NotTraining
from monitor.roles import NOTHING, Role, said_of

WRITE = """
import sys, mlflow
mlflow.set_tracking_uri("file://" + sys.argv[1])
mlflow.set_experiment("exp: one #2")
with mlflow.start_run(run_name="first"):
    mlflow.log_params({"lr": 0.1, "model": "resnet"})
    mlflow.set_tag("team", "a")
    for step in range(5):
        mlflow.log_metric("train/loss", 1.0 / (step + 1), step=step)
    mlflow.log_metric("train/loss", float("nan"), step=5)
    mlflow.log_dict({"step": [1, 2], "loss": [1, 2]}, "history.json")
try:
    with mlflow.start_run(run_name="second"):
        mlflow.log_metric("val/loss", 2.0, step=3)
        raise KeyError
except KeyError:
    pass
with mlflow.start_run(run_name="gone") as run:
    mlflow.log_metric("x", 2.0, step=3)
mlflow.delete_run(run.info.run_id)
"""


@pytest.fixture(scope="module")
def mlruns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mlruns")
    environment = {**os.environ, "MLFLOW_ALLOW_FILE_STORE": "true", "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-c", WRITE, str(folder)], env=environment, check=True, capture_output=True)
    return folder


def by_name(folder: Path) -> dict[str, ImportedRun]:
    return {found.name: found for found in read_runs(folder) if isinstance(found, ImportedRun)}


def test_every_run_comes_with_all_that_mlflow_knew_of_it(mlruns: Path) -> None:
    found = by_name(mlruns)
    assert set(found) == {"first", "second"}
    first = found["first"]
    assert (first.kind, first.project, first.status) == ("mlflow", "exp: one #2", "finished")
    assert first.config == {"lr": 0.1, "model": "resnet"}
    assert first.tags["team"] == "a"
    assert first.keys == ("train/loss",)
    assert first.points.step.tolist() == [0, 1, 2, 3, 4, 5]
    assert first.points.value.tolist()[:5] == [1.0 / (step + 1) for step in range(5)]
    assert math.isnan(first.points.value[5])
    assert (found["second"].status, found["second"].keys) == ("failed", ("val/loss",))
    assert [f.reason for f in read_runs(mlruns) if isinstance(f, NotTraining)] == ["was deleted in MLflow"]


def test_a_run_among_several_is_named_by_its_folder(mlruns: Path) -> None:
    with pytest.raises(FileUnreadable, match="holds several runs") as caught:
        read_curves(mlruns)
    named = re.search(r"such as (\S+) and", str(caught.value))
    assert named is not None
    assert len(read_curves(named[1]).columns) >= 1


def test_what_is_broken_is_named_with_its_place_and_the_rest_goes_on(mlruns: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", str(mlruns), str(tmp_path / "copy")], check=True)
    (metric,) = (tmp_path / "copy").rglob("metrics/train/loss")
    metric.write_text(metric.read_text().replace(" 0.5 ", " half "))
    (meta,) = [path.parents[2] / "meta.yaml" for path in (tmp_path / "copy").rglob("metrics/val/loss")]
    meta.write_bytes(b"\xff\xfe")
    found = list(read_runs(tmp_path / "copy"))
    (first,) = [run for run in found if isinstance(run, ImportedRun)]
    assert first.points.step.tolist() == [0, 2, 3, 4, 5]
    (skipped,) = first.skipped
    assert (skipped.place, skipped.broken) == ("metrics/train/loss", True)
    assert "line 2 is not a time, value and step" in skipped.reason
    assert [error.path for error in found if isinstance(error, FileUnreadable)] == [str(meta)]


def test_what_a_monitor_has_mirrored_into_a_file_store_is_not_read_back(mlruns: Path, tmp_path: Path) -> None:
    shutil.copytree(mlruns, tmp_path / "mlruns")
    (first,) = [folder for folder in (tmp_path / "mlruns").glob("*/*") if "first" in _text(folder / "meta.yaml")]
    (first / "tags" / "monitor.run_id").write_text("ab" * 16)

    assert set(by_name(tmp_path / "mlruns")) == {"second"}
    reasons = [f.reason for f in read_runs(tmp_path / "mlruns") if isinstance(f, NotTraining)]
    assert f"is the mirror of run {'ab' * 16}; the monitor that wrote it has its history" in reasons


def test_tags_of_a_run_say_what_its_series_are(mlruns: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(mlruns, tmp_path / "said"))
    tags = next(path.parent for path in folder.glob("*/*/tags/team"))
    (tags.parent / "metrics" / "score").write_text("1700000000000 0.5 0\n1700000001000 0.6 1\n")
    (tags / "monitor.val").write_text("train/loss")
    (tags / "monitor.goal").write_text("score:min")
    judged = by_name(folder)["first"].reading()
    assert judged.line() == "validation loss: train/loss (as you said); goal: score (lower is better, as you said)"
    told = read_curves(tags.parent, said_of({"goal": "score:max", "train": "train/loss"}, strict=True)).reading
    assert told.goal_rises and told.judged[Role.TRAIN] == "train/loss", "an option holds before a tag"
    (tags / "monitor.goal").write_text(":min")
    first = by_name(folder)["first"]
    assert first.said == NOTHING
    assert [note.place for note in first.skipped if note.broken] == ["tags"]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
