"""Which column is what, said and read, from the command line to the stored run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from monitor.cli import app
from monitor.errors import NoHistory, SettingsError

N = 60
FALLING = 2 * np.exp(-np.arange(N) / 15)
RISING = FALLING + 0.05 * np.maximum(0, np.arange(N) - 15)
ACCURACY = 0.9 - 0.8 * np.exp(-np.arange(N) / 40)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_DIR", str(tmp_path / "home"))
    monkeypatch.delenv("MONITOR_SERVER_URL", raising=False)


@pytest.fixture
def own_names(tmp_path: Path) -> Path:
    path = tmp_path / "own.csv"
    rows = "".join(f"{i},{FALLING[i]},{RISING[i]},{ACCURACY[i]}\n" for i in range(N))
    path.write_text(f"epoch,fit_a,check_b,quality\n{rows}")
    return path


def call(*args: object) -> Result:
    return CliRunner().invoke(app, [*map(str, args)], catch_exceptions=False)


def test_a_file_of_own_names_is_diagnosed_as_the_user_says(own_names: Path) -> None:
    told = ("--train", "fit_a", "--val", "check_b", "--goal", "quality:max")
    found = call("diagnose", own_names, *told, "--json")
    assert "training loss: fit_a (as you said); validation loss: check_b (as you said)" in found.stderr
    data = json.loads(found.stdout)
    assert data["verdict"] == "overfitting"
    assert data["recommendation"]["goal"] == "quality"


def test_without_a_word_the_error_names_the_columns_and_the_options(own_names: Path) -> None:
    with pytest.raises(NoHistory, match="fit_a, check_b, quality; say which with --train and --val"):
        call("diagnose", own_names)


@pytest.mark.parametrize("command", ["diagnose", "import"])
def test_a_column_that_is_not_there_is_refused_with_the_nearest(own_names: Path, command: str) -> None:
    with pytest.raises(SettingsError, match="did you mean 'check_b'"):
        call(command, own_names, "--val", "check_bb")


def test_what_was_said_is_stored_with_the_run(own_names: Path) -> None:
    assert call("import", own_names, "--train", "fit_a", "--val", "check_b", "--goal", "quality:max").exit_code == 0
    data = json.loads(call("runs", "show", "own", "--json").stdout)
    assert data["roles"] == {"train": "fit_a", "val": "check_b", "goal": "quality:max"}
    assert data["reading"]["line"].startswith("training loss: fit_a (as you said)")
    assert {s["key"]: s["role"] for s in data["series"]} == {"fit_a": "train", "check_b": "val", "quality": "goal"}


def test_the_settings_name_series_where_a_run_has_them(own_names: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_ROLES", '{"train": "fit_a", "val": "check_b", "goal": "not_there:min"}')
    found = call("diagnose", own_names)
    assert "overfitting" in found.stdout
    assert "'not_there', named for the goal, is not there" in found.stderr.replace("\n", " ")


def test_a_run_of_nothing_but_accuracy_is_judged_listed_and_found(tmp_path: Path) -> None:
    path = tmp_path / "only.csv"
    path.write_text("epoch,accuracy\n" + "".join(f"{i},{ACCURACY[i]}\n" for i in range(N)))
    assert "goal: accuracy (higher is better)" in call("import", path).stdout
    shown = call("runs", "show", "only").stdout
    assert "healthy" in shown and "the best accuracy was 0.7" in shown.replace("\n", " ")
    best = json.loads(call("runs", "ls", "--query", "goal > 0.7", "--order", "-goal", "--json").stdout)["runs"]
    assert [(run["name"], run["goal_best_step"]) for run in best] == [("only", N - 1)]
    assert json.loads(call("runs", "ls", "--query", "goal > 0.8", "--json").stdout)["runs"] == []


def test_rows_that_name_their_set_are_series_of_it(tmp_path: Path) -> None:
    path = tmp_path / "phases.csv"
    rows = "".join(f"{i},train,{FALLING[i]}\n{i},Valid,{RISING[i]}\n" for i in range(N))
    path.write_text(f"epoch,phase,loss\n{rows}")
    found = call("diagnose", path)
    assert "training loss: train/loss; validation loss: Valid/loss" in found.stderr
    assert "overfitting" in found.stdout


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (("--goal", ":max"), r"setting --goal: is ':max'"),
        (("--train", "fit_a", "--val", "fit_a"), "train and val: both name 'fit_a'"),
        (("--val", "nothing"), "--val nothing: no such column or series; there are: fit_a"),
    ],
)
def test_an_option_that_cannot_be_meant_is_named_as_it_was_written(
    own_names: Path, told: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        call("diagnose", own_names, *told)
