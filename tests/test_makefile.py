"""`make check` and the audit of what is installed, with a program in the place of pip-audit."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from monitor._resources import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.mark.parametrize(
    ("says", "status", "passes", "shown"),
    [
        ("No known vulnerabilities found", 0, True, ""),
        ("Found 2 known vulnerabilities in 1 package\nidna 3.4 PYSEC-2024-60", 1, False, "PYSEC-2024-60"),
        ("No known vulnerabilities found\nidna not found and could not be audited", 0, True, "Not all packages"),
        ("ERROR: could not connect", 1, True, "Not all packages"),
    ],
)
def test_a_vulnerability_that_is_known_fails_the_check_and_a_service_that_is_away_is_said(
    tmp_path: Path, says: str, status: int, passes: bool, shown: str
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$2" in pip_audit) printf %s "{says}"; exit {status};; esac\n')
    python.chmod(0o755)
    command = ["make", "-s", "-C", str(ROOT), "audit-known", f"BIN={tmp_path}", f"VENV={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode == 0) == passes, done.stderr
    assert shown in done.stdout
    assert bool(done.stdout) == bool(shown)
