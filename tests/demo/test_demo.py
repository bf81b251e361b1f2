"""The demo end to end: real server, real dashboard, real training, and a server that is killed in the middle."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import psutil
import pytest

from monitor.demo.show import SHOWN
from monitor.reader.api import Api

pytestmark = pytest.mark.xdist_group("demo")


def start_demo(directory, *options):
    env = {**os.environ, "MONITOR_DIR": str(directory), "PYTHONUNBUFFERED": "1", "COLUMNS": "160"}
    env.pop("MONITOR_SERVER_URL", None)
    return subprocess.Popen(
        [sys.executable, "-m", "monitor", "demo", "--json", *options],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    directory = tmp_path_factory.mktemp("demo")
    child = start_demo(directory, "--exit", "--port", "0", "--dashboard-port", "0")
    out, err = child.communicate(timeout=900)
    assert child.returncode == 0, err
    return json.loads(out), err, directory


def test_each_run_gets_the_verdict_that_its_story_tells(result):
    verdicts = {run["name"]: run["diagnosis"]["verdict"] for run in result[0]["runs"]}
    assert verdicts["overfitting"] == "overfitting"
    assert verdicts["diverging"] == "divergence"
    assert verdicts["oscillating"] == "oscillation"
    assert verdicts["healthy"] in ("healthy", "improving", "convergence")


def test_the_part_that_collapses_is_found_and_its_weights_and_parts_are_stored(result, monkeypatch):
    data, _, directory = result
    run = next(run for run in data["runs"] if run["name"] == "collapsing")
    found = {f["rule"]: f for f in run["diagnosis"]["findings"]}
    assert found["vanishing_part"]["evidence"]["part"] == "kl"
    monkeypatch.setenv("MONITOR_DIR", str(directory))
    monkeypatch.delenv("MONITOR_SERVER_URL", raising=False)
    view = Api().run(run["run_id"])
    assert {s.key: s.count for s in view.series() if str(s.role) == "part"} == {
        "loss/recon": run["steps_done"], "loss/kl": run["steps_done"],
    }  # fmt: skip
    assert [e.data["weights"]["kl"] for e in view.events() if e.kind == "weights"][-1] == pytest.approx(10)


def test_the_overfitting_run_stopped_early_because_it_was_told_to(result):
    run = next(run for run in result[0]["runs"] if run["name"] == "overfitting")
    assert run["steps_done"] < run["steps_planned"]
    assert run["status"] == "stopped"
    assert run["diagnosis"]["recommendation"]["action"] == "stop"


def test_the_healthy_run_was_left_alone(result):
    run = next(run for run in result[0]["runs"] if run["name"] == "healthy")
    assert run["steps_done"] == run["steps_planned"]
    assert run["diagnosis"]["recommendation"]["first_stop_step"] is None


def test_every_logged_point_is_stored(result, monkeypatch):
    data, _, directory = result
    monkeypatch.setenv("MONITOR_DIR", str(directory))
    monkeypatch.delenv("MONITOR_SERVER_URL", raising=False)
    api = Api()
    for run in data["runs"]:
        series = {s.key: s for s in api.run(run["run_id"]).series()}
        for key in ("train/loss", "grad_norm", "lr"):
            assert series[key].count == run["steps_done"]
        scenario = next(s for s in SHOWN if s.name == run["name"])
        evals = len(
            {*range(0, run["steps_done"], scenario.eval_every), *({scenario.steps - 1} & {run["steps_done"] - 1})}
        )
        assert series["val/loss"].count == evals


def test_the_address_of_the_dashboard_is_on_the_screen(result):
    data, err, _ = result
    assert data["urls"]["dashboard"] in err


@pytest.mark.faults
@pytest.mark.slow  # that a killed server loses nothing is tested fast in tests/faults and tests/server
def test_killing_the_server_in_the_middle_loses_no_point_and_the_runs_go_on(tmp_path):
    child = start_demo(tmp_path, "--exit", "--port", "0", "--dashboard-port", "0")
    lines: list[str] = []
    address = threading.Event()

    def listen() -> None:
        for line in child.stderr:
            lines.append(line)
            if "Dashboard" in line:
                address.set()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    assert address.wait(90), "".join(lines)
    pid = server_pid(child.pid)
    wait_for_points(tmp_path, 500)
    os.kill(pid, signal.SIGKILL)
    out = child.stdout.read()
    assert child.wait(timeout=900) == 0, "".join(lines)
    listener.join(timeout=10)
    child.stdout.close()
    child.stderr.close()
    assert any("the server is gone" in line for line in lines)
    data = json.loads(out)
    assert {run["status"] for run in data["runs"]} <= {"finished", "stopped"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MONITOR_DIR", str(tmp_path))
        patch.delenv("MONITOR_SERVER_URL", raising=False)
        for run in data["runs"]:
            history = Api().run(run["run_id"]).history("train/loss")
            assert history.steps.tolist() == list(range(run["steps_done"]))


@pytest.mark.slow
def test_a_demo_that_is_ended_leaves_no_process_behind(tmp_path):
    child = start_demo(tmp_path, "--port", "0", "--dashboard-port", "0")
    with child:
        for line in child.stderr:
            if "Dashboard" in line:
                break
        server = psutil.Process(server_pid(child.pid))
        family = [server, *server.children(recursive=True)]
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=180)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive


def server_pid(demo: int) -> int:
    """The process that serves the API: below the demo's guard, found by its command line."""
    listing = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [(int(pid), int(up), args) for pid, up, args in re.findall(r"^\s*(\d+)\s+(\d+)\s+(.*)$", listing, re.M)]
    guards = {pid for pid, parent, _ in rows if parent == demo}
    found = [pid for pid, parent, args in rows if parent in guards and " up " in args]
    assert len(found) == 1, listing
    return found[0]


def wait_for_points(directory, wanted: int) -> None:
    """Until the store of the demo holds that many training points."""
    end = time.monotonic() + 60
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MONITOR_DIR", str(directory))
        patch.delenv("MONITOR_SERVER_URL", raising=False)
        while time.monotonic() < end:
            runs = Api().runs()
            if sum(s.count for run in runs for s in run.series() if s.key == "train/loss") >= wanted:
                return
            time.sleep(0.05)
    raise AssertionError("no points arrived")


def test_up_refuses_a_taken_port_with_a_line_that_names_the_setting(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "monitor", "up", "--no-dashboard", "--port", str(port)],
            env={**os.environ, "MONITOR_DIR": str(tmp_path)}, capture_output=True, text=True, timeout=180,
        )  # fmt: skip
    assert done.returncode == 2
    assert str(port) in done.stderr
    assert "port" in done.stderr
