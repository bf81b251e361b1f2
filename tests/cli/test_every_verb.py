"""What holds for every verb: hostile text, paths that cannot be used, a server in the settings, an empty machine."""

from __future__ import annotations

import json
import re
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

import monitor
from monitor._resources import ROOT
from monitor.cli import app
from monitor.cli.asking import FAILED
from monitor.domain import alert_id, inert
from monitor.settings import load

from ..rights import without_rights
from .conftest import Call, Called
from .test_imports import serving

HOSTILE = "\\[/bold] [red]x[/] :bomb: \x1b[31m\x1b]0;title\x07\x9b31m\x08\r\u202eevil\u2028\u200b\\"
"""Rich's markup, escape sequences, C1 control codes, a turned reading direction, and a backslash at the end."""
KEEP_RUNNING = {"up", "dashboard", "demo", "mcp"}
PASS_ON = {"run"}
"""Writes what its command writes, byte for byte; `test_running.py` drives it."""


def verbs() -> dict[str, Any]:
    """Every command by its words."""

    def walk(command: Any, words: tuple[str, ...]) -> dict[str, Any]:
        if hasattr(command, "commands"):
            found = [walk(inner, (*words, name)) for name, inner in command.commands.items()]
            return {name: inner for each in found for name, inner in each.items()}
        return {" ".join(words): command}

    return walk(typer.main.get_command(app), ())


CALLS: dict[str, tuple[str, ...]] = {
    "version": (),
    "diagnose": ("{csv}",),
    "import": ("{folder}",),
    "watch": ("{csv}", "--once"),
    "rules ls": ("--rules", "{rules}"),
    "rules test": ("{suite}",),
    "rules backtest": ("--jobs", "1"),
    "rules set": ("spike", "enabled=false", "--project", "{hostile}"),
    "rules history": (),
    "rules reset": ("spike", "--project", "{hostile}"),
    "losses profile": ("{py}:mine",),
    "losses compare": ("mse", "{py}:mine", "--data", "{csv}"),
    "losses check": ("{py}:mine",),
    "losses search": ("{csv}", "--target", "{hostile}"),
    "losses advise": ("--task", "{hostile}"),
    "alerts ls": ("--all",),
    "alerts ack": ("{alert}", "--note", "{hostile}", "--by", "{hostile}"),
    "alerts mark": ("{alert}", "helpful", "--by", "{hostile}"),
    "alerts silence": ("--run", "{hostile}", "--for", "1h", "--reason", "{hostile}", "--by", "{hostile}"),
    "alerts silences": (),
    "alerts unsilence": ("nosuch",),
    "alerts channels": (),
    "alerts test": ("{hostile}",),
    "alerts dead": (),
    "alerts retry": (),
    "runs ls": (),
    "runs show": ("{run}",),
    "runs output": ("{run}",),
    "runs stop": ("{run}", "--reason", "{hostile}", "--who", "{hostile}"),
    "explain": ("{run}",),
    "wait": ("{run}", "--timeout", "1"),
    "attention": (),
    "ledger": (),
    "runs export": ("{run}", "--to", "{out}.csv"),
    "runs rm": ("{run}",),
    "runs deleted": (),
    "runs restore": ("{run}",),
    "projects": (),
    "gc": ("--downsample", "0"),
    "tokens create": ("someone", "--role", "viewer"),
    "tokens ls": (),
    "tokens revoke": ("someone",),
    "audit": (),
    "sync": (),
    "doctor": (),
    "mlflow unpack": (),
    "db upgrade": (),
    "db check": (),
    "db copy": ("sqlite:///{home}/monitor.db", "sqlite:///{out}.db"),
    "db downgrade": ("base",),
}
"""A call of each verb that ends, in an order in which each finds something to do."""


def test_every_verb_is_among_the_calls() -> None:
    assert set(verbs()) == set(CALLS) | KEEP_RUNNING | PASS_ON


