"""`monitor diagnose` as a user calls it."""

import json
import math
import re

import pytest
from typer.testing import CliRunner

from monitor.cli import app, main
from monitor.errors import LossError

KEYS = {"schema", "verdict", "headline", "findings", "recommendation", "counts", "regimes", "progress"}
FINDING_KEYS = {
    "rule", "version", "state", "severity", "onset_step", "fired_step", "resolved_step", "evidence", "explanation",
    "advice",
}  # fmt: skip
RECOMMENDATION_KEYS = {"action", "first_stop_step", "stop_step", "best_step", "best_val_loss", "reason"}


@pytest.fixture
def overfitting_csv(tmp_path):
    rows = ["step,train_loss,val_loss,accuracy"]
    for step in range(0, 2000, 10):
        val = 0.5 + abs(step - 600) / 1000 if step % 50 == 0 else ""
        rows.append(f"{step},{2 / (1 + step / 100)},{val},0.5")
    path = tmp_path / "losses.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def call(*args: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(a) for a in args], catch_exceptions=False)
    return result.exit_code, result.stdout


def test_json_follows_the_contract(overfitting_csv):
    status, out = call("diagnose", overfitting_csv, "--json")
    data = json.loads(out)
    assert status == 0
    assert set(data) == KEYS
    assert data["schema"] == 1
    assert data["verdict"] == "overfitting"
    assert set(data["recommendation"]) >= RECOMMENDATION_KEYS
    for finding in data["findings"]:
        assert set(finding) >= FINDING_KEYS
    assert data["recommendation"]["action"] == "stop"
    assert data["recommendation"]["best_step"] == 600
    assert data["counts"]["train"] == 200
    assert data["counts"]["val"] == 40
    assert data["recommendation"]["goal"] == "accuracy"


def test_text_holds_verdict_evidence_and_recommendation(overfitting_csv):
    status, out = call("diagnose", overfitting_csv)
    assert status == 0
    assert out.startswith("overfitting: ")
    assert "STOP" in out
    assert "the best loss was 0.5 at step 600" in out
    assert "accuracy" in out


def test_text_tells_what_is_over_and_what_patience_would_have_done(tmp_path):
    steps = range(0, 400, 10)
    val = [0.5 + 2 * math.exp(-s / 30) if s < 150 else 0.51 + 0.004 * (s - 150) for s in steps]
    rows = [f"{s},{2 * math.exp(-s / 60)},{v}" for s, v in zip(steps, val, strict=True)]
    told = []
    for n in (18, 40):
        path = tmp_path / "losses.csv"
        path.write_text("\n".join(["step,train_loss,val_loss", *rows[:n]]))
        told.append(call("diagnose", path)[1])
    assert "Patience 10 would not have stopped so far." in told[0]
    assert "Patience 10 would have stopped at step 250 without missing any improvement so far." in told[1]
    assert re.search(r"○ \w+ \(resolved, info; began at \d+, fired at \d+, resolved at \d+\)", told[1])


def test_what_came_and_went_is_folded_unless_all_of_it_is_asked_for(tmp_path):
    path = tmp_path / "spikes.csv"
    values = [(1 + math.exp(-i / 100)) * (4 if i % 400 >= 380 else 1 + 0.001 * (i % 7)) for i in range(6000)]
    rows = [f"{i},{value}" for i, value in enumerate(values)]
    path.write_text("step,train_loss\n" + "\n".join(rows) + "\n")
    findings = json.loads(call("diagnose", path, "--json")[1])["findings"]
    found, folded, every = len(findings), call("diagnose", path)[1], call("diagnose", path, "--all")[1]
    assert found > 5 and f"and {found - 5} more, all resolved" in folded
    assert all(f"\n  {_said(finding)}" in folded for finding in findings if finding["state"] == "firing")
    assert all(f"\n  {_said(finding)}" in every for finding in findings)
    assert "all resolved" not in every


def _said(finding):
    return ("When it fired: " if finding["state"] == "firing" else "") + finding["explanation"]


