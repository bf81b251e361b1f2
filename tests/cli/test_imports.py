"""`monitor import` as a user calls it, into the embedded store and into a server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from monitor.cli import app
from monitor.reader.api import Api

ROWS = "".join(f"{i},{2 / (1 + i / 100)},{2.1 / (1 + i / 100) if i % 10 == 0 else ''},0.5\n" for i in range(300))
CSV = f"step,train_loss,val_loss,accuracy\n{ROWS}"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MONITOR_DIR", str(tmp_path / "home"))
    monkeypatch.delenv("MONITOR_SERVER_URL", raising=False)
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "exp"
    (found / "seed1").mkdir(parents=True)
    (found / "seed0.csv").write_text(CSV)
    (found / "seed1" / "history.json").write_text(json.dumps({"loss": [3, 2, 1], "val_loss": [3, 2, 2]}))
    return found


def call(*args: object) -> Result:
    return CliRunner().invoke(app, ["import", *map(str, args)], catch_exceptions=False)


@contextmanager
def serving(tmp_path: Path) -> Iterator[str]:
    import uvicorn

    from monitor.server import create_app
    from monitor.settings import load

    started = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: object = None) -> None:
            await super().startup(sockets=None)
            started.set()

    application = create_app(load(dir=tmp_path / "served"))
    server = Server(uvicorn.Config(application, port=0, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    assert started.wait(60)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def test_a_folder_is_stored_judged_and_summed_up(folder: Path) -> None:
    result = call(folder, "--project", "vision")
    assert result.exit_code == 0
    for words in ("seed0", "train_loss", "val_loss", "accuracy", "stored 2 runs with 636 points"):
        assert words in result.stdout
    with Api() as api:
        runs = {run.name: run for run in api.runs()}
        assert set(runs) == {"seed0", "seed1"}
        info = runs["seed0"].info
        assert (info.project, info.status, info.last_step) == ("vision", "finished", 299)
        counts = runs["seed0"].diagnosis().counts
        assert (counts.train, counts.val) == (300, 30)
        assert {s.key for s in runs["seed0"].series()} == {"train_loss", "val_loss", "accuracy"}
        assert len(runs["seed0"].history("accuracy")) == 300


def test_the_same_again_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = json.loads(call(folder, "--json").stdout)
    with Api() as api:
        before = [run.info for run in api.runs()]
    monkeypatch.chdir(folder)
    again = call(".", "--json")
    assert again.exit_code == 0
    data = json.loads(again.stdout)
    assert [run["run_id"] for run in data["runs"]] == [run["run_id"] for run in first["runs"]]
    assert all(run["known"] and run["stored_points"] == 0 for run in data["runs"])
    with Api() as api:
        after = [run.info for run in api.runs()]
    assert [(r.id, r.version, r.attempt, r.status) for r in after] == [
        (r.id, r.version, r.attempt, r.status) for r in before
    ]
    assert "2 were there already" in call(folder).stdout


def test_what_is_broken_is_named_with_its_place_and_the_rest_goes_on(folder: Path) -> None:
    (folder / "bad.csv").write_text("step,loss\n0,1,2\n1,2,3\n")
    (folder / "cell.csv").write_text("step,loss\n0,1\n1,oops\n")
    result = call(folder)
    assert result.exit_code == 1
    assert "bad.csv, row 2: has 3 cells, the header has 2" in result.stdout
    assert "cell.csv, row 3: column 'loss' is not a number: 'oops'" in result.stdout
    data = json.loads(call(folder, "--json").stdout)
    assert [run["name"] for run in data["runs"]] == ["cell", "seed0", "seed1"]
    assert data["broken"][0]["place"] == "row 2"


def test_where_nothing_can_be_read_the_exit_status_is_2(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("step,loss\n0,1,2\n")
    result = call(tmp_path / "bad.csv", tmp_path / "none.csv")
    assert result.exit_code == 2
    for words in ("row 2", "no such file", "no run could be read"):
        assert words in result.stderr
    assert result.stdout == ""


def test_one_name_for_several_runs_is_refused_and_for_one_it_is_taken(folder: Path) -> None:
    refused = call(folder, "--name", "x")
    assert refused.exit_code == 2 and "--name names one run" in refused.stderr
    assert call(folder / "seed0.csv", "--name", "baseline").exit_code == 0
    with Api() as api:
        assert api.run("baseline").info.project == "imported"


def test_a_run_that_was_deleted_stays_deleted_and_is_named(folder: Path) -> None:
    (run,) = json.loads(call(folder / "seed0.csv", "--json").stdout)["runs"]
    assert CliRunner().invoke(app, ["runs", "rm", run["run_id"]], catch_exceptions=False).exit_code == 0
    result = call(folder)
    assert result.exit_code == 1
    assert "was deleted; `monitor runs restore" in result.stdout


def test_a_server_takes_the_same_runs(folder: Path, tmp_path: Path, home: Path) -> None:
    with serving(tmp_path) as address:
        result = call(folder, "--server", address, "--json")
        assert result.exit_code == 0
        with Api(address) as api:
            assert {run.name: run.info.status for run in api.runs()} == {"seed0": "finished", "seed1": "finished"}
        assert all(run["known"] for run in json.loads(call(folder, "--server", address, "--json").stdout)["runs"])
    assert not (home / "monitor.db").exists()


def test_diagnose_judges_the_one_run_of_a_folder(folder: Path) -> None:
    result = CliRunner().invoke(app, ["diagnose", str(folder / "seed1"), "--json"], catch_exceptions=False)
    assert json.loads(result.stdout)["counts"]["train"] == 3


def test_the_runs_of_one_file_share_the_name_that_is_given(tmp_path: Path) -> None:
    (tmp_path / "seeds.csv").write_text(
        "seed,step,loss\n" + "".join(f"{seed},{i},{2 / (i + 1)}\n" for seed in (1, 2) for i in range(9))
    )
    assert call(tmp_path / "seeds.csv", "--name", "mlp").exit_code == 0
    with Api() as api:
        assert {run.name for run in api.runs()} == {"mlp/seed-1", "mlp/seed-2"}


def test_a_note_that_several_runs_of_a_file_share_is_printed_once(tmp_path: Path) -> None:
    rows = [f"{run},{i},{1 / (i + 1)},word" for run in "abc" for i in range(5)]
    (tmp_path / "runs.csv").write_text("\n".join(["run,step,loss,remark", *rows]))
    assert call(tmp_path / "runs.csv").stdout.count("column 'remark': holds text") == 1


def test_what_counts_the_steps_and_how_often_they_begin_again_is_said_and_kept(tmp_path: Path) -> None:
    rows = "".join(f"{i},{2 / (i + 1)},{3 / (i + 1)}\n" for many in (30, 12, 6) for i in range(many))
    (tmp_path / "log.csv").write_text("epoch,loss,val_loss\n" + rows)
    result = call(tmp_path / "log.csv", "--json")
    (data,) = json.loads(result.stdout)["runs"]
    assert (data["unit"], data["steps"], data["attempts"]) == ("epoch", "column 'epoch'", 3)
    with Api() as api:
        (run,) = api.runs()
        assert run.info.attempt == 3
        assert {series.key: series.last_step for series in run.series()} == {"loss": 5, "val_loss": 5}
        assert run.diagnosis().counts.train == 6
    assert "3 attempts" in " ".join(call(tmp_path / "log.csv").stdout.split())


def test_mlflow_and_a_uri_are_one_source_whose_runs_are_judged(tmp_path: Path) -> None:
    run = tmp_path / "mlruns" / "1" / ("ab" * 16)
    (run / "metrics").mkdir(parents=True)
    (run.parent / "meta.yaml").write_text("experiment_id: '1'\nname: theirs\n")
    (run / "meta.yaml").write_text(f"run_id: {'ab' * 16}\nrun_name: first\nstatus: 3\n")
    (run / "metrics" / "loss").write_text("".join(f"{1_700_000_000_000 + i} nan {i}\n" for i in range(9)))

    first = json.loads(call("mlflow", tmp_path / "mlruns", "--json").stdout)
    again = json.loads(call("mlflow", f"file://{tmp_path}/mlruns", "--json").stdout)

    assert [(run["name"], run["points"], run["verdict"], run["known"]) for run in first["runs"]] == [
        ("first", 9, "nan", False)
    ]
    assert [run["known"] for run in again["runs"]] == [True]
    assert "nan" in call("mlflow", tmp_path / "mlruns").output


def test_mlflow_without_an_address_is_told_what_to_add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "name a server, a database or a folder" in call("mlflow").output
    (tmp_path / "mlflow").mkdir()
    assert "no training found there" in call("mlflow").output


def test_a_password_in_an_address_is_shown_nowhere() -> None:
    result = call("mlflow", "postgresql://me:s3cr:et@127.0.0.1:1/db")

    assert result.exit_code == 2
    assert "s3cr" not in result.output
    assert "me:***@127.0.0.1" in result.output