@pytest.fixture
def place(tmp_path: Path) -> dict[str, str]:
    """A folder of hostile files with hostile names, for `str.format`."""
    name = HOSTILE.replace("/", "_")
    folder = tmp_path / name
    folder.mkdir()
    columns = f'"{HOSTILE}","loss/{HOSTILE}"'.replace("\r", "").replace("\u2028", "")
    rows = "".join(f"{i},{2 / (i + 1)},{2 / (i + 1)},1,2\n" for i in range(60))
    files = {
        "csv": (".csv", f"step,train_loss,val_loss,{columns}\n{rows}"),
        "json": (".json", json.dumps({HOSTILE: 1}, indent=1)),
        "broken": (".jsonl", '{"' + "\u202e" + '": '),
        "torn": (".torn.jsonl", json.dumps({"step": 1, "loss": 1.0, HOSTILE: [1]}) + '\n{"step'),
        "rules": (".rules.yaml", "rules: {}\n"),
        "suite": (".tests.yaml", json.dumps({"tests": [{"name": HOSTILE, "train": {"values": [1, 2]}}]})),
        "py": (".py", "def mine(p, t):\n    return float(((p - t) ** 2).mean())\n"),
    }
    found = {key: str(folder / f"{name}{ending}") for key, (ending, _) in files.items()}
    for key, (_, text) in files.items():
        Path(found[key]).write_text(text)
    return {
        **found,
        "folder": str(folder),
        "out": str(tmp_path / "out"),
        "home": str(tmp_path / "home"),
        "hostile": HOSTILE,
        "run": "0" * 31 + "1",
        "alert": alert_id("0" * 31 + "1", "failed"),
    }


def log_hostile(run_id: str) -> None:
    """A run that has hostile text in each field that takes text."""
    with monitor.init(
        HOSTILE,
        name=HOSTILE,
        run_id=run_id,
        resume="never",
        tags={HOSTILE: HOSTILE},
        config={HOSTILE: {HOSTILE: [HOSTILE]}},
        group=HOSTILE,
        settings=load(capture=()),
    ) as run:
        for step in range(60):
            run.log({"train/loss": 1 / (step + 1), HOSTILE: 1.0, f"loss/{HOSTILE}": 2.0}, step=step)
        run.checkpoint(1, HOSTILE)
        run.alert(HOSTILE, HOSTILE)
        run.finish("failed", f"{HOSTILE}\n{HOSTILE}")


NO_JSON = {"run", "mcp"}
"""They pass on what a command prints, and speak a protocol."""
BY_WORDS = {"up", "dashboard", "demo", "rules test", "runs show", "runs output", "tokens create", "tokens revoke"}
"""Their JSON is described by words, or ends only with the command."""


def documented_members() -> dict[str, set[str]]:
    """By verb the members of its JSON, as `docs/cli.md` lists them."""
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8").partition("## JSON")[2].partition("## Commands")[0]
    items = [item.partition(": ") for item in re.findall(r"^- (`.*(?:\n  .*)*)", text, re.M)]
    return {verb: set(re.findall(r"`([^`]+)`", members)) for verbs_, _, members in items
            for verb in re.findall(r"`([^`]+)`", verbs_)}  # fmt: skip


def test_every_verb_that_prints_has_json_with_a_documented_schema() -> None:
    has = {verb for verb, command in verbs().items() if "--json" in {o for p in command.params for o in p.opts}}
    assert set(verbs()) - has == NO_JSON
    assert documented_members().keys() == has


def test_every_verb_that_reads_or_changes_runs_works_against_a_server() -> None:
    local = {"up", "demo", "version", "diagnose", "gc", "rules test", "losses profile", "losses compare",
             "losses advise", "losses check", "losses search", "db upgrade", "db downgrade", "db check", "db copy",
             "mlflow unpack"}  # fmt: skip
    has = {verb for verb, command in verbs().items() if "--server" in {o for p in command.params for o in p.opts}}
    assert set(verbs()) - has == local


def test_the_json_of_a_verb_has_the_documented_members(called: Call, place: dict[str, str]) -> None:
    log_hostile(place["run"])
    documented = documented_members()
    for verb, arguments in CALLS.items():
        if verb in NO_JSON | BY_WORDS or verb.startswith("losses"):
            continue
        found = called(*verb.split(), *(word.format(**place) for word in arguments), "--json")
        if found.status != 2:
            assert set(json.loads(found.out)) == documented[verb] - {""}, verb


