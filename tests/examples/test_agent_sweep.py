"""The example of an agent: real trainings, stopped through the command line alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from monitor._resources import ROOT


@pytest.mark.slow
def test_the_agent_stops_what_is_hopeless_and_names_the_best_checkpoint(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MONITOR_")}
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "agent_sweep.py"), "--folder", str(tmp_path / "sweep")],
        env={**kept, "MONITOR_DIR": str(tmp_path / "home"), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["stopped"] == ["tiny-data", "tiny-wide"]
    assert set(found["stops"].values()) == {"finished"}
    assert found["best"] not in found["stopped"]
    assert found["best_loss"] < 0.2
    assert found["saved_hours"] > 0
    checkpoint = Path(found["checkpoint"])
    assert checkpoint.is_file() and checkpoint.name.startswith(found["best"])
    assert np.load(checkpoint)["arr_0"].shape[0] == 64