def test_text_tells_what_is_pending_and_for_how_long_it_has_been(tmp_path):
    losses = [(1.0 if step < 300 else 3.0) * math.exp(-step / 400) for step in range(340)]
    path = tmp_path / "losses.csv"
    path.write_text("\n".join(["step,loss", *(f"{step},{loss}" for step, loss in enumerate(losses))]))
    told = " ".join(call("diagnose", path)[1].split())
    assert re.search(
        r"divergence \(pending\) Divergence is pending since step \d+: it has held for \d of 3 checks", told
    )
    (pending,) = json.loads(call("diagnose", path, "--json")[1])["recommendation"]["pending"]
    assert pending["rule"] == "divergence" and pending["held"] < pending["needed"]


def test_jsonl_gives_the_same_diagnosis_as_csv(overfitting_csv, tmp_path):
    lines = overfitting_csv.read_text().splitlines()
    names = lines[0].split(",")
    path = tmp_path / "losses.jsonl"
    records = [{k: float(v) for k, v in zip(names, line.split(","), strict=True) if v} for line in lines[1:]]
    path.write_text("\n".join(map(json.dumps, records)))
    assert json.loads(call("diagnose", path, "--json")[1]) == json.loads(call("diagnose", overfitting_csv, "--json")[1])


def test_nan_is_named_and_the_json_stays_strict(tmp_path):
    path = tmp_path / "nan.csv"
    path.write_text("step,loss\n" + "".join(f"{i},{math.nan if i > 60 else 1 / (1 + i)}\n" for i in range(80)))
    status, out = call("diagnose", path, "--json")
    data = json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is not strict JSON"))
    assert status == 0
    assert data["verdict"] == "nan"
    assert data["counts"]["non_finite"] == 19


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("step,loss\n1,abc\n", ["bad.csv", "row 2", "abc"]),
        ("a,b\n1,2\n", ["bad.csv", "loss"]),
        ("", ["bad.csv", "empty"]),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_and_exit_status_2(tmp_path, capsys, monkeypatch, content, said):
    path = tmp_path / "bad.csv"
    path.write_text(content)
    monkeypatch.setattr("sys.argv", ["monitor", "diagnose", str(path)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    for words in said:
        assert words in shown


def test_a_file_that_is_not_there_is_one_line_and_exit_status_2(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["monitor", "diagnose", str(tmp_path / "none.csv")])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "none.csv" in capsys.readouterr().err


def test_the_parts_of_a_composite_loss_are_read_by_their_columns(tmp_path):
    rows = ["step,loss,loss/data,loss/kl"]
    for step in range(300):
        data, kl = 1 + 2 * math.exp(-step / 50), 1 + math.exp(-step / 100)
        rows.append(f"{step},{data + 0.1 * kl},{data},{kl}")
    path = tmp_path / "parts.csv"
    path.write_text("\n".join(rows) + "\n")
    _, untold = call("diagnose", path, "--json")
    finding = next(f for f in json.loads(untold)["findings"] if f["rule"] == "parts_sum")
    assert finding["evidence"]["part"] == "kl" and finding["evidence"]["weight"] == pytest.approx(0.1, rel=1e-3)
    _, told = call("diagnose", path, "--weight", "kl=0.1", "--json")
    assert "parts_sum" not in {f["rule"] for f in json.loads(told)["findings"]}
    with pytest.raises(LossError, match="loss/data, loss/kl"):
        call("diagnose", path, "--weight", "l2=0.1")


@pytest.mark.parametrize(("named", "action"), [((), "stop"), (("--goal", "val/accuracy"), "continue")])
def test_only_a_goal_that_was_named_holds_back_a_stop(tmp_path, named, action):
    rows = ["epoch,train/loss,val/loss,val/accuracy"]
    rows += [f"{i},{2 * 0.9**i},{2 * 0.8**i + 0.03 * max(i - 8, 0) + 0.6},{0.5 + i / 100}" for i in range(40)]
    (tmp_path / "log.csv").write_text("\n".join(rows) + "\n")
    _, out = call("diagnose", tmp_path / "log.csv", "--json", *named)
    data = json.loads(out)
    assert (data["verdict"], data["recommendation"]["action"]) == ("overfitting", action)
    told = next(found for found in data["findings"] if found["rule"] == "overfitting")
    assert "val/accuracy still improves" in told["advice"] + told["explanation"]
