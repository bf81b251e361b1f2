"""Deleting, exporting, copying: `monitor runs rm|restore|export`, `monitor gc`, `monitor db copy`."""

import json

import pytest
from typer.testing import CliRunner

import monitor
from monitor.cli import app
from monitor.errors import QueryError, RunNotFound


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("MONITOR_DIR", str(tmp_path))
    monkeypatch.delenv("MONITOR_SERVER_URL", raising=False)
    with monitor.init("vision", name="baseline", tags={"team": "a"}) as run:
        for step in range(50):
            run.log({"train/loss": 2 / (1 + step)}, step=step)
    return run


def call(*args: str) -> dict:
    result = CliRunner().invoke(app, [*args, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


def names() -> list[str]:
    return [run["name"] for run in call("runs", "ls")["runs"]]


def test_a_deleted_run_leaves_the_list_and_can_come_back(run):
    assert call("runs", "rm", "baseline")["deleted"] == [run.id]
    assert names() == []
    call("runs", "restore", run.id)
    assert names() == ["baseline"]


def test_deleted_runs_are_listed_and_come_back_by_a_prefix_of_their_id_or_by_name(run):
    with monitor.init("vision", name="other") as other:
        other.log({"train/loss": 1.0})
    assert call("runs", "deleted")["deleted"] == []
    call("runs", "rm", "baseline")
    call("runs", "rm", "other")
    assert [found["name"] for found in call("runs", "deleted")["deleted"]] == ["other", "baseline"]
    shown = CliRunner().invoke(app, ["runs", "deleted"]).stdout
    assert f"{run.id[:8]}  vision/baseline" in shown
    assert "7.0 days" in shown
    assert call("runs", "restore", run.id[:8])["restored"] == [run.id]
    assert call("runs", "restore", "other")["restored"] == [other.id]
    assert "No deleted run can be restored" in CliRunner().invoke(app, ["runs", "deleted"]).stdout


def test_what_was_not_deleted_is_not_restored(run):
    for ref in (run.id, run.id[:8], "baseline", "nothing"):
        with pytest.raises(RunNotFound, match=r"no deleted run .* `monitor runs deleted` lists"):
            call("runs", "restore", ref)


def test_a_name_that_several_deleted_runs_have_is_none_to_restore_by(run):
    with monitor.init("vision", name="baseline") as again:
        again.log({"train/loss": 1.0})
    call("runs", "rm", run.id)
    call("runs", "rm", again.id)
    with pytest.raises(RunNotFound, match="several runs have this name"):
        call("runs", "restore", "baseline")
    assert names() == []


def test_gc_keeps_deleted_runs_for_their_days_and_removes_them_after(run):
    call("runs", "rm", "baseline")
    assert call("gc")["purged"] == []
    assert call("gc", "--keep-deleted", "0")["purged"] == [run.id]


def test_gc_deletes_old_runs_when_asked_to(run):
    assert call("gc", "--older-than", "1")["deleted"] == []
    assert call("gc", "--older-than", "0", "--project", "other")["deleted"] == []
    wrong = CliRunner().invoke(app, ["gc", "--older-than", "0", "--project", "visoin"])
    assert wrong.exit_code == 2 and "no project is called 'visoin'; did you mean 'vision'?" in wrong.output
    assert call("gc", "--older-than", "0")["deleted"] == [run.id]


def test_gc_thins_old_runs_when_asked_to(tmp_path, monkeypatch):
    monkeypatch.setenv("MONITOR_DIR", str(tmp_path))
    with monitor.init("vision", name="long") as run:
        for step in range(2000):
            run.log({"train/loss": 2 / (1 + step)}, step=step)
    assert call("gc")["thinned"] == []
    (done,) = call("gc", "--downsample", "0", "--points", "500")["thinned"]
    assert (done["run_id"], done["of"]) == (run.id, 2000)
    assert done["kept"] < 700
    said = CliRunner().invoke(app, ["runs", "show", "long"]).output
    assert f"downsampled: {done['kept']:,} of 2,000 points kept" in said


def test_export_writes_every_point(run, tmp_path):
    target = tmp_path / "points.csv"
    assert call("runs", "export", "baseline", "--to", str(target))["points"] == 50
    assert len(target.read_text().splitlines()) == 51


def test_copy_fills_another_database_and_is_at_rest_the_second_time(run, tmp_path):
    source, target = f"sqlite:///{tmp_path / 'monitor.db'}", f"sqlite:///{tmp_path / 'other.db'}"
    assert call("db", "copy", source, target)["copied"] == 1
    again = call("db", "copy", source, target)
    assert (again["verified"], again["copied"]) == (1, 0)


def test_a_query_filters_the_list_and_its_errors_point_at_the_character(run):
    assert call("runs", "ls", "--query", 'tags.team = "a" and train.last < 1')["total"] == 1
    assert call("runs", "ls", "--query", 'tags.team = "b"')["total"] == 0
    result = CliRunner().invoke(app, ["runs", "ls", "--query", "status == 3"])
    assert isinstance(result.exception, QueryError)
    assert "^" in str(result.exception)


def test_the_reader_takes_the_same_query(run):
    assert [view.id for view in monitor.Api().runs('name = "baseline"')] == [run.id]