def expected_lines(called: Called) -> None:
    """Nothing of what was printed commands a terminal."""
    for text in (called.out, called.err):
        shown = text.replace("\x1b[?25h", "").replace("\x1b[?25l", "")  # the cursor, which Rich hides while a bar moves
        assert inert(shown, lines=True) == shown.replace("\r\n", "\n"), repr(text)


@pytest.mark.parametrize(
    "as_json", [pytest.param(False, id="text"), pytest.param(True, id="json", marks=pytest.mark.slow)]
)
def test_hostile_text_is_inert_in_every_verb(called: Call, place: dict[str, str], as_json: bool) -> None:
    log_hostile(place["run"])
    for verb, arguments in CALLS.items():
        words = [*verb.split(), *(word.format(**place) for word in arguments), *(["--json"] if as_json else [])]
        found = called(*words)
        assert found.status in (0, 1, 2, FAILED), (words, found)
        assert "Traceback" not in found.err
        expected_lines(found)
        if as_json and found.status == 0:
            json.loads(found.out)


def test_a_hostile_run_is_shown_as_it_is_called(called: Call, place: dict[str, str]) -> None:
    log_hostile(place["run"])
    for words in (["runs", "show", place["run"]], ["projects"]):
        assert inert(HOSTILE) in called(*words).out.replace("\n", "")
    assert inert(HOSTILE)[:15] in called("runs", "ls").out


