"""`monitor losses check` on files, modules and names."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Call

pytest.importorskip("torch")

FILE = """
import torch
import torch.nn.functional as F

def wrong(logits, labels):
    return F.cross_entropy(torch.softmax(logits, 1), labels)

def right(logits, labels):
    return F.cross_entropy(logits, labels)
"""


def monitor(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "monitor", "losses", *words], capture_output=True, text=True, cwd=folder, timeout=300
    )  # fmt: skip


def test_a_file_a_module_and_a_name_are_checked(tmp_path: Path, called: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(FILE)
    wrong = monitor("check", "./mine.py:wrong", "--json", folder=tmp_path)
    assert wrong.returncode == 1
    said = json.loads(wrong.stdout)
    assert [item["check"] for item in said["problems"]] == ["squashed"]
    assert "0.905" in said["problems"][0]["evidence"]
    assert monitor("check", "mine.right", folder=tmp_path).returncode == 0
    monkeypatch.chdir(tmp_path)  # the rest in this process, which has torch already
    named = called("losses", "check", "huber(0.5)")
    assert (named.status, "nothing wrong" in named.out) == (0, True)
    missing = called("losses", "check", "./mine.py:nothing")
    assert missing.status not in (0, 1)
    assert len(missing.err.strip().splitlines()) == 1
    profiled = called("losses", "profile", "./mine.py:wrong", "--kind", "classification")
    assert profiled.status == 0
    assert "Problems" in profiled.out
