"""Whether the process that left a note in a journal's folder still runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from monitor.journal.claim import runs

HERE = socket.gethostname()


def test_a_process_of_this_machine_runs_until_it_has_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert runs({"host": HERE, "pid": child.pid})
    child.communicate(b"\n")
    assert not runs({"host": HERE, "pid": child.pid})


@pytest.mark.parametrize("note", [{}, {"host": "elsewhere", "pid": 2**22}, {"host": HERE}, {"host": HERE, "pid": "1"}])
def test_one_of_which_nothing_can_be_known_counts_as_running(note: dict[str, object]) -> None:
    assert runs(note)


def test_one_of_another_user_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, signal: int) -> None:
        raise PermissionError(pid, signal)

    monkeypatch.setattr(os, "kill", refuse)
    assert runs({"host": HERE, "pid": 1})
