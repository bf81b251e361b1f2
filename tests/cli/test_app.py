"""The command line as a whole."""

import json
import subprocess
import sys

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from monitor import __version__
from monitor.cli import app


def _all(group, path=()):
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _all(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(_all(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_says_what_each_command_and_each_option_does(path):
    command = COMMANDS[path]
    assert command.help
    for param in command.params:
        assert getattr(param, "help", None), f"{' '.join(path)} {param.name} has no help"
    assert CliRunner().invoke(app, [*path, "--help"]).exit_code == 0


def test_version_as_text_and_as_json():
    assert __version__ in CliRunner().invoke(app, ["version"]).stdout
    assert json.loads(CliRunner().invoke(app, ["version", "--json"]).stdout)["version"] == __version__


def test_python_dash_m_is_the_same_command():
    done = subprocess.run([sys.executable, "-m", "monitor", "version", "--json"], capture_output=True, text=True)
    assert json.loads(done.stdout)["version"] == __version__


def test_help_loads_no_server_library():
    code = (
        "import sys; sys.argv = ['monitor', '--help']\n"
        "from monitor.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([m for m in ('numpy', 'sqlalchemy', 'fastapi', 'streamlit', 'mlflow', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_a_missing_extra_is_one_line_that_names_it(tmp_path):
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError(\"No module named 'uvicorn'\", name='uvicorn')\n")
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "up", "--port", "0"],
        capture_output=True, text=True, env={"PYTHONPATH": str(tmp_path), "MONITOR_DIR": str(tmp_path / "m")},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip() == 'error: uvicorn is not installed; run: pip install "lossmonitor[server]"'


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("export",), "monitor has no command 'export'; did you mean `monitor runs export`?"),
        (("runs", "list"), "monitor runs has no command 'list'; did you mean `monitor runs ls`?"),
        (("imprt",), "monitor has no command 'imprt'; did you mean `monitor import`?"),
        (("zzz",), "monitor has no command 'zzz'; see `monitor --help`"),
        (("runs", "export", "x"), "missing option '--to'; see `monitor runs export --help`"),
        (("alerts", "ack"), "missing argument 'ALERT'; see `monitor alerts ack --help`"),
        (("runs", "ls", "--limit", "x"), "invalid value for '--limit': input should be a valid integer"),
        (("gc", "--dryrun"), "no such option: --dryrun"),
    ],
)
def test_a_wrong_command_line_is_one_line_that_names_what_was_meant(called, args, said):
    done = called(*args)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert said in done.err


def test_a_group_alone_prints_its_help(called):
    done = called("runs")
    assert done.status == 2
    assert "List, show and manage runs" in done.out + done.err


@pytest.mark.parametrize("verb", [("alerts", "ls"), ("alerts", "silence", "--for", "1h", "--reason", "x")])
def test_a_misspelt_rule_of_an_alert_is_refused_and_a_glob_is_not(called, verb):
    assert called(*verb, "--rule", "nann").err == "error: no rule is called 'nann'; did you mean 'nan'?\n"
    assert "did you mean 'critical'?" in called(*verb, "--severity", "critcal").err
    assert called(*verb, "--rule", "div*").status == 0
    assert called(*verb, "--rule", "my_own_rule").status == 0