@pytest.mark.slow
def test_nothing_is_made_where_a_server_keeps_the_runs(
    called: Call, place: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MONITOR_SERVER_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        for verb, arguments in CALLS.items():
            found = called(*verb.split(), *(word.format(**place) for word in arguments))
            assert not Path(place["home"], "monitor.db").exists(), verb
            asks = ["runs", "projects", "gc", "db", "import", "alerts", "wait", "explain", "attention", "ledger"]
            if verb.split()[0] in asks:
                assert found.status == 2, verb
                assert len(found.err.strip().splitlines()) == 1, found.err


MAKE = {
    "import",
    "watch",
    "alerts silence",
    "tokens create",
    "db upgrade",
    "diagnose",
    "rules test",
    "rules set",
    "rules reset",
}
"""Verbs that may make a store, and those that read files."""


def test_reading_makes_nothing_on_an_empty_machine(called: Call, place: dict[str, str]) -> None:
    for verb, arguments in CALLS.items():
        if verb not in MAKE and not verb.startswith("losses"):
            for more in ([], ["--json"]):
                found = called(*verb.split(), *(word.format(**place) for word in arguments), *more)
                assert found.status in (0, 2, 124), (verb, found)  # 124: nothing came in the time of `wait`
                assert not Path(place["home"], "monitor.db").exists(), verb
    assert called("runs", "ls", "--query", "val.best <").status == 2


def test_what_is_asked_of_a_server_is_done_there(
    called: Call, place: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path) as url:
        monkeypatch.setenv("MONITOR_SERVER_URL", url)
        with monitor.init("a/project", name="a/name", settings=load(capture=())) as run:
            for step in range(20):
                run.log({"train/loss": 1 / (step + 1)}, step=step)
        assert json.loads(called("projects", "--json").out)["projects"] == [
            {"name": "a/project", "runs": 1, "keep_days": None, "thin_days": None}
        ]
        to = tmp_path / "points.csv"
        assert called("runs", "export", "a/name", "--to", to).status == 0
        assert len(to.read_text().splitlines()) == 21
        assert json.loads(called("runs", "rm", "a/name", "--json").out) == {"deleted": [run.id]}
        assert json.loads(called("runs", "ls", "--json").out)["total"] == 0
        assert [row["id"] for row in json.loads(called("runs", "deleted", "--json").out)["deleted"]] == [run.id]
        assert called("runs", "rm", "a/name").status == 2
        assert json.loads(called("runs", "restore", "a/name", "--json").out) == {"restored": [run.id]}
        assert "no deleted run 'a/name'" in called("runs", "restore", "a/name").err
        assert json.loads(called("runs", "ls", "--json").out)["total"] == 1
        for words in (["gc"], ["db", "upgrade"], ["db", "check"], ["db", "downgrade", "base"]):
            assert f"{url} keeps the runs" in called(*words).err
    assert not (tmp_path / "home" / "monitor.db").exists()


def bad_paths(tmp_path: Path) -> dict[str, str]:
    """Paths that nothing can be read from or written to."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    return {
        "missing": str(tmp_path / "nowhere" / "x.csv"),
        "below a file": str(tmp_path / "file" / "x.csv"),
        "folder": str(tmp_path),
        "too long": str(tmp_path / ("n" * 300 + ".csv")),
        "loop": str(tmp_path / "loop"),
        "no device": "/proc/self/mem" if sys.platform == "linux" else str(tmp_path),
        "empty": "",
        "not text": "\udcff\udcfe.csv",
        "read-only": "/proc/version.csv",
    }


PATHS = {
    "diagnose": ("{path}",),
    "import": ("{path}",),
    "rules ls": ("--rules", "{path}"),
    "rules test": ("{path}",),
    "rules backtest": ("--files", "{path}"),
    "losses profile": ("{path}:mine",),
    "losses compare": ("mse", "{path}:mine"),
    "losses search": ("{path}", "--target", "y"),
    "runs export": ("baseline", "--to", "{path}"),
    "sync": ("{path}",),
    "doctor": ("{path}",),
    "db check": ("--url", "sqlite:///{path}"),
    "db copy": ("sqlite:///{path}", "sqlite:///{path}2"),
    "runs ls": (),
}
"""A call of each verb that takes a path; `runs ls` takes the folder of the store."""


@pytest.mark.parametrize("verb", PATHS)
def test_a_path_that_cannot_be_used_is_one_line(
    called: Call, tmp_path: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monitor.init("p", name="baseline", settings=load(capture=())) as run:
        run.log({"train/loss": 1.0}, step=0)
    monkeypatch.chdir(tmp_path)
    for kind, path in bad_paths(tmp_path).items():
        if verb == "runs ls":
            monkeypatch.setenv("MONITOR_DIR", path)
        found = called(*verb.split(), *(word.format(path=path) for word in PATHS[verb]))
        can_be = verb in ("sync", "doctor", "runs ls") or kind in ("folder", "not text")
        assert found.status in ((0, 1, 2) if can_be else (2,)), (kind, found)
        assert "Traceback" not in found.err, kind
        lines = [line for line in found.err.splitlines() if line.startswith("error:")]
        assert len(lines) <= 1, (kind, found.err)
        expected_lines(found)


def test_a_key_that_no_run_has_leaves_the_file_alone(called: Call, tmp_path: Path) -> None:
    with monitor.init("p", name="baseline", settings=load(capture=())) as run:
        run.log({"train/loss": 1.0}, step=0)
    to = tmp_path / "points.csv"
    to.write_text("kept")
    found = called("runs", "export", "baseline", "--to", to, "--key", "loss")
    assert found.status == 2
    assert "has no series 'loss'; it has train/loss" in found.err
    assert to.read_text() == "kept"
    assert [path.name for path in tmp_path.glob("points*")] == ["points.csv"]


def test_the_version_is_printed_alone(called: Call) -> None:
    assert called("--version") == Called(0, f"lossmonitor {monitor.__version__}\n", "")


def test_a_store_that_may_not_be_written_to_is_refused_with_what_to_do(called: Call, tmp_path: Path) -> None:
    with monitor.init("p", name="baseline", settings=load(capture=())) as run:
        run.log({"train/loss": 1.0}, step=0)
    assert called("runs", "ls").status == 0  # loads what reading needs, which another user may not
    home = tmp_path / "home"
    for path in (home, *home.iterdir()):
        path.chmod(0o555 if path.is_dir() else 0o444)
    with without_rights(tmp_path):
        found = called("runs", "ls")
    home.chmod(0o755)
    assert found.status == 2
    assert "copy its folder and set MONITOR_DIR to the copy" in found.err
    assert len(found.err.splitlines()) == 1
