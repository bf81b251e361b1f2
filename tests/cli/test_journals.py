"""`monitor sync` and `monitor doctor`, as somebody uses them whose runs did not arrive."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
import uvicorn
from typer.testing import CliRunner

import monitor
from monitor.api import create_api
from monitor.cli import app
from monitor.errors import SettingsError
from monitor.ingest.engines import open_engines
from monitor.settings import load
from monitor.store import Store

AWAY = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch):
    monkeypatch.setenv("MONITOR_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("MONITOR_CAPTURE", "false")
    monkeypatch.setenv("MONITOR_FINISH_TIMEOUT_S", "0")
    monkeypatch.setenv("MONITOR_SHIPPER", "thread")
    monkeypatch.delenv("MONITOR_SERVER_URL", raising=False)


@pytest.fixture
def wants_a_token(sqlite_url):
    settings = load(token="secret")
    with Store.open(sqlite_url) as store:
        server = uvicorn.Server(
            uvicorn.Config(create_api(store, open_engines(settings), settings), port=0, log_config=None)
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            thread.join(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        server.should_exit = True
        thread.join()


def call(*args: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, args, catch_exceptions=False)
    assert result.exit_code == status, result.output
    return result.stdout


def log(name: str, points: int = 10, **options) -> None:
    with monitor.init("vision", name=name, **options) as run:
        for step in range(points):
            run.log({"train/loss": 1.0}, step=step)


def test_where_nothing_was_logged_the_doctor_makes_nothing(tmp_path):
    out = call("doctor", str(tmp_path / "typo"))
    assert "not created yet; the first run creates it" in out
    assert "nothing is unsent" in out
    assert f"nothing is left to send in {tmp_path / 'typo' / 'journal'}" in call("sync", str(tmp_path / "typo"))
    assert not (tmp_path / "typo").exists()


def test_a_folder_that_is_a_file_is_refused_in_a_line(tmp_path):
    (tmp_path / "file").write_text("x")
    assert "is not a folder and cannot be created" in call("doctor", str(tmp_path / "file"), status=1)
    with pytest.raises(SettingsError, match="MONITOR_DIR"):
        monitor.Api(settings=load(dir=tmp_path / "file")).runs()


def test_an_offline_run_is_told_and_sent():
    log("away", mode="offline")
    out = call("doctor")
    assert "10 points unsent in 1 journal\n" in out
    assert "10 points unsent; it was logged offline" in out
    assert "sent 10 points of 1 journal\n" in call("sync")
    assert "nothing is unsent" in call("doctor")


def test_each_place_that_something_is_for_is_asked():
    log("here", mode="offline")
    log("there", server=AWAY)
    out = call("doctor", status=1)
    first, second = (line for line in out.splitlines() if line.startswith("receiver"))
    assert "monitor.db: not created yet" in first
    assert f"{AWAY}: no monitor server answers" in second
    assert "unsent for the embedded store; it was logged offline" in out
    assert f"unsent for {AWAY}; " in out
    data = json.loads(call("doctor", "--json", status=1))
    assert [r["problem"] is None for r in data["receivers"]] == [True, False]
    assert {j["run"]: j["offline"] for j in data["journals"]} == {"here": True, "there": False}

    assert "left vision/there" in call("sync", status=1)
    assert "the last try failed: no monitor server answers" in call("doctor", status=1)
    assert call("sync", status=1).startswith("nothing was sent")


@pytest.mark.parametrize("address", ["localhost:8470", "http://127.0.0.1:99999", "ftp://x", "http://h:port"])
def test_an_address_that_is_none_is_refused_and_no_journal_blamed(address):
    log("r", mode="offline")
    with pytest.raises(SettingsError, match="is not an address"):
        call("sync", "--server", address)
    assert "it was logged offline" in call("doctor")


def test_a_server_that_refuses_the_token_does_not_count_as_one_that_answers(wants_a_token, monkeypatch):
    monkeypatch.setenv("MONITOR_TOKEN", "wrong")
    out = call("doctor", "--server", wants_a_token, status=1)
    assert f"{wants_a_token} refused the token; set MONITOR_TOKEN" in " ".join(out.split())
    monkeypatch.setenv("MONITOR_TOKEN", "secret")
    assert "answers" in call("doctor", "--server", wants_a_token)


def test_a_dead_process_is_not_said_to_run_while_another_one_sends_what_it_left(tmp_path):
    script = "import monitor, os; monitor.init('vision', name='r', mode='offline').log({'loss': 1.0}); os._exit(0)"
    subprocess.run([sys.executable, "-c", script], env=os.environ, check=True)
    (folder,) = (tmp_path / "home" / "journal").glob("*/*")
    held = (
        "import sys, time; from pathlib import Path; from monitor.journal.claim import claim\n"
        "assert claim(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", held, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sender:
        assert sender.stdout.readline() == b"held\n"
        out = call("doctor")
        sender.stdin.close()
    assert "its process has ended, and another one is sending the rest" in out
    assert "runs and" not in out
    with monitor.init("vision", name="alive", mode="offline") as run:
        run.log({"loss": 1.0})
        assert f"process {os.getpid()} is running and logs them offline" in call("doctor")


def test_a_killed_run_at_its_quota_is_told(monkeypatch):
    monkeypatch.setenv("MONITOR_JOURNAL_QUOTA_MB", "1")
    script = (
        "import monitor, os\n"
        "run = monitor.init('vision', name='killed', mode='offline')\n"
        "for step in range(40_000): run.log({'train/loss': 1.0}, step=step)\n"
        f"os.kill(os.getpid(), {int(signal.SIGKILL)})"
    )
    assert subprocess.run([sys.executable, "-c", script], env=os.environ, check=False).returncode == -signal.SIGKILL
    assert "it is near its quota of 1 MiB, so points are dropped" in call("doctor")
    (left,) = json.loads(call("sync", "--json"))["sent"]
    info = json.loads(call("runs", "show", "killed", "--json"))
    assert info["series"][0]["count"] == left["points"]
