"""`monitor watch` says what it waits for and what it cannot read."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import monitor
from monitor.cli import app


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("late.csv", None, "late.csv: is not there yet"), ("train.log", bytes(range(256)) * 40, "is not text in UTF-8")],
)
def test_a_path_that_gives_no_run_is_shown_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes | None, said: str
) -> None:
    monkeypatch.setenv("MONITOR_DIR", str(tmp_path / "home"))
    monkeypatch.delenv("MONITOR_SERVER_URL", raising=False)
    if content is not None:
        (tmp_path / name).write_bytes(content)
    found = CliRunner().invoke(app, ["watch", "--once", str(tmp_path / name)], catch_exceptions=False)
    assert found.exit_code == 0
    assert found.stdout.startswith("waiting") and said in found.stdout.replace("\n", "")


@pytest.mark.parametrize(
    ("paths", "said"), [([], "monitor run -- python train.py"), (["."], "no training found there yet")]
)
def test_where_nothing_is_the_next_step_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paths: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MONITOR_DIR", str(tmp_path / ".home"))
    monkeypatch.delenv("MONITOR_SERVER_URL", raising=False)
    assert said in CliRunner().invoke(app, ["watch", "--once", *paths], catch_exceptions=False).stdout


def test_a_watch_is_told_the_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_DIR", str(tmp_path / "home"))
    monkeypatch.delenv("MONITOR_SERVER_URL", raising=False)
    (tmp_path / "log.csv").write_text("t,a,b\n1,0.5,0.75\n2,0.25,0.625\n")
    options = ["--train", "a", "--val", "b", "--step", "t"]
    found = CliRunner().invoke(app, ["watch", "--once", str(tmp_path / "log.csv"), *options], catch_exceptions=False)
    assert "train 0.25  val 0.625" in found.stdout
    wrong = CliRunner().invoke(app, ["watch", "--once", str(tmp_path / "log.csv"), "--train", "aa"])
    assert "no such column" in wrong.stdout.replace("\n", " ")


def test_a_run_that_has_ended_is_not_told_to_continue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_DIR", str(tmp_path / "store"))
    with monitor.init("p", name="brief", capture=False) as run:
        run.log({"loss": 1.0}, step=0)
    printed = CliRunner().invoke(app, ["watch", "--once"], catch_exceptions=False).stdout
    assert "p/brief  finished  step 0" in printed
    assert "continue" not in printed
