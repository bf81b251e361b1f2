"""`monitor runs` over the embedded store, filled by the SDK."""

import json

import pytest
from typer.testing import CliRunner

import monitor
from monitor.cli import app
from monitor.domain import SET_ASIDE
from monitor.errors import RunNotFound
from monitor.screen import out


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("MONITOR_DIR", str(tmp_path))
    monkeypatch.delenv("MONITOR_SERVER_URL", raising=False)
    with monitor.init("vision", name="baseline", config={"lr": 0.1}, tags={"team": "a"}) as run:
        for step in range(100):
            run.log({"train/loss": 2 / (1 + step), "accuracy": step / 100}, step=step)
            if step % 10 == 0:
                run.log({"val/loss": 2.5 / (1 + step)}, step=step)
    return run


def call(*args: str) -> str:
    result = CliRunner().invoke(app, args, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_ls_lists_the_run_with_status_and_verdict(run):
    out = call("runs", "ls")
    assert run.id[:8] in out
    assert "baseline" in out
    assert "finished" in out


@pytest.mark.parametrize("width", [80, 120])
def test_a_long_name_is_cut_and_nothing_else_is(run, monkeypatch, width):
    with monitor.init("vision", name="long-" * 40) as long:
        long.log({"train/loss": 1.0}, step=0)
    monkeypatch.setattr(out, "width", width)
    lines = call("runs", "ls").splitlines()
    assert max(len(line) for line in lines) <= width
    told = next(line for line in lines if line.startswith(long.id[:8]))
    assert "vision/long-" in told
    assert told.count("…") == 1
    assert "finished  too_early" in told
    assert "vision/baseline" in next(line for line in lines if line.startswith(run.id[:8]))


def test_ls_json_holds_whole_runs(run):
    data = json.loads(call("runs", "ls", "--json"))
    assert data["total"] == 1
    assert data["runs"][0]["id"] == run.id
    assert data["runs"][0]["config"] == {"lr": 0.1}


def test_ls_filters(run):
    assert json.loads(call("runs", "ls", "--project", "other", "--json"))["total"] == 0
    assert json.loads(call("runs", "ls", "--status", "finished", "--json"))["total"] == 1
    assert "No run matches" in call("runs", "ls", "--search", "nothing-like-this")


@pytest.mark.parametrize("ref", ["id", "prefix", "name"])
def test_show_finds_the_run_by_id_prefix_and_name(run, ref):
    shown = call("runs", "show", {"id": run.id, "prefix": run.id[:8], "name": "baseline"}[ref])
    assert "vision/baseline" in shown
    assert "train/loss" in shown


def test_show_json_lists_each_series(run):
    data = json.loads(call("runs", "show", run.id, "--json"))
    series = {s["key"]: s for s in data["series"]}
    assert series["train/loss"]["count"] == 100
    assert series["train/loss"]["last_step"] == 99
    assert series["val/loss"]["count"] == 10
    assert series["accuracy"]["role"] == "goal"
    assert data["diagnosis"]["schema"] == 1


def test_show_says_in_words_what_did_not_arrive_as_it_was_logged(run, monkeypatch):
    monkeypatch.setenv("MONITOR_JOURNAL_QUOTA_MB", "1")
    with monitor.init("vision", name="odd", mode="offline") as odd:
        odd.log({"train/loss": 1.0, "note": "text", "big": 10**400, "nul\0name": 1.0}, step=1)
        odd.log({"train/loss": 1.0}, step=0)
        for step in range(40_000):
            odd.log({"train/loss": 1.0}, step=step)
        odd.finish("oops")
    CliRunner().invoke(app, ["sync"], catch_exceptions=False)
    info = json.loads(call("runs", "show", "odd", "--json"))
    assert set(info["warnings"]) == {"late", "dropped", "converted", "renamed", "quota", "status"}
    shown = call("runs", "show", "odd")
    for name, count in info["warnings"].items():
        assert f"{name}: {count:,} {SET_ASIDE[name]}" in shown
    assert sum(s["count"] for s in info["series"] if s["key"] == "train/loss") + info["warnings"]["quota"] == 40_002


def test_show_of_a_run_that_is_not_there_names_the_fix(run):
    result = CliRunner().invoke(app, ["runs", "show", "deadbeef"])
    assert isinstance(result.exception, RunNotFound)
    assert "monitor runs ls" in str(result.exception)


@pytest.mark.parametrize(
    ("option", "value", "near"),
    [("--status", "runing", "running"), ("--verdict", "overfiting", "overfitting"), ("--project", "visoin", "vision"),
     ("--status", "zzz", "known: running")],
)  # fmt: skip
def test_a_filter_that_names_nothing_says_the_nearest_that_there_is(run, option, value, near) -> None:
    result = CliRunner().invoke(app, ["runs", "ls", option, value])
    assert result.exit_code == 2 and near in " ".join(result.output.split())
    assert "No run matches" in call("runs", "ls", "--project", "vision", "--status", "failed")


def test_runs_of_one_name_are_told_apart_by_their_ids(run) -> None:
    with monitor.init("audio", name="baseline") as other:
        other.log({"loss": 1.0}, step=0)
    with pytest.raises(RunNotFound, match=f"{other.id[:8]} in audio"):
        call("runs", "show", "baseline")
    assert run.id in call("runs", "show", "vision/baseline")
