from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.captures import CAPTURES, captures
from monitor.errors import SettingsError
from monitor.run.capture import captured
from monitor.run.start import Run, init
from monitor.settings import Settings, load
from monitor.shipping.sinks import MemorySink

FIELDS = {
    "git": {"git"},
    "command": {"argv", "cwd"},
    "packages": {"python", "packages"},
    "host": {"host", "user", "platform", "cpu_count"},
    "gpus": {"gpus"},
    "system": set(),
}
"""What each capture puts into the record, where the machine has it."""


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (True, CAPTURES),
        (False, ()),
        ("true", CAPTURES),
        ("0", ()),
        ("git, host", ("git", "host")),
        ('["host", "git"]', ("git", "host")),
        ("no-git,no-host", ("command", "packages", "gpus", "system")),
        (["packages"], ("packages",)),
        ([], ()),
        ({"git": False, "host": True}, ("command", "packages", "host", "gpus", "system")),
        ({}, CAPTURES),
    ],
)
def test_a_choice_may_be_written_in_many_ways(given: object, kept: tuple[str, ...]) -> None:
    assert captures(given) == kept


@pytest.mark.parametrize(
    ("given", "said"), [("gti", "did you mean 'git'"), (["source"], "known: git"), (3, "not a choice")]
)
def test_what_is_no_capture_is_refused_with_what_there_is(given: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        captures(given)


@pytest.mark.parametrize("off", CAPTURES)
def test_each_has_a_switch_of_its_own(off: str) -> None:
    whole, rest = set(captured()), set(captured(captures({off: False})))
    assert rest == whole - FIELDS[off]
    assert set(captured([off])) == whole & FIELDS[off]


def test_the_environment_and_the_file_switch_them_for_every_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "monitor.toml").write_text('capture = ["git", "host"]\n')
    assert load(dir=tmp_path).capture == ("git", "host")
    monkeypatch.setenv("MONITOR_CAPTURE", "no-command,no-system")
    assert load(dir=tmp_path).capture == ("git", "packages", "host", "gpus")
    monkeypatch.setenv("MONITOR_CAPTURE", "all, of it")
    with pytest.raises(SettingsError, match=r"MONITOR_CAPTURE.*'all' is not a capture"):
        load(dir=tmp_path)


def test_init_switches_them_for_one_run(settings: Settings, sink: MemorySink, start: Callable[..., Run]) -> None:
    with start(capture=["packages", "command"]) as run:
        run.log({"x": 1.0})
    (event,) = sink.events(run.id, "capture")
    assert set(event.data) == {"packages", "python", "argv", "cwd"}
    with start(capture=False) as quiet:
        quiet.log({"x": 1.0})
    assert sink.events(quiet.id, "capture") == []
    with pytest.raises(SettingsError, match="capture: 'gpu' is not a capture; did you mean 'gpus'"):
        init("p", settings=settings, capture={"gpu": False})
