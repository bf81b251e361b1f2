"""`monitor rules` as a user calls it: over files, and over the embedded store."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import monitor
from monitor._resources import ROOT
from monitor.cli import app, main
from monitor.errors import FileUnreadable, RunNotFound
from monitor.rules import RulesConfig
from monitor.rules.registry import all_rules

SPEC = next(rule.spec for rule in all_rules() if rule.spec.name == "overfitting")
TESTS = """
rules:
  overfitting: {rise: 3e-3}
tests:
  - name: validation turns while training falls
    train: {formula: "2 / (1 + step / 80)", steps: "0..1500/10", noise: 0.02, seed: 1}
    val: {formula: "0.5 + abs(step - 600) / 1000", steps: "0..1500/50"}
    expect:
      verdict: overfitting
      recommendation: {action: stop, best_step: 600}
  - name: a file beside it
    train: {file: losses.csv, column: my score}
    val: {file: losses.csv}
    loss: cross_entropy(classes=10)
    expect: {never: [nan, divergence]}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MONITOR_DIR", str(tmp_path / "home"))
    monkeypatch.delenv("MONITOR_SERVER_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "losses.csv").write_text("step,my score,val_loss\n" + _rows(60, 40))
    return tmp_path


def _rows(n: int, turn: int) -> str:
    return "".join(f"{10 * k},{2 / (1 + k / 8):.4f},{0.5 + abs(k - turn) / 100:.4f}\n" for k in range(n))


def call(*args: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["rules", *map(str, args)], catch_exceptions=False)
    return result.exit_code, result.stdout


def test_ls_shows_what_the_settings_change_and_the_hash(folder):
    (folder / "monitor.toml").write_text(
        '[rules.overfitting]\nrise = 0.03\nseverity = "warning"\npatience = 5\nunit = "evals"\n[rules.spike]\n'
        "enabled = false\n"
    )
    status, out = call("ls", "--json")
    data = json.loads(out)
    rules = {row["rule"]: row for row in data["rules"]}
    assert status == 0
    assert data["hash"] != RulesConfig().hash
    assert rules["overfitting"]["thresholds"]["rise"]["value"] == 0.03
    assert rules["overfitting"]["thresholds"]["rise"]["default"] == SPEC.thresholds["rise"].default
    assert (rules["overfitting"]["severity"], rules["overfitting"]["patience"]) == ("warning", 5)
    assert (rules["spike"]["enabled"], rules["nan"]["enabled"]) == (False, True)
    text = call("ls")[1]
    assert "rise=0.03*" in text and "5 evals*" in text and "warning*" in text and data["hash"] in text
    assert call("ls", "--rules", _file(folder, "rules.yaml", "{}"))[1].count(RulesConfig().hash) == 1


def test_test_passes_with_a_line_a_test(folder):
    status, out = call("test", _file(folder, "t.yaml", TESTS))
    assert status == 0
    assert out.splitlines() == [
        "ok      validation turns while training falls", "ok      a file beside it", "2 passed, 0 failed",
    ]  # fmt: skip


def test_the_example_of_the_docs_passes(folder):
    page = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    example = page.split("## Tests of rules")[1].split("```yaml\n")[1].split("```")[0]
    val = "".join(f"{step},{0.5 + abs(step - 600) / 1000}\n" for step in range(0, 1501, 50))
    (folder / "losses.csv").write_text("step,val_loss\n" + val)
    assert call("test", _file(folder, "t.yaml", example)) == (
        0,
        "ok      validation turns while training falls\n1 passed, 0 failed\n",
    )


def test_test_fails_with_what_was_expected_and_what_came(folder):
    path = _file(folder, "t.yaml", TESTS.replace("best_step: 600", "best_step: [700, 800]"))
    status, out = call("test", path)
    assert status == 1
    assert "FAILED  validation turns" in out
    assert "recommendation.best_step" in out and "expected 700 to 800" in out and "got      600" in out
    status, out = call("test", path, "--json")
    data = json.loads(out)
    assert status == 1
    assert (data["passed"], data["failed"]) == (1, 1)
    assert data["tests"][0]["mismatches"] == [
        {"place": "recommendation.best_step", "expected": "700 to 800", "got": "600"}
    ]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("verdict:", "verdct:", "expect.verdct: is not known; did you mean 'verdict'?"),
        ("rise: 3e-3", "rize: 1", "overfitting.rize: is not a setting of this rule; did you mean 'rise'?"),
        ("losses.csv, column: my score", "lost.csv", "lost.csv: no such file"),
        ("my score", "my scores", "has no column 'my scores'; did you mean 'my score'?"),
        ("verdict: overfitting", "verdict: [", "line 11, column 3"),
        (
            "verdict: overfitting",
            "verdict: nan\n      verdict: nan",
            "line 10, column 7: the key 'verdict' appears twice",
        ),
        ("cross_entropy(classes=10)", "cross_entropi(classes=10)", "cross_entropi"),
        ("overfitting: {rise: 3e-3}", "!!python/object/apply:os.getcwd []", "line 3"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_place_and_exits_with_2(
    folder, monkeypatch, capsys, old, new, says
):
    assert old in TESTS
    path = _file(folder, "t.yaml", TESTS.replace(old, new))
    monkeypatch.setattr(sys, "argv", ["monitor", "rules", "test", str(path)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = " ".join(capsys.readouterr().err.split())
    assert ended.value.code == 2
    assert says in said
    assert "t.yaml" in said or "lost.csv" in said or "losses.csv" in said


def test_a_file_that_is_not_there_or_is_no_text_is_named(folder):
    (folder / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    for name in ("none.yaml", "bytes.yaml"):
        with pytest.raises(FileUnreadable, match=name):
            call("test", folder / name)


def _file(folder, name: str, text: str):
    path = folder / name
    path.write_text(text)
    return path


@pytest.fixture
def curves(folder):
    """Ten runs that overfit after the middle, and two that fall to the end."""
    (folder / "runs" / "deep").mkdir(parents=True)
    for k in range(12):
        turn = 80 if k < 10 else 400
        path = folder / "runs" / ("deep" if k % 2 else "") / f"run{k}.csv"
        path.write_text("step,train_loss,val_loss\n" + _rows(200, turn))
    lines = [f"run{k},{'overfitting' if k < 10 else 'healthy lovely'}" for k in range(12)]
    (folder / "labels.csv").write_text("\n".join(["run,label", *lines]) + "\n")
    return folder / "runs"


def backtest(*args: object) -> dict:
    status, out = call("backtest", *args, "--json")
    assert status == 0
    return json.loads(out)


def test_backtest_of_files_reports_rules_and_stops_beside_patience(curves, folder):
    data = backtest("--files", curves, "--labels", folder / "labels.csv", "--jobs", 1)
    side = data["sides"][0]
    over = next(row for row in side["per_rule"] if row["rule"] == "overfitting")
    assert (data["runs"], data["labelled"]) == (12, 12)
    assert (over["fired"], over["firing"], over["precision"], over["recall"]) == (10, 10, 1.0, 1.0)
    assert 0.4 < over["position"] < 0.8
    assert (side["stops"]["stopped"], side["stops"]["missed"], side["stops"]["regret_mean"]) == (10, 0, 0.0)
    assert data["patience_10"]["stopped"] == 10
    assert data["patience_10"]["saved_steps"] == 10 * (1990 - 900)
    assert data["notes"] == ["labels that are not a rule or a verdict: lovely"]


def test_the_answer_is_the_same_on_several_processes(curves):
    assert backtest("--files", curves, "--jobs", 2) == backtest("--files", curves, "--jobs", 1)


def test_against_names_the_runs_that_changed_verdict(curves, folder):
    other = _file(folder, "other.toml", "[rules]\noverfitting = false\n")
    data = backtest("--files", curves, "--against", other, "--jobs", 1)
    assert len(data["sides"]) == 2
    assert data["sides"][0]["hash"] != data["sides"][1]["hash"]
    assert sorted(row["name"] for row in data["changed"]) == sorted(
        str(p) for p in curves.rglob("*.csv") if int(p.stem[3:]) < 10
    )
    assert {row["verdicts"][0] for row in data["changed"]} == {"overfitting"}
    text = call("backtest", "--files", curves, "--against", other, "--jobs", 1)[1]
    assert "10 runs changed verdict, 2 did not" in text
    assert "run3.csv: overfitting → " in text
    assert "10 → 0" in text


def test_a_file_that_cannot_be_read_is_skipped_and_named(curves):
    (curves / "broken.csv").write_text("step,train_loss\n1,abc\n")
    data = backtest("--files", curves, "--jobs", 1)
    assert data["runs"] == 12
    assert [row["problem"] for row in data["skipped"]] == [
        f"{curves / 'broken.csv'}, row 2: column 'train_loss' is not a number: 'abc'"
    ]
    assert "1 could not be read" in call("backtest", "--files", curves, "--jobs", 1)[1]


@pytest.mark.parametrize(
    ("row", "says"), [("run1,healthy", None), ("nobody,healthy", None), ("same,nan", "row 2: 'same' is 2 runs")]
)
def test_a_label_for_another_run_is_named_and_one_for_two_runs_refused(curves, folder, row, says):
    for place in ("", "deep"):
        (curves / place / "same.csv").write_text("step,train_loss,val_loss\n" + _rows(30, 80))
    path = _file(folder, "labels.csv", f"run,label\n{row}\n")
    if says is None:
        data = backtest("--files", curves, "--labels", path, "--jobs", 1)
        assert data["labelled"] == row.startswith("run1")
        assert data["notes"] == ([] if data["labelled"] else ["labelled, but not among the runs: nobody"])
        return
    with pytest.raises(FileUnreadable, match=says):
        call("backtest", "--files", curves, "--labels", path)


@pytest.fixture
def stored(folder):
    """A run that overfits and says so in its tag, and one that is well."""
    runs = []
    for name, turn, tags in (("bad", 80, {"label": "overfitting"}), ("good", 400, {})):
        with monitor.init("vision", name=name, tags=tags) as run:
            for k in range(200):
                run.log({"train/loss": 2 / (1 + k / 8), "val/loss": 0.5 + abs(k - turn) / 100, "n": k}, step=10 * k)
        runs.append(run)
    return runs


def test_backtest_of_stored_runs_says_what_was_said_while_they_ran(stored):
    data = backtest()
    over = next(row for row in data["sides"][0]["per_rule"] if row["rule"] == "overfitting")
    assert (data["runs"], data["labelled"], over["fired"], over["precision"]) == (2, 1, 1, 1.0)
    api = monitor.Api()
    with api:
        live = api.run("bad").diagnosis().recommendation
    stop = data["sides"][0]["stops"]
    assert stop["saved_steps"] == 1990 - live.first_stop_step


def test_backtest_takes_runs_by_name_project_and_query(stored):
    assert backtest("bad")["runs"] == 1
    assert backtest(stored[0].id[:8], stored[0].id, "good", "--jobs", 2)["runs"] == 2
    assert backtest("--project", "vision")["runs"] == 2
    assert backtest("--query", 'tags.label = "overfitting"')["runs"] == 1
    with pytest.raises(RunNotFound):
        call("backtest", "nobody")


def test_a_label_in_a_file_takes_the_place_of_the_tag(stored, folder):
    path = _file(folder, "labels.csv", f"run,label\n{stored[1].id[:8]},healthy\nvision/bad,nan\n")
    data = backtest("--labels", path)
    rows = {row["rule"]: row for row in data["sides"][0]["per_rule"]}
    assert data["labelled"] == 2
    assert (rows["nan"]["recall"], rows["overfitting"]["labelled"]) == (0.0, 0)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--files"], "needs paths"),
        (["--files", "x.csv"], "no such file"),
        (["--files", "empty"], "holds no file of losses"),
        (["--files", "losses.csv", "--project", "p"], "do not give --project"),
        (["a", "--query", "b"], "not both"),
        (["--project", "nobody"], "no run matches"),
        (["--rules", "losses.csv"], "losses.csv"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_status_2(folder, monkeypatch, capsys, args, says):
    (folder / "empty").mkdir()
    monkeypatch.setattr(sys, "argv", ["monitor", "rules", "backtest", *args])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert says in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_processes_start_from_the_command_as_users_call_it(curves, folder):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "monitor", "rules", "backtest", "--files", "runs", "--jobs", "2"],
        cwd=folder, capture_output=True, text=True, timeout=300, env={"PYTHONPATH": str(ROOT), "HOME": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "12 runs" in done.stdout
    assert "10/12" in done.stdout
    assert "Traceback" not in done.stderr
