"""The command line as `monitor` runs it, errors and exit status included."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True)
class Called:
    """How a call of `monitor` ended."""

    status: int
    out: str
    err: str


Call = Callable[..., Called]


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls `monitor` in this process, over a folder that does not exist yet; an exception that gets out fails."""
    from monitor.cli import main

    monkeypatch.setenv("MONITOR_DIR", str(tmp_path / "home"))
    monkeypatch.delenv("MONITOR_SERVER_URL", raising=False)

    def call(*args: object) -> Called:
        monkeypatch.setattr(sys, "argv", ["monitor", *map(str, args)])
        capsys.readouterr()
        status = 0
        try:
            main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0
        said = capsys.readouterr()
        return Called(status, said.out, said.err)

    return call
