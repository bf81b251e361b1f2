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
    assert "'not_there', named for the goal, does not exist" in found.stderr.replace("\n", " ")


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


def _csv(path: Path, names: list[str], rows: list[list[float]]) -> None:
    path.write_text("\n".join([",".join(names), *(",".join(map(str, row)) for row in rows)]) + "\n")


def _jsonl(path: Path, names: list[str], rows: list[list[float]]) -> None:
    path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows))


def _long(path: Path, names: list[str], rows: list[list[float]]) -> None:
    """A row for each point, one metric after the other; the first two columns place it."""
    lines = [f"{row[0]},{row[1]},{names[i]},{row[i]}" for i in range(2, len(names)) for row in rows]
    path.write_text("\n".join([f"{names[0]},{names[1]},metric,value", *lines]) + "\n")


WRITERS = pytest.mark.parametrize(
    ("write", "suffix"), [(_csv, ".csv"), (_jsonl, ".jsonl"), (_long, ".csv")], ids=["csv", "jsonl", "name and value"]
)


@WRITERS
@pytest.mark.parametrize("command", ["diagnose", "import"])
def test_the_columns_of_steps_and_epochs_are_those_that_the_user_names(tmp_path, command, write, suffix):
    """`tick` begins again in each of three passes, and no name says so."""
    path = tmp_path / f"own{suffix}"
    rows = [[i % 20, 1 + i // 20, FALLING[i], RISING[i]] for i in range(N)]
    write(path, ["tick", "pass", "train_loss", "val_loss"], rows)
    found = call(command, path, "--step", "tick", "--epoch", "pass", "--json")
    if command == "diagnose":
        assert "steps: 'pass' x 20 + 'tick'" in found.stderr
        assert json.loads(found.stdout)["counts"]["unmapped"] == []
        return
    (run,) = json.loads(found.stdout)["runs"]
    assert (run["steps"], run["attempts"], run["unmapped"]) == ("'pass' x 20 + 'tick'", 1, [])
    assert json.loads(call("runs", "show", "own", "--json").stdout)["last_step"] == 59


@WRITERS
@pytest.mark.parametrize("option", ["--step", "--epoch"])
def test_a_column_of_steps_that_is_not_there_is_refused_with_the_nearest(tmp_path, write, suffix, option):
    path = tmp_path / f"own{suffix}"
    write(path, ["tick", "pass", "train_loss"], [[i, 1, FALLING[i]] for i in range(N)])
    for command in ("diagnose", "import"):
        with pytest.raises(
            SettingsError, match=f"{option} tikc: no such column; did you mean 'tick'. there are: tick, pass"
        ):
            call(command, path, option, "tikc")


def test_the_user_chooses_among_columns_that_count(tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    _csv(path, ["step", "tokens", "loss"], [[i, 1000 * i, FALLING[i]] for i in range(N)])
    assert "steps: column 'step'" in call("diagnose", path).stderr
    found = call("diagnose", path, "--step", "tokens")
    assert "steps: column 'tokens'" in found.stderr
    assert "column 'step' counts, too; the steps are column 'tokens'" in found.stderr.replace("\n", " ")


def test_a_column_of_fractions_orders_the_rows_and_one_of_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("done,note,loss\n" + "".join(f"{i / 10},a{i},{FALLING[i]}\n" for i in range(N)))
    assert "the rows, as column 'done' holds fractions" in call("diagnose", path, "--step", "done").stderr
    with pytest.raises(SettingsError, match=r"--step note: is a column without numbers; .*there are: done, loss"):
        call("diagnose", path, "--step", "note")


def test_a_file_of_a_folder_without_the_column_is_passed_over_with_the_reason(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    _csv(folder / "a.csv", ["tick", "loss"], [[2 * i, FALLING[i]] for i in range(N)])
    _csv(folder / "b.csv", ["epoch", "loss"], [[i, RISING[i]] for i in range(N)])
    data = json.loads(call("import", folder, "--step", "tick", "--json").stdout)
    assert [run["steps"] for run in data["runs"]] == ["column 'tick'"]
    assert "--step tick: no such column" in data["ignored"][0]["reason"]
