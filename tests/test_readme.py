"""The README is run: its Python blocks as they stand, its commands against the real command line."""

import re
import shlex
import subprocess
import sys

import pytest
import typer
from typer.core import TyperGroup

from monitor._resources import ROOT
from monitor.cli import app

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"^```console\n(.*?)^```", TEXT, re.M | re.S)
    for line in block.splitlines()
    if line.startswith("$ ")
]


@pytest.mark.parametrize("code", PYTHON, ids=lambda code: code.splitlines()[2][:40])
def test_a_python_block_runs_as_it_stands(code, tmp_path, monkeypatch):
    monkeypatch.setenv("MONITOR_DIR", str(tmp_path))
    monkeypatch.delenv("MONITOR_SERVER_URL", raising=False)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


def test_the_diagnosis_block_says_that_the_curve_overfits(tmp_path):
    code = next(block for block in PYTHON if "monitor.diagnose" in block)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("overfitting - ")
    assert "stop best step 500" in done.stdout


def test_the_first_commands_are_the_demo_and_the_tests():
    assert COMMANDS[:2] == ["make demo", "make test"]


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_a_make_command_names_a_target(command):
    done = subprocess.run(["make", "-n", *shlex.split(command)[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("monitor ")])
def test_a_monitor_command_exists_with_its_options(command):
    words, command_ = shlex.split(command)[1:], typer.main.get_command(app)
    while isinstance(command_, TyperGroup):
        command_ = command_.commands[words.pop(0)]
    known = {option for param in command_.params for option in param.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_commands_run_on_a_stored_run_and_on_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("MONITOR_DIR", str(tmp_path))
    (tmp_path / "losses.csv").write_text("step,loss\n" + "".join(f"{i},{2 / (1 + i)}\n" for i in range(50)))
    (tmp_path / "train.log").write_text("".join(f"step {i}: loss {2 / (1 + i):.4f}\n" for i in range(50)))
    for command in ("monitor runs ls", "monitor diagnose losses.csv", "monitor diagnose train.log --json"):
        assert command in COMMANDS
        done = subprocess.run(
            [sys.executable, "-m", *shlex.split(command)], cwd=tmp_path, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
